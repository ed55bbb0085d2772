"""`turnbuckle notifications`: who is told what and where, and what came of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy import Select, select

from api.notification_views import STATES, NotificationRouteRecord, NotificationView
from cli.context import open_runtime
from cli.errors import Refused
from cli.output import Json, note, print_json, print_table, short
from cli.tenants import acting_user, find_workspace
from core.clock import iso
from core.errors import NotFound
from core.models import NotificationMessage, NotificationRoute
from sync.notifications import again
from sync.notifications.routes import By
from sync.runtime import Lane, Runtime

app = typer.Typer(no_args_is_help=True, help="Who is told what and where.")

SHOWN = 25
"""Notifications of a list: what fits a screen. The API has the rest."""

ActingUser = Annotated[str | None, typer.Option("--as", help="USR-* or address of who is doing this.")]
Workspace = Annotated[str | None, typer.Option(help="WS-*: only this workspace's.")]


@app.command()
def routes(workspace: Workspace = None, as_json: Json = False) -> None:
    """List routes: which events are told in which channel."""
    with open_runtime() as runtime, runtime.db.read() as session:
        wanted = select(NotificationRoute).order_by(NotificationRoute.id)
        if workspace is not None:
            wanted = wanted.where(NotificationRoute.workspace_id == find_workspace(session, workspace).id)
        rows = session.scalars(wanted).all()
    if as_json:
        print_json([NotificationRouteRecord.of(row).model_dump(mode="json") for row in rows])
        return
    columns = ("ID", "WORKSPACE", "INTEGRATION", "CHANNEL", "EVENTS", "FROM", "DIGEST", "STATE")
    cells = [
        (
            row.id,
            row.workspace_id,
            row.integration_id,
            row.channel or "the default one",
            ", ".join(row.events),
            row.least_severity,
            f"{row.digest_minutes} min" if row.digest_minutes else "",
            "enabled" if row.enabled else "disabled",
        )
        for row in rows
    ]
    print_table(columns, cells, empty="There are no notification routes.")


@app.command("list")
def list_(
    workspace: Workspace = None,
    state: Annotated[str | None, typer.Option(help=f"Only those that are {', '.join(STATES)}.")] = None,
    as_json: Json = False,
) -> None:
    """List notifications, the newest first, and what came of them."""
    if state is not None and state not in STATES:
        raise Refused(f"There is no state {state!r}: there are {', '.join(STATES)}.")
    message = NotificationMessage
    with open_runtime() as runtime, runtime.db.read() as session:
        wanted = select(message).order_by(message.id.desc()).limit(SHOWN + 1)
        if workspace is not None:
            wanted = wanted.where(message.workspace_id == find_workspace(session, workspace).id)
        if state is not None:
            wanted = wanted.where(message.state == state)
        rows = session.scalars(wanted).all()
    if len(rows) > SHOWN:
        note(f"The newest {SHOWN}; GET /v1/notifications has all.")
    if as_json:
        print_json([NotificationView.of(row).model_dump(mode="json") for row in rows[:SHOWN]])
        return
    columns = ("ID", "AT", "CHANNEL", "STATE", "TRIES", "TITLE", "ERROR")
    cells = [
        (row.id, iso(row.event_at), row.channel, row.state, row.attempts, short(row.title), short(row.error_text))
        for row in rows[:SHOWN]
    ]
    print_table(columns, cells, empty="Nothing was to be said.")


@app.command("test")
def send_test(
    route_id: Annotated[str, typer.Argument(metavar="NRT-…", help="The route.")],
    acting: ActingUser = None,
    as_json: Json = False,
) -> None:
    """Say a test in a route's channel now. Exit code 1 if it did not arrive."""
    with open_runtime() as runtime:
        mine = select(NotificationRoute.organization_id).where(NotificationRoute.id == route_id)
        by = _by(runtime, mine, f"Notification route {route_id}", acting)
        message_id = again.send_test(runtime, route_id, by=by)
        with runtime.db.read() as session:
            row = session.get_one(NotificationMessage, message_id)
    if as_json:
        print_json(NotificationView.of(row).model_dump(mode="json"))
    else:
        note("It arrived." if row.state == "sent" else f"It did not arrive: {row.error_text}")
    if row.state != "sent":
        raise typer.Exit(1)


@app.command()
def resend(
    notification_id: Annotated[str, typer.Argument(metavar="NTF-…", help="The notification.")],
    acting: ActingUser = None,
) -> None:
    """Say one once more, to where its route leads now. The work is done by a worker."""
    with open_runtime() as runtime:
        mine = select(NotificationMessage.organization_id).where(NotificationMessage.id == notification_id)
        by = _by(runtime, mine, f"Notification {notification_id}", acting)
        with runtime.db.write() as session:
            integration_id = again.resend(session, runtime, notification_id, by=by).integration_id
        runtime.ring(Lane.MESSAGES, integration_id)
    note(f"{notification_id} is to be said again.")


def _by(runtime: Runtime, found: Select[Any], what: str, acting: str | None) -> By:
    """Who does it. `found` selects the organization of what it is done to; `what` names that if it is not there."""
    with runtime.db.read() as session:
        organization_id = session.scalar(found)
        if organization_id is None:
            raise NotFound(f"{what} not found.")
        return By(acting_user(session, organization_id, acting).id)
