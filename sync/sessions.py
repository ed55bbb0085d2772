"""A session: a connector with its credentials, HTTP client and rate budget, ready to call the vendor.

No transaction is open while a session is: rows are read, detached and closed before the first vendor call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import update

from connectors.contract import AuthFailed, BadPayload, Config, Connector, RateLimited, Transient
from connectors.http import Budget, HttpClient
from core.errors import Conflict, NotFound
from core.models import Integration
from sync import lifecycle, oauth
from sync.budget import SharedBudget, UnspentBudget
from sync.configuration import connector_class, parse_config
from sync.contained import contained
from sync.credentials import Connection, Opened, build, load, oauth_facts
from sync.runtime import Lane, Runtime

T = TypeVar("T")

OFFSET_STEP = timedelta(seconds=2)
"""A vendor's clock is known to a second (its `Date` header), so a smaller difference is not worth a write."""

PROBING = frozenset({Lane.PULL, Lane.BACKFILL})
"""Lanes that may ask the vendor although it has refused the credentials: a pull comes back every quarter of an hour at
most, which notices a cause that went away by itself without hammering. The others wait for that."""


@dataclass(frozen=True, slots=True)
class Session:
    """What work at a vendor needs. `integration` is detached: it is what was true when the session was opened."""

    integration: Integration
    connector: Any
    config: Any
    http: HttpClient
    budget: Budget
    credential_version: int

    def clock_offset(self) -> timedelta:
        """The vendor's clock minus ours: as learnt in this session, else as last seen."""
        return self.http.clock_offset or timedelta(milliseconds=self.integration.clock_offset)


@contextmanager
def open_session(
    rt: Runtime, integration_id: str, lane: Lane, allow: Collection[str] = ("active",)
) -> Iterator[Session]:
    """A session for work in `lane`; the access token is renewed first if it is about to end.

    Raises NotFound; AuthFailed for an integration in `error`, without asking the vendor (but see PROBING); Conflict
    for one that is in no status of `allow`, or whose connector or credentials can't be used.
    """
    allow = {*allow, "error"} if lane in PROBING else set(allow)
    integration, opened = _load(rt, integration_id, allow)
    opened = _fresh(rt, integration, opened, allow)
    connector = connector_class(rt.registry, integration.type)
    config = parse_config(connector, integration.config)
    budget = SharedBudget(rt, integration.id, connector.manifest.rates, lane)
    connection = build(rt, connector, config, opened.mode, opened.values, budget)
    session = Session(integration, connection.connector, config, connection.http, budget, opened.version)
    yield session
    _remember_clock(rt, session)


def open_to_look(rt: Runtime, integration_id: str) -> Session:
    """A session that leaves nothing behind: no budget is spent, no token renewed, no clock remembered.

    Raises NotFound; Conflict for an integration that is not active, or whose access token has to be renewed first.
    """
    integration, opened = _load(rt, integration_id, {"active"})
    if opened.expires_at is not None and opened.expires_at <= rt.clock():
        raise Conflict(
            f"The access token of {integration.id} has ended; any sync renews it. Start one, then try again."
        )
    connector = connector_class(rt.registry, integration.type)
    config = parse_config(connector, integration.config)
    budget = UnspentBudget(rt, integration.id)
    connection = build(rt, connector, config, opened.mode, opened.values, budget)
    return Session(integration, connection.connector, config, connection.http, budget, opened.version)


def configured(rt: Runtime, session: Session, connector: type[Connector], config: Config) -> Connection:
    """The session's credentials and client under another config, to look what the vendor says of it."""
    with rt.db.read() as transaction:
        opened = load(rt, transaction, session.integration)
    return build(rt, connector, config, opened.mode, opened.values, session.budget)


def with_refresh(rt: Runtime, integration_id: str, lane: Lane, work: Callable[[Session], T]) -> T:
    """Run `work` in a session, and once more if the vendor refuses the credentials, with renewed ones where possible.

    `work` must bear being run again from its start. A second refusal stops the integration (status `error`,
    `reauth_required`, one event) and is raised. SystemExit out of a connector is an ordinary error (PluginExit).
    """
    with contained():
        return _with_refresh(rt, integration_id, lane, work)


def _with_refresh(rt: Runtime, integration_id: str, lane: Lane, work: Callable[[Session], T]) -> T:
    with open_session(rt, integration_id, lane) as session:
        version = session.credential_version
        try:
            return _worked(rt, session, work)
        except AuthFailed:
            pass  # once may be a token that ended early, or a vendor's bad moment
    oauth.refresh(rt, integration_id, version)
    with open_session(rt, integration_id, lane) as session:
        try:
            return _worked(rt, session, work)
        except AuthFailed as error:
            _stop(rt, session, error)
            raise


def _worked(rt: Runtime, session: Session, work: Callable[[Session], T]) -> T:
    """Run the work; if it succeeds for an integration in `error`, the cause has gone."""
    result = work(session)
    if session.integration.status == "error":
        lifecycle.recover(rt, session.integration.id)
    return result


def _load(rt: Runtime, integration_id: str, allow: Collection[str]) -> tuple[Integration, Opened]:
    with rt.db.read() as session:
        integration = session.get(Integration, integration_id)
        if integration is None:
            raise NotFound(f"Integration {integration_id} not found.")
        if integration.status not in allow:
            raise _unusable(integration)
        return integration, load(rt, session, integration)


def _unusable(integration: Integration) -> Exception:
    if integration.status == "error":
        return AuthFailed(integration.status_text or f"{integration.id} needs new credentials.")
    reason = integration.status_text or "nothing is sent to its vendor"
    return Conflict(f"{integration.id} is {integration.status}: {reason}")


def _fresh(rt: Runtime, integration: Integration, opened: Opened, allow: Collection[str]) -> Opened:
    """The credentials, renewed if that is due. While the token is still good, a failed renewal can wait."""
    now = rt.clock()
    if not oauth.due(opened, now) or oauth.paused(opened, now):
        return opened
    try:
        oauth.refresh(rt, integration.id, opened.version)
    except (Transient, RateLimited, BadPayload):
        if opened.expires_at is None or opened.expires_at <= rt.clock():
            raise
        return opened
    return _load(rt, integration.id, allow)[1]


def _remember_clock(rt: Runtime, session: Session) -> None:
    stored = timedelta(milliseconds=session.integration.clock_offset)
    offset = session.clock_offset()
    if abs(offset - stored) < OFFSET_STEP:
        return
    with rt.db.write() as transaction:
        transaction.execute(
            update(Integration)
            .where(Integration.id == session.integration.id)
            .values(clock_offset=round(offset / timedelta(milliseconds=1)))
        )


def _stop(rt: Runtime, session: Session, error: AuthFailed) -> None:
    """Nothing works until a person has acted: say which act."""
    integration = session.integration
    connector = connector_class(rt.registry, integration.type)
    with rt.db.read() as transaction:
        mode = load(rt, transaction, integration).mode
    if oauth_facts(connector, mode) is not None:
        remedy = f"Give consent again with GET /v1/integrations/{integration.id}/oauth/start."
    else:
        remedy = f"Set working credentials with PATCH /v1/integrations/{integration.id}."
    text = f"{connector.manifest.name} does not accept the credentials: {error.text}. {remedy}"
    lifecycle.require_consent(rt, integration.id, session.credential_version, text)
