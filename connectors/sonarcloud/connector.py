"""The SonarCloud connector: measures of code, quality gates, and a webhook that tells of analyses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from connectors.contract import (
    Account,
    AuthFailed,
    Context,
    Cursor,
    Manifest,
    MeasurePage,
    NotFound,
    Rejected,
    Subscription,
)
from connectors.hooks import advising
from connectors.sonarcloud import webhook
from connectors.sonarcloud.client import Hook, SonarClient, base_of
from connectors.sonarcloud.config import SonarCloudConfig
from connectors.sonarcloud.manifest import MANIFEST
from connectors.sonarcloud.reading import Reading

ADMINISTERS = (
    "Webhooks are registered by who administers the organization, or each of the `projects`, and in paid plans only: "
    "until then polls find everything."
)

LONGEST_URL = 512
"""Characters of a webhook's address that Sonar takes."""


class SonarCloudConnector:
    """SonarCloud, or a SonarQube Server, for one integration."""

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        self._config: SonarCloudConfig = context.config
        self._http = context.http
        self._base = base_of(context)
        self._client = SonarClient(context)

    def check(self) -> Account:
        """The token is good, and sees the organization. That it is valid says little: nobody is valid, too. Raises
        AuthFailed, Forbidden, NotFound."""
        if not self._client.valid():
            raise AuthFailed("SonarCloud does not know the token: it was revoked, has ended, or is of another region.")
        next(self._client.projects(size=1))
        host = urlsplit(self._base).netloc
        home = self._config.organization or host
        return Account(home, f"{home} at {host}")

    # --- MeasureSource ------------------------------------------------------------------------------

    def measures(self, cursor: Cursor | None) -> Iterator[MeasurePage]:
        """Project by project, what was analysed since the cursor. One that is not there does not keep the others from
        being read: it is said at the end. Raises NotFound."""
        reading = self._reading((cursor or {}).get("projects", {}))
        yield from _each(self._projects(), reading.project)

    def measure(self, subjects: Sequence[str]) -> Iterator[MeasurePage]:
        """The newest analyses of these projects. Raises NotFound."""
        yield from _each(subjects, self._reading({}).newest)

    def _reading(self, known: Cursor) -> Reading:
        return Reading(self._client, self._config, self._base, known, self._http.vendor_now)

    def _projects(self) -> Iterable[str]:
        return self._config.projects or chain.from_iterable(self._client.projects())

    # --- webhooks -----------------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(webhook.handshake)

    @advising(ADMINISTERS, "SonarCloud")
    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """One webhook of the organization, or one of each named project; what is registered for the address is set
        right. Raises Forbidden, and Rejected for an address or a secret that Sonar would not keep."""
        fields = {"name": "Turnbuckle", "url": url, "secret": secret.get_secret_value()}
        if len(url) > LONGEST_URL or not fields["secret"].strip():
            raise Rejected(
                f"SonarCloud takes addresses of {LONGEST_URL} characters, and takes a blank secret for none."
            )
        made = []
        for project in self._hooked():
            known = self._known(project, url)
            if known is None:
                made.append(self._client.create_hook(project, fields))
            else:
                self._client.update_hook(known.key, fields)
                made.append(known.key)
        return Subscription(tuple(made))

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """None where one is gone, or somebody took its secret away."""
        found = [self._known(project, url) for project in self._hooked()]
        well = {hook.key for hook in found if hook is not None and hook.has_secret}
        return subscription if well >= set(subscription.external_ids) and len(well) == len(found) else None

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove them; one already gone is fine."""
        for key in subscription.external_ids:
            self._client.delete_hook(key)

    def _hooked(self) -> Sequence[str | None]:
        """What has a webhook: each named project, or everything (None)."""
        return self._config.projects or [None]

    def _known(self, project: str | None, url: str) -> Hook | None:
        return next((hook for hook in self._client.hooks(project) if hook.url == url), None)


def _each(projects: Iterable[str], read: Callable[[str], Iterator[MeasurePage]]) -> Iterator[MeasurePage]:
    """Read project by project; those that are not there are said at the end."""
    gone = []
    for key in projects:
        try:
            yield from read(key)
        except NotFound as error:
            gone.append(error.text)
    if gone:
        raise NotFound(" ".join(gone))
