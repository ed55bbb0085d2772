"""A vendor made of the kit and as little else as possible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sandbox.clock import ManualClock
from sandbox.hooks import Sending
from sandbox.http import Reply
from sandbox.oauth import OAuthRules
from sandbox.paging import by_cursor, cursor_of
from sandbox.tracker import Change, Container, Item, Priority, Status, Tracker
from sandbox.vendor import Ask, Endpoint, TrackerSandbox, usual_people
from sandbox.webhooks import SendFailed

STATUSES = [Status("s1", "Open", "open"), Status("s2", "Busy", "open"), Status("s3", "Shut", "closed")]
CONTAINERS = [Container("c1", "ONE", "First"), Container("c2", "TWO", "Second", statuses=("s1", "s3"))]


def new_tracker(clock: ManualClock) -> Tracker:
    return Tracker(
        clock,
        users=usual_people(),
        containers=CONTAINERS,
        statuses=STATUSES,
        priorities=[Priority("p1", "High"), Priority("p2", "Low")],
        default_priority="p2",
    )


def operation_of(body: bytes) -> str:
    """What a GraphQL request calls itself."""
    return str(json.loads(body).get("operationName", "graphql"))


class Receiver:
    """Takes webhooks; answers `status`, or nothing."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.got: list[tuple[str, dict[str, str], bytes]] = []

    def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
        self.got.append((url, headers, body))
        if self.status is None:
            raise SendFailed("nobody answered")
        return self.status


class Plain(TrackerSandbox):
    """A vendor with one listing, one way to create, and an authorization server."""

    name = "plain"
    schemes = ("bearer", "basic")
    oauth_rules = OAuthRules(scopes=("read", "write"), leeway=timedelta(seconds=30))

    clock: ManualClock

    def make_tracker(self) -> Tracker:
        return new_tracker(self.clock)

    def endpoints(self) -> Sequence[Endpoint]:
        return [
            Endpoint("list", "GET", "/items", self._list, scope="read"),
            Endpoint("create", "POST", "/items", self._create, scope="write"),
            Endpoint("graphql", "POST", "/graphql", lambda ask: ask.json("operationName"), named=operation_of),
        ]

    def _list(self, ask: Ask) -> Any:
        cursor = ask.call.query.get("cursor")
        rows = sorted(self.listed(ask), key=lambda item: item.change)
        page = self.page(
            ask,
            lambda size: by_cursor(rows, cursor, size, lambda item: item.change),
            ask.number("size", 10),
            here=cursor or cursor_of(None),
        )
        return {"items": [item.title for item in page.rows], "next": page.next, "total": page.total}

    def _create(self, ask: Ask) -> Any:
        return Reply(201, self.item_json(self.tracker.create(ask.user, "c1", ask.json("title")["title"])))

    def on_change(self, change: Change) -> None:
        def body(hook: Any, delivery_id: str) -> dict[str, Any]:
            return {"hook": hook.id, "delivery": delivery_id, "id": change.item.id, "kind": change.kind}

        self.hooks.tell(f"item.{change.kind}", body, change.item.container)

    def sign(self, sending: Sending) -> dict[str, str]:
        return {"X-Secret": sending.hook.secret, "X-Attempt": str(sending.attempt)}


def titles(items: Sequence[Item]) -> list[str]:
    return [item.title for item in items]
