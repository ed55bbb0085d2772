"""A fake Plank: lists what its API answers; the rest is the sandbox kit's."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from sandbox.errors import VendorError
from sandbox.hooks import Sending
from sandbox.http import NO_BODY, Reply
from sandbox.paging import by_offset
from sandbox.tracker import Change, Container, Item, Kind, Priority, Status, Tracker
from sandbox.vendor import Ask, Endpoint, TrackerSandbox, usual_people

LANES = [Status(lane, lane) for lane in ("ideas", "doing", "checking", "shipped", "dropped")]
URGENCIES = [Priority(urgency, urgency) for urgency in ("now", "soon", "normal", "someday")]
BOARDS = [Container("b1", "PL", "Planks"), Container("b2", "ST", "Steps")]
VALUES = {"headline": "title", "notes": "description", "lane": "status", "urgency": "priority", "owner": "assignee"}
EVENTS = {Kind.CREATED: "card.created", Kind.RESTORED: "card.created", Kind.DELETED: "card.deleted"}


class PlankSandbox(TrackerSandbox):
    """A Plank with two boards."""

    name = "plank"
    schemes = ("token",)

    def make_tracker(self) -> Tracker:
        """Ids are plain numbers; a card's number begins with its board's name."""
        return Tracker(
            self.clock,
            users=usual_people(),
            containers=BOARDS,
            statuses=LANES,
            priorities=URGENCIES,
            default_priority="normal",
        )

    def endpoints(self) -> Sequence[Endpoint]:
        """API v2."""
        return [
            Endpoint("me", "GET", "/v2/me", lambda ask: self._person(ask.user)),
            Endpoint("listCards", "GET", "/v2/cards", self._list),
            Endpoint("batchCards", "GET", "/v2/cards/batch", self._batch),
            Endpoint("createCard", "POST", "/v2/boards/{board}/cards", self._create),
            Endpoint("updateCard", "PATCH", "/v2/cards/{card}", self._update),
            Endpoint("listPeople", "GET", "/v2/boards/{board}/people", self._people),
            Endpoint("listHooks", "GET", "/v2/hooks", lambda ask: [_hook(h) for h in self.hooks.live(ask.user)]),
            Endpoint("putHook", "PUT", "/v2/hooks", self._register),
            Endpoint("deleteHook", "DELETE", "/v2/hooks/{hook}", self._unregister),
        ]

    def _list(self, ask: Ask) -> Any:
        boards = [self.tracker.container(name).id for name in ask.call.query.get("boards", "").split(",")]
        since, ref = ask.number("since", 0), ask.call.query.get("ref")
        rows = [i for i in self.listed(ask) if i.container in boards and i.change > since and ref in (None, i.marker)]
        rows.sort(key=lambda item: item.change)
        page = self.page(ask, lambda size: by_offset(rows, 0, size), min(ask.number("limit", 50), 100), here=0)
        return {"cards": [self._card(i) for i in page.rows], "more": page.next is not None, "total": page.total}

    def _batch(self, ask: Ask) -> Any:
        ids = ask.call.query.get("ids", "").split(",")
        seen = [i for id_ in ids if (i := self.tracker.items.get(id_)) and self.tracker.visible(i, ask.user)]
        gone = [id_ for id_ in ids if id_ not in self.tracker.items]
        return {"cards": [self._card(item) for item in seen], "deleted": gone}

    def _create(self, ask: Ask) -> Any:
        body = ask.json("headline")
        values = {VALUES[name]: value for name, value in body.items() if name in VALUES}
        board = self.tracker.container(ask.params["board"])
        return Reply(201, self._card(self.tracker.create(ask.user, board.id, marker=body.get("ref"), **values)))

    def _update(self, ask: Ask) -> Any:
        card = self.tracker.item(ask.params["card"], ask.user)
        if ask.call.headers.get("if-match") not in (None, str(card.revision)):
            raise VendorError(412, f"{card.key} is at revision {card.revision}.")
        values = {VALUES[name]: value for name, value in ask.json().items() if name in VALUES}
        return self._card(self.tracker.update(ask.user, card.id, **values))

    def _people(self, ask: Ask) -> Any:
        self.tracker.container(ask.params["board"])
        return [self._person(user.id) for user in self.tracker.users.values() if user.active]

    def _register(self, ask: Ask) -> Any:
        body = ask.json("url", "secret")
        for hook in self.hooks.live(ask.user):
            if hook.url == body["url"]:
                return _hook(self.hooks.change(hook.id, secret=body["secret"]))
        return Reply(201, _hook(self.hooks.register(body["url"], ask.user, secret=body["secret"])))

    def _unregister(self, ask: Ask) -> Any:
        self.hooks.remove(ask.params["hook"])
        return Reply(204, NO_BODY)

    def on_change(self, change: Change) -> None:
        """A deleted card is only named."""
        event = EVENTS.get(change.kind, "card.changed")
        card = {"id": change.item.id} if change.after is None else self._card(change.after)
        self.hooks.tell(event, lambda _hook, _delivery: {"card": card}, change.item.container)

    def sign(self, sending: Sending) -> dict[str, str]:
        """HMAC-SHA256 of the body."""
        digest = hmac.new(sending.hook.secret.encode(), sending.body, hashlib.sha256).hexdigest()
        return {
            "X-Plank-Delivery": sending.delivery_id,
            "X-Plank-Event": sending.event,
            "X-Plank-Signature": f"sha256={digest}",
        }

    def _card(self, item: Item) -> dict[str, Any]:
        return {
            "id": item.id,
            "number": item.key,
            "board": self.tracker.containers[item.container].key,
            **{name: getattr(item, value) for name, value in VALUES.items()},
            "owner": self._person(item.assignee) if item.assignee else None,
            "ref": item.marker,
            "url": f"{self.url}/cards/{item.key}",
            "rev": item.revision,
            "seq": item.change,
            "changed_at": item.updated.isoformat(),
        }

    def _person(self, user_id: str) -> dict[str, Any]:
        user = self.tracker.users[user_id]
        return {"id": user.id, "name": user.name, "email": user.email}


def _hook(hook: Any) -> dict[str, Any]:
    return {"id": hook.id, "url": hook.url}
