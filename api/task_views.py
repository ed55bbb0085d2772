"""Tasks as the API shows and takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints

from api.schemas import Body, Id, Moment, Reason, View, absent, reason
from core.models import Binding, Integration, Task, TaskHistory
from core.tasks import COLUMNS, MAX_DESCRIPTION, MAX_TITLE

Status = Literal["backlog", "in_progress", "in_review", "done", "cancelled"]
Priority = Literal["low", "medium", "high", "critical"]


def _one_line(title: str) -> str:
    if len(title.splitlines()) > 1:
        raise ValueError("must be a single line")
    return title


Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TITLE), AfterValidator(_one_line)
]
Description = Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION)]


class TaskListed(View):
    """A task in a list."""

    id: str
    workspace_id: str
    service_line_id: str | None
    project_id: str | None
    title: str
    status: Status
    priority: Priority
    assignee_id: str | None
    external_id: str | None = Field(description="ID in the connected PM tool.")
    external_source: str | None = Field(description="Source tool, for example `jira`.")
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, task: Task) -> Self:
        """The view of a task."""
        return cls(**{name: getattr(task, name) for name in cls.model_fields})


class TaskRecord(TaskListed):
    """A task."""

    description: str
    external_url: str | None = Field(description="Deep link to the external issue.")


class HistoryEntry(View):
    """One change of one field."""

    at: Moment
    change: str = Field(description="The field.", examples=["status"])
    from_: str | None = Field(alias="from")
    to: str | None
    by: str = Field(description="`USR-*`, `AGT-*`, `INT-*`, or `KEY-*` for a token without a person.")


class ConflictEntry(HistoryEntry):
    """A value that lost against another that was set on the other side at the same time.

    `change`: a value here was replaced by the tool's. `lost`: the tool's value did not become ours. Either way the
    loser is in `from`.
    """

    kind: Literal["change", "lost"]
    rule: str = Field(examples=["conflict_latest"])


class RefusedField(Reason):
    """A value that the tool would not take, and why. It is tried again when the value changes."""

    field: str


class TaskSync(View):
    """How the task stands with one connected tool."""

    integration_id: str
    external_source: str
    external_id: str | None
    external_url: str | None
    state: Literal["creating", "bound", "owed", "failed", "ended"] = Field(
        description="`creating`: the item is about to be made; `bound`: both sides agree; `owed`: a change here is "
        "still to be written there; `failed`: given up after many attempts; `ended`: the item is gone."
    )
    error: Reason | None
    refused: list[RefusedField]
    owed_since: Moment | None
    next_attempt_at: Moment | None
    agreed_at: Moment | None = Field(description="When both sides last agreed.")


class TaskDetail(TaskRecord):
    """A task with what happened to it and how it stands with the connected tools."""

    history: list[ConflictEntry | HistoryEntry] = Field(description="The newest 200 changes, oldest first.")
    sync: list[TaskSync]

    @classmethod
    def with_past(cls, task: Task, history: Sequence[TaskHistory], ties: Iterable[tuple[Binding, Integration]]) -> Self:
        """The view of a task, its history (oldest first) and its bindings."""
        return cls(
            **TaskRecord.of(task).model_dump(),
            history=[_entry(line) for line in history],
            sync=[_sync(binding, integration) for binding, integration in ties],
        )


def _entry(line: TaskHistory) -> HistoryEntry:
    what = {
        "at": line.at,
        "change": COLUMNS.get(line.change, line.change),
        "from_": line.old,
        "to": line.new,
        "by": line.by,
    }
    return HistoryEntry(**what) if line.rule is None else ConflictEntry(**what, kind=line.kind, rule=line.rule)


def _sync(binding: Binding, integration: Integration) -> TaskSync:
    refused = [
        RefusedField(field=COLUMNS.get(name, name), code=each["code"], text=each["text"])
        for name, each in binding.refused.items()
    ]
    return TaskSync(
        integration_id=integration.id,
        external_source=integration.type,
        external_id=binding.external_key,
        external_url=binding.external_url,
        state=_state(binding),
        error=reason(binding.reason_code, binding.reason_text),
        refused=refused,
        owed_since=binding.owed_since,
        next_attempt_at=binding.next_attempt_at,
        agreed_at=binding.agreed_at,
    )


def _state(binding: Binding) -> Any:
    if binding.failed_at is not None:
        return "failed"
    if binding.state == "bound" and binding.owed:
        return "owed"
    return binding.state


class NewTask(Body):
    """A task to be created. `service_line_id` alone suffices: its workspace is the task's."""

    workspace_id: Id | None = None
    service_line_id: Id | None = Field(
        None, description="Required unless the workspace setting `require_task_service_line` is disabled."
    )
    project_id: Id | None = None
    title: Title
    description: Description | None = None
    status: Status = "backlog"
    priority: Priority = "medium"
    assignee_id: Id | None = None


class TaskPatch(Body):
    """Fields to change; what is left out stays. null empties a description and removes a reference."""

    service_line_id: Id | None = absent()
    project_id: Id | None = absent()
    title: Title = absent()
    description: Description | None = absent()
    status: Status = absent()
    priority: Priority = absent()
    assignee_id: Id | None = absent()

    def values(self) -> dict[str, str | None]:
        """Column -> new value of the fields that were sent."""
        sent = self.model_dump(include=self.model_fields_set)
        if "description" in sent:
            sent["description"] = sent["description"] or ""
        return sent
