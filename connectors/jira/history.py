"""What our writes replaced, told by an issue's changelog. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors import contract as c
from connectors.jira.mapping import (
    Change,
    ChangeItem,
    Issue,
    Named,
    Reader,
    StatusCategory,
    VendorStatus,
)
from connectors.times import epoch_ms, moment

SENT_AS = {"title": "summary", "description": "description", "priority": "priority", "assignee": "assignee"}
"""Our field -> Jira's; the status has the same name."""

_Entry = tuple[ChangeItem, Change]


def overwritten(
    issue: Issue,
    sent: Mapping[str, str | None],
    expected: c.Expected,
    hops: Sequence[str],
    reader: Reader,
    statuses: Mapping[str, VendorStatus],
) -> dict[str, c.RemoteValue]:
    """Sent field -> the value our write replaced, where that was not the expected one.

    `hops` are the ids of the statuses we put the issue in; `statuses` are the known ones by id, as the changelog does
    not say what category a status is of.
    """
    changes = issue.changelog.histories if issue.changelog else ()
    since = [change for change in changes if epoch_ms(moment(change.created)) > expected.version]
    since.sort(key=lambda change: int(change.id), reverse=True)
    found: dict[str, c.RemoteValue] = {}
    for name in sent.keys() & expected.there.keys():
        entries = [(item, change) for change in since for item in change.items if item.name == SENT_AS.get(name, name)]
        if name == "description":
            replaced = _another_text(entries)
        elif name == "status":
            entry = _first_of_ours(entries, hops)
            replaced = entry and reader.status(_left(entry[0], statuses), _resolution(entry, issue))
        else:
            entry = _ours(entries, name, sent[name])
            replaced = entry and _before(name, entry[0], reader)
        if replaced is not None and replaced.there != expected.there[name]:
            found[name] = replaced
    return found


def _another_text(entries: Sequence[_Entry]) -> c.RemoteValue | None:
    """What stood before our own change, the newest, if there was one more: the changelog has wiki text, which can't be
    compared with a document."""
    return c.RemoteValue(entries[1][0].new_text, "wiki") if len(entries) > 1 else None


def _ours(entries: Sequence[_Entry], name: str, sent: str | None) -> _Entry | None:
    """The newest change to what we sent; None when the value was there already."""
    value = sent.partition(":")[0] if name == "priority" and sent else sent
    made = (entry for entry in entries if (entry[0].new_text if name == "title" else entry[0].new) == value)
    return next(made, None)


def _first_of_ours(entries: Sequence[_Entry], hops: Sequence[str]) -> _Entry | None:
    """The change of status before which somebody else's status stood: of a longer way, the first hop."""
    left = list(hops)
    first = None
    for entry in entries:
        if left and entry[0].new == left[-1]:
            first = entry
            left.pop()
    return first


def _left(item: ChangeItem, statuses: Mapping[str, VendorStatus]) -> VendorStatus:
    unknown = VendorStatus(item.old or "", item.old_text or "", StatusCategory("undefined"))
    return statuses.get(unknown.id, unknown)


def _before(name: str, item: ChangeItem, reader: Reader) -> c.RemoteValue:
    """The value of a field other than the status before a change."""
    if name == "priority":
        return reader.priority(None if item.old is None else Named(item.old, item.old_text or ""))
    return c.RemoteValue(item.old_text, item.old_text if name == "title" else item.old)


def _resolution(entry: _Entry, issue: Issue) -> str:
    """The issue's resolution before a change of its status."""
    for item in entry[1].items:
        if item.name == "resolution":
            return item.old_text or ""
    return issue.fields.resolution.name if issue.fields.resolution else ""
