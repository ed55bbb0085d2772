"""Jira's answers <-> the platform's words. Pure.

The Structs name only the fields that are used: msgspec skips the rest of an answer unread.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from connectors import contract as c
from connectors.changelog import Entry
from connectors.jira.config import JiraConfig
from connectors.markup.document import Node
from connectors.markup.markdown import to_markdown
from connectors.reading import marker_in
from connectors.texts import rich
from connectors.times import epoch_ms, moment
from connectors.words import StatusWords, Words, folded

PROPERTY = "scrums.task"
"""The issue property with our marker: for issues whose create screen has no labels."""

SUMMARY_LIMIT = 255
"""Characters of a summary."""

EMPTY = Node("doc")


# --- Jira Cloud REST v3, the parts used ---------------------------------------------------------------


class Named(msgspec.Struct, gc=False, frozen=True):
    """A priority, a resolution, an issue type."""

    id: str
    name: str = ""


class StatusCategory(msgspec.Struct, gc=False, frozen=True):
    """`key` is new, indeterminate, done or undefined."""

    key: str


class VendorStatus(msgspec.Struct, gc=False, frozen=True):
    """A status of a workflow."""

    id: str
    name: str
    category: StatusCategory = msgspec.field(name="statusCategory")


class User(msgspec.Struct, gc=False, rename="camel"):
    """A person; the address is missing, null or "" where privacy hides it."""

    account_id: str
    display_name: str = ""
    email_address: str | None = None
    active: bool = True
    account_type: str = "atlassian"

    @property
    def remote(self) -> c.RemoteUser:
        """As the engine knows people."""
        return c.RemoteUser(self.account_id, self.display_name, self.email_address or None)


class Project(msgspec.Struct, gc=False):
    """The project of an issue."""

    key: str


class Fields(msgspec.Struct, gc=False):
    """`issue.fields`."""

    summary: str
    status: VendorStatus
    issuetype: Named
    project: Project
    updated: str
    description: Node | None = None
    priority: Named | None = None
    assignee: User | None = None
    resolution: Named | None = None
    labels: tuple[str, ...] = ()


FIELDS = tuple(field.encode_name for field in msgspec.structs.fields(Fields))
"""What is asked for, of every issue."""


class ChangeItem(msgspec.Struct, gc=False, rename="camel"):
    """One field of a changelog entry: ids where the field has them, and what people read."""

    field: str
    field_id: str | None = None
    old: str | None = msgspec.field(name="from", default=None)
    old_text: str | None = msgspec.field(name="fromString", default=None)
    new: str | None = msgspec.field(name="to", default=None)
    new_text: str | None = msgspec.field(name="toString", default=None)

    @property
    def name(self) -> str:
        """The field's id, which some items lack."""
        return self.field_id or self.field


class Change(msgspec.Struct, gc=False):
    """One changelog entry."""

    id: str
    created: str
    author: User | None = None
    items: tuple[ChangeItem, ...] = ()

    def resolution_before(self, now: Named | None) -> str:
        """The name of the resolution the issue had before it, which has one `now`; "" for none."""
        told = (item.old_text or "" for item in self.items if item.name == "resolution")
        return next(told, now.name if now else "")


class Changelog(msgspec.Struct, gc=False):
    """The newest entries of an issue's history."""

    histories: tuple[Change, ...] = ()


class FieldMeta(msgspec.Struct, rename="camel"):
    """A field of a transition's screen; `allowed_values` has the shape of the field's type."""

    required: bool = False
    has_default_value: bool = False
    name: str = ""
    allowed_values: list[Any] = []


class Transition(msgspec.Struct, rename="camel"):
    """A way out of an issue's present status; `fields` of its screen only where they were asked for."""

    id: str
    name: str
    to: VendorStatus
    is_available: bool = True
    has_screen: bool = False
    fields: dict[str, FieldMeta] | None = None


class Issue(msgspec.Struct, gc=False):
    """One issue."""

    id: str
    key: str
    fields: Fields
    properties: dict[str, Any] | None = None
    changelog: Changelog | None = None
    transitions: tuple[Transition, ...] | None = None


# --- the maps -----------------------------------------------------------------------------------------

CATEGORIES = {
    "new": c.Status.BACKLOG,
    "undefined": c.Status.BACKLOG,
    "indeterminate": c.Status.IN_PROGRESS,
    "done": c.Status.DONE,
}
IN_A_NAME = {c.Status.IN_PROGRESS: {c.Status.IN_REVIEW: ("review", "testing")}}
"""In the name of a status of the category "In Progress" they mean in_review."""

CANCELLED = frozenset({"won't do", "won't fix", "cancelled", "canceled", "duplicate", "declined"})
"""Names of statuses (of the category "Done") and of resolutions that mean cancelled."""

PRIORITIES = {
    "Highest": c.Priority.CRITICAL,
    "High": c.Priority.HIGH,
    "Medium": c.Priority.MEDIUM,
    "Low": c.Priority.LOW,
    "Lowest": c.Priority.LOW,
}
PRIORITY_NAMES = {here: name for name, here in reversed(PRIORITIES.items())}
"""What is written; of two names the first."""


class Reader:
    """Reads issues under one configuration. Values that recur (statuses, priorities) are made once."""

    def __init__(self, config: JiraConfig) -> None:
        self._site = config.site_url
        self._statuses = StatusWords(CATEGORIES, config, default=c.Status.BACKLOG, in_a_name=IN_A_NAME)
        self._priorities = Words(PRIORITIES, c.Priority.MEDIUM, config.priority_map, config.priority_out)
        self.status = cache(self._status)
        self.priority = cache(self._priority)

    def task(self, issue: Issue) -> c.RemoteTask:
        """An issue as the engine wants it. Raises BadPayload for a timestamp in another form."""
        fields, updated = issue.fields, moment(issue.fields.updated)
        return c.RemoteTask(
            external_id=issue.id,
            key=issue.key,
            url=f"{self._site}/browse/{issue.key}",
            container=fields.project.key,
            version=epoch_ms(updated),
            updated_at=updated,
            values={
                "title": c.RemoteValue(fields.summary, fields.summary),
                "description": rich(to_markdown(fields.description or EMPTY)),
                "status": self.status_of(issue),
                "priority": self.priority(fields.priority),
            },
            assignee=fields.assignee.remote if fields.assignee else None,
            create_key=_marker(issue),
        )

    def status_of(self, issue: Issue) -> c.RemoteValue:
        """The status of an issue."""
        resolution = issue.fields.resolution
        return self.status(issue.fields.status, resolution.name if resolution else "")

    def _status(self, status: VendorStatus, resolution: str = "") -> c.RemoteValue:
        """A status, which the issue's resolution may turn from done into cancelled unless the config's map says what it
        is. `there` is `id:ours`."""
        words = (status.id, status.name)
        here = self._statuses.known(*words) or self._statuses.by_kind(status.name, status.category.key)
        told = {folded(status.name), folded(resolution)} & CANCELLED
        if here is c.Status.DONE and told and self._statuses.mapped(*words) is None:
            here = c.Status.CANCELLED
        return c.RemoteValue(here.value, f"{status.id}:{here}")

    def _priority(self, priority: Named | None) -> c.RemoteValue:
        """A priority; an issue without one counts as medium. `there` is `id:ours`."""
        if priority is None:
            return c.RemoteValue(c.Priority.MEDIUM.value, None)
        return self._priorities.read(priority.id, priority.name)

    def log(self, issue: Issue, version: int, statuses: Mapping[str, VendorStatus]) -> list[Entry]:
        """An issue's changelog since a version as changes to our fields, the newest first. `statuses` are the known
        ones by id: the changelog does not say what category a status is of."""
        changes = issue.changelog.histories if issue.changelog else ()
        newest = sorted(changes, key=lambda change: int(change.id), reverse=True)
        since = [change for change in newest if epoch_ms(moment(change.created)) > version]
        found = [self._entry(item, change, issue, statuses) for change in since for item in change.items]
        return [entry for entry in found if entry is not None]

    def _entry(
        self, item: ChangeItem, change: Change, issue: Issue, statuses: Mapping[str, VendorStatus]
    ) -> Entry | None:
        """One change as one of our fields; None for any other. Titles are told as text only, and descriptions as wiki
        text, which can't be compared with a document."""
        name, old = item.name, item.old_text
        if name == "summary":
            return Entry("title", item.new_text, c.RemoteValue(old, old))
        if name == "description":
            return Entry(name, item.new_text, c.RemoteValue(old, "wiki"))
        if name == "priority":
            return Entry(name, item.new, self.priority(None if item.old is None else Named(item.old, old or "")))
        if name == "assignee":
            return Entry(name, item.new, c.RemoteValue(old, item.old))
        if name != "status":
            return None
        unknown = VendorStatus(item.old or "", old or "", StatusCategory("undefined"))
        resolution = change.resolution_before(issue.fields.resolution)
        return Entry(name, item.new, self.status(statuses.get(unknown.id, unknown), resolution))


def named(choice: str) -> dict[str, str]:
    """A configured id or name as Jira takes it."""
    return {"id": choice} if choice.isdecimal() else {"name": choice}


def _marker(issue: Issue) -> str | None:
    """The key in a label, or else in the property."""
    mark = (issue.properties or {}).get(PROPERTY)
    key = mark.get("create_key") if isinstance(mark, dict) else None
    return marker_in([*issue.fields.labels, key])
