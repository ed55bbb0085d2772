"""How calls are authorized: by a token, or as an installation of the operator's GitHub App.

The App signs a short token of its own, which is good for calls about the App and for making an installation's token.
That one is good for an hour, and for everything else; every session makes its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

import jwt
import msgspec

from connectors.contract import AuthFailed, ConsentPending, Context, Forbidden, NotFound, Rejected
from connectors.github.config import InstallationCredentials
from connectors.github.shapes import User
from connectors.times import moment

API_VERSION = "2022-11-28"
"""The REST API version this connector was written for. 2026-03-10 no longer tells a pull request's merge commit."""

HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": API_VERSION}

APP_LIFETIME = timedelta(minutes=9)
"""GitHub takes 10 minutes at most, by its clock."""

DRIFT = timedelta(seconds=60)
"""GitHub's own advice: sign as of a minute ago, for clocks that are ahead."""

RENEWED_EARLY = timedelta(minutes=5)
"""A call that starts now must not outlive the token."""

EPOCH = datetime.fromtimestamp(0, UTC)


class Access(Protocol):
    """Something that authorizes calls."""

    def authorization(self) -> str:
        """The header's value. Raises what the connector may raise."""


class ByToken:
    """A personal access token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def authorization(self) -> str:
        """The token."""
        return f"Bearer {self._token}"


class Installation(msgspec.Struct):
    """An installation of the App. `permissions`: name -> read or write."""

    id: int
    account: User
    permissions: dict[str, str] = {}
    suspended_at: str | None = None


class _Minted(msgspec.Struct):
    token: str
    expires_at: str


class ByApp:
    """An installation of the App."""

    def __init__(self, context: Context) -> None:
        credentials: InstallationCredentials = context.credentials
        self.id = credentials.installation_id
        self._app, self._http = context.app, context.http
        self._base = context.endpoints["api"].rstrip("/")
        self._token, self._until = "", EPOCH

    def authorization(self) -> str:
        """The installation's token, made if there is none that lasts. Raises AuthFailed for one that is suspended or
        gone, ConsentPending without an App."""
        if self._http.vendor_now() + RENEWED_EARLY >= self._until:
            minted = self._mint()
            self._token, self._until = minted.token, moment(minted.expires_at)
        return f"Bearer {self._token}"

    def _mint(self) -> _Minted:
        url = f"{self._base}/app/installations/{self.id}/access_tokens"
        try:
            return self._http.request("POST", url, headers=self.app_headers()).decode(_Minted)
        except Forbidden as error:
            raise AuthFailed(f"{error.text} Unsuspend the App's installation in the organization's settings.") from None
        except NotFound as error:
            raise AuthFailed(f"{error.text} The App's installation {self.id} is gone: install it again.") from None

    def installation(self) -> Installation:
        """What GitHub says of the installation. Raises ConsentPending until GitHub knows it, AuthFailed when it is
        suspended or the App's key is not (any longer) the App's."""
        url = f"{self._base}/app/installations/{self.id}"
        try:
            found = self._http.request("GET", url, headers=self.app_headers()).decode(Installation)
        except NotFound:
            raise ConsentPending(
                f"GitHub knows no installation {self.id} of our App yet: install the App in the organization, and give "
                "the number that GitHub shows then."
            ) from None
        except AuthFailed as error:
            raise AuthFailed(f"{error.text} Check the App's number and private key, the operator's settings.") from None
        if found.suspended_at is not None:
            raise AuthFailed(
                f"The App's installation in {found.account.login} is suspended: unsuspend it in the organization's "
                "settings, under GitHub Apps."
            )
        return found

    def app_headers(self) -> dict[str, str]:
        """The headers of calls about the App itself."""
        return {**HEADERS, "Authorization": f"Bearer {self._signed()}"}

    def _signed(self) -> str:
        """The App's own token. PyGithub's would be made by the clock of this machine; GitHub's is known better."""
        if not self._app:
            raise ConsentPending(
                "GitHub has not confirmed the App's installation: the operator has not set up our GitHub App "
                "(TURNBUCKLE_OAUTH_APPS__GITHUB__FIELDS__APP_ID and …__PRIVATE_KEY). Until then a token can be used."
            )
        now = self._http.vendor_now()
        claims = {"iat": now - DRIFT, "exp": now + APP_LIFETIME, "iss": self._app["app_id"].get_secret_value()}
        # Where settings hold one line only, line ends are written out.
        key = self._app["private_key"].get_secret_value().replace("\\n", "\n")
        try:
            return jwt.encode(claims, key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise Rejected("The App's private key can't be read: give the whole .pem file that GitHub made.") from None
