"""The trail: what every change of a task leaves behind, whoever makes it, in the change's own transaction.

History, events, conflicts, the delivery velocity counter and what is owed to vendors are collected in a `Ledger` and
written by a fixed number of statements, whether one task changes (a request) or a page of a thousand (a sync).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from core import events, ids
from core.bulk import among, insert_rows
from core.events import Fact
from core.models import Binding, FieldConflict, Integration, Task, TaskHistory

COLUMNS = {
    "title": "title",
    "description": "description",
    "status": "status",
    "priority": "priority",
    "assignee": "assignee_id",
}
"""Shared field -> column of the task: what vendors hold too."""

ENDS = ("done", "cancelled")
"""Statuses that count towards delivery velocity."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field (a key of COLUMNS, or an own column) that went from `old` to `new`."""

    field: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class TaskRef:
    """What the trail needs to know of a task, whether it is a model or a row of a page."""

    id: str
    workspace_id: str
    organization_id: str
    service_line_id: str | None


@dataclass(frozen=True, slots=True)
class Dispute:
    """Both sides set a field of a task differently; `winner` is `platform` or `external`, by `rule`.

    here, there   both values in the platform's words
    here_at       when the value here was set (epoch ms), None where that is not known
    there_at      the vendor's time of the item's last change, None where it does not tell
    created_by    who made the task: the author of a value here that never changed
    """

    integration_id: str
    field: str
    rule: str
    winner: str
    here: str | None
    there: str | None
    here_at: int | None
    there_at: datetime | None
    created_by: str

    @classmethod
    def of(
        cls,
        integration_id: str,
        task: Task,
        name: str,
        there: str | None,
        *,
        rule: str,
        winner: str,
        there_at: datetime | None,
    ) -> Dispute:
        """A dispute over the value that the task has now."""
        return cls(
            integration_id=integration_id,
            field=name,
            rule=rule,
            winner=winner,
            here=getattr(task, COLUMNS[name]),
            there=there,
            here_at=task.changed_at.get(name),
            there_at=there_at,
            created_by=task.created_by,
        )


@dataclass
class Ledger:
    """The trail of one transaction. `actor` did it, `source` (a run, a delivery, None for a request) brought it.

    `integration_id` is the integration a change came from: nothing is owed back to it for that.
    """

    now: datetime
    actor: str
    source: str | None = None
    integration_id: str | None = None
    _history: list[dict[str, Any]] = field(default_factory=list)
    _facts: list[Fact] = field(default_factory=list)
    _disputes: list[tuple[TaskRef, Dispute, str | None]] = field(default_factory=list)
    _ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    _owing: list[str] = field(default_factory=list)

    def created(self, task: TaskRef, title: str, status: str) -> None:
        """A task was born."""
        self._fact(task, "task.created", {"title": title, "status": status})
        if status in ENDS:
            self._count(task, status)

    def changed(self, task: TaskRef, changes: Sequence[Change], lost_here: Mapping[str, Dispute] | None = None) -> None:
        """These fields of a task changed. Status changes are a fact of their own; the others share one.

        `lost_here` holds, per field, the conflict in which the new value won over one set here.
        """
        lost_here = lost_here or {}
        for change in changes:
            dispute = lost_here.get(change.field)
            self._line(task, change, kind="change", rule=dispute.rule if dispute else None)
            if dispute is not None:
                self._dispute(task, dispute)
        status = next((change for change in changes if change.field == "status"), None)
        if status is not None:
            self._fact(task, "task.status_changed", {"from": status.old, "to": status.new})
            if status.new in ENDS:
                self._count(task, status.new)
        others = [change.field for change in changes if change.field != "status"]
        if others:
            self._fact(task, "task.updated", {"fields": others})
        if any(change.field in COLUMNS for change in changes):
            self._owing.append(task.id)

    def lost(self, task: TaskRef, dispute: Dispute) -> None:
        """A vendor's value lost a conflict and never became ours."""
        self._line(task, Change(dispute.field, dispute.there, dispute.here), kind="lost", rule=dispute.rule)
        self._dispute(task, dispute)

    def fact(self, task: TaskRef, type_: str, data: Mapping[str, Any]) -> None:
        """Any other fact about a task."""
        self._fact(task, type_, data)

    def write(self, session: Session) -> set[str]:
        """Write the trail. Returns the integrations that are now owed a write."""
        self._write_disputes(session)  # before the history, which tells whose value it was
        insert_rows(session, TaskHistory.__table__, self._history)
        events.append(session, self._facts, self.now)
        _add_velocity(session, self._ended, self.now)
        return self._owe(session)

    def _line(self, task: TaskRef, change: Change, *, kind: str, rule: str | None) -> None:
        self._history.append(
            {
                "task_id": task.id,
                "at": self.now,
                "kind": kind,
                "change": change.field,
                "old": change.old,
                "new": change.new,
                "by": self.actor,
                "rule": rule,
                "source": self.source,
            }
        )

    def _dispute(self, task: TaskRef, dispute: Dispute) -> None:
        self._disputes.append((task, dispute, self.source))
        self._fact(task, "task.conflict", {"field": dispute.field, "rule": dispute.rule})

    def _write_disputes(self, session: Session) -> None:
        """One row each; who set the values here is looked up for all of them at once."""
        if not self._disputes:
            return
        authors = _authors(session, {task.id for task, _, _ in self._disputes}, self.actor)
        rows = [
            {
                "id": id_,
                "integration_id": dispute.integration_id,
                "task_id": task.id,
                "field": dispute.field,
                "rule": dispute.rule,
                "winner": dispute.winner,
                "here": dispute.here,
                "here_by": authors.get((task.id, dispute.field), dispute.created_by),
                "here_at": None if dispute.here_at is None else datetime.fromtimestamp(dispute.here_at / 1000, UTC),
                "there": dispute.there,
                "there_at": dispute.there_at,
                "source": source,
            }
            for id_, (task, dispute, source) in zip(
                ids.take(session, "CNF", self.now, len(self._disputes)), self._disputes, strict=True
            )
        ]
        insert_rows(session, FieldConflict.__table__, rows, shared={"at": self.now})

    def _fact(self, task: TaskRef, type_: str, data: Mapping[str, Any]) -> None:
        self._facts.append(Fact(task.organization_id, task.workspace_id, type_, task.id, self.actor, data))

    def _count(self, task: TaskRef, status: str) -> None:
        if task.service_line_id is not None:
            self._ended[task.service_line_id, status] += 1

    def _owe(self, session: Session) -> set[str]:
        """Every live binding of a changed task is owed the change, except the one it came from."""
        if not self._owing:
            return set()
        statement = (
            update(Binding)
            .where(
                among(session, Binding.task_id, self._owing),
                Binding.state != "ended",
                Binding.integration_id.in_(select(Integration.id).where(Integration.status != "disconnected")),
            )
            .values(owed=True, owed_since=self.now, next_attempt_at=self.now, attempts=0, failed_at=None)
            .returning(Binding.integration_id)
            .execution_options(synchronize_session=False)
        )
        if self.integration_id is not None:
            statement = statement.where(Binding.integration_id != self.integration_id)
        return set(session.scalars(statement))


def _authors(session: Session, task_ids: set[str], finder: str) -> dict[tuple[str, str], str]:
    """(task, field) -> who set it last; what `finder` itself brought from the other side does not count."""
    line = TaskHistory
    newest = (
        select(func.max(line.id))
        .where(among(session, line.task_id, sorted(task_ids)), line.kind == "change", line.by != finder)
        .group_by(line.task_id, line.change)
    )
    found = session.execute(select(line.task_id, line.change, line.by).where(line.id.in_(newest)))
    return {(row.task_id, row.change): row.by for row in found}


def _add_velocity(session: Session, ended: Counter[tuple[str, str]], now: datetime) -> None:
    """Raise the day's counters; in a fixed order, so that two transactions never wait for each other in a ring."""
    rows = [
        {"line": line, "day": now.date(), "status": status, "count": count}
        for (line, status), count in sorted(ended.items())
    ]
    if rows:
        session.execute(
            text(
                "INSERT INTO task_velocity (service_line_id, day, status, count) VALUES (:line, :day, :status, :count) "
                "ON CONFLICT (service_line_id, day, status) DO UPDATE SET count = task_velocity.count + excluded.count"
            ),
            rows,
        )
