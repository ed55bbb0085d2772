"""Writing back: what is owed to a vendor is paid, once.

What is owed is a property of the binding, not a message: it is found by query, the task is read at the moment of the
write, and only what differs from the base is sent. The answer is settled through the same reconcile as everything
else, so that what changed at the vendor or here during the call is neither lost nor mistaken for an echo.

An item is created once: the intent (the binding, with its marker) is committed before the call, and after an unclear
call the marker is searched for before anything is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Select, or_, select, update
from sqlalchemy.exc import DBAPIError

from connectors.contract import (
    AuthFailed,
    Conflict,
    ConnectorError,
    NotFound,
    RateLimited,
    Refusal,
    Rejected,
    TaskSource,
    TaskSyncConfig,
    Transient,
)
from core.errors import PlatformError
from core.models import Binding, Integration, Task
from core.tasks import COLUMNS
from core.vault import VaultError
from sync.apply import apply_items
from sync.contained import contained
from sync.failures import MAX_ATTEMPTS, Fault, backoff
from sync.health import mark_writes, may_work
from sync.leases import Lease, LeaseLost, hold
from sync.pull import ring_owed
from sync.runtime import Lane, Runtime
from sync.scope import local_of
from sync.sessions import Session, with_refresh
from sync.writes import Debt, Writer, bindings

log = structlog.get_logger()

BATCH = 50
"""Bindings claimed at once: few enough that a claim's next attempt (RETRY_FIRST) is still ahead when they are done,
since 50 writes of 100 ms take 5 s."""

TRIPS_AT = 3
"""Writes in a row that may fail in passing before the lane is closed for a while: one item may be locked at the vendor,
three are an outage, and trying the other thousand would only add to it."""

NO_SESSION = timedelta(seconds=30)
"""How long the lane waits when not even a session could be opened: as long as a failed renewal is left alone."""


@dataclass
class _Stop(Exception):
    """The account can't be written to for now: leave the rest of the batch."""

    error: ConnectorError


def push(rt: Runtime, integration_id: str) -> int:
    """Pay what the integration is owed. Returns how many bindings were settled."""
    with hold(rt, f"push:{integration_id}") as lease:
        if lease is None:
            return 0
        try:
            return with_refresh(rt, integration_id, Lane.PUSH, lambda session: _pay(rt, lease, session))
        except LeaseLost:
            log.warning("push.lease_lost", integration_id=integration_id)
        except _Stop as stop:
            log.warning("push.paused", integration_id=integration_id, code=stop.error.code, text=stop.error.text)
        except AuthFailed as error:
            log.warning("push.auth_failed", integration_id=integration_id, text=error.text)
        except DBAPIError:
            raise  # nothing was claimed, or what was is found again
        except (ConnectorError, PlatformError, VaultError) as error:
            _wait(rt, integration_id, error)
        except Exception as error:  # a connector that can't even be made
            log.exception("push.fault", integration_id=integration_id)
            _wait(rt, integration_id, Fault(error))
        return 0


def _wait(rt: Runtime, integration_id: str, error: ConnectorError | PlatformError | VaultError) -> None:
    """There was no session to work in (the tokens could not be renewed, the credentials can't be opened): nothing was
    claimed, so the lane itself waits, or every tick would try again."""
    now = rt.clock()
    asked = error.until if isinstance(error, RateLimited) else error.retry_at if isinstance(error, Transient) else None
    until = max(asked or now, now + NO_SESSION)
    with rt.db.write() as db:
        db.execute(update(Integration).where(Integration.id == integration_id).values(next_push_at=until))
    log.warning("push.no_session", integration_id=integration_id, text=str(error))


def _pay(rt: Runtime, lease: Lease, session: Session) -> int:
    if "task_sink" not in session.integration.capabilities or not isinstance(session.config, TaskSyncConfig):
        return 0  # it has no items, or the config makes no use of them any more
    pusher = _Pusher(Writer(rt, lease, session))
    settled = 0
    while claimed := pusher.claim():
        for number, binding_id in enumerate(claimed, start=1):
            try:
                settled += pusher.pay(binding_id)
            except _Stop:
                pusher.give_back(claimed[number:])
                raise
    return settled


@dataclass
class _Pusher:
    """One holder of an integration's push lane."""

    writer: Writer
    _in_a_row: int = 0

    def claim(self) -> list[int]:
        """The next due bindings, their attempt counted before anything is tried.

        Rows somebody else is writing are left for the next round, so that claiming never waits and never deadlocks.
        """
        now = self.writer.rt.clock()
        with self.writer.rt.db.write() as db:
            self.writer.lease.guard(db)
            if not may_work(db, self.writer.scope.integration_id, Integration.next_push_at, now):
                return []
            claimed = db.execute(_due(self.writer.scope.integration_id, now)).all()
            for attempts in {row.attempts for row in claimed}:
                ids = [row.id for row in claimed if row.attempts == attempts]
                values = {"attempts": attempts + 1, "next_attempt_at": now + backoff(attempts + 1)}
                db.execute(bindings(db, ids).values(values))
            return [row.id for row in claimed]

    def pay(self, binding_id: int) -> bool:
        """Send one binding what it is owed; a failure is written down on it and stays its own."""
        with self.writer.rt.db.read() as db:
            row = db.execute(
                select(Binding, Task).join(Task, Task.id == Binding.task_id).where(Binding.id == binding_id)
            ).one_or_none()
        if row is None or not row.Binding.owed or row.Binding.state == "ended":
            return False
        debt = Debt(row.Binding, row.Task, self.writer.rt.clock())
        try:
            with contained():
                done = self.writer.create(debt) if debt.binding.state == "creating" else self.writer.update(debt)
            self._in_a_row = 0
            return done
        except (LeaseLost, _Stop, AuthFailed, DBAPIError):
            raise  # the lane's affair, not this binding's
        except ConnectorError as error:
            self._failed(debt, error)
        except Exception as error:
            log.exception("push.fault", integration_id=self.writer.scope.integration_id, debt=debt.ref)
            self._failed(debt, Fault(error))
        return False

    # --- failures -----------------------------------------------------------------------------------

    def _failed(self, debt: Debt, error: ConnectorError) -> None:
        if not isinstance(error, Transient):
            self._in_a_row = 0  # the vendor has answered
        match error:
            case RateLimited(scope="account"):
                self._pause(error, error.until)
            case Transient():
                self._note(debt, error)
                self._trip(error)
            case NotFound() | Conflict():
                self._look_again(debt, error)
            case Rejected(field=str(name)) if name in COLUMNS and debt.binding.state == "bound":
                owed = {name: local_of(debt.task).values[name]}
                self.writer.settle(debt, owed, None, {name: Refusal(error.code, error.text)})
            case _:
                self._note(debt, error)

    def _trip(self, error: Transient) -> None:
        """After TRIPS_AT passing failures in a row the vendor is taken to be down: the lane waits as long as a pull
        would that has failed as often, then tries again."""
        self._in_a_row += 1
        if self._in_a_row < TRIPS_AT:
            return
        now, mine = self.writer.rt.clock(), Integration.id == self.writer.scope.integration_id
        with self.writer.rt.db.read() as db:
            failures = db.scalar(select(Integration.pull_failures).where(mine)) or 0
        self._pause(error, max(error.retry_at or now, now + backoff(max(failures, 1))))

    def give_back(self, ids: list[int]) -> None:
        """What was claimed and not tried has not failed: it is due again as soon as the lane is."""
        with self.writer.rt.db.write() as db:
            self.writer.lease.guard(db)
            untried = {"attempts": Binding.attempts - 1, "next_attempt_at": self.writer.rt.clock()}
            db.execute(bindings(db, ids).values(untried))

    def _pause(self, error: ConnectorError, until: datetime) -> None:
        """The whole account has to wait: nothing is claimed before the time has come."""
        with self.writer.rt.db.write() as db:
            self.writer.lease.guard(db)
            mine = Integration.id == self.writer.scope.integration_id
            db.execute(update(Integration).where(mine).values(next_push_at=until))
        raise _Stop(error)

    def _look_again(self, debt: Debt, error: ConnectorError) -> None:
        """The item is not what we believe it to be: see what it is now, and decide anew."""
        source = self.writer.session.connector
        if debt.binding.external_id is None or not isinstance(source, TaskSource):
            self._note(debt, error)
            return
        try:
            items = source.fetch_tasks([debt.binding.external_id]).values()
        except AuthFailed:
            raise
        except ConnectorError as second:
            self._note(debt, second)
            return
        now = self.writer.rt.clock()
        with self.writer.rt.db.write() as db:
            self.writer.lease.guard(db)
            applied = apply_items(db, self.writer.scope, items, source="push", now=now)
        ring_owed(self.writer.rt, applied)
        if not {"ended", "updated"} & set(applied.counts):
            self._note(debt, error)

    def _note(self, debt: Debt, error: ConnectorError) -> None:
        """Write the reason on the binding, and give it up if trying again can't help."""
        now = self.writer.rt.clock()
        passing = isinstance(error, Transient | RateLimited | Conflict | Fault)
        values: dict[str, Any] = {"reason_code": error.code, "reason_text": error.text}
        if isinstance(error, RateLimited):
            values["next_attempt_at"] = error.until
        elif not passing or debt.binding.attempts >= MAX_ATTEMPTS:
            values["failed_at"] = now
        with self.writer.rt.db.write() as db:
            self.writer.lease.guard(db)
            db.execute(bindings(db, [debt.binding.id]).values(values))
            if "failed_at" in values:
                db.flush()
                mark_writes(db, db.get_one(Integration, self.writer.scope.integration_id), now)
        log.warning("push.failed", debt=debt.ref, code=error.code, text=error.text, given_up="failed_at" in values)


def _due(integration_id: str, now: datetime) -> Select[int, int]:
    return (
        select(Binding.id, Binding.attempts)
        .where(
            Binding.integration_id == integration_id,
            Binding.owed,
            Binding.failed_at.is_(None),
            or_(Binding.next_attempt_at.is_(None), Binding.next_attempt_at <= now),
            Binding.state.in_(("creating", "bound")),
        )
        .order_by(Binding.next_attempt_at, Binding.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
