"""ClickUp's JSON: ids as text, times as text of epoch milliseconds, people and Lists inside their task."""

import re
from datetime import datetime
from typing import Any

from sandbox.clickup.seed import FIELD_LISTS, FOLDER, MARKER_FIELD, PRIORITIES, SPACE, WORKSPACE
from sandbox.hooks import Hook
from sandbox.tracker import Container, Item, Status, Tracker, User

Json = dict[str, Any]

COLORS = {"open": "#d3d3d3", "custom": "#4194f6", "done": "#a875ff", "closed": "#6bc950"}

_BULLET = re.compile(r"^(\s*)[-+] ", re.MULTILINE)
_MARKUP = re.compile(r"[*_`#>~]|\\(?=\W)")


def millis(at: datetime) -> str:
    """A time as ClickUp has it."""
    return str(round(at.timestamp() * 1000))


def rewritten(markdown: str) -> str:
    """The same text in ClickUp's own way of writing markdown."""
    return _BULLET.sub(r"\1* ", markdown) + "\n" if markdown else ""


def person(user: User) -> Json:
    """Somebody; ids of people are numbers."""
    initials = "".join(word[0] for word in user.name.split())
    known = {"id": int(user.id), "username": user.name, "email": user.email, "color": "#7b68ee"}
    return known | {"initials": initials, "profilePicture": None}


def status(value: Status, order: int) -> Json:
    """A status of a List or a task."""
    known = {"id": value.id, "status": value.name, "type": value.kind}
    return known | {"orderindex": order, "color": COLORS[value.kind]}


def priority(id_: str | None) -> Json | None:
    """A priority, or null."""
    name = next((p.name for p in PRIORITIES if p.id == id_), None)
    return None if id_ is None else {"id": id_, "priority": name, "color": "#f50000", "orderindex": id_}


def a_list(tracker: Tracker, home: Container) -> Json:
    """A List with the statuses of its tasks."""
    return {
        "id": home.id,
        "name": home.name,
        "orderindex": 0,
        "content": "",
        "status": None,
        "priority": None,
        "assignee": None,
        "task_count": None,
        "archived": False,
        "override_statuses": True,
        "folder": {"id": FOLDER, "name": "hidden", "hidden": True, "access": True},
        "space": {"id": SPACE, "name": "Engineering", "access": True},
        "statuses": [status(value, order) for order, value in enumerate(tracker.statuses_of(home.id))],
        "permission_level": "create",
    }


def hook(value: Hook) -> Json:
    """A webhook with its secret."""
    return {
        "id": value.id,
        "userid": int(value.owner),
        "team_id": int(WORKSPACE),
        "endpoint": value.url,
        "client_id": "",
        "events": sorted(value.events),
        "task_id": None,
        "list_id": None if value.container is None else int(value.container),
        "folder_id": None,
        "space_id": None,
        "health": {"status": value.extra["status"], "fail_count": value.extra["fail_count"]},
        "secret": value.secret,
    }


class TaskRenderer:
    """Tasks of one tracker, as a caller may ask for them."""

    def __init__(self, tracker: Tracker, url: str, custom_ids: bool) -> None:
        self._tracker, self._url, self._custom_ids = tracker, url, custom_ids

    def task(self, item: Item, markdown: bool) -> Json:
        """A task; its markdown only where it is asked for."""
        text = _MARKUP.sub("", item.description)
        return {
            "id": item.id,
            "custom_id": item.key if self._custom_ids else None,
            "custom_item_id": 0,
            "name": item.title,
            "text_content": text,
            "description": text,
            **({"markdown_description": rewritten(item.description)} if markdown else {}),
            "status": self._status(item),
            "orderindex": "100.00000000000000000000000000000000",
            **self._times(item),
            "archived": bool(item.extra.get("archived")),
            "creator": self._person(item.creator),
            "assignees": [self._person(id_) for id_ in assignees(item)],
            "group_assignees": [],
            "watchers": [],
            "checklists": [],
            "tags": [{"name": name, "tag_fg": "#fff", "tag_bg": "#000", "creator": 0} for name in tags(item)],
            "parent": item.extra.get("parent"),
            "top_level_parent": item.extra.get("parent"),
            "priority": priority(item.priority),
            "points": None,
            "time_estimate": None,
            "custom_fields": self._fields(item),
            "dependencies": [],
            "linked_tasks": [],
            "locations": [],
            "team_id": WORKSPACE,
            "url": f"{self._url}/t/{item.id}",
            "permission_level": "create",
            "list": {"id": item.container, "name": self._tracker.containers[item.container].name, "access": True},
            "project": {"id": FOLDER, "name": "hidden", "hidden": True, "access": True},
            "folder": {"id": FOLDER, "name": "hidden", "hidden": True, "access": True},
            "space": {"id": SPACE},
        }

    def _status(self, item: Item) -> Json:
        there = self._tracker.statuses_of(item.container)
        value = self._tracker.statuses[item.status]
        return status(value, there.index(value) if value in there else 0)

    def _times(self, item: Item) -> Json:
        kind = self._tracker.statuses[item.status].kind
        ended = millis(item.updated)
        return {
            "date_created": millis(item.created),
            "date_updated": millis(item.updated),
            "date_closed": ended if kind == "closed" else None,
            "date_done": ended if kind in ("done", "closed") else None,
            "due_date": None,
            "start_date": None,
        }

    def _fields(self, item: Item) -> list[Json]:
        if item.container not in FIELD_LISTS:
            return []
        known = {"id": MARKER_FIELD, "name": "Scrums ID", "type": "short_text", "type_config": {}, "required": False}
        value = item.extra.get("fields", {}).get(MARKER_FIELD)
        return [known | ({} if value is None else {"value": value})]

    def _person(self, user: str) -> Json:
        return person(self._tracker.users[user])


def assignees(item: Item) -> list[str]:
    """Everybody who has the task: the one the tracker knows, and others."""
    chosen = {item.assignee, *item.extra.get("others", ())} - {None}
    return sorted(chosen, key=int)


def tags(item: Item) -> list[str]:
    """The names of a task's tags."""
    return list(item.extra.get("tags", ()))
