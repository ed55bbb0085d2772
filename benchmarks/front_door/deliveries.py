"""Webhook requests of 20 KB, signed as GitHub and Jira sign them: the hex HMAC-SHA256 of the body.

The event is Jira's for an issue that changed: the issue with its comments, who changed it, and what. Requests differ in
the changelog's id at the end of the body, so that each has a signature of its own.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from benchmarks.pull.issues import FIRST_ID, issue_bytes

BODY_BYTES = 20_000
"""At least so many: what GitHub sends for a pull request, and Jira for an issue people have talked about."""

EVENT = "jira:issue_updated"
SITE = "https://bench.example"


@lru_cache(maxsize=1)
def body_ends() -> tuple[bytes, bytes]:
    """What comes before and after the changelog's id. The issue is the first one."""
    now = datetime.now(UTC)
    issue = json.loads(issue_bytes(0, now, SITE))
    author = issue["fields"]["assignee"]
    comments: list[dict[str, Any]] = []
    issue["fields"]["comment"] = {"comments": comments}
    event = {
        "timestamp": int(now.timestamp() * 1000),
        "webhookEvent": EVENT,
        "issue_event_type_name": "issue_generic",
        "user": author,
        "issue": issue,
        "changelog": {"items": [_change("priority", "High", "Low"), _change("summary", "Old", "New")], "id": "#"},
    }
    while len(whole := json.dumps(event, separators=(",", ":")).encode()) < BODY_BYTES:
        comments.append({"id": str(len(comments)), "author": author, "body": _text(len(comments) + 1, now)})
    before, after = whole.split(b'"#"')
    return before + b'"', b'"' + after


def _change(field: str, before: str, after: str) -> dict[str, Any]:
    return {"field": field, "fieldtype": "jira", "fromString": before, "toString": after}


def _text(number: int, now: datetime) -> Any:
    """What people write: another issue's description."""
    return json.loads(issue_bytes(number, now, SITE))["fields"]["description"]


def body_of(number: int) -> bytes:
    """A whole body."""
    before, after = body_ends()
    return b"%b%d%b" % (before, number, after)


def body_template() -> tuple[str, str]:
    """A body as text, and the part of it that is to be replaced by the id of another issue."""
    return body_of(0).decode(), str(FIRST_ID)


def requests(path: str, secret: str, prefix: str, count: int) -> Iterator[tuple[bytes, bytes]]:
    """HTTP requests with the ids `{prefix}-0`, `{prefix}-1`, …: the head, and what comes after `body_ends()[0]`.

    The 20 KB between the two are the same for all: in memory once, and so is their part of the signature.
    """
    before, after = body_ends()
    begun = hmac.new(secret.encode(), before, "sha256")
    for number in range(count):
        end = b"%d%b" % (number, after)
        signature = begun.copy()
        signature.update(end)
        yield _head(path, f"{prefix}-{number}", signature.hexdigest(), len(before) + len(end)), end


def _head(path: str, key: str, signature: str, length: int) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: hooks.bench.example",
        "User-Agent: Atlassian HttpClient unknown / JIRA-1001.0.0-SNAPSHOT (100281) / Default",
        "Accept: */*",
        "Content-Type: application/json; charset=UTF-8",
        f"Content-Length: {length}",
        f"X-Atlassian-Webhook-Identifier: {key}",
        "X-Atlassian-Webhook-Flow: Primary",
        f"X-Hub-Signature: sha256={signature}",
    )
    return "\r\n".join((*lines, "", "")).encode()
