"""What a Jira Cloud site is made of. Values are immutable: a change makes a new version."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sandbox.switches import Switches

Json = dict[str, Any]

# Jira Cloud REST v3, statusCategory: key -> (id, name, colour).
STATUS_CATEGORIES: Mapping[str, tuple[int, str, str]] = {
    "undefined": (1, "No Category", "medium-gray"),
    "new": (2, "To Do", "blue-gray"),
    "done": (3, "Done", "green"),
    "indeterminate": (4, "In Progress", "yellow"),
}


class JiraError(Exception):
    """An answer in Jira's error shape: `{"errorMessages": […], "errors": {field: text}}`."""

    def __init__(self, status: int, *messages: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__("; ".join([*messages, *(errors or {}).values()]) or str(status))
        self.status = status
        self.messages = list(messages)
        self.errors = dict(errors or {})


@dataclass(frozen=True)
class User:
    """A person or app. `email_visible` False is Atlassian's privacy: the address is not shown."""

    account_id: str
    display_name: str
    email: str
    time_zone: str = "Europe/Paris"
    active: bool = True
    account_type: str = "atlassian"
    admin: bool = False
    email_visible: bool = True


@dataclass(frozen=True)
class ApiToken:
    """An API token of a user (Basic auth). A `scoped` one works on the gateway base only."""

    account_id: str
    token: str
    expires_at: datetime | None = None
    scoped: bool = False


@dataclass(frozen=True)
class Status:
    """A workflow status; `category` is a key of STATUS_CATEGORIES."""

    id: str
    name: str
    category: str


@dataclass(frozen=True)
class Named:
    """A priority or a resolution."""

    id: str
    name: str


@dataclass(frozen=True)
class IssueType:
    """An issue type; subtasks need a parent."""

    id: str
    name: str
    subtask: bool = False


@dataclass(frozen=True)
class Transition:
    """A way to a status. `sources` None is a global transition; `requires` are its screen's fields."""

    id: str
    name: str
    to: str
    sources: frozenset[str] | None = None
    requires: tuple[str, ...] = ()
    sets_resolution: str | None = None

    def available_from(self, status: str) -> bool:
        """Whether an issue in that status may take it."""
        return self.sources is None or status in self.sources


@dataclass(frozen=True)
class Workflow:
    """Statuses in board order, the first one new issues get, and the ways between them."""

    name: str
    statuses: tuple[str, ...]
    transitions: tuple[Transition, ...]


@dataclass(frozen=True)
class Project:
    """A project. `screen` lists the optional fields that may be set; `members` None means everyone."""

    id: str
    key: str
    name: str
    workflow: Workflow
    issue_types: tuple[str, ...]
    lead: str
    screen: frozenset[str]
    members: frozenset[str] | None = None
    default_assignee: str | None = None

    def admits(self, account_id: str | None) -> bool:
        """Whether an account may see the project; anonymous (None) never."""
        return account_id is not None and (self.members is None or account_id in self.members)


@dataclass(frozen=True)
class Issue:
    """One version of an issue. Ids never change; the key does when it moves."""

    id: int
    key: str
    project: str
    issuetype: str
    status: str
    summary: str
    created: datetime
    updated: datetime
    creator: str
    reporter: str | None
    description: Json | None = None
    priority: str | None = None
    assignee: str | None = None
    labels: tuple[str, ...] = ()
    resolution: str | None = None
    resolutiondate: datetime | None = None
    duedate: str | None = None
    parent: int | None = None

    def at(self, now: datetime) -> "Issue":
        """This issue updated now: later than before even within one millisecond, so `updated` tells."""
        moment = now.replace(microsecond=now.microsecond // 1000 * 1000)
        return replace(self, updated=max(moment, self.updated + timedelta(milliseconds=1)))


@dataclass(frozen=True)
class ChangeItem:
    """One field's change. Ids are in `old`/`new`, what people read in the strings."""

    field: str
    field_id: str | None
    old: str | None
    old_string: str | None
    new: str | None
    new_string: str | None


@dataclass(frozen=True)
class Change:
    """One changelog entry."""

    id: int
    author: str
    at: datetime
    items: tuple[ChangeItem, ...]


@dataclass(frozen=True)
class Comment:
    """A comment; `body` is ADF."""

    id: int
    author: str
    update_author: str
    body: Json
    created: datetime
    updated: datetime


@dataclass(frozen=True)
class RemoteLink:
    """A link out of Jira; `global_id` identifies it for upserts."""

    id: int
    global_id: str | None
    object: Json
    relationship: str | None
    application: Json


@dataclass
class Attachments:
    """What hangs on an issue but is not part of its versions."""

    properties: dict[str, Any] = field(default_factory=dict)
    comments: list[Comment] = field(default_factory=list)
    links: list[RemoteLink] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True)
class SiteEvent:
    """Something happened on the site; webhooks are made from these.

    `kind` is a Jira webhook event name; `type_name` is its `issue_event_type_name`, if it has one.
    """

    kind: str
    actor: str
    at: datetime
    issue: Issue
    type_name: str | None = None
    change: Change | None = None
    comment: Comment | None = None
    property: tuple[str, Any] | None = None


@dataclass
class Settings(Switches):
    """The switches of a Jira sandbox, besides the usual ones.

    `search_page_cap`: the most issues with fields in one page. `wrong_credentials`: "anonymous" (Basic auth
    that fails reads as nobody) or "refuse" (401). `enforce_limits`: points, bursts and writes to one issue.
    """

    dead_token_status: int = 403
    revoke_on_reuse: bool = False
    search_page_cap: int = 100
    wrong_credentials: str = "anonymous"
    require_https_webhooks: bool = False
