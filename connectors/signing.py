"""The signature schemes vendors really use, as pure functions on raw bytes. All raise BadSignature.

Every function tries every secret in constant time without an early exit (two are valid during a rotation), takes a
missing header as None, decodes strictly (wrong case, whitespace, padding or alphabet is a failure), and never accepts
an empty secret: anyone can sign with that.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt
from jwt.types import Options

from connectors.contract import BadSignature

STANDARD_TOLERANCE = timedelta(minutes=5)
"""What the Standard Webhooks libraries use; Slack documents the same."""

JWT_LEEWAY = timedelta(seconds=60)
"""Clocks of vendors and servers that keep time by NTP differ by far less."""

JWT_LONGEST = 16 * 1024
"""Characters; real delivery tokens are under 2,000, and the token is parsed before it can be believed."""

LATEST_SECOND = 99_999_999_999
"""Unix seconds of the year 5138: the largest number of the eleven digits accepted in a timestamp header."""

_UNIX_SECONDS = re.compile(r"[0-9]{1,11}")
_LOWER_HEX = re.compile(r"[0-9a-f]+")
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

_UNCHECKED = Options(
    verify_exp=False,
    verify_iat=False,
    verify_nbf=False,
    verify_aud=False,
    verify_iss=False,
    verify_sub=False,
    verify_jti=False,
)
"""What a token claims is checked here, on the given clock."""


# --- HMAC of the body ---------------------------------------------------------------------------------


def hmac_hex(
    body: bytes, header: str | None, secrets: Sequence[str], algorithm: str = "sha256", prefix: str = ""
) -> None:
    """`prefix` and the lower-case hex HMAC of the body: "sha256=" for GitHub, Bitbucket and Jira, "" for Linear,
    ClickUp and SonarCloud."""
    _match_any(_from_hex(_after(prefix, header)), (hmac.digest(k, body, algorithm) for k in _utf8(secrets)))


def hmac_hex_sign(body: bytes, secret: str, algorithm: str = "sha256", prefix: str = "") -> str:
    """The header `hmac_hex` accepts."""
    return prefix + hmac.digest(secret.encode(), body, algorithm).hex()


def hmac_base64(
    body: bytes,
    header: str | None,
    secrets: Sequence[str],
    algorithm: str = "sha256",
    prefix: str = "",
    base64_keys: bool = False,
) -> None:
    """`prefix` and the base64 HMAC of the body: Teams outgoing webhooks ("HMAC ", whose secrets are base64 keys)."""
    keys = _decoded_keys(secrets) if base64_keys else _utf8(secrets)
    _match_any(_from_base64(_after(prefix, header)), (hmac.digest(k, body, algorithm) for k in keys))


def hmac_base64_sign(
    body: bytes, secret: str, algorithm: str = "sha256", prefix: str = "", base64_keys: bool = False
) -> str:
    """The header `hmac_base64` accepts."""
    (key,) = _decoded_keys([secret]) if base64_keys else _utf8([secret])
    return prefix + base64.b64encode(hmac.digest(key, body, algorithm)).decode()


# --- HMAC of the body and a time ----------------------------------------------------------------------


def standard_webhooks(
    message_id: str | None,
    timestamp: str | None,
    header: str | None,
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
    tolerance: timedelta = STANDARD_TOLERANCE,
) -> None:
    """Standard Webhooks 1.0: HMAC of `id.timestamp.body`; also GitLab's signing tokens. Secrets are `whsec_` + base64.

    `header` is a list of `v1,<base64>` separated by single spaces; items of other versions are skipped.
    """
    if not message_id or not message_id.isascii() or "." in message_id:  # a dot would move the id's border
        raise BadSignature("the message id is missing or malformed")
    _check_time(timestamp, now, tolerance)
    signed = f"{message_id}.{timestamp}.".encode() + body
    received = [_from_base64(value) for version, value in _items(header) if version == "v1"]
    expected = [hmac.digest(key, signed, "sha256") for key in _decoded_keys(secrets)]
    matches = [hmac.compare_digest(got, want) for got in received for want in expected]
    if not any(matches):
        raise BadSignature("the signature does not match")


def standard_webhooks_sign(message_id: str, sent_at: datetime, body: bytes, secret: str) -> str:
    """One `v1,<base64>` item; the timestamp header that goes with it is `int(sent_at.timestamp())`."""
    signed = f"{message_id}.{int(sent_at.timestamp())}.".encode() + body
    (key,) = _decoded_keys([secret])
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def slack(
    timestamp: str | None,
    header: str | None,
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
    tolerance: timedelta = STANDARD_TOLERANCE,
) -> None:
    """Slack: `v0=` and the hex HMAC of `v0:timestamp:body`."""
    _check_time(timestamp, now, tolerance)
    hmac_hex(f"v0:{timestamp}:".encode() + body, header, secrets, prefix="v0=")


def slack_sign(sent_at: datetime, body: bytes, secret: str) -> str:
    """The header `slack` accepts."""
    return hmac_hex_sign(f"v0:{int(sent_at.timestamp())}:".encode() + body, secret, prefix="v0=")


# --- shared words and tokens --------------------------------------------------------------------------


def token_equal(header: str | None, secrets: Sequence[str]) -> None:
    """The secret itself as a header: Datadog, GitLab's older hooks. It proves who sent the body, not what was sent."""
    received = _after("", header)
    if not received.isascii():
        raise BadSignature("the token is malformed")
    # Digests are of equal length, so that not even the secret's length shows in the time taken.
    _match_any(sha256(received.encode()).digest(), (sha256(k).digest() for k in _utf8(secrets)))


def basic_auth(header: str | None, secrets: Sequence[str]) -> None:
    """`Authorization: Basic …`; the secrets are `user:password`. Azure DevOps."""
    received = _from_base64(_after("Basic ", header))
    _match_any(sha256(received).digest(), (sha256(k).digest() for k in _utf8(secrets)))


def shared_secret(token: str | None, authorization: str | None, secrets: Sequence[str], user: str) -> None:
    """The secret as a header of its own, as the password of Basic auth (`user` is fixed), or both: then both must be
    right. For vendors that sign nothing and send what they were told to. Azure, Datadog."""
    if token is None and authorization is None:
        raise BadSignature("the secret is missing")
    if token is not None:
        token_equal(token, secrets)
    if authorization is not None:
        basic_auth(authorization, [f"{user}:{secret}" for secret in secrets if secret])


def jwt_hs256(
    header: str | None, secrets: Sequence[str], issuer: str, now: datetime, leeway: timedelta = JWT_LEEWAY
) -> dict[str, Any]:
    """`Authorization: Bearer <JWT>`, HS256 only, with `iss`, `exp` and `iat`; returns the claims. Jira's app webhooks.

    It does not cover the body: what the body says must be fetched from the vendor.
    """
    token = _token(header)
    return _believed(token, [_claims(token, key) for key in _utf8(secrets)], issuer, now, leeway)


def jwt_rs256(
    header: str | None,
    key_sets: Sequence[str],
    issuer: str,
    audiences: Collection[str],
    now: datetime,
    leeway: timedelta = JWT_LEEWAY,
) -> dict[str, Any]:
    """`Authorization: Bearer <JWT>`, RS256 only; returns the claims. Microsoft's Bot Connector.

    `key_sets` are JWKS documents (JSON) as the issuer publishes them: fetching them is the connector's work. The token
    names the key it was signed with. It does not cover the body.
    """
    token = _token(header)
    claims = _believed(token, [_rs256_claims(token, key) for key in _rsa_keys(key_sets)], issuer, now, leeway)
    audience = claims.get("aud")
    if not isinstance(audience, str) or audience not in audiences:
        raise BadSignature("the token is for somebody else")
    return claims


def _token(header: str | None) -> str:
    token = _after("Bearer ", header)
    if len(token) > JWT_LONGEST or not _JWT.fullmatch(token) or not _is_canonical(token.rpartition(".")[2]):
        raise BadSignature("the token is malformed")
    return token


def _believed(
    token: str, tried: Sequence[dict[str, Any] | None], issuer: str, now: datetime, leeway: timedelta
) -> dict[str, Any]:
    """The claims that one of the keys proved, if they hold now."""
    believed = [claims for claims in tried if claims is not None]
    if not believed:
        raise BadSignature("the token's signature does not match")
    claims = believed[0]
    if claims.get("iss") != issuer:
        raise BadSignature("the token is from another issuer")
    _check_claimed_times(claims, now, leeway)
    return claims


def _claims(token: str, key: bytes) -> dict[str, Any] | None:
    """The claims when the signature matches, else None. What they mean is checked by the caller, on the given clock."""
    try:
        return jwt.decode(token, key, algorithms=["HS256"], options=_UNCHECKED)
    except (jwt.InvalidTokenError, RecursionError):  # the header is parsed unbelieved and may nest without end
        return None


def _rs256_claims(token: str, key: jwt.PyJWK) -> dict[str, Any] | None:
    try:
        if jwt.get_unverified_header(token).get("kid") != key.key_id:
            return None
        return jwt.decode(token, key.key, algorithms=["RS256"], options=_UNCHECKED)
    except (jwt.InvalidTokenError, RecursionError):
        return None


def _rsa_keys(key_sets: Sequence[str]) -> list[jwt.PyJWK]:
    """The RSA keys of the documents; one that can't be read counts as none, as an issuer may publish other kinds."""
    keys: list[jwt.PyJWK] = []
    for document in key_sets:
        try:
            keys += jwt.PyJWKSet.from_json(document).keys
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):  # not JSON, or no key set
            continue
    usable = [key for key in keys if key.key_type == "RSA" and key.key_id]
    if not usable:
        raise BadSignature("no key of the issuer is known")
    return usable


def _is_canonical(signature: str) -> bool:
    """Whether unpadded base64url is in its one canonical spelling; the library accepts others for the same bytes."""
    try:
        data = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    except ValueError:
        return False
    return base64.urlsafe_b64encode(data).decode().rstrip("=") == signature


def _check_claimed_times(claims: dict[str, Any], now: datetime, leeway: timedelta) -> None:
    expires, issued = _seconds(claims.get("exp")), _seconds(claims.get("iat"))
    if expires is None or issued is None:
        raise BadSignature("the token names no usable time")
    moment, slack_seconds = now.timestamp(), leeway.total_seconds()
    if expires + slack_seconds <= moment:
        raise BadSignature("the token has expired")
    if issued - slack_seconds > moment or (_seconds(claims.get("nbf")) or 0) - slack_seconds > moment:
        raise BadSignature("the token is from the future")


def _seconds(value: Any) -> float | None:
    """Unix seconds; None for anything else, the numbers JSON should not hold (NaN, 10⁴⁰⁰) included."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST_SECOND:
        return None
    return float(value)


# --- strict decoding ----------------------------------------------------------------------------------


def _match_any(received: bytes, expected: Iterable[bytes]) -> None:
    matches = [hmac.compare_digest(received, digest) for digest in expected]  # a list: every one is compared
    if not any(matches):
        raise BadSignature("the signature does not match")


def _after(prefix: str, header: str | None) -> str:
    if not header:
        raise BadSignature("the signature header is missing")
    if not header.startswith(prefix):
        raise BadSignature("the signature header has another form")
    return header[len(prefix) :]


def _from_hex(text: str) -> bytes:
    if not _LOWER_HEX.fullmatch(text) or len(text) % 2:
        raise BadSignature("the signature is not lower-case hex")
    return bytes.fromhex(text)


def _from_base64(text: str, what: str = "signature") -> bytes:
    """Standard base64 in its one canonical spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one
        raise BadSignature(f"the {what} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise BadSignature(f"the {what} is not base64")
    return data


def _items(header: str | None) -> list[tuple[str, str]]:
    """The (version, value) pairs of a `v1,… v1,…` header."""
    pairs = [item.partition(",") for item in _after("", header).split(" ")]
    if not all(comma for _, comma, _ in pairs):
        raise BadSignature("the signature header has another form")
    return [(version, value) for version, _, value in pairs]


def _check_time(timestamp: str | None, now: datetime, tolerance: timedelta) -> None:
    if not timestamp or not _UNIX_SECONDS.fullmatch(timestamp):
        raise BadSignature("the timestamp is missing or malformed")
    if abs(now.timestamp() - int(timestamp)) > tolerance.total_seconds():
        raise BadSignature("the timestamp is too old or in the future")


def _utf8(secrets: Sequence[str]) -> list[bytes]:
    return _usable([secret.encode() for secret in secrets])


def _decoded_keys(secrets: Sequence[str]) -> list[bytes]:
    return _usable([_from_base64(secret.removeprefix("whsec_"), "secret") for secret in secrets])


def _usable(keys: Sequence[bytes]) -> list[bytes]:
    found = [key for key in keys if key]
    if not found:
        raise BadSignature("no secret is set")
    return found
