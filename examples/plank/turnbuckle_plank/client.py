"""Plank's API v2: one method for each call we make; no decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from connectors.contract import Context
from connectors.response import Response


class Person(msgspec.Struct):
    """Somebody with an account."""

    id: str
    name: str
    email: str | None = None


class Card(msgspec.Struct):
    """A card. `seq` is the number of its last change among all changes, `rev` counts its own."""

    id: str
    number: str
    board: str
    headline: str
    notes: str
    lane: str
    urgency: str
    url: str
    rev: int
    seq: int
    changed_at: datetime
    owner: Person | None = None
    ref: str | None = None


class Page(msgspec.Struct):
    """Cards by the number of their last change; `more` when there are others behind them."""

    cards: list[Card]
    more: bool = False
    total: int = 0


class Batch(msgspec.Struct):
    """The cards asked for, and which of the ids were deleted. What we may not see is in neither."""

    cards: list[Card]
    deleted: list[str]


class Hook(msgspec.Struct):
    """A registered webhook."""

    id: str
    url: str


class PlankClient:
    """Speaks for one token. Raises the contract's errors."""

    def __init__(self, context: Context) -> None:
        self._http = context.http
        self._base = context.endpoints["api"].rstrip("/") + "/v2"
        self._headers = {"Authorization": f"Token {context.credentials.api_token.get_secret_value()}"}

    def _call(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
        return self._http.request(method, self._base + path, headers=self._headers | (headers or {}), **more)

    def me(self) -> Person:
        """Whose token it is."""
        return self._call("GET", "/me").decode(Person)

    def cards(self, boards: Sequence[str], since: int, ref: str = "") -> Page:
        """Cards of some boards that changed after a number, oldest change first; of them those with a reference."""
        params: dict[str, str | int] = {"boards": ",".join(boards), "since": since, "limit": 100}
        return self._call("GET", "/cards", params=params | ({"ref": ref} if ref else {})).decode(Page)

    def batch(self, ids: Sequence[str]) -> Batch:
        """Cards by id, freshly read."""
        return self._call("GET", "/cards/batch", params={"ids": ",".join(ids)}).decode(Batch)

    def create(self, board: str, fields: dict[str, Any]) -> Card:
        """Make a card."""
        return self._call("POST", f"/boards/{board}/cards", json=fields).decode(Card)

    def update(self, card_id: str, rev: int, fields: dict[str, Any]) -> Card:
        """Change a card that is still at revision `rev`; 412 when it is not."""
        return self._call("PATCH", f"/cards/{card_id}", {"If-Match": str(rev)}, json=fields).decode(Card)

    def people(self, board: str) -> list[Person]:
        """Who may own cards of a board."""
        return self._call("GET", f"/boards/{board}/people").decode(list[Person])

    def hooks(self) -> list[Hook]:
        """The webhooks this token registered."""
        return self._call("GET", "/hooks").decode(list[Hook])

    def register(self, url: str, secret: str) -> Hook:
        """Register a webhook for all that happens to cards, or change the secret of the one with this address."""
        return self._call("PUT", "/hooks", json={"url": url, "secret": secret}).decode(Hook)

    def unregister(self, hook_id: str) -> None:
        """Remove a webhook; one already gone is fine."""
        self._call("DELETE", f"/hooks/{hook_id}", allow=(404,))
