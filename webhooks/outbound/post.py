"""One POST to an address a user gave: sent once, never redirected, and told of in words that give nothing away.

The guard of the transport checks the address at every call. What a private address (which an operator may allow)
answers is counted and not shown: whoever may name addresses must not read our network through them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any, cast

from connectors.contract import Rejected
from connectors.egress import is_public
from connectors.http import Transport, WireError, WireRequest, WireResponse, WireTimeout, retry_after
from connectors.redaction import Redactor
from webhooks.outbound.schedule import Outcome, outcome_of

TIMEOUT = 15.0
"""Seconds for the whole answer: receivers are to answer first and work later."""

CONNECT_TIMEOUT = 5.0

TIMEOUTS = {"connect": CONNECT_TIMEOUT, "read": TIMEOUT, "write": TIMEOUT, "pool": CONNECT_TIMEOUT}

MOST_READ = 1024 * 1024
"""Bytes of an answer that are read, so that its connection can be used again; a longer answer costs it."""

KEPT = 1024
"""Bytes of an answer that are kept for the person who looks for what went wrong."""

USER_AGENT = "turnbuckle-webhooks"

WORDS = {
    Outcome.DELIVERED: "The endpoint took it.",
    Outcome.GONE: "The endpoint answered 410: it wants no more webhooks.",
    Outcome.TIMEOUT: f"The endpoint did not answer within {TIMEOUT:.0f} seconds.",
    Outcome.UNREACHABLE: "The endpoint could not be reached: no connection, no valid certificate, or a broken answer.",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one call. `text` is for who owns the endpoint, `answer` the beginning of what it said.

    wish  until when it asked us to wait
    """

    outcome: Outcome
    text: str
    latency_ms: int
    status: int | None = None
    answer: str | None = None
    wish: datetime | None = None


def post(
    transport: Transport,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    now: datetime,
    secrets: Iterable[str] = (),
) -> Result:
    """Send the body once; what the network does is told, not raised. `secrets` do not show in what is kept."""
    started = time.monotonic()
    sent = {"accept": "*/*", "accept-encoding": "identity", "user-agent": USER_AGENT, **headers}
    request = WireRequest("POST", url, headers=sent, content=body, extensions={"timeout": TIMEOUTS})
    try:
        response = transport.handle_request(request)
    except Rejected as refusal:
        return Result(Outcome.FORBIDDEN_ADDRESS, refusal.text, _ms_since(started))
    except WireTimeout:
        return _failed(Outcome.TIMEOUT, started)
    except WireError:  # its words would tell a stranger which ports of which hosts are open
        return _failed(Outcome.UNREACHABLE, started)
    public = _is_public(response)
    beginning = _beginning(response, started + TIMEOUT)
    outcome = outcome_of(response.status_code)
    return Result(
        outcome,
        _words(outcome, response),
        _ms_since(started),
        response.status_code,
        _readable(beginning, secrets) if public else None,
        retry_after(dict(response.headers), now) if outcome is Outcome.BUSY else None,
    )


def _failed(outcome: Outcome, started: float) -> Result:
    return Result(outcome, WORDS[outcome], _ms_since(started))


def _words(outcome: Outcome, response: WireResponse) -> str:
    status = response.status_code
    if outcome is Outcome.BUSY:
        return f"The endpoint answered {status}: it is too busy or away."
    if outcome is Outcome.REFUSED and 300 <= status < 400:
        return f"The endpoint answered {status}, a redirect, which is not followed: enter the final address."
    return WORDS.get(outcome, f"The endpoint answered {status}, not a 2xx.")


def _beginning(response: WireResponse, deadline: float) -> bytes:
    """The first bytes of the answer's body, more than are kept: a secret must not be cut before it is looked for.

    The status says it all, so a body that breaks off changes nothing.
    """
    kept, size = b"", 0
    try:
        # As it came over the wire: an answer made to explode when decompressed does not.
        for part in cast(Iterable[bytes], response.stream):
            kept += part[: 2 * KEPT - len(kept)]
            size += len(part)
            if size > MOST_READ or time.monotonic() > deadline:
                break
    except WireError:
        pass  # see above
    finally:
        response.close()
    return kept


def _is_public(response: WireResponse) -> bool:
    """Whether the other end of the connection is on the public internet, whatever its name says."""
    stream: Any = response.extensions.get("network_stream")
    try:
        peer = stream.get_extra_info("server_addr") if stream is not None else None
    except OSError:  # the connection is gone: nobody can tell any more
        return False
    return peer is not None and is_public(ip_address(str(peer[0]).partition("%")[0]))


def _readable(answer: bytes, secrets: Iterable[str]) -> str | None:
    """The answer as text that can be stored and shown: no secret we sent, no control characters."""
    text = Redactor(list(secrets)).redact(answer.decode("utf-8", "replace"))
    shown = "".join(char for char in text if char.isprintable() or char in "\n\t")
    return shown.encode()[:KEPT].decode("utf-8", "ignore") or None


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
