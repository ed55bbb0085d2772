"""An issue's changelog as the log of changes to our fields. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from connectors import contract as c
from connectors.changelog import Entry
from connectors.jira.mapping import Change, ChangeItem, Issue, Named, Reader, StatusCategory, VendorStatus
from connectors.times import epoch_ms, moment


def log_of(issue: Issue, version: int, reader: Reader, statuses: Mapping[str, VendorStatus]) -> list[Entry]:
    """The changes since a version, the newest first. `statuses` are the known ones by id: the changelog does not say
    what category a status is of."""
    changes = issue.changelog.histories if issue.changelog else ()
    newest = sorted(changes, key=lambda change: int(change.id), reverse=True)
    since = [change for change in newest if epoch_ms(moment(change.created)) > version]
    found = [_entry(item, change, issue, reader, statuses) for change in since for item in change.items]
    return [entry for entry in found if entry is not None]


def _entry(
    item: ChangeItem, change: Change, issue: Issue, reader: Reader, statuses: Mapping[str, VendorStatus]
) -> Entry | None:
    """One change as one of our fields; None for any other. Titles are told as text only, and descriptions as wiki text,
    which can't be compared with a document."""
    name, old = item.name, item.old_text
    if name == "summary":
        return Entry("title", item.new_text, c.RemoteValue(old, old))
    if name == "description":
        return Entry(name, item.new_text, c.RemoteValue(old, "wiki"))
    if name == "priority":
        return Entry(name, item.new, reader.priority(None if item.old is None else Named(item.old, old or "")))
    if name == "assignee":
        return Entry(name, item.new, c.RemoteValue(old, item.old))
    if name != "status":
        return None
    unknown = VendorStatus(item.old or "", old or "", StatusCategory("undefined"))
    left = statuses.get(unknown.id, unknown)
    return Entry(name, item.new, reader.status(left, _resolution(change, issue)))


def _resolution(change: Change, issue: Issue) -> str:
    """The issue's resolution before a change of its status."""
    for item in change.items:
        if item.name == "resolution":
            return item.old_text or ""
    return issue.fields.resolution.name if issue.fields.resolution else ""
