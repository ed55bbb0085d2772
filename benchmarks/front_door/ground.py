"""What every server finds: the pull's workspace and integration, with a webhook registered; and inboxes filled."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, insert, select, text

from benchmarks.front_door.deliveries import EVENT, body_template
from benchmarks.pull.issues import FIRST_ID
from core.clock import utc_now
from core.db import Database
from core.models import Binding, Delivery, Integration, Subscription
from core.vault import Vault

SECRET = "bench-signing-secret"


def subscribe(url: str, key: str, integration_id: str) -> str:
    """Register a webhook with `SECRET`; its path."""
    sealed = Vault.parse(key).seal({"secrets": [SECRET]}, f"integration:{integration_id}:subscription")
    about = {"integration_id": integration_id, "state": "active", "external_ids": ["1"], "sealed": sealed}
    database = Database(url)
    with database.write() as session:
        session.execute(insert(Subscription).values(**about, updated_at=utc_now()))
        hook_id = session.scalar(select(Integration.hook_id).where(Integration.id == integration_id))
    database.close()
    return f"/webhooks/jira/{hook_id}"


def fill(url: str, integration_id: str, count: int, items: int) -> None:
    """Put deliveries into the inbox that name `items` issues in turn, as the front door would have stored them."""
    body, id_ = body_template()
    given = {"integration": integration_id, "event": EVENT, "body": body, "id": id_, "items": items, "last": count - 1}
    database = Database(url)
    with database.write() as session:
        session.execute(_FILL, {**given, "first": FIRST_ID})
    database.close()


_FILL = text("""
    INSERT INTO delivery
        (integration_id, dedupe_key, event, headers, body, received_at, state, attempts, next_attempt_at)
    SELECT :integration, :integration || '\\:fill-' || n, :event, '{"content-type": "application/json"}',
           convert_to(replace(:body, :id, CAST(:first + n % :items AS TEXT)), 'UTF8'), now(), 'pending', 0, now()
    FROM generate_series(0, :last) AS n
""")


@dataclass(frozen=True)
class Found:
    """What is in the database: deliveries by state, and bound tasks."""

    deliveries: dict[str, int]
    bound: int


def found(url: str) -> Found:
    """Count."""
    database = Database(url)
    with database.read() as session:
        states = session.execute(select(Delivery.state, func.count()).group_by(Delivery.state))
        deliveries = {state: int(count) for state, count in states}
        bound = session.scalar(select(func.count()).select_from(Binding).where(Binding.state == "bound"))
    database.close()
    return Found(deliveries, bound or 0)


def stored_keys(url: str) -> list[str]:
    """The ids of all deliveries in the inbox, as their senders gave them. A list: one that is there twice shows."""
    database = Database(url)
    with database.read() as session:
        keys = session.scalars(select(Delivery.dedupe_key)).all()
    database.close()
    return [key.partition(":")[2] for key in keys]
