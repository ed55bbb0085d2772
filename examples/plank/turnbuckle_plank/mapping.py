"""Plank's cards <-> the platform's words. Pure."""

from __future__ import annotations

from typing import Any

from connectors import words
from connectors.contract import RemoteTask, RemoteUser, RemoteValue, TaskChanges
from turnbuckle_plank.client import Card
from turnbuckle_plank.config import PlankConfig

NAMES = {"title": "headline", "description": "notes", "status": "lane", "priority": "urgency", "assignee": "owner"}
"""Our field -> Plank's."""


def task(card: Card, config: PlankConfig) -> RemoteTask:
    """A card as the engine wants it."""
    return RemoteTask(
        external_id=card.id,
        key=card.number,
        url=card.url,
        container=card.board,
        version=card.rev,
        updated_at=card.changed_at,
        values={
            "title": RemoteValue(card.headline, card.headline),
            "description": RemoteValue(card.notes, card.notes),
            "status": config.lanes.read(card.lane),
            "priority": config.urgencies.read(card.urgency),
        },
        assignee=RemoteUser(card.owner.id, card.owner.name, card.owner.email) if card.owner else None,
        create_key=card.ref,
    )


def fields(changes: TaskChanges, config: PlankConfig) -> dict[str, Any]:
    """Changes as Plank takes them."""
    return {NAMES[name]: value for name, value in words.written(changes, config.words).items()}
