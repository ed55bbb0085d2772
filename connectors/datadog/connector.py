"""The Datadog connector: what is wrong, numbers over time, and a webhook that tells at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import SecretStr

from connectors.contract import (
    Account,
    Alert,
    AlertRef,
    Context,
    Cursor,
    Forbidden,
    Manifest,
    Measured,
    MeasurePage,
    NotFound,
    Rejected,
    Subscription,
)
from connectors.datadog import webhook
from connectors.datadog.client import DatadogClient
from connectors.datadog.config import ANY, DatadogConfig
from connectors.datadog.hooks import HookKeeper, NoHooks
from connectors.datadog.manifest import MANIFEST
from connectors.datadog.mapping import Monitor, firing, gone, standing
from connectors.datadog.timeseries import Window, key_of, measured, windows

LATELY = timedelta(hours=2)
"""What `measure` looks back: a few rollups of the usual length."""


class DatadogConnector:
    """Datadog, for one integration."""

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        self._config: DatadogConfig = context.config
        self._keys, self._http = context.credentials, context.http
        self._client = DatadogClient(context)
        alone = self._keys.application_key is None
        self._hooks: HookKeeper | NoHooks = NoHooks() if alone else HookKeeper(self._client, self._config)

    def check(self) -> Account:
        """The API key is one of the site, and the application key can read what the config asks for. Raises AuthFailed,
        Forbidden."""
        site = self._keys.site
        self._client.validate()
        asked = self._config.needs_application_key()
        if self._keys.application_key is None and asked:
            raise Forbidden(
                f"An API key alone can read nothing: add an application_key, or leave {' and '.join(asked)} out of "
                "the config."
            )
        if self._config.monitors:
            next(self._client.monitors(size=1))
        elif self._config.metrics:
            self._ask(next(windows(self._config.metrics[:1], {}, self._http.vendor_now(), LATELY)))
        return Account(site, f"Datadog at {site}")

    # --- AlertSource --------------------------------------------------------------------------------

    def alerts(self) -> Iterator[Sequence[Alert]]:
        """What fires, a batch for each page of monitors."""
        for page in self._client.monitors():
            now = self._http.vendor_now()
            yield [alert for monitor in page if self._follows(monitor) for alert in firing(monitor, self._site, now)]

    def _follows(self, monitor: Monitor) -> bool:
        wanted = self._config.monitors
        return ANY in wanted or not {tag.lower() for tag in monitor.tags}.isdisjoint(tag.lower() for tag in wanted)

    @property
    def _site(self) -> str:
        site: str = self._keys.site
        return site

    def fetch_alerts(self, refs: Sequence[AlertRef]) -> Mapping[AlertRef, Alert]:
        """How groups stand now, a call for each monitor."""
        found: dict[AlertRef, Alert] = {}
        for number in dict.fromkeys(ref.monitor for ref in refs):
            monitor = self._monitor(number)
            for ref in (ref for ref in refs if ref.monitor == number):
                alert = self._standing(monitor, ref)
                if alert is not None:
                    found[ref] = alert
        return found

    def _monitor(self, number: str) -> Monitor | None:
        try:
            return self._client.monitor(number)
        except NotFound:
            return None

    def _standing(self, monitor: Monitor | None, ref: AlertRef) -> Alert | None:
        now = self._http.vendor_now()
        return gone(ref, self._site, now) if monitor is None else standing(monitor, ref.scope, self._site, now)

    # --- MeasureSource ------------------------------------------------------------------------------

    def measures(self, cursor: Cursor | None) -> Iterator[MeasurePage]:
        """The metrics' points up to two rollups ago, in windows of a day at most. The cursor tells of each metric until
        when it is known. One that Datadog refuses does not keep the others from being read."""
        return self._read((cursor or {}).get("metrics", {}), timedelta(days=self._config.history_days))

    def measure(self, subjects: Sequence[str]) -> Iterator[MeasurePage]:
        """The last two hours of all metrics, if their one subject, "", is asked for."""
        return self._read({}, LATELY) if "" in subjects else iter(())

    def _read(self, known: Mapping[str, int], history: timedelta) -> Iterator[MeasurePage]:
        keys = {key_of(metric) for metric in self._config.metrics}
        until = {key: known[key] for key in keys & known.keys()}
        refused: dict[str, str] = {}
        for window in windows(self._config.metrics, until, self._http.vendor_now(), history):
            if window.metric.name in refused:
                continue
            try:
                rows, cut = self._ask(window)
            except Rejected as error:
                refused[window.metric.name] = error.text
                continue
            until[key_of(window.metric)] = window.end
            yield MeasurePage(rows, {"metrics": dict(until)}, cut=cut)
        if refused:
            raise Rejected("; ".join(f"metric {name}: {text}" for name, text in refused.items()), "config.metrics")

    def _ask(self, window: Window) -> tuple[list[Measured], list[str]]:
        return measured(window, self._client.timeseries(window.asked()), self._config.max_series)

    # --- webhooks -----------------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(webhook.handshake)

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """Register the webhook. Raises Forbidden without an application key that may."""
        return self._hooks.subscribe(url, secret)

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """Look whether it is there, and as we made it."""
        return self._hooks.renew(subscription, url)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove it; what is gone already is fine."""
        self._hooks.unsubscribe(subscription)
