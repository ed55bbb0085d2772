"""One write to a vendor: an update of what differs, or a creation that happens once; and the settling of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session as DbSession

from connectors.contract import (
    AuthFailed,
    Conflict,
    ConnectorError,
    Expected,
    Forbidden,
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
from core.ledger import Change, Dispute, Ledger, TaskRef
from core.models import Binding, FieldConflict, Integration, Task, User
from core.tasks import COLUMNS
from sync import people
from sync.apply import Applied, apply_items
from sync.failures import backoff
from sync.health import mark_writes
from sync.leases import Lease
from sync.pull import ring_owed
from sync.reconcile import (
    Agreed,
    Fingerprint,
    Reason,
    base_from_json,
    base_to_json,
    fingerprint,
    owed_fields,
    with_answer,
    with_sent,
    without_sent,
)
from sync.runtime import Runtime
from sync.scope import Scope, local_of
from sync.sessions import Session

log = structlog.get_logger()

SEARCHES = 2
"""How often a marker must not be found before an item counts as not created: vendors' search lags behind writes."""


READ_ONLY = Refusal("read_only", "This connector only reads: the value stays here and is not written to the vendor.")


CERTAINLY_NOT_DONE = (AuthFailed, Forbidden, NotFound, Conflict, RateLimited, Rejected)
"""Errors by which the vendor says that it made nothing. Anything else leaves it open whether an item exists now."""


_WON_HERE = {
    Rule.LATEST: Reason.CONFLICT_LATEST,
    Rule.PLATFORM: Reason.CONFLICT_PLATFORM,
    Rule.EXTERNAL: Reason.CONFLICT_LATEST,  # a person nobody here is known to be can't win
}
"""By which reason our write stands over the value it replaced."""


@dataclass(frozen=True, slots=True)
class Debt:
    """One binding that is owed a write, and its task, as they were `at` that time."""

    binding: Binding
    task: Task
    at: datetime

    @property
    def ref(self) -> str:
        """For the log."""
        return f"{self.task.id} ({self.binding.external_key or self.binding.create_key})"


@dataclass
class Writer:
    """Writes to one integration's vendor, under the push lane's lease."""

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

    # --- an item that exists ------------------------------------------------------------------------

    def update(self, debt: Debt) -> bool:
        """Send what differs from the base. True: settled. Raises what the connector raises."""
        base = base_from_json(debt.binding.base)
        owed = owed_fields(base, local_of(debt.task), _refused(debt.binding))
        if "task_sink" not in self.session.integration.capabilities:
            return self.settle(debt, owed, None, dict.fromkeys(owed, READ_ONLY))
        changes, refused = self._in_vendor_words(owed, debt.binding.container)
        if not changes:
            return self.settle(debt, owed, None, refused)
        expected = Expected(debt.binding.watermark, {name: _text(agreed.there) for name, agreed in base.items()})
        self._mark_sent(debt, {name: owed[name] for name in changes})
        self.lease.check()
        written = self.sink.update_task(str(debt.binding.external_id), changes, expected)
        return self.settle(debt, owed, written, refused | dict(written.refused))

    def _mark_sent(self, debt: Debt, values: Mapping[str, str | None]) -> None:
        """Commit what is about to be sent: it may be seen at the vendor before the answer comes, if that ever comes,
        and must not be taken for somebody's edit there."""
        with self.rt.db.write() as db:
            self.lease.guard(db)
            db.scalars(select(Task.id).where(Task.id == debt.task.id).with_for_update()).one()
            binding = db.scalars(select(Binding).where(Binding.id == debt.binding.id)).one()
            now = epoch_ms(self.rt.clock())
            binding.base = base_to_json(with_sent(base_from_json(binding.base), values, now))

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

    def create(self, debt: Debt) -> bool:
        """Create the item, unless an earlier call may have: then its marker is looked for first. True: settled."""
        if debt.binding.called_at is not None and not self._surely_absent(debt, debt.binding.called_at):
            return False
        if debt.binding.external_id is not None:
            return self._take_up(debt, debt.binding.external_id)
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
        self.lease.check()
        try:
            written = self.sink.create_task(draft, str(debt.binding.create_key))
        except ConnectorError as error:
            sent_nothing = isinstance(error, Transient) and not error.maybe_done
            if sent_nothing or isinstance(error, CERTAINLY_NOT_DONE):
                self._unmark_called(debt)
            raise
        return self.settle(debt, values, written, refused | dict(written.refused))

    def _surely_absent(self, debt: Debt, called_at: datetime) -> bool:
        """After an unclear call: adopt the item if its marker is found; True once it was looked for long enough."""
        found = self.sink.find_created(str(debt.binding.create_key))
        now = self.rt.clock()
        with self.rt.db.write() as db:
            self.lease.guard(db)
            if found:
                db.execute(bindings(db, [debt.binding.id]).values(binding_key=self.scope.key(found[0].external_id)))
                db.execute(bindings(db, [debt.binding.id]).values(external_id=found[0].external_id))
                applied = apply_items(db, self.scope, found[:1], source="push:adopted", now=now)
            else:
                settled_at = called_at + self.session.connector.manifest.create_settle
                wait = max(settled_at - now, timedelta(0)) if debt.binding.searches + 1 >= SEARCHES else timedelta(0)
                next_at = max(now + wait, now + backoff(debt.binding.searches + 1))
                text = "It is unclear whether the item was created; its marker is being searched for."
                values = {"searches": debt.binding.searches + 1, "next_attempt_at": next_at}
                values |= {"reason_code": "create_unclear", "reason_text": text}
                db.execute(bindings(db, [debt.binding.id]).values(values))
        if found:
            if len(found) > 1:
                others = ", ".join(item.key for item in found[1:])
                log.warning("push.duplicate_items", debt=debt.ref, kept=found[0].key, others=others)
            ring_owed(self.rt, applied)
            return False
        return debt.binding.searches >= SEARCHES and now >= settled_at

    def _take_up(self, debt: Debt, external_id: str) -> bool:
        """The item was made, was heard of and was gone when somebody looked: as it is now, it is the task's. Making
        another one would undo what people did there."""
        source = self.session.connector
        assert isinstance(source, TaskSource)
        items = source.fetch_tasks([external_id]).values()
        with self.rt.db.write() as db:
            self.lease.guard(db)
            db.execute(bindings(db, [debt.binding.id]).values(binding_key=self.scope.key(external_id)))
            applied = apply_items(db, self.scope, items, source="push:adopted", now=self.rt.clock())
        ring_owed(self.rt, applied)
        return True

    def _mark_called(self, debt: Debt, intended: Mapping[str, Agreed]) -> None:
        """Commit that the call is about to be made, and with which values, before it is made."""
        with self.rt.db.write() as db:
            self.lease.guard(db)
            values = {"called_at": self.rt.clock(), "searches": 0, "base": base_to_json(intended)}
            db.execute(bindings(db, [debt.binding.id]).values(values))

    def _unmark_called(self, debt: Debt) -> None:
        with self.rt.db.write() as db:
            self.lease.guard(db)
            db.execute(bindings(db, [debt.binding.id]).values(called_at=None, searches=0))

    # --- the answer ---------------------------------------------------------------------------------

    def settle(
        self, debt: Debt, owed: Mapping[str, str | None], written: TaskWritten | None, refused: Mapping[str, Refusal]
    ) -> bool:
        """Move the base to what was sent, remember what was refused, and reconcile the vendor's answer."""
        now = self.rt.clock()
        said_gone: list[str] = []

        def in_one(db: DbSession) -> Applied:
            self.lease.guard(db)
            said_gone.clear()
            task = db.scalars(select(Task).where(Task.id == debt.task.id).with_for_update()).one()
            binding = db.scalars(select(Binding).where(Binding.id == debt.binding.id)).one()
            if binding.state == "ended":
                return Applied()  # the item's end was proven while the write was under way: its answer is older
            remembered = {name: _refusal(owed[name], refusal) for name, refusal in refused.items() if name in owed}
            binding.refused = {k: v for k, v in binding.refused.items() if k not in owed} | remembered
            binding.attempts = 0
            binding.failed_at = binding.reason_code = binding.reason_text = None
            if written is None:
                _settle_debt(binding, task, now)
                return Applied()
            base = base_from_json(binding.base)
            if binding.watermark <= written.remote.version:
                binding.base = base_to_json(with_answer(base, owed, written.sent, epoch_ms(now)))
            else:  # a newer state has been reconciled meanwhile
                arrived = {name: owed[name] for name in written.sent if name in base}
                binding.base = base_to_json(without_sent(base, arrived))
            if binding.state == "creating" and binding.external_id is not None:  # see `apply.remember`
                said_gone.append(written.remote.external_id)
            binding.binding_key = self.scope.key(written.remote.external_id)
            binding.external_id = written.remote.external_id
            ledger = Ledger(now, self.scope.integration_id, "push")
            self._record_overwritten(db, ledger, debt, task, written, base)
            db.flush()
            applied = apply_items(db, self.scope, [written.remote], source="push", now=now)
            applied.owed |= ledger.write(db)
            mark_writes(db, db.get_one(Integration, self.scope.integration_id), now)
            return applied

        ring_owed(self.rt, self.rt.db.run(in_one))
        return self._take_up(debt, said_gone[0]) if said_gone else True

    def _record_overwritten(
        self, db: DbSession, ledger: Ledger, debt: Debt, task: Task, written: TaskWritten, base: Mapping[str, Agreed]
    ) -> None:
        """Our write replaced a value we had not seen. It lost by the field's rule, unless the rule says it wins: then
        it becomes ours again, and the vendor is owed it back. What an earlier write of ours left there is no loss, nor
        is what the task says; and what was heard of while the write was under way has been decided."""
        ref = TaskRef(task.id, task.workspace_id, self.scope.organization_id, task.service_line_id)
        for name, value in written.overwrote.items():
            theirs = value.here
            if name == "assignee" and value.there is not None:
                theirs = people.user_of(db, self.scope.integration_id, value.there)
            if name in base and (
                any(sent.value == fingerprint(theirs) for sent in base[name].sent)
                or fingerprint(value.there) == base[name].there
            ):
                continue
            if theirs == getattr(task, COLUMNS[name]) or _is_decided(db, debt, name, theirs):
                continue
            rule = self.scope.conflict.get(name, Rule.LATEST)
            theirs_wins = rule is Rule.EXTERNAL and (name != "assignee" or theirs is not None)
            reason = Reason.CONFLICT_EXTERNAL if theirs_wins else _WON_HERE[rule]
            winner = "external" if theirs_wins else "platform"
            dispute = Dispute.of(
                self.scope.integration_id, task, name, theirs, rule=reason, winner=winner, there_at=None
            )
            if not theirs_wins:
                ledger.lost(ref, dispute)
                continue
            setattr(task, COLUMNS[name], theirs)
            task.changed_at = task.changed_at | {name: epoch_ms(ledger.now)}
            task.version += 1
            task.updated_at = ledger.now
            ledger.changed(ref, [Change(name, dispute.here, theirs)], {name: dispute})


def _is_decided(db: DbSession, debt: Debt, name: str, theirs: str | None) -> bool:
    """Whether that value there was heard of, and lost, since the debt was read."""
    same = select(FieldConflict.id).where(
        FieldConflict.task_id == debt.task.id,
        FieldConflict.integration_id == debt.binding.integration_id,
        FieldConflict.field == name,
        FieldConflict.there == theirs if theirs is not None else FieldConflict.there.is_(None),
        FieldConflict.at >= debt.at,
    )
    return db.scalar(same.limit(1)) is not None


def _settle_debt(binding: Binding, task: Task, now: datetime) -> None:
    """Nothing had to be sent: the debt is gone unless the task moved meanwhile."""
    owed = owed_fields(base_from_json(binding.base), local_of(task), _refused(binding))
    binding.owed = bool(owed)
    binding.owed_since = binding.owed_since if owed else None
    binding.next_attempt_at = now if owed else None
    if not owed:
        binding.agreed_at = now


def bindings(db: DbSession, ids: list[int]) -> Any:
    """An UPDATE of these bindings, still without values."""
    return update(Binding).where(among(db, Binding.id, ids)).execution_options(synchronize_session=False)


def _refused(binding: Binding) -> dict[str, Fingerprint]:
    return {name: refusal["value"] for name, refusal in binding.refused.items()}


def _refusal(value: str | None, refusal: Refusal) -> dict[str, Any]:
    return {"value": fingerprint(value), "code": refusal.code, "text": refusal.text}


def _text(there: Fingerprint) -> str | None:
    """What we believe the vendor holds, as the connector gave it; a digest of a long text can't be given back."""
    return there if there is None or isinstance(there, str) else None
