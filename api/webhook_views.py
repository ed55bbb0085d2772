"""Webhooks out as the API shows and takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from api.filters import Since, Until
from api.schemas import Body, Id, Moment, Reason, View, absent, reason
from core.models import WebhookAttempt, WebhookEndpoint, WebhookMessage
from webhooks.outbound import patterns

STATES = ("pending", "delivered", "failed")
State = Literal["pending", "delivered", "failed"]

MOST_NAMES = 50
"""Names of events an endpoint can list; who wants more of them wants `task.*`."""

Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2048)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=255)]
EventName = Annotated[str, StringConstraints(max_length=100), AfterValidator(patterns.check)]


def _once_each(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


EventNames = Annotated[list[EventName], Field(min_length=1, max_length=MOST_NAMES), AfterValidator(_once_each)]


class WebhookRecord(View):
    """An endpoint that events are sent to. Its secret is shown only when it is made."""

    id: str
    workspace_id: str | None = Field(description="null: the events of all the organization's workspaces.")
    url: str
    description: str
    events: list[str] = Field(description="Names of events; `task.*` stands for all that begin so, `*` for all.")
    enabled: bool
    disabled_reason: Reason | None = Field(description="Why it is disabled: `by_hand`, `gone` or `failing`.")
    disabled_at: Moment | None
    failing_since: Moment | None = Field(description="Nothing but failures since then; after 5 days it is disabled.")
    paused_until: Moment | None = Field(description="It did not answer, or asked us to wait: nothing is sent before.")
    last_delivered_at: Moment | None
    created_by: str
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, endpoint: WebhookEndpoint) -> WebhookRecord:
        """The view of an endpoint."""
        return WebhookRecord(**_parts(endpoint))


class WebhookWithSecret(WebhookRecord):
    """An endpoint with its new signing secret."""

    secret: str | None = Field(
        description="Shown this once. null when the request is repeated with its Idempotency-Key: an answer with a "
        "secret is not kept; rotate it if you don't have it."
    )

    @classmethod
    def made(cls, endpoint: WebhookEndpoint, secret: str | None) -> WebhookWithSecret:
        """The view of an endpoint whose secret is new."""
        return cls(**_parts(endpoint), secret=secret)


def _parts(endpoint: WebhookEndpoint) -> dict[str, object]:
    return {
        "id": endpoint.id,
        "workspace_id": endpoint.workspace_id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": endpoint.events,
        "enabled": endpoint.enabled,
        "disabled_reason": reason(endpoint.disabled_code, endpoint.disabled_text),
        "disabled_at": endpoint.disabled_at,
        "failing_since": endpoint.failing_since,
        "paused_until": endpoint.paused_until,
        "last_delivered_at": endpoint.delivered_at,
        "created_by": endpoint.created_by,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
    }


class WebhookDelivery(View):
    """One event at one endpoint."""

    id: str = Field(description="The `webhook-id` of all its attempts.", examples=["EVT-26-000731-WHK-26-000003"])
    webhook_id: str
    event_id: str
    type: str = Field(examples=["task.status_changed"])
    event_at: Moment
    state: State
    attempts: int = Field(description="All that were ever made.")
    status: int | None = Field(description="The last answer's HTTP status.")
    error: Reason | None = Field(description="Why the last attempt did not deliver it.")
    next_attempt_at: Moment | None
    finished_at: Moment | None

    @classmethod
    def parts(cls, message: WebhookMessage) -> dict[str, object]:
        """The values of the fields, for this class and those that add to it."""
        return {
            "id": message.id,
            "webhook_id": message.endpoint_id,
            "event_id": message.event_id,
            "type": message.type,
            "event_at": message.event_at,
            "state": message.state,
            "attempts": message.attempts,
            "status": message.status,
            "error": reason(message.error_code, message.error_text),
            "next_attempt_at": message.next_attempt_at if message.state == "pending" else None,
            "finished_at": message.finished_at,
        }

    @classmethod
    def of(cls, message: WebhookMessage) -> WebhookDelivery:
        """The view of a message."""
        return WebhookDelivery(**cls.parts(message))


class WebhookAttemptView(View):
    """One attempt."""

    number: int
    at: Moment
    outcome: Literal[
        "unfinished", "delivered", "refused", "gone", "busy", "timeout", "unreachable", "forbidden_address"
    ]
    status: int | None
    latency_ms: int | None
    text: str | None
    answer: str | None = Field(
        description="The first kilobyte of the answer. Kept only of endpoints on the public internet."
    )

    @classmethod
    def of(cls, attempt: WebhookAttempt) -> WebhookAttemptView:
        """The view of an attempt."""
        return cls(**{name: getattr(attempt, name) for name in cls.model_fields})


class WebhookDeliveryDetail(WebhookDelivery):
    """One event at one endpoint, with its attempts."""

    attempt_log: list[WebhookAttemptView] = Field(description="The newest 50 attempts, oldest first.")

    @classmethod
    def with_log(cls, message: WebhookMessage, log: Sequence[WebhookAttempt]) -> Self:
        """The view of a message and its attempts (oldest first)."""
        return cls(**cls.parts(message), attempt_log=[WebhookAttemptView.of(attempt) for attempt in log])


class Redelivered(View):
    """How much was queued again."""

    webhook_id: str
    deliveries: int


class NewWebhook(Body):
    """An endpoint to be made."""

    url: Url = Field(description="https, and public as seen from this server.", examples=["https://example.com/hook"])
    events: EventNames = Field(examples=[["task.*", "integration.status_changed"]])
    workspace_id: Id | None = Field(
        None, description="Left out: the token's workspace, or all workspaces of the organization."
    )
    description: Description = ""
    enabled: bool = True


class WebhookPatch(Body):
    """What to change. Enabling it again forgets its failures; what was pending goes on."""

    url: Url = absent()
    events: EventNames = absent()
    description: Description = absent()
    enabled: bool = absent()


class Redeliver(Body):
    """Which deliveries to queue again. Without a time, all failed ones that are kept."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    since: Since | None = Field(None, alias="from", description="Events from then on: a date, or a time.")
    until: Until | None = Field(None, alias="to", description="A date, which is included, or a time, which is not.")
    only: Literal["failed", "all"] = Field(
        "failed",
        description="`all`: also what was delivered, and what was never queued because the endpoint was disabled or "
        "did not want it then. Needs `from`.",
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.only == "all" and self.since is None:
            raise ValueError("`only: all` needs `from`: it sends everything since then")
        return self
