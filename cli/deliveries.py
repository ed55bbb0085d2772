"""`turnbuckle deliveries`: what vendors told us, what came of it, and once more."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from sqlalchemy import select

from api.deliveries import DeliveryFilters, listing
from api.delivery_views import DeliveryDetail, Replay, ReplayPlanned, ReplayStarted
from api.paging import DEFAULT_LIMIT, MAX_LIMIT
from cli.context import open_runtime
from cli.errors import Refused
from cli.output import Json, note, print_fields, print_json, print_table, short
from cli.tenants import acting_user
from core.errors import NotFound
from core.models import Delivery, Integration
from sync import replay as engine
from sync.runtime import Runtime

app = typer.Typer(no_args_is_help=True, help="What vendors told us, what came of it, and once more.")

T = TypeVar("T", bound=BaseModel)

IntegrationId = Annotated[str, typer.Argument(metavar="INT-…", help="The integration.")]
Since = Annotated[str | None, typer.Option("--from", help="Received since: a date, or a time with its offset.")]
Until = Annotated[str | None, typer.Option("--to", help="Received before; a date means its end.")]


@app.command("list")
def list_(
    integration_id: IntegrationId,
    state: Annotated[str | None, typer.Option(help="pending, done, ignored or dead; several with commas.")] = None,
    event: Annotated[str | None, typer.Option(help="As the vendor calls it; several with commas.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LIMIT, help="How many.")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, typer.Option(help="`meta.cursor` of the page before.")] = None,
    as_json: Json = False,
) -> None:
    """List an integration's deliveries, newest first."""
    asked = {"state": state, "event": event, "from": since, "to": until, "limit": limit, "cursor": cursor}
    filters = _checked(DeliveryFilters, {name: value for name, value in asked.items() if value is not None})
    with open_runtime() as runtime, runtime.db.read() as session:
        _integration(runtime, integration_id)
        found = listing(session, integration_id, filters).model_dump(mode="json")
    if as_json:
        print_json(found)
        return
    rows = [
        (
            each["id"],
            each["received_at"],
            each["event"],
            each["state"],
            each["attempts"],
            short(each["error"]["text"]) if each["error"] else "",
        )
        for each in found["data"]
    ]
    print_table(("ID", "RECEIVED", "EVENT", "STATE", "TRIES", "ERROR"), rows, empty="There are no deliveries.")
    if found["meta"]["has_more"]:
        note(f"There are more: --cursor {found['meta']['cursor']}")


@app.command()
def show(
    integration_id: IntegrationId,
    delivery_id: Annotated[int, typer.Argument(metavar="N", help="The delivery's number.")],
    as_json: Json = False,
) -> None:
    """Show one delivery as it came, and what came of it."""
    with open_runtime() as runtime, runtime.db.read() as session:
        _integration(runtime, integration_id)
        wanted = select(Delivery).where(Delivery.integration_id == integration_id, Delivery.id == delivery_id)
        row = session.scalar(wanted)
        if row is None:
            raise NotFound(f"Delivery {delivery_id} not found.")
        found = DeliveryDetail.whole(row).model_dump(mode="json")
    if as_json:
        print_json(found)
        return
    error = found["error"] and f"{found['error']['code']}: {found['error']['text']}"
    apart = {"error", "headers", "body", "items", "ignored", "body_encoding"}
    print_fields({name: value for name, value in found.items() if name not in apart} | {"error": error})
    typer.echo()
    lines = [("item", each["external_id"], each["outcome"]) for each in found["items"]]
    lines += [("not for us", each["code"], each["text"]) for each in found["ignored"]]
    lines += [("header", name, value) for name, value in found["headers"].items()]
    print_table(("WHAT", "NAME", "VALUE"), lines, empty="Nothing came of it yet.")
    typer.echo(f"\n{found['body']}")


@app.command()
def replay(
    integration_id: IntegrationId,
    ids: Annotated[list[int] | None, typer.Argument(metavar="[N]…", help="Deliveries, by number.")] = None,
    since: Since = None,
    until: Until = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that were given up.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be decided.")] = False,
    acting: Annotated[str | None, typer.Option("--as", help="USR-* or address of who is doing this.")] = None,
    as_json: Json = False,
) -> None:
    """Work deliveries off once more: those named, those of a time, or all dead ones. A worker does the work."""
    asked = {"ids": ids or None, "from": since, "to": until, "dead": dead or None}
    chosen = _checked(Replay, {name: value for name, value in asked.items() if value is not None}).chosen()
    with open_runtime() as runtime:
        found = _integration(runtime, integration_id)
        if dry_run:
            _print_plan(engine.preview(runtime, integration_id, chosen), as_json)
            return
        with runtime.db.read() as session:
            actor = acting_user(session, found.organization_id, acting).id
        done = engine.replay(runtime, integration_id, chosen, actor=actor, token_id=None)
    if as_json:
        print_json(ReplayStarted.of(done).model_dump(mode="json"))
        return
    waiting = f"; {done.pending} were waiting anyway" if done.pending else ""
    note(f"{done.replayed} deliveries are due again{waiting}.")


def _print_plan(plan: engine.ReplayPlan, as_json: bool) -> None:
    planned = ReplayPlanned.of(plan).model_dump(mode="json")
    if as_json:
        print_json(planned)
        return
    decisions = {item["external_id"]: item for item in planned["items"]}
    rows = [row for each in planned["deliveries"] for row in _rows(each, decisions)]
    print_table(("DELIVERY", "EVENT", "STATE", "ITEM", "DECISION", "TASK"), rows, empty="There are no such deliveries.")
    if not planned["complete"]:
        note(f"There are more than the {len(planned['deliveries'])} looked at.")


def _rows(delivery: dict[str, Any], decisions: dict[str, dict[str, Any]]) -> list[tuple[object, ...]]:
    """One line per item; one for the delivery where it names none."""
    head = (delivery["id"], delivery["event"], delivery["state"])
    told = [decisions[id_] for id_ in delivery["items"] if id_ in decisions]
    lines: list[tuple[object, ...]] = [
        (*head, item["external_key"] or item["external_id"], item["decision"], item["task_id"]) for item in told
    ]
    return lines or [(*head, "", delivery["error_text"] or "; ".join(n["code"] for n in delivery["ignored"]), "")]


def _integration(runtime: Runtime, integration_id: str) -> Integration:
    with runtime.db.read() as session:
        found = session.get(Integration, integration_id)
        if found is None:
            raise NotFound(f"Integration {integration_id} not found.")
        return found


def _checked(model: type[T], given: dict[str, Any]) -> T:
    """What the options say, by the API's rules. Raises Refused."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused(f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}.") from None
