"""Credentials: sealed in the database, opened only to build the connector or the token request that needs them.

An opened value is a plain dict of the connector's credential fields. It never leaves the process: not into logs,
events, audit data or reprs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import SecretStr, ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as DbSession

from connectors.contract import (
    Account,
    AuthFailed,
    BadPayload,
    Config,
    Connector,
    ConnectorError,
    ConsentPending,
    Context,
    Credentials,
    Forbidden,
    OAuthFacts,
    RateLimited,
    TaskVocabulary,
    Transient,
    Vocabulary,
)
from connectors.http import Budget, HttpClient, Unlimited
from core.errors import Conflict, PlatformError, Unprocessable
from core.models import Credential, Integration
from core.vault import VaultError
from sync.contained import contained
from sync.runtime import Runtime

log = structlog.get_logger()

SHORTEST_SECRET = 16
"""Characters. What is shorter in the operator's app is a number or a name, which would star out every text it is in."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An integration's credentials in the clear. `version` counts their changes."""

    mode: str
    values: Mapping[str, Any] = field(repr=False)
    version: int
    expires_at: datetime | None
    refresh_started_at: datetime | None
    refreshed_at: datetime


@dataclass(frozen=True, slots=True)
class Connection:
    """A connector ready to call its vendor, and the client it calls with."""

    connector: Any
    http: HttpClient


def label(integration_id: str) -> str:
    """Where sealed credentials belong; the vault opens them nowhere else."""
    return f"integration:{integration_id}:credentials"


def load(rt: Runtime, session: DbSession, integration: Integration) -> Opened:
    """The integration's credentials. Raises Conflict when there are none or they can't be opened."""
    row = session.get(Credential, integration.id)
    if row is None:
        raise Conflict(f"{integration.id} has no credentials: it is {integration.status}.")
    try:
        values = rt.vault.open(row.sealed, label(integration.id))
    except VaultError as error:
        raise Conflict(str(error)) from None
    refreshed_at = row.refreshed_at or row.updated_at
    return Opened(row.mode, values, row.version, row.expires_at, row.refresh_started_at, refreshed_at)


def save(
    rt: Runtime, session: DbSession, integration_id: str, mode: str, values: Mapping[str, Any], model: Credentials
) -> None:
    """Seal the values and raise the version: whoever still works with the old ones can tell."""
    now = rt.clock()
    row = session.get(Credential, integration_id, with_for_update=True)
    if row is None:
        row = Credential(integration_id=integration_id, mode=mode, sealed="", version=0, updated_at=now)
        session.add(row)
    row.mode = mode
    row.sealed = rt.vault.seal(dict(values), label(integration_id))
    row.version += 1
    row.expires_at = expiry(model)
    row.refresh_started_at = None
    row.refreshed_at = now
    row.updated_at = now


def expiry(model: Credentials) -> datetime | None:
    """When the access token ends, for credential models that know (a time without zone is UTC)."""
    moment = getattr(model, "expires_at", None)
    if not isinstance(moment, datetime):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def oauth_facts(connector: type[Connector], mode: str) -> OAuthFacts | None:
    """How to refresh credentials of this mode; None where there is nothing to refresh."""
    facts = connector.manifest.oauth
    return facts if facts is not None and facts.credentials == mode else None


def awaits_consent(connector: type[Connector], mode: str, values: Mapping[str, Any]) -> bool:
    """OAuth credentials without a token: somebody has to agree at the vendor first."""
    return oauth_facts(connector, mode) is not None and not values.get("access_token")


def with_app(rt: Runtime, connector: type[Connector], mode: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with the operator's OAuth app where they name none of their own."""
    app = rt.settings.oauth_apps.get(connector.manifest.type)
    if app is None or not app.client_id or oauth_facts(connector, mode) is None or values.get("client_id"):
        return dict(values)
    ours = {"client_id": app.client_id, "client_secret": app.client_secret.get_secret_value()}
    fields = connector.manifest.credentials[mode].model_fields
    return {**values, **{name: value for name, value in ours.items() if name in fields}}


def app_of(rt: Runtime, connector: type[Connector]) -> dict[str, SecretStr]:
    """What the operator set of the fields the connector's app is known by; whoever sets half of them is told."""
    app, asked = rt.settings.oauth_apps.get(connector.manifest.type), connector.manifest.app
    given = {name: app.fields[name] for name in asked if name in app.fields} if app is not None else {}
    missing = [name for name in asked if name not in given]
    if given and missing:
        prefix = f"TURNBUCKLE_OAUTH_APPS__{connector.manifest.type.upper()}__FIELDS__"
        names = ", ".join(prefix + name.upper() for name in missing)
        raise Conflict(f"The {connector.manifest.name} app is set up in part only: set {names}, too.")
    return given


def endpoints(rt: Runtime, connector: type[Connector]) -> dict[str, str]:
    """The vendor's base URLs, after the operator's overrides."""
    manifest = connector.manifest
    return {**manifest.endpoints, **rt.settings.vendor_endpoints.get(manifest.type, {})}


def secrets_of(model: Credentials) -> list[str]:
    """Every secret in a credentials model: what must not show in any text."""
    return [value.get_secret_value() for _, value in model if isinstance(value, SecretStr)]


def build(
    rt: Runtime, connector: type[Connector], config: Config, mode: str, values: Mapping[str, Any], budget: Budget
) -> Connection:
    """A connector with these credentials. Raises Conflict when they no longer fit the connector's model."""
    try:
        model = connector.manifest.credentials[mode].model_validate(with_app(rt, connector, mode, values))
    except (KeyError, ValidationError):
        raise Conflict(
            f"The stored credentials do not fit this release's {connector.manifest.name} connector: set them again."
        ) from None
    app = app_of(rt, connector)
    ours = (value.get_secret_value() for value in app.values())
    hidden = [*secrets_of(model), *(value for value in ours if len(value) >= SHORTEST_SECRET)]
    http = HttpClient(transport=rt.transport, budget=budget, now=rt.clock, secrets=hidden)
    base = endpoints(rt, connector)
    context = Context(config=config, credentials=model, http=http, endpoints=base, now=rt.clock, app=app)
    return Connection(connector(context), http)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the vendor said: who the credentials speak for, and the words of what is mapped (where it tells them)."""

    account: Account
    vocabularies: Sequence[Vocabulary]


def check(rt: Runtime, connector: type[Connector], config: Config, mode: str, values: Mapping[str, Any]) -> Checked:
    """Prove with the vendor that credentials work, before anything is stored, and learn its words.

    Raises Unprocessable when they do not, Conflict when the vendor can't say now, ConsentPending as the connector does,
    PlatformError when the connector fails in a way of its own.
    """
    name = connector.manifest.name
    try:
        with contained():
            return _checked(rt, connector, config, mode, values)
    except (ConsentPending, PlatformError, DBAPIError):
        raise
    except Exception as error:  # a broken plugin is named to whoever connects, not answered by a bare 500
        log.exception("check.fault", type=connector.manifest.type)
        text = f"The {name} connector failed with {type(error).__name__}, so nothing was saved; report it with the log."
        raise PlatformError(text) from None


def _checked(rt: Runtime, connector: type[Connector], config: Config, mode: str, values: Mapping[str, Any]) -> Checked:
    name = connector.manifest.name
    try:
        return ask(rt, connector, config, mode, values)
    except ConsentPending:
        raise
    except (AuthFailed, Forbidden) as error:
        raise Unprocessable(f"The credentials do not work: {error.text}") from None
    except (RateLimited, Transient, BadPayload) as error:
        raise Conflict(f"{name} can't be reached now, so nothing was saved; try again later: {error.text}") from None
    except ConnectorError as error:
        raise Unprocessable(f"{name} does not accept this configuration: {error.text}") from None


def ask(rt: Runtime, connector: type[Connector], config: Config, mode: str, values: Mapping[str, Any]) -> Checked:
    """What the vendor says of credentials that nothing works with yet. Raises what the connector raises."""
    # There may be no integration yet whose budget could be used, and it is a call or a few.
    connection = build(rt, connector, config, mode, values, Unlimited())
    return Checked(connection.connector.check(), words(connection, config))


def words(connection: Connection, config: Config) -> Sequence[Vocabulary]:
    """The vendor's words for what is mapped; none where it does not tell, or nothing is mapped. Raises what the
    connector raises."""
    connector = connection.connector
    if not isinstance(connector, TaskVocabulary) or "vocabulary" in config.without():
        return ()
    return tuple(connector.vocabularies())


def learn(values: Mapping[str, Any], account: Account) -> dict[str, Any]:
    """The values with what the check found out (a site id), to be kept."""
    return {**values, **account.learned}
