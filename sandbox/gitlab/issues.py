"""GitLab's issues: what is answered of the tracker's items. Everything finer than open or closed is in their labels."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from sandbox.errors import VendorError
from sandbox.gitlab.render import Json, Renderer, spaced
from sandbox.tracker import Item, Tracker

ORDERS: dict[str, Callable[[Item], Any]] = {
    "updated_at": lambda item: (item.updated, int(item.id)),
    "created_at": lambda item: (item.created, int(item.id)),
}


def precise(at: datetime) -> str:
    """A time of the tracker, which has milliseconds of its own."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def labels(item: Item) -> list[str]:
    """Its labels, in the order of the alphabet."""
    return sorted(item.extra.get("labels", ()))


def assignees(item: Item) -> list[str]:
    """Everybody who has it: the one the tracker knows, and others."""
    return sorted({item.assignee, *item.extra.get("others", ())} - {None}, key=int)


class IssueDesk:
    """The issues of one server."""

    def __init__(self, tracker: Tracker, render: Callable[[], Renderer], path: Callable[[str], str]) -> None:
        self._tracker, self._render, self._path = tracker, render, path

    def find(self, project: str, iid: str) -> Item:
        """An issue by its number. Raises VendorError 404."""
        for item in self._tracker.items.values():
            if (item.container, item.key) == (project, iid):
                return item
        raise VendorError(404, "Issue Not Found")

    def matching(self, project: str, query: dict[str, str], moment: Callable[[str | None], Any]) -> list[Item]:
        """What the filters of a listing leave, in the order asked for."""
        after, before = moment(query.get("updated_after")), moment(query.get("updated_before"))
        text = query.get("search", "")
        found = [
            item
            for item in self._tracker.items.values()
            if item.container == project
            and (after is None or item.updated >= after)
            and (before is None or item.updated <= before)
            and text in item.description
        ]
        found.sort(key=ORDERS[query.get("order_by", "created_at")], reverse=query.get("sort", "desc") == "desc")
        return found

    def shown(self, item: Item) -> Json:
        """An issue."""
        render, closed = self._render(), item.status == "closed"
        people = [render.user(who) for who in assignees(item)]
        return {
            "id": int(item.id),
            "iid": int(item.key),
            "project_id": int(item.container),
            "title": item.title,
            "description": item.description,
            "state": "closed" if closed else "opened",
            "created_at": precise(item.created),
            "updated_at": precise(item.updated),
            "closed_at": precise(item.updated) if closed else None,
            "closed_by": None,
            "labels": labels(item),
            "milestone": None,
            "assignees": people,
            "assignee": people[0] if people else None,
            "author": render.user(item.creator),
            "type": "ISSUE",
            "confidential": False,
            "moved_to_id": item.extra.get("moved_to"),
            "web_url": f"{self._path(item.container)}/-/issues/{item.key}",
        }

    def told(self, item: Item, who: str) -> Json:
        """What a webhook says of it."""
        shown, user = self.shown(item), self._render().user(who)
        names = ("id", "iid", "project_id", "title", "description", "state")
        attributes = {name: shown[name] for name in names} | {
            "action": "update",
            "labels": [{"title": label} for label in shown["labels"]],
            "assignee_ids": [person["id"] for person in shown["assignees"]],
            "updated_at": spaced(item.updated),
            "url": shown["web_url"],
        }
        body = {"object_kind": "issue", "event_type": "issue", "object_attributes": attributes, "changes": {}}
        return body | {"user": user, "project": {"id": shown["project_id"]}, "assignees": shown["assignees"]}

    # --- writing ------------------------------------------------------------------------------------

    def create(self, who: str, project: str, body: Json) -> Item:
        """Make one."""
        return self._tracker.create(who, project, body["title"], **self._values(None, body))

    def update(self, who: str, item: Item, body: Json) -> Item:
        """Change what the body names."""
        return self._tracker.update(who, item.id, **self._values(item, body))

    def _values(self, item: Item | None, body: Json) -> Json:
        texts = ("description",) if item is None else ("title", "description")
        values: Json = {name: body[name] for name in texts if name in body}
        extra: Json = {"labels": self._labels(item, body)}
        if "state_event" in body and item is not None:
            values["status"] = {"close": "closed", "reopen": "open"}[body["state_event"]]
        if "assignee_ids" in body:
            chosen = sorted((str(id_) for id_ in body["assignee_ids"]), key=int)
            values["assignee"], extra["others"] = (chosen[0] if chosen else None), tuple(chosen[1:])
        return values | {"extra": extra}

    def _labels(self, item: Item | None, body: Json) -> tuple[str, ...]:
        held = _split(body["labels"]) if "labels" in body else (labels(item) if item else [])
        gone = set(_split(body.get("remove_labels", "")))
        return tuple(sorted({*held, *_split(body.get("add_labels", ""))} - gone))


def _split(text: str) -> Iterable[str]:
    return [label.strip() for label in text.split(",") if label.strip()]
