"""`turnbuckle webhooks`: endpoints that events are sent to, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.webhook_views import WebhookAttemptView, WebhookDelivery, WebhookRecord
from cli.context import open_runtime
from cli.errors import Refused
from cli.output import Json, note, print_fields, print_json, print_table, short
from cli.tenants import acting_user, find_workspace
from core.clock import iso
from core.errors import NotFound
from core.models import WebhookAttempt, WebhookEndpoint, WebhookMessage
from sync.runtime import Lane, Runtime
from webhooks.outbound import again
from webhooks.outbound.endpoints import By

app = typer.Typer(no_args_is_help=True, help="Endpoints that events are sent to.")

DELIVERIES_SHOWN = 10

WebhookId = Annotated[str, typer.Argument(metavar="WHK-…", help="The endpoint.")]
ActingUser = Annotated[str | None, typer.Option("--as", help="USR-* or address of who is doing this.")]
Moment = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="In UTC.")]


@app.command("list")
def list_(
    workspace: Annotated[str | None, typer.Option(help="WS-*: only this workspace's.")] = None, as_json: Json = False
) -> None:
    """List endpoints, oldest first."""
    with open_runtime() as runtime, runtime.db.read() as session:
        wanted = select(WebhookEndpoint).order_by(WebhookEndpoint.id)
        if workspace is not None:
            wanted = wanted.where(WebhookEndpoint.workspace_id == find_workspace(session, workspace).id)
        rows = session.scalars(wanted).all()
    if as_json:
        print_json([WebhookRecord.of(row).model_dump(mode="json") for row in rows])
        return
    columns = ("ID", "WORKSPACE", "URL", "EVENTS", "STATE", "DELIVERED")
    cells = [
        (row.id, row.workspace_id or "all", short(row.url), ", ".join(row.events), _state(row), iso(row.delivered_at))
        for row in rows
    ]
    print_table(columns, cells, empty="There are no webhook endpoints.")


@app.command()
def show(webhook_id: WebhookId, as_json: Json = False) -> None:
    """Show one endpoint: how it does, why, and its last deliveries."""
    with open_runtime() as runtime, runtime.db.read() as session:
        endpoint = _find(session, webhook_id)
        newest = select(WebhookMessage).where(WebhookMessage.endpoint_id == webhook_id)
        rows = session.scalars(newest.order_by(WebhookMessage.id.desc()).limit(DELIVERIES_SHOWN)).all()
    record = WebhookRecord.of(endpoint).model_dump(mode="json")
    deliveries = [WebhookDelivery.of(row).model_dump(mode="json") for row in rows]
    if as_json:
        print_json(record | {"deliveries": deliveries})
        return
    shown = record | {"events": ", ".join(endpoint.events), "state": _state(endpoint)}
    print_fields({name: value for name, value in shown.items() if name not in ("enabled", "disabled_reason")})
    typer.echo()
    cells = [(row.id, row.type, row.state, row.attempts, row.status, short(row.error_text)) for row in rows]
    columns = ("DELIVERY", "TYPE", "STATE", "ATTEMPTS", "STATUS", "ERROR")
    print_table(columns, cells, empty="Nothing was sent to it yet.")


@app.command("test")
def send_test(webhook_id: WebhookId, acting: ActingUser = None, as_json: Json = False) -> None:
    """Send a test event now and tell what the endpoint answered. Exit code 1 if it did not take it."""
    with open_runtime() as runtime:
        by = _by(runtime, webhook_id, acting)
        delivery_id = again.send_test(runtime, webhook_id, by=by)
        with runtime.db.read() as session:
            attempt = session.scalars(select(WebhookAttempt).where(WebhookAttempt.message_id == delivery_id)).one()
    if as_json:
        print_json({"delivery_id": delivery_id} | WebhookAttemptView.of(attempt).model_dump(mode="json"))
    else:
        note(f"{attempt.text} ({attempt.latency_ms} ms)")
        if attempt.answer:
            typer.echo(attempt.answer)
    if attempt.outcome != "delivered":
        raise typer.Exit(1)


@app.command()
def redeliver(
    webhook_id: WebhookId,
    delivery: Annotated[str | None, typer.Argument(help="One delivery; all failed ones without it.")] = None,
    since: Moment = None,
    until: Moment = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was delivered or never queued; needs --since.")
    ] = False,
    acting: ActingUser = None,
    as_json: Json = False,
) -> None:
    """Send deliveries once more: one, the failed ones, or everything of a time. The work is done by a worker."""
    if everything and since is None:
        raise Refused("--all sends everything since a time: say which with --since.")
    if delivery is not None and (everything or since or until):
        raise Refused("Name one delivery, or a time; not both.")
    with open_runtime() as runtime:
        by = _by(runtime, webhook_id, acting)
        with runtime.db.write() as session:
            if delivery is not None:
                again.redeliver_one(session, runtime, webhook_id, delivery, by=by)
                count = 1
            else:
                count = again.redeliver_many(
                    session, runtime, webhook_id, by=by, since=_utc(since), until=_utc(until), everything=everything
                )
        runtime.ring(Lane.NOTIFY, webhook_id)
    if as_json:
        print_json({"webhook_id": webhook_id, "deliveries": count})
    else:
        note(f"{count} to be delivered again.")


def _find(session: Session, webhook_id: str) -> WebhookEndpoint:
    found = session.get(WebhookEndpoint, webhook_id)
    if found is None:
        raise NotFound(f"Webhook {webhook_id} not found.")
    return found


def _by(runtime: Runtime, webhook_id: str, acting: str | None) -> By:
    with runtime.db.read() as session:
        return By(acting_user(session, _find(session, webhook_id).organization_id, acting).id)


def _state(endpoint: WebhookEndpoint) -> str:
    if not endpoint.enabled:
        return f"disabled: {endpoint.disabled_text}"
    return f"failing since {iso(endpoint.failing_since)}" if endpoint.failing_since else "enabled"


def _utc(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)
