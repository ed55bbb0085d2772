"""Plank's API v2: one method for each call we make; no decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from connectors import contract as c
from connectors.rest import RestClient


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


class PlankClient(RestClient):
    """Speaks for one token."""

    def __init__(self, context: c.Context) -> None:
        token = context.credentials.api_token
        base = context.endpoints["api"].rstrip("/") + "/v2"
        super().__init__(context.http, base, lambda: f"Token {token.get_secret_value()}")

    def me(self) -> Person:
        """Whose token it is."""
        return self.get("/me", Person)

    def cards(self, boards: Sequence[str], since: int, ref: str = "") -> Page:
        """Cards of some boards that changed after a number, oldest change first; of them those with a reference."""
        params: dict[str, str | int] = {"boards": ",".join(boards), "since": since, "limit": 100}
        return self.get("/cards", Page, params=params | ({"ref": ref} if ref else {}))

    def batch(self, ids: Sequence[str]) -> Batch:
        """Cards by id, freshly read."""
        return self.get("/cards/batch", Batch, params={"ids": ",".join(ids)})

    def create(self, board: str, fields: dict[str, Any]) -> Card:
        """Make a card."""
        return self.send("POST", f"/boards/{board}/cards", fields, Card)

    def update(self, card_id: str, rev: int, fields: dict[str, Any]) -> Card:
        """Change a card that is still at revision `rev`; 412 when it is not."""
        return self.send("PATCH", f"/cards/{card_id}", fields, Card, headers={"If-Match": str(rev)})

    def people(self, board: str) -> list[Person]:
        """Who may own cards of a board."""
        return self.get(f"/boards/{board}/people", list[Person])

    def hooks(self) -> list[Hook]:
        """The webhooks this token registered."""
        return self.get("/hooks", list[Hook])

    def register(self, url: str, secret: str) -> Hook:
        """Register a webhook for all that happens to cards, or change the secret of the one with this address."""
        return self.send("PUT", "/hooks", {"url": url, "secret": secret}, Hook)

    def unregister(self, hook_id: str) -> None:
        """Remove a webhook; one already gone is fine."""
        self.call("DELETE", f"/hooks/{hook_id}", allow=(404,))
