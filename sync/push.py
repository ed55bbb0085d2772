"""Writing back: what is owed to a vendor is paid, once.

What is owed is a property of the binding, not a message: it is found by query, the task is read at the moment of the
write, and only what differs from the base is sent. The answer is settled through the same reconcile as everything
else, so that what changed at the vendor or here during the call is neither lost nor mistaken for an echo.

An item is created once: the intent (the binding, with its marker) is committed before the call, and after an unclear
call the marker is searched for before anything is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session as DbSession

from connectors.contract import (
    AuthFailed,
    Conflict,
    ConnectorError,
    Expected,
    NotFound,
    Priority,
    RateLimited,
    Refusal,
    Rejected,
    RemoteUser,
    Rule,
    Status,
    TaskDraft,
    TaskSink,
    TaskSource,
    TaskWritten,
    Transient,
    UserDirectory,
)
from core.bulk import among
from core.clock import epoch_ms
from core.models import Binding, Integration, Task, User
from core.tasks import COLUMNS, Change, Ledger, TaskRef
from sync import people
from sync.apply import Scope, apply_items, local_of
from sync.failures import MAX_ATTEMPTS, Fault, backoff
from sync.health import mark_writes
from sync.leases import Lease, LeaseLost, hold
from sync.pull import ring_owed
from sync.reconcile import Agreed, Fingerprint, Reason, base_from_json, base_to_json, fingerprint, owed_fields
from sync.runtime import Lane, Runtime
from sync.sessions import Session, with_refresh

log = structlog.get_logger()

BATCH = 50
"""Bindings claimed at once: few enough that a claim's next attempt (RETRY_FIRST) is still ahead when they are done,
since 50 writes of 100 ms take 5 s."""

SEARCHES = 2
"""How often a marker must not be found before an item counts as not created: vendors' search lags behind writes."""


@dataclass(frozen=True, slots=True)
class Debt:
    """One binding that is owed a write, and its task, as read just now."""

    binding: Binding
    task: Task

    @property
    def ref(self) -> str:
        """For the log."""
        return f"{self.task.id} ({self.binding.external_key or self.binding.create_key})"


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
            return with_refresh(rt, integration_id, Lane.PUSH, lambda session: _pay(_Pusher(rt, lease, session)))
        except LeaseLost:
            log.warning("push.lease_lost", integration_id=integration_id)
        except _Stop as stop:
            log.warning("push.paused", integration_id=integration_id, code=stop.error.code, text=stop.error.text)
        except AuthFailed as error:
            log.warning("push.auth_failed", integration_id=integration_id, text=error.text)
        return 0


def _pay(pusher: _Pusher) -> int:
    settled = 0
    while claimed := pusher.claim():
        for binding_id in claimed:
            settled += pusher.pay(binding_id)
    return settled


@dataclass
class _Pusher:
    """One holder of an integration's push lane."""

    rt: Runtime
    lease: Lease
    session: Session

    @property
    def scope(self) -> Scope:
        """The integration, with what its connector has learnt of the vendor's clock by now."""
        return Scope.of(self.session.integration, self.session.config, self.session.clock_offset())

    @property
    def sink(self) -> TaskSink:
        """The connector, which can write (or nothing would be owed to it)."""
        connector = self.session.connector
        assert isinstance(connector, TaskSink)
        return connector

    def claim(self) -> list[int]:
        """The next due bindings, their attempt counted before anything is tried.

        Rows somebody else is writing are left for the next round, so that claiming never waits and never deadlocks.
        """
        now = self.rt.clock()
        with self.rt.db.write() as db:
            self.lease.guard(db)
            integration = db.get_one(Integration, self.scope.integration_id)
            if integration.next_push_at is not None and integration.next_push_at > now:
                return []
            claimed = db.execute(_due(self.scope.integration_id, now)).all()
            for attempts in {row.attempts for row in claimed}:
                ids = [row.id for row in claimed if row.attempts == attempts]
                values = {"attempts": attempts + 1, "next_attempt_at": now + backoff(attempts + 1)}
                db.execute(_bindings(db, ids).values(values))
            return [row.id for row in claimed]

    def pay(self, binding_id: int) -> bool:
        """Send one binding what it is owed; a failure is written down on it and stays its own."""
        with self.rt.db.read() as db:
            row = db.execute(
                select(Binding, Task).join(Task, Task.id == Binding.task_id).where(Binding.id == binding_id)
            ).one_or_none()
        if row is None or not row.Binding.owed or row.Binding.state == "ended":
            return False
        debt = Debt(row.Binding, row.Task)
        try:
            return self._create(debt) if debt.binding.state == "creating" else self._update(debt)
        except (LeaseLost, _Stop, AuthFailed):
            raise
        except ConnectorError as error:
            self._failed(debt, error)
        except Exception as error:
            log.exception("push.fault", integration_id=self.scope.integration_id, debt=debt.ref)
            self._failed(debt, Fault(error))
        return False

    # --- an item that exists ------------------------------------------------------------------------

    def _update(self, debt: Debt) -> bool:
        base = base_from_json(debt.binding.base)
        owed = owed_fields(base, local_of(debt.task), _refused(debt.binding))
        changes, refused = self._in_vendor_words(owed, debt.binding.container)
        if not changes:
            return self._settle(debt, owed, None, refused)
        expected = Expected(debt.binding.watermark, {name: _text(agreed.there) for name, agreed in base.items()})
        written = self.sink.update_task(str(debt.binding.external_id), changes, expected)
        return self._settle(debt, owed, written, refused | dict(written.refused))

    def _in_vendor_words(
        self, owed: Mapping[str, str | None], container: str
    ) -> tuple[dict[str, str | RemoteUser | None], dict[str, Refusal]]:
        """The changes with the assignee as the vendor's person; refused at once where nobody there is that user."""
        changes: dict[str, str | RemoteUser | None] = dict(owed)
        user_id = owed.get("assignee")
        if user_id is None:
            return changes, {}
        person = self._account(user_id, container)
        if person is not None:
            return changes | {"assignee": person}, {}
        del changes["assignee"]
        text = f"{user_id} has no account at the vendor that may be assigned here; invite them there, or map them."
        return changes, {"assignee": Refusal("no_vendor_user", text)}

    def _account(self, user_id: str, container: str) -> RemoteUser | None:
        """The vendor's person behind a user: as met before, else looked up by address and remembered."""
        with self.rt.db.read() as db:
            known = people.account_of(db, self.scope.integration_id, user_id)
            user = db.get(User, user_id)
        directory = self.session.connector
        if known is not None or user is None or not isinstance(directory, UserDirectory):
            return known
        person = directory.find_user(user.email, container)
        if person is not None:
            with self.rt.db.write() as db:
                self.lease.guard(db)
                people.remember(db, self.scope.integration_id, user_id, person, self.rt.clock())
        return person

    # --- an item to be created ----------------------------------------------------------------------

    def _create(self, debt: Debt) -> bool:
        if debt.binding.called_at is not None and not self._surely_absent(debt, debt.binding.called_at):
            return False
        values = local_of(debt.task).values
        changes, refused = self._in_vendor_words({"assignee": values["assignee"]}, debt.binding.container)
        person = changes.get("assignee")
        draft = TaskDraft(
            container=debt.binding.container,
            title=debt.task.title,
            description=debt.task.description,
            status=Status(debt.task.status),
            priority=Priority(debt.task.priority),
            assignee=person if isinstance(person, RemoteUser) else None,
        )
        intended = {name: Agreed(fingerprint(value), known=False) for name, value in values.items()}
        self._mark_called(debt, intended)
        try:
            written = self.sink.create_task(draft, str(debt.binding.create_key))
        except ConnectorError as error:
            if not (isinstance(error, Transient) and error.maybe_done):
                self._unmark_called(debt)  # the vendor said, or we know, that nothing was made
            raise
        return self._settle(debt, values, written, refused | dict(written.refused))

    def _surely_absent(self, debt: Debt, called_at: datetime) -> bool:
        """After an unclear call: adopt the item if its marker is found; True once it was looked for long enough."""
        found = self.sink.find_created(str(debt.binding.create_key))
        now = self.rt.clock()
        with self.rt.db.write() as db:
            self.lease.guard(db)
            if found:
                db.execute(_bindings(db, [debt.binding.id]).values(binding_key=self.scope.key(found[0].external_id)))
                db.execute(_bindings(db, [debt.binding.id]).values(external_id=found[0].external_id))
                applied = apply_items(db, self.scope, found[:1], source="push:adopted", now=now)
            else:
                settled_at = called_at + self.session.connector.manifest.create_settle
                wait = max(settled_at - now, timedelta(0)) if debt.binding.searches + 1 >= SEARCHES else timedelta(0)
                next_at = max(now + wait, now + backoff(debt.binding.searches + 1))
                text = "It is unclear whether the item was created; its marker is being searched for."
                values = {"searches": debt.binding.searches + 1, "next_attempt_at": next_at}
                values |= {"reason_code": "create_unclear", "reason_text": text}
                db.execute(_bindings(db, [debt.binding.id]).values(values))
        if found:
            if len(found) > 1:
                others = ", ".join(item.key for item in found[1:])
                log.warning("push.duplicate_items", debt=debt.ref, kept=found[0].key, others=others)
            ring_owed(self.rt, applied)
            return False
        return debt.binding.searches >= SEARCHES and now >= settled_at

    def _mark_called(self, debt: Debt, intended: Mapping[str, Agreed]) -> None:
        """Commit that the call is about to be made, and with which values, before it is made."""
        with self.rt.db.write() as db:
            self.lease.guard(db)
            values = {"called_at": self.rt.clock(), "searches": 0, "base": base_to_json(intended)}
            db.execute(_bindings(db, [debt.binding.id]).values(values))

    def _unmark_called(self, debt: Debt) -> None:
        with self.rt.db.write() as db:
            self.lease.guard(db)
            db.execute(_bindings(db, [debt.binding.id]).values(called_at=None, searches=0))

    # --- the answer ---------------------------------------------------------------------------------

    def _settle(
        self, debt: Debt, owed: Mapping[str, str | None], written: TaskWritten | None, refused: Mapping[str, Refusal]
    ) -> bool:
        """Move the base to what was sent, remember what was refused, and reconcile the vendor's answer."""
        now = self.rt.clock()
        ledger = Ledger(now, self.scope.integration_id, "push")
        with self.rt.db.write() as db:
            self.lease.guard(db)
            task = db.scalars(select(Task).where(Task.id == debt.task.id).with_for_update()).one()
            binding = db.scalars(select(Binding).where(Binding.id == debt.binding.id)).one()
            remembered = {name: _refusal(owed[name], refusal) for name, refusal in refused.items()}
            binding.refused = {k: v for k, v in binding.refused.items() if k not in owed} | remembered
            binding.attempts = 0
            binding.failed_at = binding.reason_code = binding.reason_text = None
            if written is None:
                _settle_debt(binding, task, now)
                return True
            sent = {n: Agreed(fingerprint(owed[n]), fingerprint(there)) for n, there in written.sent.items()}
            binding.base = base_to_json(base_from_json(binding.base) | sent)
            binding.binding_key = self.scope.key(written.remote.external_id)
            binding.external_id = written.remote.external_id
            self._record_overwritten(db, ledger, task, written)
            db.flush()
            applied = apply_items(db, self.scope, [written.remote], source="push", now=now)
            applied.owed |= ledger.write(db)
            mark_writes(db, db.get_one(Integration, self.scope.integration_id), now)
        ring_owed(self.rt, applied)
        return True

    def _record_overwritten(self, db: DbSession, ledger: Ledger, task: Task, written: TaskWritten) -> None:
        """Our write replaced a value we had not seen. It lost by the field's rule, unless the rule says it wins: then
        it becomes ours again, and the vendor is owed it back."""
        ref = TaskRef(task.id, task.workspace_id, self.scope.organization_id, task.service_line_id)
        for name, value in written.overwrote.items():
            theirs = value.here
            if name == "assignee" and value.there is not None:
                theirs = people.user_of(db, self.scope.integration_id, value.there)
            mine = getattr(task, COLUMNS[name])
            rule = self.scope.conflict.get(name, Rule.LATEST)
            if rule is not Rule.EXTERNAL or (name == "assignee" and theirs is None):
                reason = Reason.CONFLICT_PLATFORM if rule is Rule.PLATFORM else Reason.CONFLICT_LATEST
                ledger.lost(ref, Change(name, theirs, mine), reason)
                continue
            setattr(task, COLUMNS[name], theirs)
            task.changed_at = task.changed_at | {name: epoch_ms(ledger.now)}
            task.version += 1
            task.updated_at = ledger.now
            ledger.changed(ref, [Change(name, mine, theirs)], {name: Reason.CONFLICT_EXTERNAL})

    # --- failures -----------------------------------------------------------------------------------

    def _failed(self, debt: Debt, error: ConnectorError) -> None:
        match error:
            case RateLimited(scope="account"):
                self._pause(error)
            case NotFound() | Conflict():
                self._look_again(debt, error)
            case Rejected(field=str(name)) if name in COLUMNS and debt.binding.state == "bound":
                owed = {name: local_of(debt.task).values[name]}
                self._settle(debt, owed, None, {name: Refusal(error.code, error.text)})
            case _:
                self._note(debt, error)

    def _pause(self, error: RateLimited) -> None:
        """The whole account has to wait: nothing is claimed before the vendor's time has come."""
        with self.rt.db.write() as db:
            self.lease.guard(db)
            mine = Integration.id == self.scope.integration_id
            db.execute(update(Integration).where(mine).values(next_push_at=error.until))
        raise _Stop(error)

    def _look_again(self, debt: Debt, error: ConnectorError) -> None:
        """The item is not what we believe it to be: see what it is now, and decide anew."""
        source = self.session.connector
        if debt.binding.external_id is None or not isinstance(source, TaskSource):
            self._note(debt, error)
            return
        items = source.fetch_tasks([debt.binding.external_id]).values()
        now = self.rt.clock()
        with self.rt.db.write() as db:
            self.lease.guard(db)
            applied = apply_items(db, self.scope, items, source="push", now=now)
        ring_owed(self.rt, applied)
        if not {"ended", "updated"} & set(applied.counts):
            self._note(debt, error)

    def _note(self, debt: Debt, error: ConnectorError) -> None:
        """Write the reason on the binding, and give it up if trying again can't help."""
        now = self.rt.clock()
        passing = isinstance(error, Transient | RateLimited | Conflict | Fault)
        values: dict[str, Any] = {"reason_code": error.code, "reason_text": error.text}
        if isinstance(error, RateLimited):
            values["next_attempt_at"] = error.until
        elif not passing or debt.binding.attempts >= MAX_ATTEMPTS:
            values["failed_at"] = now
        with self.rt.db.write() as db:
            self.lease.guard(db)
            db.execute(_bindings(db, [debt.binding.id]).values(values))
            if "failed_at" in values:
                db.flush()
                mark_writes(db, db.get_one(Integration, self.scope.integration_id), now)
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


def _settle_debt(binding: Binding, task: Task, now: datetime) -> None:
    """Nothing had to be sent: the debt is gone unless the task moved meanwhile."""
    owed = owed_fields(base_from_json(binding.base), local_of(task), _refused(binding))
    binding.owed = bool(owed)
    binding.owed_since = binding.owed_since if owed else None
    binding.next_attempt_at = now if owed else None
    if not owed:
        binding.agreed_at = now


def _bindings(db: DbSession, ids: list[int]) -> Any:
    return update(Binding).where(among(db, Binding.id, ids)).execution_options(synchronize_session=False)


def _refused(binding: Binding) -> dict[str, Fingerprint]:
    return {name: refusal["value"] for name, refusal in binding.refused.items()}


def _refusal(value: str | None, refusal: Refusal) -> dict[str, Any]:
    return {"value": fingerprint(value), "code": refusal.code, "text": refusal.text}


def _text(there: Fingerprint) -> str | None:
    """What we believe the vendor holds, as the connector gave it; a digest of a long text can't be given back."""
    return there if there is None or isinstance(there, str) else None
