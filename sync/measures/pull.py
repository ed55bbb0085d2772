"""Reading measures: what was measured since the cursor, page by page; each page is stored with the cursor behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import update
from sqlalchemy.orm import Session as DbSession

from connectors.contract import MeasurePage, MeasureSource
from core.models import Integration, SyncRun
from sync.ahead import batches
from sync.health import Trouble
from sync.leases import Lease
from sync.measures.series import store_pages
from sync.runs import claim_time, claimed_until, summed
from sync.runtime import Runtime
from sync.sessions import Session

CUT = "left_out"

MOST_TOLD = 5
"""Of what was left out, as much as somebody reads."""


@dataclass
class MeasurePull:
    """The measures of one pull."""

    rt: Runtime
    lease: Lease
    session: Session
    run_id: str
    _cut: dict[str, None] = field(default_factory=dict)

    def work(self) -> Trouble | None:
        """Returns what was left out, if anything. Raises LeaseLost, and what the connector raises."""
        source: MeasureSource = self.session.connector
        pages = source.measures(self.session.integration.measure_cursor)
        for batch in batches(self.rt, pages, _size):
            self._store(batch)
        if not self._cut:
            return None
        told = list(self._cut)
        more = f" And {len(told) - MOST_TOLD} more." if len(told) > MOST_TOLD else ""
        return Trouble(CUT, " ".join(told[:MOST_TOLD]) + more)

    def _store(self, pages: Sequence[MeasurePage]) -> None:
        now, integration = self.rt.clock(), self.session.integration
        self._cut.update(dict.fromkeys(text for page in pages for text in page.cut))

        def store(db: DbSession) -> None:
            self.lease.guard(db)
            kept = store_pages(db, integration, pages, now)
            db.execute(
                update(Integration)
                .where(Integration.id == integration.id)
                .values(measure_cursor=pages[-1].cursor, next_pull_at=claimed_until(now + claim_time(self.rt)))
                .execution_options(synchronize_session=False)
            )
            run = db.get_one(SyncRun, self.run_id)
            read = Counter({"records": kept.points, "pages": len(pages)})
            run.counts = summed(run.counts, read, kept.counts())

        self.rt.db.run(store)


def _size(page: MeasurePage) -> int:
    return sum(len(measured.points) for measured in page.measured) + len(page.gates)
