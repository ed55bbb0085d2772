"""What Azure's service hooks tell of work items."""

from typing import Any

from sandbox.azure.forms import identity, named
from sandbox.azure_boards.items import BEFORE_LAST, fields
from sandbox.tracker import Change, Kind, Tracker

EVENTS = {
    Kind.CREATED: "workitem.created",
    Kind.UPDATED: "workitem.updated",
    Kind.MOVED: "workitem.updated",
    Kind.DELETED: "workitem.deleted",
    Kind.RESTORED: "workitem.restored",
}
PUBLISHERS = {"tfs": {**dict.fromkeys(EVENTS.values(), "1.0"), "workitem.commented": "1.0", "git.push": "1.0"}}
"""Boards tells of the first four only; the others can be subscribed to."""


def resource(tracker: Tracker, change: Change) -> dict[str, Any]:
    """Of an update what changed, and the item after it; otherwise the item. Its id is not always `id`."""
    item = change.item
    after = fields(tracker, item, identities="text")
    if change.before is None or change.after is None:
        return {"id": int(item.id), "rev": item.revision, "fields": after}
    before = fields(tracker, change.before, identities="text")
    changed = {
        name: {"oldValue": before.get(name), "newValue": after.get(name)}
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
    return {
        "id": item.revision,
        "workItemId": int(item.id),
        "rev": item.revision,
        "revisedBy": identity(tracker.users[change.who]) | {"name": named(tracker.users[change.who])},
        "revisedDate": BEFORE_LAST,
        "fields": changed,
        "revision": {"id": int(item.id), "rev": item.revision, "fields": after},
    }
