"""Deliveries, and an integration's health, as the API and the command line show them."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from api.explain_views import Told
from api.filters import Since, Until
from api.plan_views import ItemPlanned
from api.schemas import Body, Moment, Reason, View, reason
from core.delivery_counts import Counted
from core.models import Delivery, Subscription
from sync.replay import Chosen, Replayed, ReplayPlan
from sync.vitals import WINDOW, Vitals

State = Literal["pending", "done", "ignored", "dead"]
STATES = ("pending", "done", "ignored", "dead")

MOST_IDS = 1000
"""Ids of one replay; who has more names a span of time."""

LARGEST_ID = 2**63 - 1


class DeliveryListed(View):
    """A delivery in a list."""

    id: int
    integration_id: str
    event: str = Field(description="As the vendor calls it.", examples=["jira:issue_updated"])
    state: State = Field(
        description="`pending`: waits for its (next) try; `done`; `ignored`: nothing for us; `dead`: given up, can be "
        "replayed."
    )
    received_at: Moment
    finished_at: Moment | None
    attempts: int
    next_attempt_at: Moment | None = Field(description="While it is pending.")
    size: int = Field(description="Bytes of the body.")
    error: Reason | None = Field(description="What went wrong at the last try.")

    @classmethod
    def parts(cls, row: Delivery, size: int) -> dict[str, Any]:
        """The values of the fields, for this class and those that add to it."""
        return {
            "id": row.id,
            "integration_id": row.integration_id,
            "event": row.event,
            "state": row.state,
            "received_at": row.received_at,
            "finished_at": row.finished_at,
            "attempts": row.attempts,
            "next_attempt_at": row.next_attempt_at if row.state == "pending" else None,
            "size": size,
            "error": reason(row.error_code, row.error_text),
        }

    @classmethod
    def of(cls, row: Delivery, size: int) -> DeliveryListed:
        """The view of a delivery whose body has `size` bytes."""
        return cls(**DeliveryListed.parts(row, size))


class ItemOutcome(View):
    """What became of one item a delivery named."""

    external_id: str
    outcome: str = Field(examples=["updated"])


class EventsStored(View):
    """What came of the code events a delivery told, or led to."""

    new: int = Field(description="Stored for the first time.")
    known: int = Field(description="Heard of before.")


class NotForUs(View):
    """Something a delivery said that means nothing here, and why."""

    code: str
    text: str


class DeliveryDetail(DeliveryListed):
    """One delivery, as it came and what came of it."""

    delivery_key: str = Field(description="What makes it the same one when it comes again.")
    headers: dict[str, str] = Field(description="Those the connector keeps; never credentials.")
    body: str
    body_encoding: Literal["text", "base64"] = Field(description="`base64` where the body is not UTF-8.")
    items: list[ItemOutcome]
    events: EventsStored | None = Field(description="null where it tells of no code.")
    ignored: list[NotForUs]

    @classmethod
    def whole(cls, row: Delivery) -> DeliveryDetail:
        """The view of a delivery."""
        outcome = row.outcome or {}
        body, encoding = _shown(row.body)
        return cls(
            **DeliveryListed.parts(row, len(row.body)),
            delivery_key=row.dedupe_key.removeprefix(f"{row.integration_id}:"),
            headers=row.headers,
            body=body,
            body_encoding=encoding,
            items=[ItemOutcome(external_id=id_, outcome=what) for id_, what in outcome.get("items", {}).items()],
            events=EventsStored(**outcome["events"]) if "events" in outcome else None,
            ignored=[NotForUs(**each) for each in outcome.get("ignored", ())],
        )


def _shown(body: bytes) -> tuple[str, Literal["text", "base64"]]:
    try:
        return body.decode(), "text"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"


# --- replay ---------------------------------------------------------------------------------------------


class Replay(Body):
    """Which deliveries to work off once more: name exactly one of `ids`, a span of time, or `dead`."""

    ids: Annotated[
        list[Annotated[int, Field(ge=1, le=LARGEST_ID)]] | None, Field(min_length=1, max_length=MOST_IDS)
    ] = None
    from_: Annotated[Since | None, Field(alias="from", description="Those received since then…")] = None
    to: Annotated[Until | None, Field(description="…and before then.")] = None
    dead: Annotated[Literal[True] | None, Field(description="All that were given up.")] = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        span = self.from_ is not None or self.to is not None
        if (self.ids is not None) + span + (self.dead is not None) != 1:
            raise ValueError("name exactly one: ids, a span (from, to), or dead")
        return self

    def chosen(self) -> Chosen:
        """As the engine takes it."""
        return Chosen(self.ids, self.from_, self.to, bool(self.dead))


class ReplayStarted(View):
    """A replay that was asked for."""

    replayed: int = Field(description="Deliveries that are due again.")
    pending: int = Field(description="Those chosen that were waiting anyway.")

    @classmethod
    def of(cls, done: Replayed) -> ReplayStarted:
        """The view of it."""
        return cls(replayed=done.replayed, pending=done.pending)


class DeliveryPlanned(Told):
    """What one delivery would come to."""

    id: int
    event: str
    state: State
    items: list[str] = Field(description="The ids of the items it names; see `items` of the plan.")
    ignored: list[NotForUs]
    error_code: str | None
    error_text: str | None


class ReplayPlanned(Told):
    """What a replay would do now."""

    integration_id: str
    at: Moment
    complete: bool = Field(description="False when there are more deliveries than were looked at.")
    deliveries: list[DeliveryPlanned]
    counts: dict[str, int] = Field(description="How many items by decision.")
    items: list[ItemPlanned]

    @classmethod
    def of(cls, plan: ReplayPlan) -> ReplayPlanned:
        """The view of a plan."""
        return cls.model_validate(plan)


# --- health ---------------------------------------------------------------------------------------------


class CauseView(View):
    """One thing that is wrong."""

    cause: str = Field(examples=["signatures"])
    severity: Literal["degraded", "failed"]
    code: str = Field(examples=["signatures_rejected"])
    text: str
    since: Moment


class WebhookCounts(View):
    """What came of the last `window_hours`."""

    window_hours: int
    accepted: int = Field(description="Verified and stored.")
    duplicates: int = Field(description="Verified, but stored before.")
    rejected: int = Field(description="Not believed.")
    missed: int = Field(description="Changes that polls found although the webhook should have told of them.")
    recovered: int = Field(description="Fetched from the vendor's own log of failed deliveries.")


class InboxHealth(View):
    """What waits."""

    pending: int
    oldest_pending_at: Moment | None
    lag_seconds: int = Field(description="The age of the oldest delivery that waits; 0 when none does.")
    dead: int


class SubscriptionHealth(View):
    """The webhook registered at the vendor."""

    state: Literal["creating", "active", "stale", "unavailable"] = Field(
        description="`creating`: not yet known to be there; `stale`: is made anew; `unavailable`: the vendor does not "
        "let us have one, so a person has to register it."
    )
    expires_at: Moment | None
    next_look_at: Moment | None = Field(description="When it is renewed or looked after next.")
    reason: Reason | None


class HealthView(View):
    """How an integration does."""

    integration_id: str
    at: Moment
    status: Literal["active", "pending_auth", "error", "disconnected"]
    sync_status: Literal["healthy", "degraded", "failed"]
    sync_reason: Reason | None
    causes: list[CauseView] = Field(description="All that is wrong, the worst first; it is the one that is shown.")
    last_delivery_at: Moment | None
    webhooks: WebhookCounts
    inbox: InboxHealth
    subscription: SubscriptionHealth | None

    @classmethod
    def of(cls, seen: Vitals) -> HealthView:
        """The view of it."""
        integration = seen.integration
        oldest = seen.oldest_pending_at
        lag = max(seen.at - oldest, timedelta(0)) if oldest else timedelta(0)
        return cls(
            integration_id=integration.id,
            at=seen.at,
            status=integration.status,
            sync_status=integration.sync_status,
            sync_reason=reason(integration.sync_code, integration.sync_text),
            causes=[
                CauseView(cause=row.cause, severity=row.severity, code=row.code, text=row.text, since=row.since)
                for row in seen.causes
            ],
            last_delivery_at=seen.last_delivery_at,
            webhooks=WebhookCounts(
                window_hours=int(WINDOW / timedelta(hours=1)), **{what.value: seen.counts[what] for what in Counted}
            ),
            inbox=InboxHealth(
                pending=seen.pending, oldest_pending_at=oldest, lag_seconds=int(lag.total_seconds()), dead=seen.dead
            ),
            subscription=_subscription(seen.subscription, seen),
        )


def _subscription(row: Subscription | None, seen: Vitals) -> SubscriptionHealth | None:
    if row is None:
        return None
    return SubscriptionHealth(
        state=row.state,
        expires_at=row.expires_at,
        next_look_at=seen.integration.next_subscription_at,
        reason=reason(row.code, row.text),
    )
