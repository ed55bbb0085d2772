"""OAuth 2.0: consent with PKCE, and refreshing exactly once however many workers notice that it is due.

A rotating refresh token dies when it is used twice, so a refresh holds a lease across the vendor call and compares the
credentials' version before and after. What a crash between the vendor's answer and our commit loses can't be had back;
then the next refresh is refused and people are asked for consent again.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sqlalchemy import delete

from connectors.contract import (
    AuthFailed,
    Connector,
    ConnectorError,
    ConsentPending,
    OAuthFacts,
    Transient,
)
from core.access import digest
from core.errors import BadRequest, Conflict, Forbidden, NotFound
from core.models import Credential, Integration, OAuthAttempt
from sync import lifecycle
from sync.configuration import connector_class, parse_config
from sync.credentials import Opened, check, endpoints, learn, load, oauth_facts, save, with_app
from sync.leases import Lease, LeaseLost, hold
from sync.lint import all_said, as_json
from sync.runtime import Lane, Runtime
from sync.tokens import GrantRefused, Tokens, ask, merged, plain

ATTEMPT_LIFETIME = timedelta(minutes=10)
"""Long enough to sign in at the vendor with a second factor, short enough that a leaked link is worthless."""

EARLIEST = timedelta(seconds=60)
EARLY_SHARE = 0.1
"""A token is renewed a minute, or a tenth of its life, before it ends: a call that starts now must not outlive it."""

PAUSE = timedelta(seconds=30)
"""After a refresh that failed, the token still good is used this long before the next try: an outage of the
authorization server must not cost every call ten seconds."""

WAIT_STEP = 0.25
WAIT_STEPS = 60
"""How a worker waits for another one's refresh: 15 s in all, longer than a token request may take."""


def redirect_uri(rt: Runtime, type_: str) -> str:
    """Where the vendor sends people back to; the operator registers it with the app."""
    return f"{rt.settings.public_url.rstrip('/')}/v1/oauth/{type_}/callback"


# --- consent ------------------------------------------------------------------------------------------


def start(rt: Runtime, integration_id: str, actor: str) -> str:
    """Begin a consent and return the vendor's page to send `actor` to.

    Raises NotFound, Conflict for an integration that does not use OAuth or has no app.
    """
    now = rt.clock()
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    with rt.db.write() as session:
        integration = session.get(Integration, integration_id)
        if integration is None:
            raise NotFound(f"Integration {integration_id} not found.")
        connector, facts, opened = _consentable(rt, integration, load(rt, session, integration))
        app = with_app(rt, connector, opened.mode, opened.values)
        if not app.get("client_id"):
            name = f"TURNBUCKLE_OAUTH_APPS__{integration.type.upper()}"
            raise Conflict(
                f"There is no OAuth app for {connector.manifest.name}: set {name}__CLIENT_ID and "
                f"{name}__CLIENT_SECRET, or give client_id and client_secret in the integration's credentials."
            )
        session.execute(
            delete(OAuthAttempt).where(OAuthAttempt.integration_id == integration_id, OAuthAttempt.expires_at <= now)
        )
        session.add(
            OAuthAttempt(
                state_digest=digest(state),
                integration_id=integration_id,
                actor=actor,
                redirect_uri=redirect_uri(rt, integration.type),
                sealed=rt.vault.seal({"verifier": verifier}, _attempt_label(digest(state))),
                created_at=now,
                expires_at=now + ATTEMPT_LIFETIME,
                used_at=None,
            )
        )
        asked = {
            "response_type": "code",
            "client_id": app["client_id"],
            "redirect_uri": redirect_uri(rt, integration.type),
            "scope": " ".join(facts.scopes),
            "state": state,
            **(_challenge(verifier) if facts.pkce else {}),
            **facts.params,
        }
        page = facts.authorize_url.format(**endpoints(rt, connector))
        return f"{page}{'&' if '?' in page else '?'}{urlencode(asked, quote_via=quote)}"


def complete(
    rt: Runtime,
    type_: str,
    code: str | None,
    state: str | None,
    actor: str | None = None,
    error: str | None = None,
    error_description: str | None = None,
    iss: str | None = None,
) -> Integration:
    """End a consent with what the vendor sent back: fetch the tokens, prove them, and start the integration.

    `actor` is the user whose browser it is, where that is known; it must be who began. Raises BadRequest for a link
    that is not (any longer) valid, Forbidden for somebody else's, Conflict when the vendor did not agree or can't be
    reached: then consent has to be started again, for a code must not be sent twice.
    """
    attempt, integration, opened = _use_attempt(rt, type_, state, actor)
    connector, facts, _ = _consentable(rt, integration, opened)
    again = f"Start again with GET /v1/integrations/{integration.id}/oauth/start."
    if iss is not None and _origin(iss) != _origin(facts.authorize_url.format(**endpoints(rt, connector))):
        raise BadRequest(f"The answer does not come from {connector.manifest.name} (its issuer differs). {again}")
    if error is not None or not code:
        raise _not_given(rt, integration.id, plain(f"{error or 'no code'} {error_description or ''}"), again)
    verifier = rt.vault.open(attempt.sealed, _attempt_label(attempt.state_digest))["verifier"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": attempt.redirect_uri}
    try:
        tokens = ask(rt, connector, facts, opened, form | ({"code_verifier": verifier} if facts.pkce else {}))
    except GrantRefused as refused:
        raise Conflict(f"{connector.manifest.name} did not accept the authorization: {refused} {again}") from None
    except ConnectorError as failure:
        raise Conflict(f"{failure.text} {again}") from None
    return _connect(rt, connector, integration, opened, merged(connector, opened, tokens), attempt.actor, tokens)


def _consentable(rt: Runtime, integration: Integration, opened: Opened) -> tuple[type[Connector], OAuthFacts, Opened]:
    connector = connector_class(rt.registry, integration.type)
    facts = oauth_facts(connector, opened.mode)
    if facts is None:
        raise Conflict(f"{integration.id} is connected by {opened.mode} credentials, which need no consent.")
    return connector, facts, opened


def _use_attempt(
    rt: Runtime, type_: str, state: str | None, actor: str | None
) -> tuple[OAuthAttempt, Integration, Opened]:
    """The attempt behind `state`, used up before anything else happens."""
    now = rt.clock()
    invalid = BadRequest("This authorization link is unknown, used or too old. Start the authorization again.")
    with rt.db.write() as session:
        attempt = session.get(OAuthAttempt, digest(state or ""), with_for_update=True)
        if attempt is None or attempt.used_at is not None or attempt.expires_at <= now:
            raise invalid
        integration = session.get_one(Integration, attempt.integration_id)
        if integration.type != type_ or integration.status == "disconnected":
            raise invalid
        if actor is not None and actor != attempt.actor:
            raise Forbidden("Somebody else began this authorization: it can only be completed in their browser.")
        attempt.used_at = now
        return attempt, integration, load(rt, session, integration)


def _not_given(rt: Runtime, integration_id: str, words: str, again: str) -> Conflict:
    """The vendor sent no code: whoever looks at the integration learns why it still waits."""
    text = f"The vendor did not give its consent: {words}. {again}"
    with rt.db.write() as session:
        integration = lifecycle.locked(session, integration_id)
        if integration.status == "pending_auth":
            integration.status_code, integration.status_text = "consent_refused", text
    return Conflict(text)


def _connect(
    rt: Runtime,
    connector: type[Connector],
    integration: Integration,
    before: Opened,
    values: dict[str, Any],
    actor: str,
    tokens: Tokens,
) -> Integration:
    """Prove the new tokens, store them and start the integration."""
    config = parse_config(connector, integration.config)
    try:
        checked = check(rt, connector, config, before.mode, values)
    except ConsentPending as pending:
        raise Conflict(f"{connector.manifest.name} has not confirmed yet: {pending.text}") from None
    account = checked.account
    facts = oauth_facts(connector, before.mode)
    assert facts is not None
    if tokens.scopes and not account.scopes and not account.missing_scopes:
        missing = tuple(scope for scope in facts.scopes if scope not in tokens.scopes)
        account = replace(account, scopes=tokens.scopes, missing_scopes=missing)
    values = learn(values, account)
    with rt.db.write() as session:
        row = lifecycle.locked(session, integration.id)
        now = load(rt, session, row)
        # A refresh meanwhile is no matter, these tokens are newer; another app's tokens they must not be mixed with.
        if (now.mode, now.values.get("client_id")) != (before.mode, before.values.get("client_id")):
            raise Conflict(f"The credentials of {row.id} were replaced meanwhile. Start the authorization again.")
        model = connector.manifest.credentials[before.mode].model_validate(values)
        save(rt, session, row.id, before.mode, values, model)
        row.config_warnings = as_json(all_said(config, checked.vocabularies))
        lifecycle.activate(session, row, account, actor, rt)
        row.updated_at = rt.clock()
        lifecycle.audit(session, row, "integration.authorized", actor, None, {"account": account.name}, rt)
    rt.ring(Lane.PULL, row.id)
    return row


# --- refresh ------------------------------------------------------------------------------------------


def due(opened: Opened, now: datetime) -> bool:
    """Whether the access token ends so soon that it should be renewed first."""
    if opened.expires_at is None or not opened.values.get("refresh_token"):
        return False
    lifetime = opened.expires_at - opened.refreshed_at
    return opened.expires_at - now < max(EARLIEST, lifetime * EARLY_SHARE)


def paused(opened: Opened, now: datetime) -> bool:
    """Whether a refresh has just failed while the token is still good."""
    started = opened.refresh_started_at
    return started is not None and now - started < PAUSE and opened.expires_at is not None and opened.expires_at > now


def refresh(rt: Runtime, integration_id: str, seen_version: int) -> int:
    """Renew the tokens unless somebody has since `seen_version`. Returns the version to work with now.

    Raises AuthFailed when the vendor refuses for good (the integration then says so), Transient when it may work
    later (AppRefused: after an operator has mended the app's settings).
    """
    for _ in range(WAIT_STEPS):
        with hold(rt, f"refresh:{integration_id}") as lease:
            if lease is not None:
                return _refresh(rt, lease, integration_id, seen_version)
        rt.sleep(WAIT_STEP)
        if _version(rt, integration_id) != seen_version:
            break
    current = _version(rt, integration_id)
    if current != seen_version:
        return current
    raise Transient("Another worker has not finished renewing the access token.", maybe_done=False)


def _version(rt: Runtime, integration_id: str) -> int:
    with rt.db.read() as session:
        credential = session.get(Credential, integration_id)
        return credential.version if credential is not None else 0


def _refresh(rt: Runtime, lease: Lease, integration_id: str, seen_version: int) -> int:
    with rt.db.write() as session:
        lease.guard(session)
        integration = session.get_one(Integration, integration_id)
        opened = load(rt, session, integration)
        connector = connector_class(rt.registry, integration.type)
        facts = oauth_facts(connector, opened.mode)
        token = opened.values.get("refresh_token")
        if opened.version != seen_version or facts is None or not token:
            return opened.version
        session.get_one(Credential, integration_id).refresh_started_at = rt.clock()
    form = {"grant_type": "refresh_token", "refresh_token": str(token)}
    try:
        lease.check()
    except LeaseLost:
        raise Transient("This worker slept while the access token was being renewed by another.", False) from None
    try:
        tokens = _renewed(rt, connector, facts, opened, form)
    except GrantRefused as refused:
        text = (
            f"{connector.manifest.name} no longer accepts the authorization: {refused} "
            f"Give consent again with GET /v1/integrations/{integration_id}/oauth/start."
        )
        lifecycle.require_consent(rt, integration_id, seen_version, text)
        raise AuthFailed(text) from None
    return _keep(rt, lease, integration_id, connector, opened, tokens)


def _renewed(
    rt: Runtime, connector: type[Connector], facts: OAuthFacts, opened: Opened, form: dict[str, str]
) -> Tokens:
    """Ask for new tokens. Where a used refresh token works a while longer, one refusal may be a node that lags."""
    try:
        return ask(rt, connector, facts, opened, form)
    except GrantRefused:
        if not facts.grace:
            raise
        return ask(rt, connector, facts, opened, form)


def _keep(
    rt: Runtime, lease: Lease, integration_id: str, connector: type[Connector], before: Opened, tokens: Tokens
) -> int:
    """Store the new tokens, unless the credentials were replaced meanwhile: what a person entered is newer."""
    values = merged(connector, before, tokens)
    model = connector.manifest.credentials[before.mode].model_validate(values)
    try:
        with rt.db.write() as session:
            lease.guard(session)
            credential = session.get(Credential, integration_id, with_for_update=True)
            if credential is None:
                raise Conflict(f"{integration_id} was disconnected meanwhile.")
            if credential.version == before.version:
                save(rt, session, integration_id, before.mode, values, model)
            return credential.version
    except LeaseLost:
        raise Transient("Renewing the access token took so long that another worker took over.", False) from None


# --- small parts --------------------------------------------------------------------------------------


def _challenge(verifier: str) -> dict[str, str]:
    hashed = hashlib.sha256(verifier.encode("ascii")).digest()
    return {
        "code_challenge": base64.urlsafe_b64encode(hashed).decode().rstrip("="),
        "code_challenge_method": "S256",
    }


def _attempt_label(state_digest: str) -> str:
    return f"oauth_attempt:{state_digest}"


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
