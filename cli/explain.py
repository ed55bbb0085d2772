"""`turnbuckle explain TSK-…`: why every field of a task has its value, and what is still to come."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.explain_views import TaskExplained
from cli.context import open_runtime
from cli.output import Json, print_json, print_table, short
from core.errors import NotFound
from core.models import Task
from sync import explain as engine


def explain(
    task_id: Annotated[str, typer.Argument(metavar="TSK-…", help="The task.")],
    as_json: Json = False,
) -> None:
    """Tell why each field of a task has its value, and how the task stands with the connected tools."""
    with open_runtime() as runtime, runtime.db.read() as session:
        task = session.get(Task, task_id)
        if task is None:
            raise NotFound(f"Task {task_id} not found.")
        explanation = TaskExplained.of(engine.explain(session, task)).as_json()
    if as_json:
        print_json(explanation)
    else:
        _print(explanation)


# --- for people ---------------------------------------------------------------------------------------


def _print(explanation: dict[str, Any]) -> None:
    typer.echo(f"{explanation['id']}  {short(explanation['title'])}")
    typer.echo(f"created by {explanation['created_by']} at {explanation['created_at']}\n")
    rows = [
        (field["field"], short(field["value"]), field["set_by"], field["set_at"], _brought(field), _remarks(field))
        for field in explanation["fields"]
    ]
    print_table(("FIELD", "VALUE", "SET BY", "AT", "BROUGHT BY", "REMARKS"), rows, empty="")
    for tie in explanation["ties"]:
        _print_tie(tie)
    if not explanation["ties"]:
        typer.echo("\nNo tool holds this task: no integration's mapping fits it.")
    typer.echo()
    lines = [
        (line["at"], line["kind"], line["change"], short(line["from"]), short(line["to"]), line["by"], _brought(line))
        for line in explanation["history"]
    ]
    print_table(("AT", "KIND", "FIELD", "FROM", "TO", "BY", "BROUGHT BY"), lines, empty="It never changed.")


def _print_tie(tie: dict[str, Any]) -> None:
    item = tie["item"] or "an item to be created"
    typer.echo(f"\n{tie['integration_id']} ({tie['type']}, {tie['name']}): {item} is {tie['state']}")
    if tie["agreed_at"]:
        typer.echo(f"  last agreed at {tie['agreed_at']}, by {_origin(tie['last_brought_by'])}")
    if tie["owed"]:
        typer.echo(f"  a write is owed since {tie['owed_since']}; next attempt at {tie['next_attempt_at'] or 'once'}")
    if tie["failure"]:
        typer.echo(f"  {tie['failure']['code']}: {tie['failure']['text']}")
        typer.echo(f"  {tie['failure']['next_step']}")


def _remarks(field: dict[str, Any]) -> str:
    """What is special about a field; nothing for one that everybody agrees on."""
    remarks = [field["text"]] if field["rule"] else []
    remarks += [f"{line['by']} wanted {short(line['from'])}: {line['text']}" for line in field["lost"]]
    for tie in field["ties"]:
        if tie["owed"]:
            remarks.append(f"owed to {tie['integration_id']}, which has {short(tie['agreed_here'])}")
        if tie["refused"]:
            remarks.append(f"refused by {tie['integration_id']}: {tie['refused']['text']}")
    return "; ".join(remarks)


def _brought(told: dict[str, Any]) -> str:
    return _origin(told["brought_by"])


def _origin(brought: dict[str, Any] | None) -> str:
    if brought is None:
        return "-"
    if brought["kind"] == "sync":
        return str(brought["id"])
    return f"{brought['kind']} {brought['id']}" if brought["id"] else str(brought["kind"])
