"""Buttons of notifications that somebody pressed, told to whoever waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from connectors.contract import Pressed
from core import events
from core.clock import iso
from core.events import Told
from core.models import Integration

PRESSED = "notification.button_pressed"


def tell_presses(session: Session, integration: Integration, presses: Sequence[Pressed], now: datetime) -> None:
    """Append an event for each; one that is told twice counts once. The address that leads back to a press stays with
    the delivery: whoever has it can write in the vendor's name."""
    events.append_new(session, [_told(integration, each) for each in presses], now)


def _told(integration: Integration, pressed: Pressed) -> Told:
    where = [pressed.message.channel, pressed.message.id]
    return Told(
        organization_id=integration.organization_id,
        workspace_id=integration.workspace_id,
        type=PRESSED,
        subject_id=integration.id,
        actor=integration.id,
        data={
            "button": pressed.button,
            "value": pressed.value,
            "by": pressed.by,
            "by_name": pressed.by_name,
            "message": {"channel": pressed.message.channel, "id": pressed.message.id},
            "occurred_at": iso(pressed.at),
        },
        key=":".join([integration.id, PRESSED, *where, pressed.by, pressed.button, str(pressed.at.timestamp())]),
        occurred_at=pressed.at,
        backfilled=False,
    )
