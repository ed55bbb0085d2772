"""The token endpoint of an OAuth 2.0 vendor: codes and refresh tokens become access tokens here, each sent once."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from connectors.contract import BadPayload, Connector, ConnectorError, OAuthFacts, Transient
from connectors.http import HttpClient, Response, Unlimited
from sync.credentials import Opened, endpoints, oauth_facts, with_app
from sync.runtime import Runtime

TOKEN_TIMEOUT = 10.0
"""Seconds for the whole token request. Well under a lease's time, so that the answer can still be stored under it."""

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

LONGEST_LIFE = 10 * 365 * 86_400.0
"""Seconds; what a vendor says beyond ten years means "for ever", and could not be computed with."""

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


def ask(rt: Runtime, connector: type[Connector], facts: OAuthFacts, opened: Opened, form: dict[str, str]) -> Tokens:
    """One token request, sent once. Raises GrantRefused, AppRefused, Transient, RateLimited, BadPayload."""
    url = facts.token_url.format(**endpoints(rt, connector))
    http, response = _post(rt, connector, facts, opened, url, form)
    answer = _json(response)
    if response.status >= 400 or "access_token" not in answer:
        raise _refusal(rt, connector, http, response, answer)
    expires_in = _seconds(answer.get("expires_in"))
    return Tokens(
        access_token=str(answer["access_token"]),
        refresh_token=answer.get("refresh_token") or None,
        expires_at=rt.clock() + expires_in if expires_in else None,
        scopes=tuple(str(answer.get("scope") or "").replace(",", " ").split()),
    )


def revoke(rt: Runtime, connector: type[Connector], opened: Opened) -> None:
    """Tell the vendor to forget the tokens, where it can be told (RFC 7009). Raises ConnectorError, GrantRefused."""
    facts = oauth_facts(connector, opened.mode)
    token = opened.values.get("refresh_token") or opened.values.get("access_token")
    if facts is None or facts.revoke_url is None or not token:
        return
    url = facts.revoke_url.format(**endpoints(rt, connector))
    http, response = _post(rt, connector, facts, opened, url, {"token": str(token)})
    if response.status >= 400:
        raise _refusal(rt, connector, http, response, _json(response))


def merged(connector: type[Connector], before: Opened, tokens: Tokens) -> dict[str, Any]:
    """The credentials with the new tokens, as far as the connector's model has fields for them."""
    fresh = {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token or before.values.get("refresh_token"),
        "expires_at": tokens.expires_at.isoformat() if tokens.expires_at else None,
    }
    fields = connector.manifest.credentials[before.mode].model_fields
    return {**before.values, **{name: value for name, value in fresh.items() if name in fields}}


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


def _refusal(
    rt: Runtime, connector: type[Connector], http: HttpClient, response: Response, answer: Mapping[str, Any]
) -> GrantRefused | ConnectorError:
    """What a refusal means; some vendors give it with a 200."""
    error, described = str(answer.get("error") or ""), str(answer.get("error_description") or "")
    words = plain(http.redact(f"{error} {described}")) or f"status {response.status} without an explanation"
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
        retry_at=rt.clock() + OPERATOR_PAUSE,
    )


def _json(response: Response) -> dict[str, Any]:
    """The answer's JSON object, empty when it is something else."""
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(value: Any) -> timedelta | None:
    """`expires_in`, which some vendors send as text. None: not said, and the token is used until it is refused."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return timedelta(seconds=min(seconds, LONGEST_LIFE)) if seconds > 0 else None


def plain(text: str) -> str:
    """Foreign words on one short line of printable text."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:WORDS_KEPT]
