"""What deliveries say of what is watched: alerts and gates told whole, hints that something was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session as DbSession

from connectors.contract import Alert, GateSeen, MeasurePage, MeasureSource
from sync.incidents.known import Told
from sync.incidents.settle import Settled, settle_alerts
from sync.leases import Lease
from sync.measures.gates import settle_gates
from sync.measures.series import store_pages
from sync.sessions import Session


@dataclass
class MonitorSaid:
    """What one delivery says."""

    alerts: list[Alert] = field(default_factory=list)
    gates: list[GateSeen] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.alerts or self.gates or self.subjects)


@dataclass(frozen=True, slots=True)
class MonitorOutcome:
    """What became of all that deliveries said, in their order. `points` of a subject: how many were read of it."""

    alerts: Sequence[Settled] = ()
    gates: Sequence[str] = ()
    points: Counter[str] = field(default_factory=Counter)

    def each(self, said: Sequence[MonitorSaid]) -> Iterator[dict[str, Any]]:
        """For each delivery's outcome."""
        alerts, gates = iter(self.alerts), iter(self.gates)
        for one in said:
            told: dict[str, Any] = {}
            if one.alerts:
                settled = (next(alerts) for _ in one.alerts)
                told["alerts"] = [{"incident_id": each.incident_id, "outcome": each.outcome} for each in settled]
            if one.gates:
                told["gates"] = [next(gates) for _ in one.gates]
            if one.subjects:
                told["measures"] = {subject: self.points[subject] for subject in one.subjects}
            yield told


def fetch_measured(lease: Lease, session: Session, said: Sequence[MonitorSaid]) -> list[MeasurePage]:
    """What was measured on all that is hinted at, each asked for once. Raises what the connector raises."""
    subjects = list(dict.fromkeys(subject for one in said for subject in one.subjects))
    source: MeasureSource = session.connector
    size = session.connector.manifest.refetch_batch
    pages: list[MeasurePage] = []
    for start in range(0, len(subjects), size):
        if start:
            lease.extend()
        pages += source.measure(subjects[start : start + size])
    return pages


def settle_monitor(
    db: DbSession,
    session: Session,
    said: Sequence[tuple[str, MonitorSaid]],
    pages: Sequence[MeasurePage],
    now: datetime,
) -> MonitorOutcome:
    """Make of it incidents, gates and points. `said`: each with its source."""
    if not any(one for _, one in said):
        return MonitorOutcome()
    integration = session.integration
    told = [Told(alert, source) for source, one in said for alert in one.alerts]
    alerts = settle_alerts(db, integration, session.config, told, now)
    gates = settle_gates(db, integration, [gate for _, one in said for gate in one.gates], now)
    store_pages(db, integration, pages, now)
    points: Counter[str] = Counter()
    for measured in (measured for page in pages for measured in page.measured):
        points[measured.series.subject] += len(measured.points)
    return MonitorOutcome(alerts, gates.outcomes, points)
