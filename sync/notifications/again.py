"""What a person asks for: a test of a route, or one message again."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as DbSession

from connectors.contract import ConnectorError, Line, NotificationKind, Notifier, Severity
from core import ids
from core.errors import Conflict, NotFound, PlatformError
from core.models import Integration, NotificationMessage, NotificationRoute
from core.vault import VaultError
from sync.failures import Fault
from sync.notifications import channels, routes
from sync.notifications.routes import By
from sync.notifications.saying import Said, Saying
from sync.notifications.words import Draft, address, as_body, notification
from sync.runtime import Lane, Runtime
from sync.sessions import Session, with_refresh

log = structlog.get_logger()

TEST = "test"
"""The event type of a test, which is in no stream."""

UNFINISHED = "The process that said it ended before the answer was stored."

AGAIN = ("sent", "failed", "unknown")
"""States of what can be said once more."""


@dataclass(frozen=True, slots=True)
class _Failure:
    code: str
    text: str


def send_test(rt: Runtime, route_id: str, *, by: By) -> str:
    """Say a test in the route's channel at once, also if the route is disabled, and log it; its message's id.

    It is tried once and waits for nothing. One that is said heals the channel; one that is not says nothing about it.
    Raises NotFound.
    """
    message = _claim_test(rt, route_id, by)
    outcome = _say_test(rt, message)
    now = rt.clock()
    with rt.db.write() as session:
        row = session.get(NotificationMessage, message.id, with_for_update=True)
        if row is None:
            raise NotFound(f"Notification route {route_id} was deleted meanwhile.")
        row.finished_at, row.called_at = now, None
        if isinstance(outcome, Said):
            row.state, row.error_code, row.error_text = "sent", None, None
            row.message_channel, row.message_id = outcome.ref.channel, outcome.ref.id
            channels.mark_working(session, session.get_one(Integration, row.integration_id), row.channel, now)
        else:
            row.error_code, row.error_text = outcome.code, outcome.text
    return message.id


def _claim_test(rt: Runtime, route_id: str, by: By) -> NotificationMessage:
    """Store the test as failed until its answer is known."""
    now = rt.clock()
    with rt.db.write() as session:
        route = routes.locked(session, route_id)
        made = _made_up(rt, route, by)
        id_ = ids.take_one(session, "NTF", now)
        message = NotificationMessage(
            id=id_,
            delivery_key=id_,
            organization_id=route.organization_id,
            workspace_id=route.workspace_id,
            route_id=route.id,
            integration_id=route.integration_id,
            channel=route.channel,
            event_type=TEST,
            kind=made.kind.value,
            severity=made.severity.value,
            title=made.title,
            body=as_body(made),
            event_at=now,
            state="failed",
            attempts=1,
            tries=1,
            queued_at=now,
            next_attempt_at=now,
            called_at=now,
            error_code="unfinished",
            error_text=UNFINISHED,
            created_at=now,
            finished_at=now,
        )
        session.add(message)
        routes.audit(session, route, by, "notification_route.tested", now, {"notification_id": id_})
    return message


def _made_up(rt: Runtime, route: NotificationRoute, by: By) -> Draft:
    return Draft(
        kind=NotificationKind.TEST,
        severity=Severity.INFO,
        title="This is a test",
        text="If you can read this, notifications of this route arrive here.",
        facts=(Line("Route", route.name or route.id), Line("Events", ", ".join(route.events)), Line("By", by.actor)),
        url=address(rt.settings.platform_url, route.integration_id),
    )


def _say_test(rt: Runtime, message: NotificationMessage) -> Said | _Failure:
    told = notification(message.id, message.kind, message.severity, message.title, message.body, message.event_at)

    def work(session: Session) -> Said | _Failure:
        if not isinstance(session.connector, Notifier):
            return _Failure("no_notifier", f"{message.integration_id} can't say anything.")
        return Saying(session.connector, told, message.channel).run()

    try:
        return with_refresh(rt, message.integration_id, Lane.MESSAGES, work)
    except ConnectorError as error:
        return _Failure(error.code, error.text)
    except (PlatformError, VaultError) as error:
        return _Failure("not_usable", str(error))
    except DBAPIError:
        raise
    except Exception as error:  # a broken plugin is told of, not answered by a bare 500
        log.exception("messages.fault", integration_id=message.integration_id, notification_id=message.id)
        return _Failure(Fault.code, Fault(error).text)


def resend(session: DbSession, rt: Runtime, message_id: str, *, by: By) -> NotificationMessage:
    """Queue a message once more, due at once, with all its tries, to where its route leads now.

    It is said again even if it was said before: somebody asks for it. Raises NotFound, Conflict.
    """
    now, row = rt.clock(), session.get(NotificationMessage, message_id)
    if row is None:
        raise NotFound(f"Notification {message_id} not found.")
    route = routes.locked(session, row.route_id)
    session.refresh(row, with_for_update=True)
    _check(row, route)
    row.integration_id, row.channel = route.integration_id, route.channel
    row.state, row.tries, row.queued_at, row.next_attempt_at = "pending", 0, now, now
    row.called_at = row.finished_at = row.message_channel = row.message_id = None
    routes.audit(session, route, by, "notification.resent", now, {"notification_id": row.id})
    return row


def _check(row: NotificationMessage, route: NotificationRoute) -> None:
    """Raises Conflict."""
    if row.state == "gathered":
        raise Conflict(f"Notification {row.id} was said in {row.digest_id}. Send that one again.")
    if row.event_type == TEST:
        raise Conflict(f"Notification {row.id} was a test. Make another one.")
    if row.state not in AGAIN:
        raise Conflict(f"Notification {row.id} can't be sent again: it is {row.state}. {row.error_text or ''}".strip())
    if not route.enabled:
        raise Conflict(f"Route {route.id} is disabled. Enable it first.")
