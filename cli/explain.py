"""`turnbuckle explain TSK-…`: why every field of a task has its value, and what is still to come.

For each field: who set it and what brought it, by which rule a conflict went, what both sides last agreed on, what the
vendor is still owed or has refused. For each tie: how it stands, what failed, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from sqlalchemy import select

from cli.context import open_runtime
from cli.output import Json, print_json, print_table
from core.clock import iso
from core.errors import NotFound
from core.models import Binding, Integration, Task, TaskHistory
from core.tasks import COLUMNS
from sync.reconcile import Fingerprint, base_from_json, fingerprint
from sync.scope import local_of

CUT = 60
"""Characters of a long value that are shown."""

RULES = {
    "conflict_latest": "both sides changed it; the later change won",
    "conflict_platform": "both sides changed it; the platform wins by the integration's rule",
    "conflict_external": "both sides changed it; the vendor wins by the integration's rule",
    "conflict_refused": "both sides changed it; the vendor had refused ours",
}

NEXT_STEPS = {
    "auth_failed": "Give the integration working credentials; the write follows by itself.",
    "forbidden": "Allow the connected account to do this at the vendor, then change the task once more.",
    "rejected": "Mend what the vendor objects to here or there, then change the task once more.",
    "not_found": "Look whether the item, or the project it belongs in, is still there and visible to the account.",
    "connector_fault": "Report this with the worker's log; it is tried again by itself.",
    "create_unclear": "Nothing to do: its marker is looked for before it is created again.",
    "deleted_there": "Nothing to do. To have it at the vendor again, make a new task.",
    "unreachable": "Allow the connected account to see the item.",
    "disconnected": "Connect the account again.",
}
TRIED_AGAIN = "Nothing to do: it is tried again by itself."
GIVEN_UP = "It was given up. Mend the cause, then change the task once more."


def explain(
    task_id: Annotated[str, typer.Argument(metavar="TSK-…", help="The task.")],
    as_json: Json = False,
) -> None:
    """Tell why each field of a task has its value, and how the task stands with the connected tools."""
    with open_runtime() as runtime, runtime.db.read() as session:
        task = session.get(Task, task_id)
        if task is None:
            raise NotFound(f"Task {task_id} not found.")
        lines = session.scalars(
            select(TaskHistory).where(TaskHistory.task_id == task.id).order_by(TaskHistory.id)
        ).all()
        ties = session.execute(
            select(Binding, Integration)
            .join(Integration, Integration.id == Binding.integration_id)
            .where(Binding.task_id == task.id)
            .order_by(Binding.id)
        ).all()
    explanation = {
        "id": task.id,
        "title": task.title,
        "created_by": task.created_by,
        "created_at": iso(task.created_at),
        "fields": [_field(task, name, lines, [row.Binding for row in ties]) for name in COLUMNS],
        "ties": [_tie(row.Binding, row.Integration) for row in ties],
        "history": [_line(line) for line in lines],
    }
    if as_json:
        print_json(explanation)
    else:
        _print(explanation)


def _field(task: Task, name: str, lines: Sequence[TaskHistory], bindings: Sequence[Binding]) -> dict[str, Any]:
    """One field: its value, the change that set it, and how each tie sees it."""
    value = local_of(task).values[name]
    setting = next((line for line in reversed(lines) if line.change == name and line.kind == "change"), None)
    return {
        "field": name,
        "value": value,
        "set_by": setting.by if setting else task.created_by,
        "set_at": iso(setting.at if setting else task.created_at),
        "source": (setting.source or "request") if setting else "creation",
        "rule": setting.rule if setting else None,
        "lost": [_line(line) for line in lines if line.change == name and line.kind == "lost"],
        "ties": [_agreement(binding, name, value) for binding in bindings],
    }


def _agreement(binding: Binding, name: str, value: str | None) -> dict[str, Any]:
    """What this tie last agreed on for the field. Only what differs from it here is owed."""
    agreed = base_from_json(binding.base).get(name)
    refusal = binding.refused.get(name)
    refused = refusal is not None and refusal["value"] == fingerprint(value)
    differs = agreed is None or agreed.here != fingerprint(value)
    return {
        "integration_id": binding.integration_id,
        "agreed": agreed is not None and agreed.known,
        "agreed_here": agreed.here if agreed else None,
        "agreed_there": agreed.there if agreed else None,
        "owed": binding.owed and differs and not refused,
        "refused": {"code": refusal["code"], "text": refusal["text"]} if refusal else None,
    }


def _tie(binding: Binding, integration: Integration) -> dict[str, Any]:
    return {
        "integration_id": integration.id,
        "type": integration.type,
        "name": integration.name,
        "item": binding.external_key,
        "url": binding.external_url,
        "state": binding.state,
        "last_brought_by": binding.source,
        "agreed_at": iso(binding.agreed_at),
        "watermark": binding.watermark,
        "owed": binding.owed,
        "owed_since": iso(binding.owed_since),
        "attempts": binding.attempts,
        "next_attempt_at": iso(binding.next_attempt_at),
        "failure": _failure(binding),
    }


def _failure(binding: Binding) -> dict[str, Any] | None:
    """What went wrong last, and what somebody can do about it."""
    if binding.reason_code is None:
        return None
    given_up = binding.failed_at is not None
    step = NEXT_STEPS.get(binding.reason_code, GIVEN_UP if given_up else TRIED_AGAIN)
    return {"code": binding.reason_code, "text": binding.reason_text, "given_up": given_up, "next_step": step}


def _line(line: TaskHistory) -> dict[str, Any]:
    return {
        "at": iso(line.at),
        "kind": line.kind,
        "change": line.change,
        "from": line.old,
        "to": line.new,
        "by": line.by,
        "rule": line.rule,
        "source": line.source or "request",
    }


# --- for people ---------------------------------------------------------------------------------------


def _print(explanation: dict[str, Any]) -> None:
    typer.echo(f"{explanation['id']}  {_short(explanation['title'])}")
    typer.echo(f"created by {explanation['created_by']} at {explanation['created_at']}\n")
    rows = [
        (field["field"], _short(field["value"]), field["set_by"], field["set_at"], field["source"], _remarks(field))
        for field in explanation["fields"]
    ]
    print_table(("FIELD", "VALUE", "SET BY", "AT", "BROUGHT BY", "REMARKS"), rows, empty="")
    for tie in explanation["ties"]:
        _print_tie(tie)
    if not explanation["ties"]:
        typer.echo("\nNo tool holds this task: no integration's mapping fits it.")
    typer.echo()
    lines = [
        (line["at"], line["kind"], line["change"], _short(line["from"]), _short(line["to"]), line["by"], line["source"])
        for line in explanation["history"]
    ]
    print_table(("AT", "KIND", "FIELD", "FROM", "TO", "BY", "BROUGHT BY"), lines, empty="It never changed.")


def _print_tie(tie: dict[str, Any]) -> None:
    item = tie["item"] or "an item to be created"
    typer.echo(f"\n{tie['integration_id']} ({tie['type']}, {tie['name']}): {item} is {tie['state']}")
    if tie["agreed_at"]:
        typer.echo(f"  last agreed at {tie['agreed_at']}, by {tie['last_brought_by']}")
    if tie["owed"]:
        typer.echo(f"  a write is owed since {tie['owed_since']}; next attempt at {tie['next_attempt_at'] or 'once'}")
    if tie["failure"]:
        typer.echo(f"  {tie['failure']['code']}: {tie['failure']['text']}")
        typer.echo(f"  {tie['failure']['next_step']}")


def _remarks(field: dict[str, Any]) -> str:
    """What is special about a field; nothing for one that everybody agrees on."""
    remarks = [RULES.get(field["rule"], field["rule"])] if field["rule"] else []
    remarks += [f"{line['by']} wanted {_short(line['from'])}: {RULES.get(line['rule'], '')}" for line in field["lost"]]
    for tie in field["ties"]:
        if tie["owed"]:
            remarks.append(f"owed to {tie['integration_id']}, which has {_short(tie['agreed_here'])}")
        if tie["refused"]:
            remarks.append(f"refused by {tie['integration_id']}: {tie['refused']['text']}")
    return "; ".join(remarks)


def _short(value: Fingerprint) -> str:
    if value is None:
        return "-"
    text = "a long text" if isinstance(value, dict) else " ".join(value.split())
    return text if len(text) <= CUT else text[: CUT - 1] + "…"
