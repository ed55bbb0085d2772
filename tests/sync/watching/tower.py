"""A vendor that watches, in memory: monitors that fire, numbers that are measured, gates; and the connector for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from pydantic import SecretStr

from connectors.contract import (
    AccessEnded,
    Account,
    Alert,
    AlertHeard,
    AlertingConfig,
    AlertRef,
    AlertState,
    AuthFailed,
    BadPayload,
    Category,
    ConnectorError,
    Context,
    Credentials,
    Cursor,
    GateHeard,
    GateSeen,
    Manifest,
    MeasureHint,
    MeasurePage,
    RateFacts,
    RawDelivery,
    Reply,
    Secrets,
    Severity,
    Signal,
    Verified,
    WebhookFacts,
)

TOKEN = {"token": "tower-token-canary"}
CPU = AlertRef("7", "")


class TowerConfig(AlertingConfig):
    """What is read."""

    asks: bool = True
    measures: bool = True

    def without(self) -> frozenset[str]:
        used = {"alert_source": self.asks, "measure_source": self.measures}
        return frozenset(name for name, is_used in used.items() if not is_used)


class TowerToken(Credentials):
    token: SecretStr


class Tower:
    """The vendor. `firing` is what is wrong there, `ended` when what was wrong ended; `pages` what was measured."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.firing: dict[AlertRef, Alert] = {}
        self.ended: dict[AlertRef, datetime] = {}
        self.ended_cycle: str | None = None
        self.pages: list[MeasurePage] = []
        self.fresh: dict[str, list[MeasurePage]] = {}
        self.dead_tokens: set[str] = set()
        self.failures: list[ConnectorError] = []
        self.calls: list[str] = []
        self.cursors: list[Cursor | None] = []
        self.letters: list[list[Signal]] = []

    def alert(self, state: AlertState = AlertState.FIRING, ref: AlertRef = CPU, **more: Any) -> Alert:
        """An alert of now."""
        usual: dict[str, Any] = {
            "severity": Severity.HIGH,
            "title": "CPU is high",
            "text": "92 %",
            "url": "https://tower.test/7",
            "at": self.clock(),
            "tags": {"service": ["payments"]},
        }
        return Alert(ref, state, **(usual | more))

    def fires(self, ref: AlertRef = CPU, **more: Any) -> Alert:
        """A monitor goes wrong."""
        made = self.firing[ref] = self.alert(ref=ref, **more)
        self.ended.pop(ref, None)
        return made

    def recovers(self, ref: AlertRef = CPU, **more: Any) -> Alert:
        """It is over."""
        self.ended[ref] = self.clock()
        return replace(self.firing.pop(ref), state=AlertState.OVER, at=self.clock(), **more)

    def write(self, *signals: Signal) -> bytes:
        """The body of a delivery that means this."""
        self.letters.append(list(signals))
        return json.dumps({"letter": len(self.letters) - 1}).encode()

    def called(self, operation: str) -> None:
        self.calls.append(operation)
        if self.failures:
            raise self.failures.pop(0)

    def connector(self) -> type:
        """The connector class for this vendor."""
        tower = self

        class TowerConnector(_Connector):
            vendor = tower

        return TowerConnector


class _Connector:
    vendor: ClassVar[Tower]
    manifest: ClassVar[Manifest] = Manifest(
        type="tower",
        name="Tower",
        category=Category.MONITORING,
        description="A vendor for tests.",
        config=TowerConfig,
        credentials={"token": TowerToken},
        rates=RateFacts(per_second=1000, burst=1000),
        webhooks=WebhookFacts(secrets=("token",)),
        refetch_batch=2,
    )

    def __init__(self, context: Context) -> None:
        self._token = context.credentials.token.get_secret_value()

    def check(self) -> Account:
        self._authorized("check")
        return Account("tower-1", "Tower")

    def alerts(self) -> Iterator[Sequence[Alert]]:
        self._authorized("alerts")
        found = list(self.vendor.firing.values())
        for start in range(0, len(found), 2):
            yield found[start : start + 2]

    def fetch_alerts(self, refs: Sequence[AlertRef]) -> Mapping[AlertRef, Alert]:
        self._authorized("fetch_alerts")
        found = {ref: self.vendor.firing[ref] for ref in refs if ref in self.vendor.firing}
        cycle = self.vendor.ended_cycle
        over = {
            ref: self.vendor.alert(AlertState.OVER, ref, at=at, cycle=cycle) for ref, at in self.vendor.ended.items()
        }
        return found | {ref: over[ref] for ref in refs if ref in over and ref not in found}

    def measures(self, cursor: Cursor | None) -> Iterator[MeasurePage]:
        self._authorized("measures")
        self.vendor.cursors.append(cursor)
        done = (cursor or {}).get("done", 0)
        for page in self.vendor.pages[done:]:
            if isinstance(page, ConnectorError):
                raise page
            yield page

    def measure(self, subjects: Sequence[str]) -> Iterator[MeasurePage]:
        self._authorized(f"measure {','.join(subjects)}")
        for subject in subjects:
            yield from self.vendor.fresh.get(subject, [])

    @staticmethod
    def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
        return Verified(None, "letter")

    @classmethod
    def parse(cls, delivery: RawDelivery, config: Any) -> Sequence[Signal]:
        try:
            return cls.vendor.letters[json.loads(delivery.body)["letter"]]
        except (ValueError, KeyError) as error:
            raise BadPayload(str(error)) from None

    @staticmethod
    def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
        return None

    def _authorized(self, operation: str) -> None:
        self.vendor.called(operation)
        if self._token in self.vendor.dead_tokens:
            raise AuthFailed("The token was revoked.")


def heard(*alerts: Alert) -> list[Signal]:
    """Signals that tell alerts."""
    return [AlertHeard(alert) for alert in alerts]


def seen(*gates: GateSeen) -> list[Signal]:
    """Signals that tell gates."""
    return [GateHeard(gate) for gate in gates]


ENDED = AccessEnded("The app was removed.")
MEASURED = MeasureHint("shop")
