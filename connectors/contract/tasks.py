"""Tasks: what a connector says of a vendor's items, and what it is told to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from connectors.contract.words import TASK_FIELDS, JsonObject, Priority, Status


class RemoteValue(NamedTuple):
    """One field of a vendor item, twice.

    `here` is the value in the platform's words (a `Status`, a `Priority`, markdown text …); `there` is the
    vendor's own value in a canonical text form (a status id, a digest of a document …). Changes are
    detected on `there`, so two vendor states that map to one of ours stay apart; `there` must be equal for
    two reads of an unchanged item, and must change whenever `here` would.
    """

    here: str | None
    there: str | None


@dataclass(frozen=True, slots=True)
class RemoteUser:
    """A person at the vendor. `email` is None where the vendor hides it."""

    id: str
    name: str = ""
    email: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """The full state of one vendor item as the vendor gave it at one moment.

    external_id  the vendor's immutable id
    key          what people call it (`APEX-1042`); may change when the item moves
    url          deep link for people
    container    the vendor's project, list or team the item lives in, as `ProjectMapping.external` names it
    version      the vendor's own version, compared only with itself: epoch milliseconds of its last change, or a
                 revision number. A state with a lower version than one already seen is stale.
    updated_at   the vendor's clock at the item's last change (aware); decides the `latest` rule
    values       title, description, status and priority (those the vendor has)
    assignee     the person, or None; the engine maps people
    create_key   the marker we left when we created it, None where there is none
    """

    external_id: str
    key: str
    url: str
    container: str
    version: int
    updated_at: datetime
    values: Mapping[str, RemoteValue]
    assignee: RemoteUser | None = None
    create_key: str | None = None


class GoneReason(StrEnum):
    """Why an item can't be read: proof that it was deleted, or only that we can't see it any more."""

    DELETED = "deleted"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Gone:
    """The answer for an item that can't be read. `DELETED` needs proof; when in doubt say `UNREACHABLE`."""

    external_id: str
    reason: GoneReason
    detail: str = ""


Cursor = JsonObject
"""Where to carry on. Opaque to the engine; stored as JSON in the transaction that stored the page."""


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page of changed items, and the cursor from which to carry on after it.

    `total` is the vendor's estimate of the items of the whole run, None where it gives none.
    """

    tasks: Sequence[RemoteTask]
    cursor: Cursor
    total: int | None = None


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """A task to be created at the vendor, in the platform's words. `container` is the mapped vendor project."""

    container: str
    title: str
    description: str
    status: Status
    priority: Priority
    assignee: RemoteUser | None = None

    def changes(self) -> TaskChanges:
        """Every field of the draft, as an update would have them."""
        return {name: getattr(self, name) for name in TASK_FIELDS}


TaskChanges = Mapping[str, "str | RemoteUser | None"]
"""Field -> new value in the platform's words; `assignee` is a RemoteUser or None (unassign)."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What we believe the vendor holds now: its version, and `there` per field. Lets a vendor with a version
    check refuse a blind overwrite, and others report what was overwritten."""

    version: int
    there: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One field the vendor would not take, for good: `code` for programs, `text` telling an operator what to do."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class TaskWritten:
    """What came of a create or an update.

    remote     the item as the vendor holds it after the write
    sent       field -> `there` as we sent it (canonical). If `remote` differs, somebody changed it meanwhile.
    refused    fields the vendor would not take (a screen without that field, no way to that status)
    overwrote  field -> the value our write replaced, where the vendor tells and it was not the expected one
    """

    remote: RemoteTask
    sent: Mapping[str, str | None]
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    overwrote: Mapping[str, RemoteValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """Who the credentials speak for. `learned` are credential fields found out on the way (a site id), to be kept."""

    id: str
    name: str
    scopes: tuple[str, ...] = ()
    missing_scopes: tuple[str, ...] = ()
    learned: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VendorValue:
    """One status or priority that items can have: the vendor's id and name, and what it means under the config."""

    id: str
    name: str
    here: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of one mapped container: every status and priority its items can have."""

    container: str
    statuses: Sequence[VendorValue]
    priorities: Sequence[VendorValue]
