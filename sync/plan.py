"""What a sync would do now, item by item, without doing any of it.

The vendor is only read, nothing is stored, and the decisions are those of the same pure functions that a sync uses. As
for a manual sync, values the vendor refused and writes that were given up count as to be tried once more. Deletions
nobody told us of are not looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Text, cast, or_, select
from sqlalchemy.orm import Session as DbSession

from connectors.contract import AuthFailed, Gone, GoneReason, RemoteTask, RemoteValue, TaskSink, TaskSource
from core.bulk import among
from core.errors import Conflict
from core.ledger import COLUMNS
from core.models import Binding, Task
from sync.apply import newest_of, values_of
from sync.contained import contained
from sync.people import People
from sync.reasons import sentence
from sync.reconcile import (
    Decision,
    FieldDecision,
    Fingerprint,
    Local,
    Outcome,
    Verdict,
    base_from_json,
    owed_fields,
)
from sync.runtime import Runtime
from sync.scope import Scope, decide, local_of
from sync.sessions import Session, open_to_look

MOST = 200
"""Items of a plan at most: somebody reads them, and waits for the vendor while they are being fetched."""


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """What would become of one field. `base_*` is what both sides last agreed on, `there_raw` the vendor's own word."""

    field: str
    outcome: str
    reason: str
    text: str
    base_here: Fingerprint
    base_there: Fingerprint
    here: str | None
    there: str | None
    there_raw: str | None


@dataclass(frozen=True, slots=True)
class WritePlan:
    """One operation the connector would be asked for, in the contract's words. `expected` is what we believe the vendor
    holds in the fields that are changed."""

    operation: str
    external_id: str | None
    container: str
    changes: Mapping[str, str | None]
    expected: Mapping[str, Fingerprint]
    expected_version: int | None


@dataclass(frozen=True, slots=True)
class ItemPlan:
    """What would become of one item and its task; `decision` is one of the words in which syncs are counted."""

    task_id: str | None
    external_id: str | None
    external_key: str | None
    title: str
    decision: str
    fields: tuple[FieldPlan, ...]
    writes: tuple[WritePlan, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole of it. `complete` is False when there is more than was looked at; `text` says what."""

    integration_id: str
    at: datetime
    from_start: bool
    complete: bool
    text: str
    counts: Mapping[str, int]
    items: tuple[ItemPlan, ...]


class _Pair(NamedTuple):
    binding: Binding
    task: Task


def plan(rt: Runtime, integration_id: str, limit: int = MOST) -> Plan:
    """What a sync of the integration would do now, for at most `limit` items: changed ones first, then owed writes.

    Raises NotFound; Conflict for an integration that can't be looked at now; what the connector raises.
    """
    with contained():
        return _plan(rt, integration_id, limit)


def _plan(rt: Runtime, integration_id: str, limit: int) -> Plan:
    session = open_to_look(rt, integration_id)
    if "task_source" not in session.integration.capabilities:
        raise Conflict(
            f"{integration_id} has no items to plan for: it only reads code, and a sync stores whatever is new in its "
            f"repositories (GET /v1/integrations/{integration_id}/repositories)."
        )
    try:
        changed, all_changed = _changed(session, session.connector, limit)
        owed, all_owed = _owed(rt, session, set(changed), limit - len(changed))
        refetched = _refetched(session, session.connector, owed)
    except AuthFailed as error:
        raise Conflict(f"The vendor does not accept the credentials, so nothing can be planned: {error.text}") from None
    creations = [pair for pair in owed if pair.binding.external_id is None]
    items = plan_items(rt, session, {**changed, **refetched}, creations)
    complete = all_changed and all_owed
    return Plan(
        integration_id=integration_id,
        at=rt.clock(),
        from_start=session.integration.cursor is None,
        complete=complete,
        text=_summary(complete, all_changed, limit),
        counts=dict(Counter(item.decision for item in items)),
        items=tuple(items),
    )


def plan_items(
    rt: Runtime, session: Session, found: Mapping[str, RemoteTask | Gone], creations: Sequence[_Pair] = ()
) -> list[ItemPlan]:
    """What would become of these items if they were applied now."""
    with rt.db.read() as db:
        return _Planner(db, session).items(found, creations)


def _summary(complete: bool, all_changed: bool, limit: int) -> str:
    if complete:
        return "This is all that a sync would look at now."
    what = "changed items" if not all_changed else "owed writes"
    return f"There are more {what} than the {limit} items looked at: what becomes of the rest is not shown."


# --- what is looked at --------------------------------------------------------------------------------


def _changed(session: Session, source: TaskSource, limit: int) -> tuple[dict[str, RemoteTask | Gone], bool]:
    """The items changed since the last sync, and whether these are all of them."""
    seen: list[RemoteTask] = []
    for page in source.changed_tasks(session.integration.cursor):
        seen += page.tasks
        if len(seen) > limit:
            break
    newest = newest_of(seen)
    return dict(list(newest.items())[:limit]), len(newest) <= limit


def _owed(rt: Runtime, session: Session, known: set[str], room: int) -> tuple[list[_Pair], bool]:
    """What the vendor is owed besides, the longest owed first, and whether that is all."""
    given_up = or_(Binding.owed, Binding.failed_at.is_not(None), cast(Binding.refused, Text) != "{}")
    wanted = (
        select(Binding, Task)
        .join(Task, Task.id == Binding.task_id)
        .where(Binding.integration_id == session.integration.id, Binding.state != "ended", given_up)
        .order_by(Binding.owed_since, Binding.id)
    )
    with rt.db.read() as db:
        listed = [_Pair(row.Binding, row.Task) for row in db.execute(wanted.limit(room + len(known) + 1))]
    rest = [pair for pair in listed if pair.binding.external_id not in known]
    return rest[:room], len(rest) <= room


def _refetched(session: Session, source: TaskSource, owed: Sequence[_Pair]) -> dict[str, RemoteTask | Gone]:
    """The items of owed bindings as the vendor has them now."""
    ids = [pair.binding.external_id for pair in owed if pair.binding.external_id is not None]
    size = session.connector.manifest.refetch_batch
    found: dict[str, RemoteTask | Gone] = {}
    for start in range(0, len(ids), size):
        found |= source.fetch_tasks(ids[start : start + size])
    return found


# --- what becomes of it -------------------------------------------------------------------------------


class _Planner:
    """Decides the items of one plan, on the rows of one reading transaction."""

    def __init__(self, db: DbSession, session: Session) -> None:
        self._db = db
        self._scope = Scope.of(session.integration, session.config, session.clock_offset())
        self._writes_there = isinstance(session.connector, TaskSink)

    def items(self, found: Mapping[str, RemoteTask | Gone], creations: Sequence[_Pair]) -> list[ItemPlan]:
        """The plan of each item, and of those that do not exist yet."""
        present = [item for item in found.values() if isinstance(item, RemoteTask)]
        by_id, by_marker = self._pairs(list(found), [item.create_key for item in present if item.create_key])
        people = People.look_up(self._db, self._scope.integration_id, self._scope.organization_id, present)
        plans = []
        for external_id, item in found.items():
            pair = by_id.get(external_id)
            if isinstance(item, Gone):
                plans.append(_gone(item, pair))
                continue
            pair = pair or by_marker.get(item.create_key or "")
            values = values_of(item, people)
            plans.append(self._known(item, pair, values) if pair else self._unknown(item))
        adopted = {plan.task_id for plan in plans}
        return plans + [self._creation(pair) for pair in creations if pair.task.id not in adopted]

    def _pairs(self, ids: Sequence[str], markers: Sequence[str]) -> tuple[dict[str, _Pair], dict[str, _Pair]]:
        wanted = select(Binding, Task).join(Task, Task.id == Binding.task_id)
        keys = [self._scope.key(id_) for id_ in ids]
        creating = (Binding.integration_id == self._scope.integration_id, Binding.state == "creating")
        bound = self._db.execute(wanted.where(among(self._db, Binding.binding_key, keys)))
        marked = self._db.execute(wanted.where(among(self._db, Binding.create_key, markers), *creating))
        return (
            {str(row.Binding.external_id): _Pair(row.Binding, row.Task) for row in bound},
            {str(row.Binding.create_key): _Pair(row.Binding, row.Task) for row in marked},
        )

    def _unknown(self, item: RemoteTask) -> ItemPlan:
        """An item no task is tied to."""
        decision = "created" if item.container in self._scope.contexts else "skipped_unmapped"
        title = item.values["title"].here or item.key
        return ItemPlan(None, item.external_id, item.key, title, decision, (), ())

    def _known(self, item: RemoteTask, pair: _Pair, values: Mapping[str, RemoteValue]) -> ItemPlan:
        """An item and its task: the decision, and what would be written after it."""
        binding, task = pair
        decision = decide(self._scope, binding, task, item, values, retried=True)
        local = local_of(task)
        after = replace(local, values={**local.values, **decision.taken})
        return ItemPlan(
            task_id=task.id,
            external_id=item.external_id,
            external_key=item.key,
            title=task.title,
            decision=_word(decision, binding, task, item),
            fields=tuple(_field(each) for each in decision.fields),
            writes=self._update(item, decision, after),
        )

    def _update(self, item: RemoteTask, decision: Decision, after: Local) -> tuple[WritePlan, ...]:
        owed = owed_fields(decision.base, after, {})
        if not owed or not self._writes_there:
            return ()
        changes = {COLUMNS[name]: value for name, value in owed.items()}
        expected = {COLUMNS[name]: decision.base[name].there for name in owed}
        return (WritePlan("update_task", item.external_id, item.container, changes, expected, item.version),)

    def _creation(self, pair: _Pair) -> ItemPlan:
        """A task whose item does not exist yet, as far as we know."""
        binding, task = pair
        values = {COLUMNS[name]: value for name, value in local_of(task).values.items()}
        create = WritePlan("create_task", None, binding.container, values, {}, None)
        search = WritePlan("find_created", None, binding.container, {}, {}, None)
        # After a call whose answer never came the item may exist already.
        writes = (search, create) if binding.called_at is not None else (create,)
        return ItemPlan(task.id, None, None, task.title, "to_be_created", (), writes)


def _gone(item: Gone, pair: _Pair | None) -> ItemPlan:
    if pair is None or pair.binding.state == "ended":
        return ItemPlan(None, item.external_id, None, "", "unknown", (), ())
    decision = "ended" if item.reason is GoneReason.DELETED else "unreachable"
    return ItemPlan(pair.task.id, item.external_id, pair.binding.external_key, pair.task.title, decision, (), ())


def _word(decision: Decision, binding: Binding, task: Task, item: RemoteTask) -> str:
    """What a sync would count the item as."""
    if decision.verdict is Verdict.STALE:
        return "stale"
    if binding.state != "bound":
        return "adopted"
    if decision.taken or task.external_id != item.key:
        return "updated"
    moved = decision.base != base_from_json(binding.base) or item.version != binding.watermark
    return "agreed" if moved or decision.owed != binding.owed else "unchanged"


def _field(decision: FieldDecision) -> FieldPlan:
    base = decision.base
    return FieldPlan(
        field=COLUMNS[decision.field],
        outcome=Outcome(decision.outcome).value,
        reason=decision.reason.value,
        text=sentence(decision.reason),
        base_here=base.here if base else None,
        base_there=base.there if base else None,
        here=decision.here,
        there=decision.there.here,
        there_raw=decision.there.there,
    )
