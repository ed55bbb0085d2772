"""Issues as Jira Cloud answers them to `fields=` of what a sync needs: about 3.5 KB each, half of it the description.

The same number gives the same issue in every run.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

PROJECT = "BENCH"
PEOPLE = 40
FIRST_ID = 100_000
"""The id of issue 0; the others follow."""

STEP = timedelta(seconds=37)
"""Between the last changes of two issues."""

_STATUSES = (
    ("10000", "To Do", 2, "new"),
    ("3", "In Progress", 4, "indeterminate"),
    ("10010", "In Review", 4, "indeterminate"),
    ("10001", "Done", 3, "done"),
)
_PRIORITIES = (("1", "Highest"), ("2", "High"), ("3", "Medium"), ("4", "Low"), ("5", "Lowest"))
_WORDS = """
    the checkout service retries a payment when gateway answers slowly and customer sees two entries on their
    statement until nightly job has run which support has to explain again so we should make request idempotent
    before next release add metric for it and write down how on-call engineer can tell both cases apart
""".split()  # noqa: SIM905 - a list of fifty words would be fifty lines


def email(person: int) -> str:
    """A person's address."""
    return f"person{person}@bench.test"


def changed_at(number: int, count: int, newest: datetime) -> datetime:
    """When issue `number` (0 is the oldest) of `count` last changed."""
    return newest - STEP * (count - 1 - number)


def issue_bytes(number: int, updated: datetime, site: str) -> bytes:
    """One issue as compact JSON."""
    return json.dumps(_issue(number, updated, site), separators=(",", ":"), ensure_ascii=False).encode()


def _issue(number: int, updated: datetime, site: str) -> dict[str, Any]:
    chance = random.Random(number)
    api, id_ = f"{site}/rest/api/3", str(FIRST_ID + number)
    return {
        "expand": "renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations",
        "id": id_,
        "self": f"{api}/issue/{id_}",
        "key": f"{PROJECT}-{number + 1}",
        "fields": {
            "summary": _sentence(chance, 6, 12),
            "issuetype": _issue_type(api),
            "project": _project(api),
            "labels": chance.sample(["backend", "payments", "customer-report", "tech-debt"], chance.randrange(3)),
            "assignee": _person(api, chance.randrange(PEOPLE)) if chance.random() < 0.8 else None,
            "priority": _priority(api, *chance.choice(_PRIORITIES)),
            "status": _status(api, *(status := chance.choice(_STATUSES))),
            "resolution": _resolution(api) if status[3] == "done" else None,
            "updated": f"{updated.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{updated.microsecond // 1000:03d}+0000",
            "description": {"type": "doc", "version": 1, "content": _blocks(chance)},
        },
    }


def _issue_type(api: str) -> dict[str, Any]:
    return {
        "self": f"{api}/issuetype/10002",
        "id": "10002",
        "description": "A small, distinct piece of work.",
        "iconUrl": f"{api}/universal_avatar/view/type/issuetype/avatar/10318?size=medium",
        "name": "Task",
        "subtask": False,
        "avatarId": 10318,
        "hierarchyLevel": 0,
    }


def _project(api: str) -> dict[str, Any]:
    return {
        "self": f"{api}/project/10000",
        "id": "10000",
        "key": PROJECT,
        "name": "Benchmark",
        "projectTypeKey": "software",
        "simplified": False,
        "avatarUrls": _avatars(f"{api}/universal_avatar/view/type/project/avatar/10400"),
    }


def _person(api: str, person: int) -> dict[str, Any]:
    account = f"712020:5b10a2844c20165700ede2{person:02d}"
    return {
        "self": f"{api}/user?accountId={account}",
        "accountId": account,
        "emailAddress": email(person),
        "avatarUrls": _avatars(f"https://avatar-management.example/{account}/5e1d"),
        "displayName": f"Person {person}",
        "active": True,
        "timeZone": "Europe/Berlin",
        "accountType": "atlassian",
    }


def _avatars(url: str) -> dict[str, str]:
    return {f"{size}x{size}": f"{url}/{size}" for size in (48, 24, 16, 32)}


def priorities(site: str) -> list[dict[str, Any]]:
    """The site's priorities."""
    return [_priority(f"{site}/rest/api/3", *one) for one in _PRIORITIES]


def statuses(site: str) -> list[dict[str, Any]]:
    """The statuses that issues can have."""
    return [_status(f"{site}/rest/api/3", *one) for one in _STATUSES]


def _priority(api: str, id_: str, name: str) -> dict[str, Any]:
    icon = f"{api}/images/icons/priorities/{name.lower()}_new.svg"
    return {"self": f"{api}/priority/{id_}", "iconUrl": icon, "name": name, "id": id_}


def _status(api: str, id_: str, name: str, category: int, key: str) -> dict[str, Any]:
    return {
        "self": f"{api}/status/{id_}",
        "description": "",
        "iconUrl": f"{api}/images/icons/statuses/generic.png",
        "name": name,
        "id": id_,
        "statusCategory": {
            "self": f"{api}/statuscategory/{category}",
            "id": category,
            "key": key,
            "colorName": "blue-gray",
            "name": name,
        },
    }


def _resolution(api: str) -> dict[str, Any]:
    return {"self": f"{api}/resolution/10000", "id": "10000", "description": "Work is complete.", "name": "Done"}


# --- descriptions -------------------------------------------------------------------------------------


def _blocks(chance: random.Random) -> list[dict[str, Any]]:
    """A short report as people write them: text, a heading, a list, sometimes code."""
    blocks = [_paragraph(chance), _paragraph(chance, linked=True)]
    blocks += [{"type": "heading", "attrs": {"level": 3}, "content": [_text("How to see it")]}]
    items = [{"type": "listItem", "content": [_paragraph(chance, short=True)]} for _ in range(chance.randint(2, 4))]
    blocks += [{"type": "bulletList", "content": items}]
    if chance.random() < 0.3:
        code = "SELECT id, state\nFROM payment\nWHERE state = 'pending' AND created_at < now() - interval '1 day';"
        blocks += [{"type": "codeBlock", "attrs": {"language": "sql"}, "content": [_text(code)]}]
    return blocks


def _paragraph(chance: random.Random, *, linked: bool = False, short: bool = False) -> dict[str, Any]:
    content = [_text(_sentence(chance, 5, 9) if short else _sentence(chance, 25, 45))]
    if not short and chance.random() < 0.6:
        content += [_text(" " + chance.choice(_WORDS), "strong"), _text(" " + _sentence(chance, 4, 8))]
    if linked:
        link = {"type": "link", "attrs": {"href": f"https://wiki.example/pages/{chance.randrange(10**6)}"}}
        content += [_text(" See "), {"type": "text", "text": "the runbook", "marks": [link]}, _text(".")]
    return {"type": "paragraph", "content": content}


def _text(text: str, *marks: str) -> dict[str, Any]:
    node: dict[str, Any] = {"type": "text", "text": text}
    return node | {"marks": [{"type": mark} for mark in marks]} if marks else node


def _sentence(chance: random.Random, least: int, most: int) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randint(least, most))).capitalize()
