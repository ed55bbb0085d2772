"""Work items <-> the platform's words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

import msgspec

from connectors import contract as c
from connectors.azure_boards.config import AzureBoardsConfig
from connectors.markup.html import from_html, to_html
from connectors.reading import marker_in
from connectors.texts import one_line, rich
from connectors.times import moment
from connectors.words import PriorityWords, StatusWords, as_field, folded
from connectors.writes import Write

TITLE = "System.Title"
STATE = "System.State"
TAGS = "System.Tags"
AREA = "System.AreaPath"
ASSIGNED_TO = "System.AssignedTo"
PRIORITY = "Microsoft.VSTS.Common.Priority"
DESCRIPTION = "System.Description"
REPRO_STEPS = "Microsoft.VSTS.TCM.ReproSteps"

NAMES = {
    TITLE: "Title",
    STATE: "State",
    ASSIGNED_TO: "Assigned To",
    PRIORITY: "Priority",
    DESCRIPTION: "Description",
    REPRO_STEPS: "Repro Steps",
}
"""Fields that are written -> what Azure calls them in a sentence."""

TEXTS = {"description": DESCRIPTION, "repro_steps": REPRO_STEPS}

TITLE_LIMIT = 255
"""Characters of a title."""

STATES = {
    "new": c.Status.BACKLOG,
    "to do": c.Status.BACKLOG,
    "proposed": c.Status.BACKLOG,
    "approved": c.Status.BACKLOG,
    "active": c.Status.IN_PROGRESS,
    "doing": c.Status.IN_PROGRESS,
    "in progress": c.Status.IN_PROGRESS,
    "committed": c.Status.IN_PROGRESS,
    "resolved": c.Status.IN_REVIEW,
    "closed": c.Status.DONE,
    "done": c.Status.DONE,
    "removed": c.Status.CANCELLED,
}
"""The states of Azure's own processes, for which nobody has to be asked."""

CATEGORIES = {
    "Proposed": c.Status.BACKLOG,
    "InProgress": c.Status.IN_PROGRESS,
    "Resolved": c.Status.IN_REVIEW,
    "Completed": c.Status.DONE,
    "Removed": c.Status.CANCELLED,
}
"""What any other state means, by the category its type gives it."""

IN_A_NAME = {c.Status.IN_PROGRESS: {c.Status.IN_REVIEW: ("review", "test")}}
"""In the name of a state of the category InProgress they mean in_review."""

PRIORITIES = {"1": c.Priority.CRITICAL, "2": c.Priority.HIGH, "3": c.Priority.MEDIUM, "4": c.Priority.LOW}
"""Azure's number -> ours; they have no other name."""

_NAMED = re.compile(r"(?P<name>.*?)\s*<(?P<address>[^<>]+)>")


class Identity(msgspec.Struct, rename="camel"):
    """A person; `unique_name` is the address in the cloud and `DOMAIN\\user` on a server of one's own."""

    id: str
    display_name: str = ""
    unique_name: str = ""


class Fields(msgspec.Struct):
    """The fields that are used; what is empty is not in an answer."""

    title: str = msgspec.field(name=TITLE)
    state: str = msgspec.field(name=STATE)
    project: str = msgspec.field(name="System.TeamProject")
    type: str = msgspec.field(name="System.WorkItemType")
    changed: str = msgspec.field(name="System.ChangedDate")
    area: str = msgspec.field(name=AREA, default="")
    description: str = msgspec.field(name=DESCRIPTION, default="")
    repro_steps: str = msgspec.field(name=REPRO_STEPS, default="")
    priority: int | float | str | None = msgspec.field(name=PRIORITY, default=None)
    assigned_to: Identity | str | None = msgspec.field(name=ASSIGNED_TO, default=None)
    tags: str = msgspec.field(name=TAGS, default="")


FIELDS = [field.encode_name for field in msgspec.structs.fields(Fields)]
"""What is asked for, of every work item."""


class WorkItem(msgspec.Struct):
    """One work item; `rev` counts its versions."""

    id: int
    rev: int
    fields: Fields


class State(msgspec.Struct):
    """A state of a type."""

    name: str
    category: str = ""


States = Callable[[str, str], list[State]]
"""(project, type) -> its states in order."""


class Reader:
    """Reads work items under one configuration. `states` is asked for what a state means whose name says nothing."""

    def __init__(self, config: AzureBoardsConfig, base: str, states: States) -> None:
        self._config, self._base, self._states = config, base, states
        self.words = StatusWords(CATEGORIES, config, usual=STATES, default=c.Status.BACKLOG, in_a_name=IN_A_NAME)
        self.priorities = PriorityWords([(number, number, here) for number, here in PRIORITIES.items()], config)
        self._types = set(map(folded, config.work_item_types))
        self._repro = set(map(folded, config.repro_steps_types))
        # The longest first: an item belongs to the most specific path.
        self._areas = sorted({one.external for one in config.projects}, key=len, reverse=True)

    def task(self, item: WorkItem) -> c.RemoteTask:
        """A work item as the engine wants it. Raises BadPayload for a time in another form."""
        fields = item.fields
        # A whole number in Azure's own processes; another's choice must not make the page unreadable.
        number = str(fields.priority or "").removesuffix(".0")
        priority = as_field(self.priorities.value(number)) if number else c.RemoteValue(c.Priority.MEDIUM, None)
        return c.RemoteTask(
            external_id=str(item.id),
            key=str(item.id),
            url=f"{self._base}/{quote(fields.project)}/_workitems/edit/{item.id}",
            container=self._container(fields),
            version=item.rev,
            updated_at=moment(fields.changed),
            values={
                "title": c.RemoteValue(fields.title, fields.title),
                "description": rich(from_html(getattr(fields, self.text_of(fields.type)))),
                "status": as_field(self.status(fields.project, fields.type, fields.state)),
                "priority": priority,
            },
            assignee=person(fields.assigned_to),
            create_key=marker_in(tag.strip() for tag in fields.tags.split(";")),
        )

    def status(self, project: str, kind: str, state: str) -> c.VendorValue:
        """A state of a type: what the config says, what Azure's own states mean, or else its category."""
        known = self.words.known(state) is not None
        states = [] if known else self._states(project, kind)
        category = next((one.category for one in states if one.name == state), "")
        return self.words.value(state, state, category)

    def text_of(self, kind: str) -> str:
        """Which field of ours a type shows as its text."""
        return "repro_steps" if folded(kind) in self._repro else "description"

    def edit(self, changes: c.TaskChanges, kind: str, fixed: Mapping[str, str] | None = None) -> Write:
        """What is sent to an item of a type for these changes but the status, and what is fixed besides."""
        write = Write({**(fixed or {})})
        for name, value in changes.items():
            if name == "title":
                title = one_line(str(value), TITLE_LIMIT)
                write.send(name, title, {TITLE: title})
            elif name == "description":
                html = to_html(str(value))
                write.send(name, rich(from_html(html)).there, {TEXTS[self.text_of(kind)]: html})
            elif name == "priority":
                word = self.priorities.there(str(value)) or ""
                if word.isdecimal():  # it may be one of the process's own
                    write.send(name, as_field(self.priorities.value(word)).there, {PRIORITY: int(word)})
                else:
                    write.refuse(name, "no_path", f"No priority of Azure's means {value}: name one in priority_out.")
            elif name == "assignee":
                user = value if isinstance(value, c.RemoteUser) else None
                write.send(name, user.id if user else None, {ASSIGNED_TO: (user.email or user.id) if user else ""})
        return write

    def _container(self, fields: Fields) -> str:
        """The mapped path the item is in; where none is, or its type is not synced, one that is not mapped."""
        area = fields.area or fields.project
        if self._types and folded(fields.type) not in self._types:
            return f"{area} ({fields.type})"
        return next((path for path in self._areas if _is_below(area, path)), area)


def _is_below(area: str, path: str) -> bool:
    return f"{folded(area)}\\".startswith(f"{folded(path)}\\")


def person(identity: Identity | str | None) -> c.RemoteUser | None:
    """Somebody, from an object or from `Name <address>`."""
    if isinstance(identity, Identity):
        address = identity.unique_name
        return c.RemoteUser(identity.id, identity.display_name, address if "@" in address else None)
    if named := _NAMED.fullmatch(identity or ""):
        address = named["address"]
        return c.RemoteUser(address, named["name"], address if "@" in address else None)
    return c.RemoteUser(identity, identity) if identity else None
