"""What no lane notices by itself: webhooks that are silent, refused or gone, and an inbox that lags.

Every half minute one worker asks the database, in one query per cause, which integrations have it, and compares that
with what is written down. So a cause is told once, its words stay true, and it goes when what it tells of has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, case, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm import Session as DbSession

from core.clock import iso
from core.delivery_counts import period
from core.models import Delivery, DeliveryCount, Integration, Subscription, SyncCause
from sync.health import Cause, Trouble, clear_causes, raise_cause
from sync.leases import claim
from sync.runtime import Runtime

EVERY = timedelta(seconds=30)
"""Between two looks: what is told here is measured in minutes."""

LAG = timedelta(minutes=5)
"""A delivery is worked off within a second; one that waits longer than this waits for something."""

DEAD_FOR = timedelta(days=1)
"""How long a dead delivery is told of, if nobody replays it: a poll has healed what it named long since."""

REFUSED_FOR = timedelta(minutes=30)
REFUSED_LEAST = 3
"""So many refused within that time, and more than were believed: a wrong secret, and no stranger who tries his luck."""

SILENT_FOR = timedelta(hours=1)
SILENT_LEAST = 3
"""So many changes found by polls within that time while the webhook told nothing: it is broken somewhere."""

Found = Mapping[str, Trouble]
"""Integration -> what is wrong with it."""


def watch(rt: Runtime) -> int:
    """Look, unless another worker just did. Returns how many causes came, went or changed."""
    if not claim(rt, "watch", EVERY):
        return 0
    now = rt.clock()
    with rt.db.read() as session:
        wanted = {(id_, cause): told for cause, look in LOOKS.items() for id_, told in look(session, now).items()}
        stored = {
            (row.integration_id, Cause(row.cause)): Trouble(row.code, row.text, row.severity)
            for row in session.scalars(select(SyncCause).where(SyncCause.cause.in_([*LOOKS])))
        }
    changed = sorted(key for key in wanted.keys() | stored.keys() if wanted.get(key) != stored.get(key))
    for integration_id, cause in changed:
        _settle(rt, integration_id, cause, wanted.get((integration_id, cause)), now)
    return len(changed)


def _settle(rt: Runtime, integration_id: str, cause: Cause, trouble: Trouble | None, now: datetime) -> None:
    with rt.db.write() as session:
        integration = session.get(Integration, integration_id, with_for_update=True)
        if integration is None or integration.status == "disconnected":
            return
        if trouble is None:
            clear_causes(session, integration, (cause,), now)
        else:
            raise_cause(session, integration, cause, trouble, now)


# --- the looks ------------------------------------------------------------------------------------------


def _lagging(session: DbSession, now: datetime) -> Found:
    oldest = func.min(Delivery.received_at)
    rows = session.execute(
        _of_active(Delivery.integration_id, oldest)
        .where(Delivery.state == "pending")
        .group_by(Delivery.integration_id)
        .having(oldest < now - LAG)
    )
    text = "Deliveries wait since {}. Look whether workers run, and at the deliveries' errors."
    return {id_: Trouble("inbox_lag", text.format(iso(_minute(since)))) for id_, since in rows}


def _dead(session: DbSession, now: datetime) -> Found:
    rows = session.execute(
        _of_active(Delivery.integration_id, func.count())
        .where(Delivery.state == "dead", Delivery.finished_at > now - DEAD_FOR)
        .group_by(Delivery.integration_id)
    )
    text = "{} deliveries of the last day could not be worked off. Their errors say why; then they can be replayed."
    return {id_: Trouble("deliveries_dead", text.format(count)) for id_, count in rows}


def _refused(session: DbSession, now: datetime) -> Found:
    rejected, believed = func.sum(DeliveryCount.rejected), func.sum(DeliveryCount.accepted + DeliveryCount.duplicates)
    rows = session.execute(_counted(now - REFUSED_FOR).having(rejected >= REFUSED_LEAST, rejected > believed))
    text = "The webhook's deliveries are refused: they are signed with another secret than the one stored here."
    return {row[0]: Trouble("signatures_rejected", text) for row in rows}


def _silent(session: DbSession, now: datetime) -> Found:
    missed, believed = func.sum(DeliveryCount.missed), func.sum(DeliveryCount.accepted + DeliveryCount.duplicates)
    rows = session.execute(_counted(now - SILENT_FOR).having(missed >= SILENT_LEAST, believed == 0))
    text = (
        "Polls find changes that the webhook does not tell of. Look at the vendor whether it is enabled and reaches "
        "this server; changes arrive by polling meanwhile."
    )
    return {row[0]: Trouble("webhook_silent", text) for row in rows}


def _unsubscribed(session: DbSession, now: datetime) -> Found:
    """A webhook the vendor does not let us have (`unavailable`) is no trouble: that integration lives by polling."""
    expired = Subscription.expires_at <= now
    unmade = Subscription.state.in_(("creating", "stale")) & Subscription.code.is_not(None)
    rows = session.execute(
        _of_active(Subscription.integration_id, case((expired, 1), else_=0), Subscription.text).where(
            or_(expired, unmade), Subscription.state != "unavailable"
        )
    )
    return {id_: _subscription_trouble(bool(is_over), text) for id_, is_over, text in rows}


def _subscription_trouble(is_over: bool, text: str | None) -> Trouble:
    what = "has expired and could not be renewed" if is_over else "could not be registered"
    why = f": {text}" if text else "."
    code = "subscription_expired" if is_over else "subscription_failed"
    return Trouble(code, f"The webhook {what}{why} It is tried again; changes arrive by polling meanwhile.")


LOOKS: Mapping[Cause, Callable[[DbSession, datetime], Found]] = {
    Cause.SUBSCRIPTION: _unsubscribed,
    Cause.SIGNATURES: _refused,
    Cause.SILENCE: _silent,
    Cause.LAG: _lagging,
    Cause.DEAD: _dead,
}


def _counted(since: datetime) -> Select[*tuple[Any, ...]]:
    wanted = _of_active(DeliveryCount.integration_id).where(DeliveryCount.at >= period(since))
    return wanted.group_by(DeliveryCount.integration_id)


def _of_active(integration_id: InstrumentedAttribute[str], *columns: Any) -> Select[*tuple[Any, ...]]:
    """A query over what belongs to integrations that work."""
    return (
        select(integration_id, *columns)
        .join(Integration, Integration.id == integration_id)
        .where(Integration.status == "active")
    )


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
