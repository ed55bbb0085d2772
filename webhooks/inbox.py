"""The inbox's writer: many concurrent requests share one commit.

A thread takes whatever was queued while the commit before was running, writes it with one statement in one transaction
and only then lets the requests be answered. There is no artificial delay: alone, a request is committed at once; under
load, groups grow by themselves.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, NamedTuple

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from core.bulk import insert_new
from core.db import Database
from core.deliveries import new_row
from core.delivery_counts import Counted, add_counts
from core.models import Delivery
from webhooks.doorbell import Doorbell
from webhooks.metrics import Metrics
from webhooks.tally import Tally

log = structlog.get_logger(__name__)

MAX_WAITING = 1000
"""Deliveries that may wait for a commit. At 2,000 a second they wait half a second; vendors give up after 3 to 10."""

GROUP_ROWS = 256
"""Most rows in one commit: four times what 64 connections can bring, and under 50 ms of writing."""

GROUP_BYTES = 16 * 1024 * 1024
"""Body bytes after which a group is full: they are copied twice on their way to the database."""

STORE_SECONDS = 8.0
"""How long a request waits for its commit. GitHub hangs up after 10 s; an honest 503 must come before that."""

STOP_SECONDS = 10.0
"""How long stopping waits for the last commit and the last ring; what is in flight then is not acknowledged."""

COMPARED = 10
"""Duplicates of one group whose bodies are compared with what is stored: vendors send few, and a storm of them must
not hold up the next commit."""

FLUSH_SECONDS = 5.0
"""Between two writings of the counts: health is looked at every half minute, and a row costs as much as a delivery."""

_BAD_ROW = (IntegrityError, DataError, ValueError)
"""One row's own fault: its integration is gone, or it holds text no database takes (ValueError is the encoder's)."""


class Stored(Enum):
    """What came of storing one delivery."""

    NEW = auto()
    DUPLICATE = auto()
    GONE = auto()
    """Its integration no longer exists."""
    NOT = auto()
    """Not stored, or not known to be: the vendor has to send it again."""


_COUNTED = {Stored.NEW: Counted.ACCEPTED, Stored.DUPLICATE: Counted.DUPLICATES}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A believed delivery, ready to be stored."""

    integration_id: str
    dedupe_key: str
    event: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: datetime

    def row(self) -> dict[str, Any]:
        """The new row in the inbox."""
        return new_row(self.integration_id, self.dedupe_key, self.event, self.headers, self.body, self.received_at)


class _Waiting(NamedTuple):
    arrival: Arrival
    answer: asyncio.Future[Stored]
    until: float
    """By the event loop's clock."""


class Inbox:
    """Stores deliveries for the requests of one event loop."""

    def __init__(
        self,
        db: Database,
        ring: Callable[[str], None],
        metrics: Metrics,
        *,
        max_waiting: int = MAX_WAITING,
        store_seconds: float = STORE_SECONDS,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self.tally = Tally()
        self._db = db
        self._appender = db.appender()  # touched by the writer only
        self._doorbell = Doorbell(ring)
        self._metrics = metrics
        self._max_waiting = max_waiting
        self._store_seconds = store_seconds
        self._flush_seconds = flush_seconds
        self._flushed_at = time.monotonic()  # touched by the writer only
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        # Touched by the event loop only. The writer answers in the order in which they came.
        self._waiting: deque[_Waiting] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._failing = False  # touched by the writer only
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Begin to take deliveries, for the running event loop."""
        assert self._loop is None, "the inbox runs already"
        self._loop = asyncio.get_running_loop()
        self._alarm = None
        self._doorbell.start()
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="webhook-inbox", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Take no more, commit what is queued, answer it, ring the last time. Nothing happens the second time."""
        thread, self._thread, self._loop = self._thread, None, None
        if thread is None:
            return
        self._queue.put(None)
        await asyncio.to_thread(thread.join, STOP_SECONDS)
        await asyncio.to_thread(self._doorbell.stop, STOP_SECONDS)

    async def store(self, arrival: Arrival) -> Stored:
        """Returns once the delivery is committed, or is known not to be, or has waited too long."""
        loop = self._loop
        if loop is None or len(self._waiting) >= self._max_waiting:
            return Stored.NOT
        waiting = _Waiting(arrival, loop.create_future(), loop.time() + self._store_seconds)
        self._waiting.append(waiting)
        self._queue.put(waiting)
        if self._alarm is None:
            self._alarm = loop.call_at(waiting.until, self._give_up_overdue, loop)
        return await waiting.answer

    # -- the writer thread

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while (group := self._take()) is not None:
            if group:
                self._store_group(loop, group)
            self._flush_if_due()
        self._flush()
        self._appender.close()

    def _store_group(self, loop: asyncio.AbstractEventLoop, group: Sequence[_Waiting]) -> None:
        arrivals = [waiting.arrival for waiting in group]
        outcomes = self._write(arrivals)
        try:
            loop.call_soon_threadsafe(self._answer, outcomes)
        except RuntimeError:  # the loop was closed under us: nobody is left to be answered
            log.warning("inbox_stopped_late", deliveries=len(group))
        self._metrics.group_rows.observe(len(group))
        self._after(arrivals, outcomes)

    def _take(self) -> list[_Waiting] | None:
        """All that is queued, up to a group's limits; nothing when it is time for the counts. None at the end."""
        group: list[_Waiting] = []
        size = 0
        while len(group) < GROUP_ROWS and size < GROUP_BYTES:
            try:
                waiting = self._queue.get(block=not group, timeout=self._flush_seconds)
            except queue.Empty:
                break
            if waiting is None:
                if not group:
                    return None
                self._queue.put(None)  # for the next time; nothing is queued behind it
                break
            group.append(waiting)
            size += len(waiting.arrival.body)
        return group

    def _flush_if_due(self) -> None:
        if time.monotonic() - self._flushed_at >= self._flush_seconds:
            self._flush()

    def _flush(self) -> None:
        """Write the counts down. They are worth less than a delivery: what can't be written waits."""
        self._flushed_at = time.monotonic()
        counts = self.tally.take()
        if not counts:
            return
        try:
            with self._db.write() as session:
                add_counts(session, counts)
        except SQLAlchemyError as error:
            self.tally.give_back(counts)
            self._note_failure(error)

    def _write(self, arrivals: Sequence[Arrival]) -> list[Stored]:
        """Store a group. If one of them can't be, each is stored by itself, so that its neighbours do not suffer."""
        try:
            outcomes = self._insert(arrivals)
        except _BAD_ROW as error:
            if len(arrivals) > 1:
                return [outcome for arrival in arrivals for outcome in self._write([arrival])]
            log.warning("delivery_not_stored", integration_id=arrivals[0].integration_id, error=_words(error))
            return [Stored.GONE if isinstance(error, IntegrityError) else Stored.NOT]
        except SQLAlchemyError as error:
            self._note_failure(error)
            return [Stored.NOT] * len(arrivals)
        except Exception:  # a fault of ours: this thread must live, or nothing would be stored any more
            log.exception("inbox_fault", deliveries=len(arrivals))
            return [Stored.NOT] * len(arrivals)
        if self._failing:
            self._failing = False
            log.info("inbox_available")
        return outcomes

    def _insert(self, arrivals: Sequence[Arrival]) -> list[Stored]:
        rows = [arrival.row() for arrival in arrivals]
        inserted = self._appender.run(
            lambda connection: insert_new(connection, Delivery.__table__, rows, key="dedupe_key")
        )
        outcomes = []
        for arrival in arrivals:
            outcomes.append(Stored.NEW if arrival.dedupe_key in inserted else Stored.DUPLICATE)
            inserted.discard(arrival.dedupe_key)  # of two in one group, the first is the new one
        return outcomes

    def _note_failure(self, error: SQLAlchemyError) -> None:
        # Once per outage, not once per group: an outage under load would fill the disk with log lines.
        if not self._failing:
            self._failing = True
            log.error("inbox_unavailable", error=_words(error))

    def _after(self, arrivals: Sequence[Arrival], outcomes: Sequence[Stored]) -> None:
        """What can wait until the requests are answered."""
        counted = Counter(zip((arrival.integration_id for arrival in arrivals), outcomes, strict=True))
        for (integration_id, outcome), number in counted.items():
            if outcome in _COUNTED:
                self.tally.note(integration_id, _COUNTED[outcome], arrivals[0].received_at, number)
        self._doorbell.press(integration_id for integration_id, outcome in counted if outcome is Stored.NEW)
        again = [arrival for arrival, outcome in zip(arrivals, outcomes, strict=True) if outcome is Stored.DUPLICATE]
        if again:
            self._report_changed(again[:COMPARED])

    def _report_changed(self, arrivals: Sequence[Arrival]) -> None:
        """Say so when a delivery's id was used again for another body: no honest vendor does that."""
        try:
            with self._db.read() as session:
                for arrival in arrivals:
                    differs = select(Delivery.id).where(
                        Delivery.dedupe_key == arrival.dedupe_key, Delivery.body != arrival.body
                    )
                    if session.scalar(differs) is not None:
                        self._metrics.changed.inc()
                        log.warning(
                            "delivery_id_reused", integration_id=arrival.integration_id, dedupe_key=arrival.dedupe_key
                        )
        except SQLAlchemyError as error:
            self._note_failure(error)

    # -- back on the event loop

    def _answer(self, outcomes: Sequence[Stored]) -> None:
        for outcome in outcomes:
            answer = self._waiting.popleft().answer
            if not answer.done():  # it may have given up
                answer.set_result(outcome)

    def _give_up_overdue(self, loop: asyncio.AbstractEventLoop) -> None:
        """One alarm for all who wait: an alarm for each costs as much as reading its headers."""
        now, self._alarm = loop.time(), None
        for waiting in self._waiting:
            if waiting.until > now:
                self._alarm = loop.call_at(waiting.until, self._give_up_overdue, loop)
                break
            # It stays in line, for it may still be committed: then the vendor's retry is a duplicate.
            if not waiting.answer.done():
                waiting.answer.set_result(Stored.NOT)


def _words(error: Exception) -> str:
    """The database's own words, without the statement."""
    return str(getattr(error, "orig", None) or error)
