"""`turnbuckle plan INT-…`: what a sync would do now, without doing any of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.plan_views import DEFAULT, PlanView
from cli.context import open_runtime
from cli.output import Json, note, print_json, print_table, short
from sync import plan as engine


def plan(
    integration_id: Annotated[str, typer.Argument(metavar="INT-…", help="The integration.")],
    limit: Annotated[int, typer.Option(min=1, max=engine.MOST, help="Items to look at, at most.")] = DEFAULT,
    as_json: Json = False,
) -> None:
    """Tell what a sync would do now, item by item. Nothing is written, here or there."""
    with open_runtime() as runtime:
        planned = PlanView.of(engine.plan(runtime, integration_id, limit)).model_dump(mode="json")
    if as_json:
        print_json(planned)
        return
    rows = [row for item in planned["items"] for row in _rows(item)]
    columns = ("ITEM", "TASK", "DECISION", "FIELD", "BASE", "HERE", "THERE", "OUTCOME", "WHY")
    print_table(columns, rows, empty="A sync would look at nothing: nothing changed, and nothing is owed.")
    note(", ".join(f"{count} {word}" for word, count in planned["counts"].items()) or "no items")
    note(planned["text"])


def _rows(item: dict[str, Any]) -> list[tuple[object, ...]]:
    """One line per field with something to say; one for the item where no field has."""
    head = (item["external_key"] or item["external_id"] or "-", item["task_id"] or "-", item["decision"])
    told = [field for field in item["fields"] if field["outcome"] != "same"]
    lines = [
        (
            *head,
            field["field"],
            *(short(field[name]) for name in ("base_here", "here", "there")),
            field["outcome"],
            field["reason"],
        )
        for field in told
    ]
    for write in item["writes"]:
        changes = "; ".join(f"{name} = {short(value)}" for name, value in write["changes"].items())
        lines.append((*head, "", "", "", "", write["operation"], changes))
    return lines or [(*head, "", "", "", "", "", short(item["title"]))]
