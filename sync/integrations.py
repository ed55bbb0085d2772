"""Connecting, changing and disconnecting integrations, and asking them to sync: what the API and the CLI call.

Credentials are proven with the vendor before anything is stored as active. The vendor is never called inside a
transaction; what was read before the call is compared after it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import Text, cast, or_, select
from sqlalchemy import update as sql_update
from sqlalchemy.orm import Session

from connectors.contract import (
    Account,
    Config,
    Connector,
    ConnectorError,
    ConsentPending,
    Rejected,
    TaskSyncConfig,
    Vocabulary,
)
from connectors.contract import Forbidden as ForbiddenThere
from connectors.contract import NotFound as NotFoundThere
from connectors.contract import capabilities as capabilities_of
from core import ids
from core.errors import Conflict, PlatformError, Unprocessable
from core.models import (
    Binding,
    Integration,
    Subscription,
    SyncRun,
    Workspace,
)
from sync import lifecycle, repositories
from sync.configuration import check_mappings, connector_class, parse_config, parse_credentials, stored_form
from sync.credentials import awaits_consent, check, learn, save, words
from sync.failures import backoff
from sync.lint import Finding, as_json, judge, listed
from sync.runs import new_run
from sync.runtime import Lane, Runtime
from sync.sessions import configured, with_refresh

log = structlog.get_logger()

PACE_ONLY = frozenset({"poll_seconds"})
"""Config keys that change when we look, not what an item means: no item has to be read again for them."""

POLL_SECONDS = 3600
"""For connectors whose config does not say: nothing is read of them, they are only asked whether they let us in."""


@dataclass(frozen=True, slots=True)
class _Proof:
    """Credentials and what the vendor said of them: an account, or that consent is still to come and why."""

    mode: str
    values: Mapping[str, Any] = field(repr=False)
    account: Account | None
    pending: tuple[str, str] | None = None
    warnings: Sequence[Finding] = ()


# --- connect ------------------------------------------------------------------------------------------


def create(
    rt: Runtime,
    *,
    workspace: Workspace,
    actor: str,
    token_id: str | None,
    type: str,
    name: str,
    config: Mapping[str, Any],
    credentials: Mapping[str, Any] | None,
) -> Integration:
    """Connect a workspace to a vendor account. The new integration is `active`, or `pending_auth` where a person has
    to consent first.

    Raises Unprocessable for an unknown type, for config or credentials that do not fit or do not work, Conflict when
    the same vendor project is connected already or the vendor can't be reached; then nothing is stored.
    """
    connector = connector_class(rt.registry, type)
    parsed = parse_config(connector, config)
    with rt.db.read() as session:
        check_mappings(session, workspace, parsed)
    proof = _prove(rt, connector, parsed, credentials or {})
    with rt.db.write() as session:
        integration = _new(rt, session, workspace, connector, name, parsed, actor)
        session.add(integration)
        session.flush()
        data = {"type": type, "name": name}
        lifecycle.record(session, integration, "integration.created", actor, data, rt)
        lifecycle.audit(session, integration, "integration.created", actor, token_id, data, rt)
        _keep(rt, session, connector, integration, proof, actor)
    _ring(rt, integration)
    return integration


def _new(
    rt: Runtime,
    session: Session,
    workspace: Workspace,
    connector: type[Connector],
    name: str,
    config: Config,
    actor: str,
) -> Integration:
    now = rt.clock()
    return Integration(
        id=ids.take_one(session, "INT", now),
        organization_id=workspace.organization_id,
        workspace_id=workspace.id,
        type=connector.manifest.type,
        name=name,
        status="pending_auth",
        config=stored_form(config),
        config_warnings=[],
        capabilities=used_capabilities(connector, config),
        routes=_routes(config),
        mapping_rev=1,
        hook_id=secrets.token_urlsafe(24),
        sync_status="healthy",
        poll_seconds=_poll_seconds(config),
        pull_failures=0,
        clock_offset=0,
        created_by=actor,
        created_at=now,
        updated_at=now,
    )


def _prove(rt: Runtime, connector: type[Connector], config: Config, given: Mapping[str, Any]) -> _Proof:
    """Validate credentials and try them at the vendor. Raises Unprocessable, Conflict."""
    mode, _ = parse_credentials(connector, given)
    values = {key: value for key, value in given.items() if value is not None}
    if awaits_consent(connector, mode, values):
        text = f"Somebody has to give consent at {connector.manifest.name}: open the address from oauth/start."
        return _Proof(mode, values, None, ("consent_needed", text))
    try:
        checked = check(rt, connector, config, mode, values)
    except ConsentPending as pending:
        return _Proof(mode, values, None, (pending.code, pending.text))
    warnings = _judged(config, checked.vocabularies)
    return _Proof(mode, learn(values, checked.account), checked.account, warnings=warnings)


def _judged(config: Config, vocabularies: Sequence[Vocabulary]) -> Sequence[Finding]:
    """The warnings about the mappings. Raises Unprocessable for what can't be right."""
    if not isinstance(config, TaskSyncConfig) or "task_source" in config.without():
        return ()
    judgement = judge(config, vocabularies)
    if judgement.errors:
        raise Unprocessable(listed(judgement.errors))
    return judgement.warnings


def _keep(
    rt: Runtime, session: Session, connector: type[Connector], integration: Integration, proof: _Proof, actor: str
) -> None:
    """Store the credentials, and start the integration if they are proven."""
    model = connector.manifest.credentials[proof.mode].model_validate(proof.values)
    save(rt, session, integration.id, proof.mode, proof.values, model)
    integration.config_warnings = as_json(proof.warnings)
    if proof.account is not None:
        lifecycle.activate(session, integration, proof.account, actor, rt)
        return
    assert proof.pending is not None
    integration.status = "pending_auth"
    integration.status_code, integration.status_text = proof.pending
    integration.next_subscription_at = None
    # The vendor is asked again (see `confirm`); a person who has to consent comes back by themselves.
    asked_again = integration.status_code == ConsentPending.code
    integration.next_pull_at = rt.clock() + backoff(1) if asked_again else None
    integration.pull_failures = 0


def _routes(config: Config) -> list[dict[str, Any]]:
    """Where new tasks go, as `core.tasks` reads it: without knowing any connector's config."""
    if not isinstance(config, TaskSyncConfig):
        return []
    fields = {"external", "service_line_id", "project_id", "create"}
    return [mapping.model_dump(include=fields) for mapping in config.projects]


def used_capabilities(connector: type[Connector], config: Config) -> list[str]:
    """What the connector can do and the config makes use of."""
    unused = config.without()
    return [name for name in capabilities_of(connector) if name not in unused]


def _poll_seconds(config: Config) -> int:
    return int(getattr(config, "poll_seconds", POLL_SECONDS))


def _ring(rt: Runtime, integration: Integration) -> None:
    if integration.status == "active" and integration.next_pull_at is not None:
        rt.ring(Lane.PULL, integration.id)


# --- change -------------------------------------------------------------------------------------------


def update(
    rt: Runtime,
    integration: Integration,
    *,
    actor: str,
    token_id: str | None,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    credentials: Mapping[str, Any] | None = None,
) -> Integration:
    """Change the name, config keys (merged over the stored ones) or credentials (replaced as a whole).

    Whatever changes the meaning of items makes every item be read again. New credentials are proven first and bring
    an integration in `error` back. Raises NotFound, Unprocessable, Conflict; then nothing is changed.
    """
    current = lifecycle.connected(rt, integration.id)
    connector = connector_class(rt.registry, current.type)
    parsed = parse_config(connector, {**current.config, **(config or {})})
    with rt.db.read() as session:
        check_mappings(session, session.get_one(Workspace, current.workspace_id), parsed)
    proof = _prove(rt, connector, parsed, credentials) if credentials is not None else None
    warnings = _looked_at(rt, current, connector, parsed) if proof is None else None
    with rt.db.write() as session:
        row = lifecycle.locked(session, integration.id)
        if row.status == "disconnected" or row.config != current.config:
            raise Conflict(f"{row.id} was changed by somebody else meanwhile; look at it and try again.")
        changed = _reconfigure(rt, session, row, parsed)
        if name is not None and name != row.name:
            row.name = name
            changed.append("name")
        if proof is not None:
            _keep(rt, session, connector, row, proof, actor)
            changed.append("credentials")
        elif "config" in changed and row.account_id is not None:
            lifecycle.refuse_double(session, row, row.account_id)
        if warnings is not None:
            row.config_warnings = as_json(warnings)
        if changed:
            row.updated_at = rt.clock()
            lifecycle.record(session, row, "integration.updated", actor, {"fields": changed}, rt)
            lifecycle.audit(session, row, "integration.updated", actor, token_id, {"fields": changed}, rt)
    if changed != ["name"]:
        _ring(rt, row)
    return row


def _looked_at(
    rt: Runtime, integration: Integration, connector: type[Connector], config: Config
) -> Sequence[Finding] | None:
    """The warnings about a changed config; None where there is nothing new to be said. Raises Unprocessable.

    A vendor that can't be asked now does not stand in the way: that is a warning itself.
    """
    if integration.status != "active" or not _changed_keys(integration, config) - PACE_ONLY:
        return None
    try:
        vocabularies = with_refresh(
            rt, integration.id, Lane.PUSH, lambda session: words(configured(rt, session, connector, config), config)
        )
    except (NotFoundThere, ForbiddenThere, Rejected) as error:
        raise Unprocessable(f"{connector.manifest.name} does not accept this configuration: {error.text}") from None
    except (ConnectorError, PlatformError) as error:
        text = f"could not be compared with {connector.manifest.name}'s own words now: {error}"
        return [Finding("config", text)]
    return _judged(config, vocabularies)


def _changed_keys(row: Integration, config: Config) -> set[str]:
    wanted = stored_form(config)
    return {key for key in {*row.config, *wanted} if row.config.get(key) != wanted.get(key)}


def _reconfigure(rt: Runtime, session: Session, row: Integration, config: Config) -> list[str]:
    """Set the config. Returns ["config"] if it changed."""
    keys = _changed_keys(row, config)
    if not keys:
        return []
    connector = connector_class(rt.registry, row.type)
    if _reads_code_anew(connector, row, config):
        repositories.read_anew(session, row.id, rt.clock())
    row.config = stored_form(config)
    row.routes = _routes(config)
    row.poll_seconds = _poll_seconds(config)
    row.capabilities = used_capabilities(connector, config)
    if keys - PACE_ONLY:
        _read_again(rt, session, row)
    return ["config"]


def _reads_code_anew(connector: type[Connector], row: Integration, config: Config) -> bool:
    """Whether the new config wants more of the repositories than the old one did."""
    try:
        old = connector.manifest.config.model_validate(row.config)
    except ValidationError:  # what an older release took
        return True
    return repositories.wants_more(old, config)


def _read_again(rt: Runtime, session: Session, row: Integration) -> None:
    """Every item is looked at once more, and the webhook is made for what is configured now."""
    row.mapping_rev += 1
    row.cursor = None
    retry_given_up(session, row.id, rt.clock())
    if row.status == "active":
        lifecycle.start_lanes(row, rt.clock())
    elif row.status == "pending_auth" and row.next_pull_at is not None:
        row.next_pull_at, row.pull_failures = rt.clock(), 0  # what kept the vendor from confirming may be mended
    if "code_source" not in row.capabilities:
        repositories.leave_out_all(session, row.id, rt.clock())
    subscription = session.get(Subscription, row.id)
    if subscription is not None and subscription.state == "active":
        subscription.state = "stale"
        row.next_subscription_at = rt.clock()


# --- sync ---------------------------------------------------------------------------------------------


def request_sync(
    rt: Runtime,
    integration_id: str,
    *,
    actor: str,
    token_id: str | None = None,
    trigger: str = "manual",
    confirm_deletions: bool = False,
) -> SyncRun:
    """Make the integration sync now, both ways. A run that is going already is joined.

    `confirm_deletions` also looks for deleted items now, and lets it end however many bindings that takes.

    Raises NotFound, Conflict for an integration that is not active or has nothing to pull.
    """
    with rt.db.write() as session:
        row = lifecycle.locked(session, integration_id)
        if row.status != "active":
            raise Conflict(f"{row.id} is {row.status}. {row.status_text or 'Connect it first.'}")
        if not lifecycle.PULLABLE & set(row.capabilities):
            raise Conflict(f"{row.id} has nothing to sync: its connector ({row.type}) has nothing to pull.")
        going = (SyncRun.integration_id == row.id, SyncRun.kind == "pull", SyncRun.status == "running")
        run = session.scalar(select(SyncRun).where(*going))
        if run is None:
            run = new_run(row.id, ids.take_one(session, "SYNC", rt.clock()), trigger, actor, rt.clock())
            session.add(run)
            row.next_pull_at = rt.clock()
            data = {"sync_id": run.id, "trigger": trigger}
            lifecycle.audit(session, row, "integration.sync_requested", actor, token_id, data, rt)
        if confirm_deletions:
            row.deletions_confirmed, row.next_sweep_at = True, rt.clock()
            lifecycle.audit(session, row, "integration.deletions_confirmed", actor, token_id, {}, rt)
        owing = retry_given_up(session, row.id, rt.clock())
    rt.ring(Lane.PULL, integration_id)
    if owing:
        rt.ring(Lane.PUSH, integration_id)
    return run


def retry_given_up(session: Session, integration_id: str, now: datetime) -> bool:
    """Writes that were given up and values the vendor refused are tried once more: somebody may have mended the cause.

    Returns whether there were any.
    """
    refused = cast(Binding.refused, Text) != "{}"
    retried = session.execute(
        sql_update(Binding)
        .where(
            Binding.integration_id == integration_id,
            Binding.state != "ended",
            or_(Binding.failed_at.is_not(None), refused),
        )
        .values(owed=True, owed_since=now, next_attempt_at=now, attempts=0, failed_at=None, refused={})
        .returning(Binding.id)
    )
    return retried.first() is not None
