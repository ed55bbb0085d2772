"""Notifications as the API shows and takes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.schemas import Body, Id, Moment, Reason, View, absent, reason
from api.webhook_views import EventNames
from connectors.contract import NotificationKind, Severity
from core.models import NotificationMessage, NotificationRoute
from sync.notifications.routes import NewRoute

STATES = ("pending", "gathering", "sent", "failed", "unknown", "skipped", "gathered")
State = Literal["pending", "gathering", "sent", "failed", "unknown", "skipped", "gathered"]

LONGEST_WINDOW = 1440
"""Minutes. What is gathered for longer than a day is a report, not a notification."""

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=255)]
Channel = Annotated[str, StringConstraints(strip_whitespace=True, max_length=255)]
Window = Annotated[int, Field(ge=0, le=LONGEST_WINDOW)]

CHANNEL = "In the vendor's own words (`C08DELIVERY`); empty: the default one of the integration's config."
DIGEST = "0: each event at once; else all events of so many minutes in one message."


class NotificationRouteRecord(View):
    """Which events of a workspace are told in which channel."""

    id: str = Field(examples=["NRT-26-000002"])
    workspace_id: str
    name: str
    integration_id: str
    channel: str = Field(description=CHANNEL)
    events: list[str] = Field(description="Names of events; `task.*` stands for all that begin so, `*` for all.")
    least_severity: Severity = Field(description="What is less than this is not told.")
    digest_minutes: int = Field(description=DIGEST)
    enabled: bool
    created_by: str
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, route: NotificationRoute) -> NotificationRouteRecord:
        """The view of a route."""
        return cls(**{name: getattr(route, name) for name in cls.model_fields})


class NotificationFact(View):
    """A named value that is shown."""

    name: str
    value: str


class NotificationPlace(View):
    """Where a notification was said at the vendor."""

    channel: str
    id: str


class NotificationView(View):
    """Something that was said in a channel, is owed to it, or was kept from it."""

    id: str = Field(examples=["NTF-26-000412"])
    workspace_id: str
    route_id: str
    integration_id: str
    channel: str
    event_id: str | None = Field(description="null for a digest and a test.")
    event_type: str = Field(description="The event's type, `digest` or `test`.", examples=["incident.opened"])
    event_at: Moment
    kind: NotificationKind
    severity: Severity
    title: str
    text: str
    facts: list[NotificationFact]
    link: str | None
    over: bool = Field(description="It tells that something bad is over.")
    thread: str | None = Field(description="What it belongs to.", examples=["incident:INC-26-000031"])
    state: State = Field(
        description="`gathering`: it waits for others to be said with; `gathered`: it was said in a digest; `unknown`: "
        "nobody knows whether it arrived; `skipped`: it must not be said there. `error` says why."
    )
    digest_id: str | None = Field(description="The notification that says it together with others.")
    attempts: int = Field(description="All that were ever made.")
    error: Reason | None
    next_attempt_at: Moment | None
    message: NotificationPlace | None = Field(description="Where it was said.")
    created_at: Moment
    finished_at: Moment | None

    @classmethod
    def of(cls, row: NotificationMessage) -> NotificationView:
        """The view of a notification."""
        plain = {name: getattr(row, name) for name in cls.model_fields if name in NotificationMessage.__table__.columns}
        return cls(
            **plain
            | {
                "text": row.body["text"],
                "facts": [NotificationFact(name=name, value=value) for name, value in row.body["facts"]],
                "link": row.body["url"] or None,
                "over": row.body["over"],
                "thread": row.thread_key,
                "error": reason(row.error_code, row.error_text),
                "next_attempt_at": row.next_attempt_at if row.state in ("pending", "gathering") else None,
                "message": _message(row),
            }
        )


def _message(row: NotificationMessage) -> NotificationPlace | None:
    if row.message_channel is None or row.message_id is None:
        return None
    return NotificationPlace(channel=row.message_channel, id=row.message_id)


class NewNotificationRoute(Body):
    """A route to be made, in the workspace of its integration."""

    integration_id: Id = Field(description="One that can say something: its connector has the capability `notifier`.")
    workspace_id: Id | None = Field(None, description="Must be the integration's, if it is named.")
    channel: Channel = Field("", description=CHANNEL)
    events: EventNames = Field(examples=[["incident.*", "integration.sync_status_changed"]])
    least_severity: Severity = Severity.INFO
    digest_minutes: Window = Field(0, description=DIGEST)
    name: Name = ""
    enabled: bool = True

    def route(self) -> NewRoute:
        """What is to be made."""
        return NewRoute(
            name=self.name,
            channel=self.channel,
            events=self.events,
            least_severity=self.least_severity.value,
            digest_minutes=self.digest_minutes,
            enabled=self.enabled,
        )


class NotificationRoutePatch(Body):
    """What to change. What is queued already goes where it was to go; a disabled route says nothing more."""

    integration_id: Id = absent()
    channel: Channel = absent()
    events: EventNames = absent()
    least_severity: Severity = absent()
    digest_minutes: Window = absent()
    name: Name = absent()
    enabled: bool = absent()
