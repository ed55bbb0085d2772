"""Why each field of a task has its value, and what is still to come.

For each field: who set it and what brought it, by which rule a conflict went, what each tie last agreed on, what the
vendor is still owed or has refused. For each tie: how it stands, what failed, and what to do about it. Only reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.ledger import COLUMNS
from core.models import Binding, FieldConflict, Integration, Task, TaskHistory
from sync.reasons import next_step, sentence
from sync.reconcile import Fingerprint, base_from_json, fingerprint
from sync.scope import local_of

LINES = 200
"""Changes told with a task, the newest: a task that two tools quarrel over has no end of them."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What brought a value: a `sync`, a `delivery` or a `push` of an integration, a `request` to the API, or the task's
    own `creation`. `id` is the sync's or delivery's."""

    kind: str
    id: str | None

    @classmethod
    def of(cls, source: str | None) -> Brought:
        """From the form in which it is stored."""
        if source is None:
            return cls("request", None)
        kind, _, id_ = source.partition(":")
        return cls("sync", source) if source.startswith("SYNC-") else cls(kind, id_ or None)


@dataclass(frozen=True, slots=True)
class Line:
    """One change of one field, or (`lost`) a vendor's value that never became ours."""

    at: datetime
    kind: str
    change: str
    old: str | None
    new: str | None
    by: str
    rule: str | None
    text: str | None
    brought_by: Brought


@dataclass(frozen=True, slots=True)
class Said:
    """A code for programs and a sentence for people."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one tie sees one field. `agreed_here` and `agreed_there` are what both sides last agreed on (long texts as
    digests); only what differs from it is owed."""

    integration_id: str
    agreed: bool
    agreed_here: Fingerprint
    agreed_there: Fingerprint
    owed: bool
    refused: Said | None


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its value, the change that set it, what lost against it, and how each tie sees it. `conflict_id` is
    the newest conflict over it."""

    field: str
    value: str | None
    set_by: str
    set_at: datetime
    brought_by: Brought
    rule: str | None
    text: str | None
    conflict_id: str | None
    lost: tuple[Line, ...]
    ties: tuple[Agreement, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong last, and what somebody can do about it."""

    code: str
    text: str
    given_up: bool
    next_step: str


@dataclass(frozen=True, slots=True)
class Tie:
    """How the task stands with one integration."""

    integration_id: str
    type: str
    name: str
    item: str | None
    url: str | None
    state: str
    last_brought_by: Brought | None
    agreed_at: datetime | None
    watermark: int
    owed: bool
    owed_since: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of it. `history` holds the newest LINES changes, oldest first."""

    id: str
    title: str
    created_by: str
    created_at: datetime
    fields: tuple[Field, ...]
    ties: tuple[Tie, ...]
    history: tuple[Line, ...]


def explain(session: Session, task: Task) -> Explanation:
    """The explanation of a task, in five queries whatever its age."""
    ties = session.execute(
        select(Binding, Integration)
        .join(Integration, Integration.id == Binding.integration_id)
        .where(Binding.task_id == task.id)
        .order_by(Binding.id)
    ).all()
    history = _newest_lines(session, task)
    setters = _setters(session, task)
    disputed = _newest_conflicts(session, task)
    bindings = [row.Binding for row in ties]
    return Explanation(
        id=task.id,
        title=task.title,
        created_by=task.created_by,
        created_at=task.created_at,
        fields=tuple(_field(task, name, setters.get(name), history, bindings, disputed.get(name)) for name in COLUMNS),
        ties=tuple(_tie(row.Binding, row.Integration) for row in ties),
        history=history,
    )


# --- what is there ------------------------------------------------------------------------------------


def _newest_lines(session: Session, task: Task) -> tuple[Line, ...]:
    newest = select(TaskHistory).where(TaskHistory.task_id == task.id).order_by(TaskHistory.id.desc()).limit(LINES)
    return tuple(_line(row) for row in reversed(session.scalars(newest).all()))


def _setters(session: Session, task: Task) -> dict[str, TaskHistory]:
    """Field -> the change that gave it its value; none for one that never changed."""
    mine = (TaskHistory.task_id == task.id, TaskHistory.kind == "change")
    newest = select(func.max(TaskHistory.id)).where(*mine).group_by(TaskHistory.change)
    rows = session.scalars(select(TaskHistory).where(TaskHistory.id.in_(newest)))
    return {row.change: row for row in rows}


def _newest_conflicts(session: Session, task: Task) -> dict[str, str]:
    mine = select(FieldConflict.field, func.max(FieldConflict.id).label("newest")).where(
        FieldConflict.task_id == task.id
    )
    return {row.field: row.newest for row in session.execute(mine.group_by(FieldConflict.field))}


# --- what it means ------------------------------------------------------------------------------------


def _field(
    task: Task,
    name: str,
    setting: TaskHistory | None,
    history: Sequence[Line],
    bindings: Sequence[Binding],
    conflict_id: str | None,
) -> Field:
    value = local_of(task).values[name]
    rule = setting.rule if setting else None
    return Field(
        field=COLUMNS[name],
        value=value,
        set_by=setting.by if setting else task.created_by,
        set_at=setting.at if setting else task.created_at,
        brought_by=Brought.of(setting.source) if setting else Brought("creation", None),
        rule=rule,
        text=sentence(rule) if rule else None,
        conflict_id=conflict_id,
        lost=tuple(line for line in history if line.change == COLUMNS[name] and line.kind == "lost"),
        ties=tuple(_agreement(binding, name, value) for binding in bindings),
    )


def _agreement(binding: Binding, name: str, value: str | None) -> Agreement:
    agreed = base_from_json(binding.base).get(name)
    refusal: Mapping[str, str] | None = binding.refused.get(name)
    refused = refusal is not None and refusal["value"] == fingerprint(value)
    differs = agreed is None or agreed.here != fingerprint(value)
    return Agreement(
        integration_id=binding.integration_id,
        agreed=agreed is not None and agreed.known,
        agreed_here=agreed.here if agreed else None,
        agreed_there=agreed.there if agreed else None,
        owed=binding.owed and differs and not refused,
        refused=Said(refusal["code"], refusal["text"]) if refusal else None,
    )


def _tie(binding: Binding, integration: Integration) -> Tie:
    return Tie(
        integration_id=integration.id,
        type=integration.type,
        name=integration.name,
        item=binding.external_key,
        url=binding.external_url,
        state=binding.state,
        last_brought_by=Brought.of(binding.source) if binding.source else None,
        agreed_at=binding.agreed_at,
        watermark=binding.watermark,
        owed=binding.owed,
        owed_since=binding.owed_since,
        attempts=binding.attempts,
        next_attempt_at=binding.next_attempt_at,
        failure=_failure(binding),
    )


def _failure(binding: Binding) -> Failure | None:
    if binding.reason_code is None:
        return None
    given_up = binding.failed_at is not None
    step = next_step(binding.reason_code, given_up=given_up)
    return Failure(binding.reason_code, binding.reason_text or "", given_up, step)


def _line(row: TaskHistory) -> Line:
    return Line(
        at=row.at,
        kind=row.kind,
        change=COLUMNS.get(row.change, row.change),
        old=row.old,
        new=row.new,
        by=row.by,
        rule=row.rule,
        text=sentence(row.rule) if row.rule else None,
        brought_by=Brought.of(row.source),
    )
