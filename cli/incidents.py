"""`turnbuckle incidents`: what is wrong as monitors see it, and what people do about it."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.incident_views import IncidentLine, IncidentRecord
from cli.context import open_runtime
from cli.output import Json, note, print_fields, print_json, print_table, short
from cli.tenants import acting_user, find_workspace
from core.clock import iso
from core.errors import NotFound
from core.models import Incident, IncidentUpdate
from sync.incidents import hand
from sync.incidents.timeline import GOING, What

app = typer.Typer(no_args_is_help=True, help="What is wrong as monitors see it.")

OVER_SHOWN = 25
"""Incidents that are over, with --all; lines of a history: what fits a screen. The API has the rest."""

IncidentId = Annotated[str, typer.Argument(metavar="INC-…", help="The incident.")]
ActingUser = Annotated[str | None, typer.Option("--as", help="USR-* or address of who is doing this.")]
Note = Annotated[str, typer.Option("--note", help="A word for whoever looks next.")]


@app.command("list")
def list_(
    workspace: Annotated[str | None, typer.Option(help="WS-*: only this workspace's.")] = None,
    everything: Annotated[bool, typer.Option("--all", help=f"Also the last {OVER_SHOWN} that are over.")] = False,
    as_json: Json = False,
) -> None:
    """List what is wrong now, the newest first."""
    going = Incident.status.in_([status.value for status in GOING])
    shown = select(Incident).where(Incident.merged_into.is_(None)).order_by(Incident.id.desc())
    with open_runtime() as runtime, runtime.db.read() as session:
        if workspace is not None:
            shown = shown.where(Incident.workspace_id == find_workspace(session, workspace).id)
        rows = list(session.scalars(shown.where(going)))
        if everything:
            rows += session.scalars(shown.where(~going).limit(OVER_SHOWN))
    if as_json:
        print_json([IncidentRecord.of(row).model_dump(mode="json") for row in rows])
        return
    columns = ("ID", "STATUS", "SEVERITY", "SINCE", "FLAPS", "INTEGRATION", "TITLE")
    cells = [
        (row.id, row.status, row.severity, iso(row.opened_at), row.flaps, row.integration_id, short(row.title))
        for row in rows
    ]
    print_table(columns, cells, empty="Nothing is wrong." if not everything else "There are no incidents.")


@app.command()
def show(incident_id: IncidentId, as_json: Json = False) -> None:
    """Show an incident and the end of its history."""
    with open_runtime() as runtime, runtime.db.read() as session:
        incident = _find(session, incident_id)
        mine = select(IncidentUpdate).where(IncidentUpdate.incident_id == incident_id)
        found = session.scalars(mine.order_by(IncidentUpdate.id.desc()).limit(OVER_SHOWN + 1)).all()
    lines = list(reversed(found[:OVER_SHOWN]))
    record = IncidentRecord.of(incident).model_dump(mode="json")
    if as_json:
        told = [IncidentLine.of(line).model_dump(mode="json") for line in lines]
        print_json(record | {"history": told, "history_complete": len(found) <= OVER_SHOWN})
        return
    print_fields({name: value for name, value in record.items() if name != "tags"})
    typer.echo()
    if len(found) > OVER_SHOWN:
        note(f"The last {OVER_SHOWN} lines of its history; GET /v1/incidents/{incident_id}/history has all.")
    cells = [(iso(line.at), line.what, line.severity, line.by, short(line.text), line.source) for line in lines]
    print_table(("AT", "WHAT", "SEVERITY", "BY", "TEXT", "SOURCE"), cells, empty="Nothing is known of it.")


@app.command()
def acknowledge(incident_id: IncidentId, text: Note = "", acting: ActingUser = None) -> None:
    """Say that somebody looks after it."""
    _change(incident_id, What.ACKNOWLEDGED, text, acting)


@app.command()
def resolve(incident_id: IncidentId, text: Note = "", acting: ActingUser = None) -> None:
    """Say that it is over, whatever the monitor says."""
    _change(incident_id, What.RESOLVED, text, acting)


def _change(incident_id: str, what: What, text: str, acting: str | None) -> None:
    with open_runtime() as runtime, runtime.db.write() as session:
        incident = _find(session, incident_id)
        actor = acting_user(session, incident.organization_id, acting).id
        hand.change(session, incident_id, what, actor=actor, note=text, now=runtime.clock())
    note(f"{incident_id} is {what.value}.")


def _find(session: Session, incident_id: str) -> Incident:
    found = session.get(Incident, incident_id)
    if found is None:
        raise NotFound(f"Incident {incident_id} not found.")
    return found
