"""OAuth 2.0: consent with PKCE, and refreshing exactly once however many workers notice that it is due.

A rotating refresh token dies when it is used twice, so a refresh holds a lease across the vendor call and compares the
credentials' version before and after. What a crash between the vendor's answer and our commit loses can't be had back;
then the next refresh is refused and people are asked for consent again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sqlalchemy import delete

from connectors.contract import AuthFailed, BadPayload, Connector, ConnectorError, ConsentPending, OAuthFacts, Transient
from connectors.http import HttpClient, Response, Unlimited
from core.access import digest
from core.errors import BadRequest, Conflict, Forbidden, NotFound
from core.models import Credential, Integration, OAuthAttempt
from sync import lifecycle
from sync.configuration import connector_class, parse_config
from sync.credentials import Opened, check, endpoints, learn, load, oauth_facts, save, with_app
from sync.leases import Lease, LeaseLost, hold
from sync.runtime import Lane, Runtime

ATTEMPT_LIFETIME = timedelta(minutes=10)
"""Long enough to sign in at the vendor with a second factor, short enough that a leaked link is worthless."""

TOKEN_TIMEOUT = 10.0
"""Seconds for the whole token request. Well under a lease's time, so that the answer can still be stored under it."""

EARLIEST = timedelta(seconds=60)
EARLY_SHARE = 0.1
"""A token is renewed a minute, or a tenth of its life, before it ends: a call that starts now must not outlive it."""

PAUSE = timedelta(seconds=30)
"""After a refresh that failed, the token still good is used this long before the next try: an outage of the
authorization server must not cost every call ten seconds."""

WAIT_STEP = 0.25
WAIT_STEPS = 60
"""How a worker waits for another one's refresh: 15 s in all, longer than a token request may take."""

OPERATOR_PAUSE = timedelta(minutes=15)
"""How often an app the vendor does not know is tried again: an operator has to mend it first."""

DEAD_GRANTS = frozenset(
    {"invalid_grant", "bad_refresh_token", "invalid_refresh_token", "bad_verification_code", "token_revoked"}
)
"""Error names by which vendors say that a code or refresh token is no good (`invalid_grant` is the standard's)."""

BAD_APPS = frozenset(
    {"invalid_client", "unauthorized_client", "incorrect_client_credentials", "invalid_client_id", "bad_client_secret"}
)
"""Error names by which vendors say that the app itself is wrong; consent would not help."""

WORDS_KEPT = 200
"""Characters of the vendor's own words in a text that people see."""


class AppRefused(Transient):
    """The vendor does not accept our app. It may work later, once an operator has mended the settings."""

    code = "oauth_app_refused"


class GrantRefused(Exception):
    """The code or refresh token is dead; the text is the vendor's reason."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A token answer. `refresh_token` is None when the old one goes on, `scopes` empty when the vendor says nothing."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime | None
    scopes: tuple[str, ...]


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
        _write_down_refusal(rt, integration.id, _plain(f"{error or 'no code'} {error_description or ''}"), again)
    verifier = rt.vault.open(attempt.sealed, _attempt_label(attempt.state_digest))["verifier"]
    form = {"grant_type": "authorization_code", "code": code or "", "redirect_uri": attempt.redirect_uri}
    try:
        tokens = _ask(rt, connector, facts, opened, form | ({"code_verifier": verifier} if facts.pkce else {}))
    except GrantRefused as refused:
        raise Conflict(f"{connector.manifest.name} did not accept the authorization: {refused} {again}") from None
    except ConnectorError as failure:
        raise Conflict(f"{failure.text} {again}") from None
    return _connect(rt, connector, integration, opened, _merged(connector, opened, tokens), attempt.actor, tokens)


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


def _write_down_refusal(rt: Runtime, integration_id: str, words: str, again: str) -> None:
    """The vendor sent no code: whoever looks at the integration learns why it still waits. Raises Conflict."""
    text = f"The vendor did not give its consent: {words}. {again}"
    with rt.db.write() as session:
        integration = lifecycle.locked(session, integration_id)
        if integration.status == "pending_auth":
            integration.status_code, integration.status_text = "consent_refused", text
    raise Conflict(text)


def _connect(
    rt: Runtime,
    connector: type[Connector],
    integration: Integration,
    before: Opened,
    values: dict[str, Any],
    actor: str,
    tokens: Tokens,
) -> Integration:
    """Prove the new tokens and store them, unless the credentials were changed meanwhile."""
    config = parse_config(connector, integration.config)
    try:
        account = check(rt, connector, config, before.mode, values)
    except ConsentPending as pending:
        raise Conflict(f"{connector.manifest.name} has not confirmed yet: {pending.text}") from None
    facts = oauth_facts(connector, before.mode)
    assert facts is not None
    if tokens.scopes and not account.scopes and not account.missing_scopes:
        missing = tuple(scope for scope in facts.scopes if scope not in tokens.scopes)
        account = type(account)(account.id, account.name, tokens.scopes, missing, account.learned)
    values = learn(values, account)
    with rt.db.write() as session:
        row = lifecycle.locked(session, integration.id)
        credential = session.get(Credential, integration.id, with_for_update=True)
        if credential is None or credential.version != before.version:
            raise Conflict(
                f"The credentials of {integration.id} were changed meanwhile. Start the authorization again."
            )
        model = connector.manifest.credentials[before.mode].model_validate(values)
        save(rt, session, row.id, before.mode, values, model)
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
        return _ask(rt, connector, facts, opened, form)
    except GrantRefused:
        if not facts.grace:
            raise
        return _ask(rt, connector, facts, opened, form)


def _keep(
    rt: Runtime, lease: Lease, integration_id: str, connector: type[Connector], before: Opened, tokens: Tokens
) -> int:
    """Store the new tokens, unless the credentials were replaced meanwhile: what a person entered is newer."""
    values = _merged(connector, before, tokens)
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


def revoke(rt: Runtime, connector: type[Connector], opened: Opened) -> None:
    """Tell the vendor to forget the tokens, where it can be told (RFC 7009). Raises ConnectorError."""
    facts = oauth_facts(connector, opened.mode)
    token = opened.values.get("refresh_token") or opened.values.get("access_token")
    if facts is None or facts.revoke_url is None or not token:
        return
    url = facts.revoke_url.format(**endpoints(rt, connector))
    _post(rt, connector, facts, opened, url, {"token": str(token)})


# --- the token endpoint -------------------------------------------------------------------------------


def _ask(rt: Runtime, connector: type[Connector], facts: OAuthFacts, opened: Opened, form: dict[str, str]) -> Tokens:
    """One token request, sent once. Raises GrantRefused, AppRefused, Transient, RateLimited, BadPayload."""
    url = facts.token_url.format(**endpoints(rt, connector))
    http, response = _post(rt, connector, facts, opened, url, form)
    answer = _json(response)
    if response.status >= 400 or "access_token" not in answer:
        raise _refusal(connector, http, response, answer)
    expires_in = _seconds(answer.get("expires_in"))
    return Tokens(
        access_token=str(answer["access_token"]),
        refresh_token=answer.get("refresh_token") or None,
        expires_at=rt.clock() + expires_in if expires_in else None,
        scopes=tuple(str(answer.get("scope") or "").replace(",", " ").split()),
    )


def _post(
    rt: Runtime, connector: type[Connector], facts: OAuthFacts, opened: Opened, url: str, form: dict[str, str]
) -> tuple[HttpClient, Response]:
    app = with_app(rt, connector, opened.mode, opened.values)
    client_id, client_secret = str(app.get("client_id") or ""), str(app.get("client_secret") or "")
    hidden = [client_secret, *(form.get(name, "") for name in ("code", "refresh_token", "code_verifier", "token"))]
    # Token endpoints are not part of the API's rate limits.
    http = HttpClient(
        transport=rt.transport,
        budget=Unlimited(),
        now=rt.clock,
        secrets=hidden,
        read_timeout=TOKEN_TIMEOUT,
        total_timeout=TOKEN_TIMEOUT,
    )
    headers = {}
    if facts.client_auth == "basic":
        pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form = {**form, "client_id": client_id, "client_secret": client_secret}
    body: dict[str, Any] = {"json": form} if facts.token_body == "json" else {"form": form}  # noqa: S105
    # These statuses carry an OAuth error by name; the others are told apart by the client.
    return http, http.request("POST", url, headers=headers, allow=(400, 401, 403), **body)


def _refusal(connector: type[Connector], http: HttpClient, response: Response, answer: Mapping[str, Any]) -> Exception:
    """What an answer without tokens means; some vendors give it with a 200."""
    error, described = str(answer.get("error") or ""), str(answer.get("error_description") or "")
    words = http.redact(_plain(f"{error} {described}")) or f"status {response.status} without an explanation"
    # Atlassian says `unauthorized_client: refresh_token is invalid` for a dead one.
    if error in DEAD_GRANTS or (error in BAD_APPS and "refresh" in described.lower()):
        return GrantRefused(f"{words}.")
    name = connector.manifest.name
    if response.status < 400 and not error:
        return BadPayload(f"{name}'s token endpoint answered {response.status} without an access token.")
    settings = f"TURNBUCKLE_OAUTH_APPS__{connector.manifest.type.upper()}"
    return AppRefused(
        f"{name} does not accept our OAuth app ({words}): check the client id and secret in {settings} or in the "
        "integration's credentials, and the redirect address registered with the app.",
        maybe_done=False,
        retry_at=None,
    )


def _merged(connector: type[Connector], before: Opened, tokens: Tokens) -> dict[str, Any]:
    """The credentials with the new tokens, as far as the connector's model has fields for them."""
    fresh = {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token or before.values.get("refresh_token"),
        "expires_at": tokens.expires_at.isoformat() if tokens.expires_at else None,
    }
    fields = connector.manifest.credentials[before.mode].model_fields
    return {**before.values, **{name: value for name, value in fresh.items() if name in fields}}


def _json(response: Response) -> dict[str, Any]:
    """The answer's JSON object, empty when it is something else."""
    try:
        answer = json.loads(response.content)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(value: Any) -> timedelta | None:
    """`expires_in`, which some vendors send as text. None: not said, and the token is used until it is refused."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return timedelta(seconds=seconds) if seconds > 0 else None


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


def _plain(text: str) -> str:
    """Foreign words on one short line of printable text."""
    line = "".join(char for char in " ".join(text.split()) if char.isprintable())
    return line[:WORDS_KEPT]
