"""The manifest: the facts of one vendor, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from connectors.contract.configuration import ConfigModel, CredentialsModel
from connectors.contract.words import Category

CONTRACT_VERSION = 1
"""Raised when a change here breaks plugins that are already written; plugins state what they were written for."""


@dataclass(frozen=True, slots=True)
class OAuthFacts:
    """An OAuth 2.0 authorization-code vendor, as data; the flow is the engine's.

    URLs may start with `{name}` of an entry in `Manifest.endpoints`. `grace` is how long a rotated refresh token
    still works; `params` are extra query parameters of the consent page. `revoke_url` (RFC 7009) is told when an
    integration is disconnected; None where the vendor has none.
    """

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...]
    credentials: str = "oauth2"
    params: Mapping[str, str] = field(default_factory=dict)
    pkce: bool = True
    token_body: str = "form"  # noqa: S105 - or "json"
    client_auth: str = "body"  # or "basic"
    grace: timedelta = timedelta(0)
    revoke_url: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookFacts:
    """How a vendor's webhooks behave.

    secrets        what `verify` needs: `signing` is the subscription's own secret, any other name is a field of the
                   credentials
    rejection      the status for a delivery not believed
    accepted       the status for one that is stored, and
    accepted_body  what to say with it, for vendors that show or read it
    app_secret     for `AppWebhookReceiver`: the name under which `verify` gets the secrets of the operator's app
    account        for `AppWebhookReceiver`: the name in `Account.learned` under which `check` tells whose account it
                   is. The vendor must have said so: with an account somebody merely entered, deliveries of others
                   could be had.
    """

    secrets: tuple[str, ...] = ("signing",)
    rejection: int = 401
    accepted: int = 202
    accepted_body: str | None = None
    max_body: int = 5 * 1024 * 1024
    renew_before: timedelta = timedelta(days=7)
    headers_kept: tuple[str, ...] = ()
    app_secret: str = "signing"  # noqa: S105 - a name
    account: str | None = None


@dataclass(frozen=True, slots=True)
class RateFacts:
    """The vendor's sustained rate we allow ourselves: `per_second` calls on average, `burst` at once."""

    per_second: float = 10.0
    burst: int = 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts of one vendor.

    type              the integration type, equal to the connector's folder name
    config            pydantic model of `integration.config`
    credentials       mode -> pydantic model of `integration.credentials`; the first that validates is taken
    endpoints         name -> base URL; operators may point them elsewhere (a sandbox, a proxy)
    app               what the operator's app at the vendor is known by (a number, a private key): the operator sets it
                      for all integrations, and the connector finds it in `Context.app`
    refetch_batch     most ids `fetch_tasks` or `fetch_code` takes in one call of the engine; the calls for them have to
                      fit into `rates.burst`
    create_settle     after an unclear create: how long until a not-found marker is believed (search index lag)
    contract          CONTRACT_VERSION the connector was written for
    """

    type: str
    name: str
    category: Category
    description: str
    config: ConfigModel
    credentials: Mapping[str, CredentialsModel]
    endpoints: Mapping[str, str] = field(default_factory=dict)
    oauth: OAuthFacts | None = None
    app: tuple[str, ...] = ()
    webhooks: WebhookFacts | None = None
    rates: RateFacts = RateFacts()
    refetch_batch: int = 100
    create_settle: timedelta = timedelta(seconds=60)
    contract: int = CONTRACT_VERSION
