"""One page of vendor items, one transaction.

Whatever brought the items (a pull, a webhook, the answer to a write), they are reconciled here: the page's bindings
and tasks are read and locked in one statement, every item is decided by the pure `reconcile`, and the results are
written by a number of statements that does not depend on the number of items. Items that did not change cost no write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from connectors.contract import Gone, GoneReason, RemoteTask, RemoteValue
from core import ids
from core.bulk import among, insert_rows, update_rows
from core.clock import epoch_ms
from core.ledger import Change, Dispute, Ledger, TaskRef
from core.models import Binding, Task
from core.tasks import COLUMNS
from sync.known import bound_and_known
from sync.people import People
from sync.proof import Doubtful
from sync.reconcile import (
    Agreed,
    Decision,
    FieldDecision,
    Outcome,
    Verdict,
    base_from_json,
    base_to_json,
)
from sync.rows import GONE_THERE, SHOWN, all_bindings, all_tasks, binding_row, task_row, unchanged
from sync.scope import Scope, decide


@dataclass
class Applied:
    """What came of a page: counts by verdict, what happened to each item, and the integrations to ring for."""

    counts: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, str] = field(default_factory=dict)
    owed: set[str] = field(default_factory=set)

    def note(self, external_id: str, outcome: str) -> None:
        """One item's outcome."""
        self.counts[outcome] += 1
        self.outcomes[external_id] = outcome


def apply_items(
    session: Session,
    scope: Scope,
    items: Iterable[RemoteTask | Gone],
    *,
    source: str,
    now: datetime,
    sources: Mapping[str, str] | None = None,
    told: Collection[str] = (),
    listed: Collection[str] = (),
    gone_since: Mapping[str, int] | None = None,
) -> Applied:
    """Reconcile the items with the platform. `source` is the run, delivery or push that brought them; `sources` names
    it per item where they differ. `told` and `listed` are the ids of those that were not just read, but named by a
    message or a listing. `gone_since` are the watermarks that items had before they were read and not found; None:
    whatever is said to be gone is believed.

    An item given twice is taken in its newest state. Must run in a write transaction. Raises Doubtful, before anything
    is written, for items that have to be read first.
    """
    given = list(items)
    newest = newest_of(given)
    markers = {item.external_id: item.create_key for item in given if isinstance(item, RemoteTask) and item.create_key}
    sources = sources or {}
    page = _Page(session, scope, Applied(), Ledger(now, scope.integration_id, source, scope.integration_id), now)
    seen = [item for item in newest.values() if isinstance(item, RemoteTask)]
    gone = [item for item in newest.values() if isinstance(item, Gone)]
    bound, known = bound_and_known(session, scope, seen)
    for external_id in known:
        page.applied.note(external_id, "unchanged")
    present = [item for item in seen if item.external_id not in known]
    wanted = [*(bound - known), *(item.external_id for item in gone)]
    near = [*(item.external_id for item in present), *(item.external_id for item in gone)]
    rows = page.load(wanted, [markers[external_id] for external_id in near if external_id in markers])
    doubtful = {
        item.external_id: _watermark(item, rows) for item in present if _doubtful(item, rows, scope, told, listed)
    }
    if gone_since is not None:
        doubtful |= {item.external_id: _watermark(item, rows) for item in gone if _may_be_back(item, rows, gone_since)}
    if doubtful:
        raise Doubtful(doubtful)
    people = People.load(session, scope.integration_id, scope.organization_id, present, now)
    for item in present:
        page.ledger.source = sources.get(item.external_id, source)
        row = rows.by_id.get(item.external_id) or rows.creating.get(item.create_key or "")
        page.meet(item, row, values_of(item, people))
    for missing in gone:
        page.ledger.source = sources.get(missing.external_id, source)
        unborn = rows.creating.get(markers.get(missing.external_id, ""))
        if unborn is not None and missing.external_id not in rows.by_id:
            page.remember(missing, unborn.Binding)
        page.end(missing, rows.by_id.get(missing.external_id))
    page.write()
    return page.applied


def newest_of(items: Iterable[RemoteTask | Gone]) -> dict[str, RemoteTask | Gone]:
    """Each item once, in its newest state."""
    newest: dict[str, RemoteTask | Gone] = {}
    for item in items:
        known = newest.get(item.external_id)
        older = isinstance(known, RemoteTask) and isinstance(item, RemoteTask) and item.version < known.version
        if not older:
            newest[item.external_id] = item
    return newest


def _doubtful(item: RemoteTask, rows: _Rows, scope: Scope, told: Collection[str], listed: Collection[str]) -> bool:
    """Whether an item may be gone although something names it; see `sync.proof`."""
    row = rows.by_id.get(item.external_id)
    if row is not None:
        return row.Binding.state == "ended" and (item.external_id in told or item.external_id in listed)
    return item.external_id in told and item.container in scope.contexts


def _may_be_back(item: Gone, rows: _Rows, gone_since: Mapping[str, int]) -> bool:
    """Whether a state of the item was heard of since it was looked for in vain."""
    row = rows.by_id.get(item.external_id)
    ends = row is not None and row.Binding.state == "bound" and item.reason is GoneReason.DELETED
    return ends and gone_since.get(item.external_id) != _watermark(item, rows)


def _watermark(item: RemoteTask | Gone, rows: _Rows) -> int:
    row = rows.by_id.get(item.external_id)
    return row.Binding.watermark if row is not None else 0


def values_of(item: RemoteTask, people: People) -> dict[str, RemoteValue]:
    """The item's shared fields with the assignee as a user here, and without what PostgreSQL can't store."""
    person = item.assignee
    assignee = RemoteValue(people.user(person.id), person.id) if person else RemoteValue(None, None)
    return {**{name: _storable(value) for name, value in item.values.items()}, "assignee": assignee}


def _storable(value: RemoteValue) -> RemoteValue:
    here, there = value
    if "\0" not in (here or "") and "\0" not in (there or ""):
        return value
    return RemoteValue(here and here.replace("\0", ""), there and there.replace("\0", ""))


@dataclass(frozen=True, slots=True)
class _Rows:
    """The page's bindings (each with its task) by item, and those still waiting for their item by marker."""

    by_id: Mapping[str, Row[Binding, Task]]
    creating: Mapping[str, Row[Binding, Task]]


@dataclass
class _Page:
    session: Session
    scope: Scope
    applied: Applied
    ledger: Ledger
    now: datetime
    _new: list[tuple[RemoteTask, dict[str, RemoteValue], str | None]] = field(default_factory=list)
    _tasks: list[dict[str, Any]] = field(default_factory=list)
    _bindings: list[dict[str, Any]] = field(default_factory=list)

    def load(self, external_ids: Sequence[str], markers: Sequence[str]) -> _Rows:
        """Read and lock what the page is about. Task rows are locked in the order of their ids, as everywhere."""
        keys = [self.scope.key(id_) for id_ in external_ids]
        wanted = select(Binding, Task).join(Task, Task.id == Binding.task_id).order_by(Task.id).with_for_update(of=Task)
        bound: Sequence[Row[Binding, Task]] = ()
        if keys:
            bound = self.session.execute(wanted.where(among(self.session, Binding.binding_key, keys))).all()
        creating: Sequence[Row[Binding, Task]] = ()
        if markers:
            mine = (Binding.integration_id == self.scope.integration_id, Binding.state == "creating")
            marked = among(self.session, Binding.create_key, markers)
            creating = self.session.execute(wanted.where(marked, *mine)).all()
        by_id = {str(row.Binding.external_id): row for row in bound}
        return _Rows(by_id, {str(row.Binding.create_key): row for row in creating})

    def meet(self, item: RemoteTask, row: Row[Binding, Task] | None, values: dict[str, RemoteValue]) -> None:
        """Reconcile one item that exists."""
        if row is not None:
            self._meet_known(item, row.Binding, row.Task, values)
        elif item.container in self.scope.contexts:
            self._new.append((item, values, self.ledger.source))
            self.applied.note(item.external_id, "created")
        else:
            self.applied.note(item.external_id, "skipped_unmapped")

    def _meet_known(self, item: RemoteTask, binding: Binding, task: Task, values: dict[str, RemoteValue]) -> None:
        decision = decide(self.scope, binding, task, item, values)
        if decision.verdict is Verdict.STALE:
            self.applied.note(item.external_id, "stale")
            return
        self.applied.counts["conflicts"] += len(decision.conflicts)
        updated = self._change_task(item, task, decision)
        moved = self._move_binding(item, binding, decision)
        adopted = binding.state != "bound"
        verdict = "adopted" if adopted else "updated" if updated else "agreed" if moved else "unchanged"
        self.applied.note(item.external_id, verdict)

    def _change_task(self, item: RemoteTask, task: Task, decision: Decision) -> bool:
        """Take the vendor's values into the task, with the trail; True if anything people see of the task changed."""
        taken = decision.taken
        ref = TaskRef(task.id, task.workspace_id, self.scope.organization_id, task.service_line_id)
        disputes = {d.field: self._dispute(item, task, d) for d in decision.conflicts}
        changes = [Change(name, getattr(task, COLUMNS[name]), value) for name, value in taken.items()]
        if changes:
            self.ledger.changed(ref, changes, {name: disputes[name] for name in taken if name in disputes})
        for name, dispute in disputes.items():
            if name not in taken:
                self.ledger.lost(ref, dispute)
        shown = {"external_id": item.key, "external_source": self.scope.type, "external_url": item.url}
        if task.external_source not in (None, self.scope.type):
            shown = {}
        relabelled = any(getattr(task, name) != value for name, value in shown.items())
        if not changes and not relabelled:
            return False
        at = epoch_ms(self.now)
        self._tasks.append(
            {
                "id": task.id,
                **{column: taken.get(name, getattr(task, column)) for name, column in COLUMNS.items()},
                **{name: shown.get(name, getattr(task, name)) for name in SHOWN},
                "changed_at": task.changed_at | dict.fromkeys(taken, at),
                "version": task.version + 1,
                "updated_at": self.now if changes else task.updated_at,
            }
        )
        return True

    def _dispute(self, item: RemoteTask, task: Task, decision: FieldDecision) -> Dispute:
        winner = "external" if decision.outcome is Outcome.TAKE else "platform"
        theirs, at = decision.there.here, item.updated_at
        return Dispute.of(
            self.scope.integration_id, task, decision.field, theirs, rule=decision.reason, winner=winner, there_at=at
        )

    def _move_binding(self, item: RemoteTask, binding: Binding, decision: Decision) -> bool:
        """Move base, watermark and debt; True if the row has to be written."""
        base = base_to_json(decision.base)
        due = decision.owed and not (binding.owed and binding.state == "bound")
        after = {
            "binding_key": self.scope.key(item.external_id),
            "external_id": item.external_id,
            "external_key": item.key,
            "external_url": item.url,
            "container": item.container,
            "state": "bound",
            "base": base,
            "watermark": item.version,
            "mapping_rev": self.scope.mapping_rev,
            "owed": decision.owed,
            "owed_since": (binding.owed_since or self.now) if decision.owed else None,
            "next_attempt_at": self.now if due else binding.next_attempt_at if decision.owed else None,
            "failed_at": binding.failed_at if decision.owed and not due else None,
            "attempts": binding.attempts if decision.owed and not due else 0,
            "reason_code": binding.reason_code if decision.owed and not due else None,
            "reason_text": binding.reason_text if decision.owed and not due else None,
            "refused": {k: v for k, v in binding.refused.items() if k not in decision.taken},
            "missing_since": None,
            "agreed_at": binding.agreed_at if decision.owed else self.now,
            "source": self.ledger.source,
        }
        # When it was last agreed and by what is only worth a write together with something that changed.
        same = all(
            getattr(binding, name) == value for name, value in after.items() if name not in ("agreed_at", "source")
        )
        if same:
            return False
        if due:
            self.applied.owed.add(self.scope.integration_id)
        self._bindings.append({"id": binding.id, **after})
        return True

    def remember(self, missing: Gone, binding: Binding) -> None:
        """An item that carried our marker is gone before its creation was confirmed. It may have been somebody's copy
        of ours, so nothing ends here; but a creation that finds no item with the marker asks for this one first."""
        if missing.reason is GoneReason.DELETED and binding.external_id is None:
            self._bindings.append({**unchanged(binding), "external_id": missing.external_id})

    def end(self, missing: Gone, row: Row[Binding, Task] | None) -> None:
        """The item is gone, or can't be seen any more."""
        if row is None or row.Binding.state == "ended":
            self.applied.note(missing.external_id, "unknown")
            return
        binding, task = row.Binding, row.Task
        if missing.reason is GoneReason.UNREACHABLE:
            self._mark_unreachable(binding, missing)
            return
        base = base_from_json(binding.base)
        if task.status not in ("done", "cancelled"):
            self._cancel(task)
            base["status"] = Agreed("cancelled", GONE_THERE)
        else:
            base["status"] = Agreed(task.status, GONE_THERE)
        self._bindings.append(
            {
                **unchanged(binding),
                "state": "ended",
                "base": base_to_json(base),
                "owed": False,
                "owed_since": None,
                "next_attempt_at": None,
                "reason_code": "deleted_there",
                "reason_text": missing.detail or "The item was deleted at the vendor.",
                "source": self.ledger.source,
            }
        )
        self.applied.note(missing.external_id, "ended")

    def _cancel(self, task: Task) -> None:
        ref = TaskRef(task.id, task.workspace_id, self.scope.organization_id, task.service_line_id)
        self.ledger.changed(ref, [Change("status", task.status, "cancelled")])
        self._tasks.append(
            {
                "id": task.id,
                **{column: getattr(task, column) for column in (*COLUMNS.values(), *SHOWN)},
                "status": "cancelled",
                "changed_at": task.changed_at | {"status": epoch_ms(self.now)},
                "version": task.version + 1,
                "updated_at": self.now,
            }
        )

    def _mark_unreachable(self, binding: Binding, missing: Gone) -> None:
        self.applied.note(missing.external_id, "unreachable")
        if binding.reason_code != "unreachable":
            text = missing.detail or "The item can't be read any more; check the permissions of the connected account."
            row = {**unchanged(binding), "reason_code": "unreachable", "reason_text": text}
            self._bindings.append(row | {"missing_since": binding.missing_since or self.now})

    def write(self) -> None:
        """Write everything the page led to."""
        self._create_tasks()
        update_rows(self.session, Task.__table__, self._tasks, key="id")
        update_rows(self.session, Binding.__table__, self._bindings, key="id")
        self.applied.owed |= self.ledger.write(self.session)

    def _create_tasks(self) -> None:
        """Items seen for the first time become tasks that are bound from birth."""
        task_ids = ids.take(self.session, "TSK", self.now, len(self._new))
        tasks, bindings = [], []
        for task_id, (item, values, source) in zip(task_ids, self._new, strict=True):
            task = task_row(self.scope, task_id, item, values)
            tasks.append(task)
            bindings.append(binding_row(self.scope, task_id, item, values, source))
            ref = TaskRef(task_id, self.scope.workspace_id, self.scope.organization_id, task["service_line_id"])
            self.ledger.created(ref, task["title"], task["status"])
        insert_rows(self.session, Task.__table__, tasks, shared=all_tasks(self.scope, self.now))
        insert_rows(self.session, Binding.__table__, bindings, shared=all_bindings(self.scope, self.now))
