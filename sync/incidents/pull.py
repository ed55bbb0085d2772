"""Asking monitors: what webhooks did not tell, or told wrongly, is put right by what the vendor says is so now.

What fires and is not known to is told as any alert; of what is known to be wrong and does not fire, the vendor is asked
since when. Killed anywhere, the next pull does the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from connectors.contract import Alert, AlertRef, AlertSource, AlertState
from core.models import Incident, SyncRun
from sync.incidents.known import Told, ref_key
from sync.incidents.settle import settle_alerts
from sync.incidents.timeline import GOING, Effect
from sync.leases import Lease
from sync.runs import summed
from sync.runtime import Runtime
from sync.sessions import Session

MOMENT = timedelta(microseconds=1)
"""The least by which one time is later than another."""

COUNTED: Mapping[str, str] = {
    Effect.OPENED: "incidents_opened",
    Effect.RECORDED: "incidents_opened",
    Effect.REOPENED: "incidents_reopened",
    Effect.RESOLVED: "incidents_resolved",
    Effect.UPDATED: "incidents_updated",
}
"""Effect -> what a run counts it as."""


@dataclass(frozen=True, slots=True)
class Going:
    """An incident that is not resolved, as far as a poll has to know it."""

    ref: AlertRef
    severity: str
    watermark: datetime


@dataclass(frozen=True, slots=True)
class AlertPull:
    """The alerts of one pull."""

    rt: Runtime
    lease: Lease
    session: Session
    run_id: str

    def work(self) -> None:
        """Raises LeaseLost, and what the connector raises."""
        source: AlertSource = self.session.connector
        # Before the vendor is asked: what webhooks tell meanwhile is newer than its answer.
        going = self._going()
        firing: set[str] = set()
        for batch in source.alerts():
            keys = [self._key(alert.ref) for alert in batch]
            firing.update(keys)
            asked = zip(keys, batch, strict=True)
            fresh = [alert for key, alert in asked if key not in going or _says_more(going[key], alert)]
            self._store(len(batch), [Told(alert, self.run_id) for alert in fresh])
        self._ask(source, [one for key, one in going.items() if key not in firing])

    def _ask(self, source: AlertSource, quiet: Sequence[Going]) -> None:
        """How what does not fire any more stands now."""
        size = self.session.connector.manifest.refetch_batch
        for start in range(0, len(quiet), size):
            asked = {one.ref: one for one in quiet[start : start + size]}
            answers = source.fetch_alerts(list(asked))
            told = [_answer(asked[ref], alert, self.run_id) for ref, alert in answers.items() if ref in asked]
            self._store(0, told)

    def _key(self, ref: AlertRef) -> str:
        return ref_key(self.session.integration.id, ref)

    def _going(self) -> dict[str, Going]:
        """The incidents that are not resolved, by ref."""
        columns = (Incident.ref_key, Incident.monitor, Incident.scope, Incident.severity, Incident.watermark)
        mine = select(*columns).where(
            Incident.integration_id == self.session.integration.id, Incident.status.in_([one.value for one in GOING])
        )
        with self.rt.db.read() as db:
            rows = db.execute(mine).all()
        return {row.ref_key: Going(AlertRef(row.monitor, row.scope), row.severity, row.watermark) for row in rows}

    def _store(self, records: int, told: Sequence[Told]) -> None:
        now = self.rt.clock()

        def store(db: DbSession) -> None:
            self.lease.guard(db)
            settled = settle_alerts(db, self.session.integration, self.session.config, told, now)
            run = db.get_one(SyncRun, self.run_id)
            did = Counter(COUNTED[one.outcome] for one in settled if one.outcome in COUNTED)
            run.counts = summed(run.counts, {"records": records, "alerts": records}, did)

        self.rt.db.run(store)


def _says_more(going: Going, alert: Alert) -> bool:
    """Whether a poll brings anything of what is known to be wrong: it is worse now, or less bad."""
    return alert.severity.value != going.severity and alert.at > going.watermark


def _answer(going: Going, alert: Alert, run_id: str) -> Told:
    """How it stands now. That it is over is newer than all that was known when it was asked for, whatever its time: so
    an end counts that was told before a late word of what had been wrong. It ends every cycle."""
    if alert.state is not AlertState.OVER:
        return Told(alert, run_id)
    return Told(replace(alert, cycle=None), run_id, max(alert.at, going.watermark + MOMENT))
