"""`turnbuckle integration`: connections of a workspace to vendor accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.delivery_views import HealthView
from api.integration_views import IntegrationDetail, IntegrationListed, IntegrationRecord, SyncDetail, summaries
from api.repository_views import RepositoryView
from cli.context import open_runtime
from cli.following import follow
from cli.given import read_config, read_secrets
from cli.output import Json, note, print_fields, print_json, print_table
from cli.tenants import acting_user, find_workspace
from core.clock import iso
from core.errors import NotFound, PlatformError
from core.models import Credential, Integration, Repository, Subscription, SyncRun
from sync import integrations, oauth
from sync.diagnostics import diagnose
from sync.repositories import eta
from sync.runtime import Runtime
from sync.vitals import vitals

app = typer.Typer(no_args_is_help=True, help="Connections of a workspace to vendor accounts.")

HISTORY_SHOWN = 10

IntegrationId = Annotated[str, typer.Argument(metavar="INT-…", help="The integration.")]
ActingUser = Annotated[str | None, typer.Option("--as", help="USR-* or address of who is doing this.")]


@app.command()
def add(
    type_: Annotated[str, typer.Option("--type", help="The connector; see `turnbuckle connectors list`.")],
    workspace: Annotated[str, typer.Option(help="WS-*: the workspace to connect.")],
    name: Annotated[str, typer.Option(help="What to call it.")],
    config: Annotated[list[str] | None, typer.Option(help="key=value (JSON or text) or @file; repeatable.")] = None,
    credentials: Annotated[
        str | None, typer.Option(help="@file or - (stdin) with JSON, or ?field,field to be asked.")
    ] = None,
    acting: ActingUser = None,
    as_json: Json = False,
) -> None:
    """Connect a workspace to a vendor. Credentials are tried there before anything is stored."""
    given, secrets = read_config(config or ()), read_secrets(credentials)
    with open_runtime() as runtime:
        with runtime.db.read() as session:
            home = find_workspace(session, workspace)
            actor = acting_user(session, home.organization_id, acting).id
        made = integrations.create(
            runtime,
            workspace=home,
            actor=actor,
            token_id=None,
            type=type_,
            name=name,
            config=given,
            credentials=secrets,
        )
        url = _consent_url(runtime, made, actor)
        record = IntegrationRecord(**_parts(runtime, made.id)).model_dump(mode="json")
    if as_json:
        print_json(record | {"authorize_url": url})
        return
    note(f"{made.id} is {made.status}.")
    if url is not None:
        note("Somebody has to give consent in a browser, within some minutes:")
        typer.echo(url)


@app.command("list")
def list_(
    workspace: Annotated[str | None, typer.Option(help="WS-*: only this workspace's.")] = None, as_json: Json = False
) -> None:
    """List integrations, oldest first."""
    with open_runtime() as runtime, runtime.db.read() as session:
        wanted = select(Integration).order_by(Integration.id)
        if workspace is not None:
            wanted = wanted.where(Integration.workspace_id == find_workspace(session, workspace).id)
        found = [IntegrationListed.of(row).model_dump(mode="json") for row in session.scalars(wanted)]
    if as_json:
        print_json(found)
        return
    columns = ("id", "workspace_id", "type", "name", "status", "sync_status", "last_synced_at")
    rows = [[each[column] for column in columns] for each in found]
    print_table([column.upper() for column in columns], rows, empty="There are no integrations.")


@app.command()
def show(integration_id: IntegrationId, as_json: Json = False) -> None:
    """Show one integration: how it does, why, and its last syncs."""
    with open_runtime() as runtime:
        parts = _parts(runtime, integration_id)
        with runtime.db.read() as session:
            runs = session.scalars(
                select(SyncRun)
                .where(SyncRun.integration_id == integration_id, SyncRun.finished_at.is_not(None))
                .order_by(SyncRun.id.desc())
                .limit(HISTORY_SHOWN)
            ).all()
            seen = vitals(session, session.get_one(Integration, integration_id), runtime.clock())
            repositories, reading = _code(session, integration_id, runtime.clock())
    detail = IntegrationDetail(**parts, sync_history=summaries(runs)).model_dump(mode="json")
    health = HealthView.of(seen).model_dump(mode="json")
    if as_json:
        told = [each.model_dump(mode="json") for each in repositories]
        print_json(detail | {"health": health, "repositories": told})
        return
    print_fields({name: _readable(value) for name, value in detail.items() if name not in ("config", "sync_history")})
    print_fields(_health_fields(health))
    typer.echo()
    if health["causes"]:
        causes = [(each["severity"], each["code"], each["since"], each["text"]) for each in health["causes"]]
        print_table(("WRONG", "CODE", "SINCE", "TEXT"), causes, empty="")
        typer.echo()
    if repositories:
        print_table(("REPOSITORY", "STATE", "READ", "LAST POLL", "WHY"), _lines(repositories, reading), empty="")
        typer.echo()
    rows = [(run.id, run.trigger, iso(run.finished_at), run.status, run.error_text or _counted(run)) for run in runs]
    print_table(("SYNC", "TRIGGER", "FINISHED", "STATUS", "RESULT"), rows, empty="It has not synced yet.")


@app.command()
def sync(
    integration_id: IntegrationId,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it is finished, with a progress bar.")] = False,
    acting: ActingUser = None,
    as_json: Json = False,
) -> None:
    """Make an integration sync now. A sync that is running already is joined; the work is done by a worker."""
    with open_runtime() as runtime:
        with runtime.db.read() as session:
            found = session.get(Integration, integration_id)
            if found is None:
                raise NotFound(f"Integration {integration_id} not found.")
            actor = acting_user(session, found.organization_id, acting).id
        run = integrations.request_sync(runtime, integration_id, actor=actor)
        if wait:
            run = follow(runtime, run, quiet=as_json)
    if as_json:
        print_json(SyncDetail.at(run, runtime.clock()).model_dump(mode="json"))
    else:
        note(f"{run.id}: {run.status}. {run.error_text or _counted(run)}")
    if run.status == "failed":
        raise typer.Exit(1)


@app.command()
def diagnostics(integration_id: IntegrationId) -> None:
    """Print what support needs to know of an integration, as JSON without a secret in it."""
    with open_runtime() as runtime:
        print_json(diagnose(runtime, integration_id))


def _code(session: Session, integration_id: str, now: datetime) -> tuple[list[RepositoryView], dict[str, str | None]]:
    """The repositories of a source control integration, and when the histories that are being read will be."""
    mine = select(Repository).where(Repository.integration_id == integration_id).order_by(Repository.name)
    going = select(SyncRun).where(
        SyncRun.integration_id == integration_id, SyncRun.kind == "backfill", SyncRun.status == "running"
    )
    finished = {str(run.repository_id): iso(eta(run, now)) for run in session.scalars(going)}
    return [RepositoryView.of(row) for row in session.scalars(mine)], finished


def _lines(repositories: list[RepositoryView], reading: dict[str, str | None]) -> list[tuple[object, ...]]:
    return [
        (
            each.name,
            each.state,
            _progress(each, reading.get(each.id)),
            iso(each.last_polled_at),
            each.reason.text if each.reason else None,
        )
        for each in repositories
    ]


def _progress(each: RepositoryView, ready_at: str | None) -> str | None:
    """How far a history is read, while it is."""
    if each.backfilled_at is not None or each.done is None:
        return None
    of = f"{each.done} of {each.total}" if each.total is not None else str(each.done)
    return f"{of}, ready at {ready_at}" if ready_at else of


def _health_fields(health: dict[str, Any]) -> dict[str, object]:
    """The health in a few lines; nothing is said of what an integration does not have."""
    counts, inbox, subscription = health["webhooks"], health["inbox"], health["subscription"]
    counted = ", ".join(f"{number} {name}" for name, number in counts.items() if name != "window_hours" and number)
    waiting = f"{inbox['pending']} pending (the oldest for {inbox['lag_seconds']} s), {inbox['dead']} dead"
    return {
        "last_delivery_at": health["last_delivery_at"],
        "deliveries": f"{counted} in {counts['window_hours']} h" if counted else None,
        "inbox": waiting if inbox["pending"] or inbox["dead"] else None,
        "subscription": subscription and _subscribed(subscription),
    }


def _subscribed(subscription: dict[str, Any]) -> str:
    told = [subscription["state"]]
    if subscription["expires_at"]:
        told.append(f"until {subscription['expires_at']}")
    if subscription["next_look_at"]:
        told.append(f"looked after at {subscription['next_look_at']}")
    return ", ".join(told)


def _parts(runtime: Runtime, integration_id: str) -> dict[str, Any]:
    """The values of an integration's record, read anew. Raises NotFound."""
    with runtime.db.read() as session:
        found = session.get(Integration, integration_id)
        if found is None:
            raise NotFound(f"Integration {integration_id} not found.")
        return IntegrationRecord.parts(
            found,
            has_credentials=session.get(Credential, found.id) is not None,
            subscription=session.get(Subscription, found.id),
            public_url=runtime.settings.public_url,
        )


def _consent_url(runtime: Runtime, made: Integration, actor: str) -> str | None:
    """Where to consent, if that is what is missing."""
    if made.status != "pending_auth" or runtime.registry.get(made.type).manifest.oauth is None:
        return None
    try:
        return oauth.start(runtime, made.id, actor)
    except PlatformError as error:
        note(str(error))
        return None


def _readable(value: Any) -> object:
    if isinstance(value, dict):
        return " · ".join(str(part) for part in value.values() if part)
    return ", ".join(value) if isinstance(value, list) else value


def _counted(run: SyncRun) -> str:
    return ", ".join(f"{count} {name}" for name, count in run.counts.items() if count)
