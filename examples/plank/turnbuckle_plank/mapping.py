"""Plank's cards <-> the platform's words. Pure."""

from __future__ import annotations

from typing import Any

from connectors import contract as c
from connectors import words
from turnbuckle_plank.client import Card, Person
from turnbuckle_plank.config import PlankConfig

NAMES = {"title": "headline", "description": "notes", "status": "lane", "priority": "urgency", "assignee": "owner"}
"""Our field -> Plank's."""


def task(card: Card, config: PlankConfig) -> c.RemoteTask:
    """A card as the engine wants it."""
    return c.RemoteTask(
        external_id=card.id,
        key=card.number,
        url=card.url,
        container=card.board,
        version=card.rev,
        updated_at=card.changed_at,
        values={
            "title": c.RemoteValue(card.headline, card.headline),
            "description": c.RemoteValue(card.notes, card.notes),
            "status": config.lanes.read(card.lane),
            "priority": config.urgencies.read(card.urgency),
        },
        assignee=person(card.owner) if card.owner else None,
        create_key=card.ref,
    )


def person(who: Person) -> c.RemoteUser:
    """Somebody as the engine knows people."""
    return c.RemoteUser(who.id, who.name, who.email)


def fields(changes: c.TaskChanges, config: PlankConfig) -> dict[str, Any]:
    """Changes as Plank takes them."""
    return {NAMES[name]: value for name, value in words.written(changes, config.words).items()}
