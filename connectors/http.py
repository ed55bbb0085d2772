"""The one HTTP client of all connectors: budget, timeouts, errors as data, redaction, the vendor's clock.

It sends each request exactly once: no retries, no sleeping, no redirects, no cookies, no proxies or
credentials from the environment. Whether to try again is the engine's decision.

httpx is imported in this module only, so that its successor is a change of one file.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
import structlog

from connectors.contract import (
    AuthFailed,
    BadPayload,
    Conflict,
    ConnectorError,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    Transient,
)
from connectors.limits import DEFAULT_WAIT, Budget, Unlimited, http_date, retry_after, room, says_limited
from connectors.redaction import Redactor
from connectors.response import Response, place, plain_words

if TYPE_CHECKING:
    from requests.adapters import BaseAdapter

__all__ = [
    "Budget",
    "HttpClient",
    "InvalidUrl",
    "Params",
    "Response",
    "Transport",
    "Unlimited",
    "Url",
    "WireError",
    "WireRequest",
    "WireResponse",
    "WireTimeout",
    "default_transport",
    "pooled_transport",
    "retry_after",
]

Transport = httpx.BaseTransport
WireRequest = httpx.Request
WireResponse = httpx.Response
Url = httpx.URL
InvalidUrl = httpx.InvalidURL
WireError = httpx.RequestError
WireTimeout = httpx.TimeoutException

Params = Mapping[str, str | int | Sequence[str]]
"""A query; a name with several values stands in it once for each."""

log = structlog.get_logger(__name__)

USER_AGENT = "turnbuckle"
"""GitHub refuses requests without one."""

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""The largest documented answers (a page of 100 issues with long texts) stay under 10 MiB after decompression."""

WORDS_KEPT = 300
"""Characters of the vendor's own words kept in an error text: enough to mend it, short enough for a table."""

TOTAL_TIMEOUT = 120.0
"""Seconds one answer may take in all: a server that drips a byte now and then must not hold a worker."""

MAX_CONNECTIONS = 100
IDLE_CONNECTIONS = 20
IDLE_SECONDS = 30.0
"""Shorter than the 60 s after which common load balancers drop an idle connection, which would look like a cut."""

SHORTEST_WAIT = timedelta(seconds=1)
"""A limit that is over "now" is met again at once by whoever asks again at once."""

_SAFE = frozenset({"GET", "HEAD"})
_ERRORS: dict[int, type[ConnectorError]] = {
    401: AuthFailed,
    403: Forbidden,
    404: NotFound,
    410: NotFound,
    409: Conflict,
    412: Conflict,
}
_TRY_LATER = frozenset({408, 425})


def whole_account(response: Response) -> str:
    """What a 429 limits, for vendors that do not say: the whole account."""
    return "account"


class HttpClient:
    """Sends requests to one vendor with one credential's budget. Safe to use from several threads.

    `transport` may be shared with other clients and is never closed here. `secrets` never show in an error text.
    A connector sets `errors_text`, `limited` (whether an answer says "too many"), `limit_scope` (what that limits:
    "account" or "item") and `read_timeout` (seconds between two parts of an answer) in its constructor when its vendor
    has its own ways.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        budget: Budget,
        now: Callable[[], datetime],
        secrets: Sequence[str] = (),
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
        total_timeout: float = TOTAL_TIMEOUT,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        errors_text: Callable[[Response], str] = plain_words,
        limit_scope: Callable[[Response], str] = whole_account,
        limited: Callable[[Response], bool] = says_limited,
    ) -> None:
        self.errors_text = errors_text
        self.limited = limited
        self.limit_scope = limit_scope
        self.calls = 0
        self._transport = transport
        self._budget = budget
        self._now = now
        self._secrets = tuple(secrets)
        self._redactor = Redactor(self._secrets)
        self.read_timeout = read_timeout
        self._connect_timeout = connect_timeout
        self._total_timeout = total_timeout
        self._max_response_bytes = max_response_bytes
        self._offset = timedelta(0)
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Params | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        cost: float = 1.0,
        allow: Collection[int] = (),
    ) -> Response:
        """Send one request; a 2xx answer, or one whose status is in `allow`, is returned.

        Raises AuthFailed (401), Forbidden (403), NotFound (404, 410), Conflict (409, 412), RateLimited (429, or a
        403 whose headers say so), Transient (408, 425, 5xx, broken connections), Rejected (everything else the
        vendor refuses, and requests that can't be sent), BadPayload (an answer too large or garbled; a write may
        have taken effect).
        """
        wire = self._wire(method, url, params=params, json=json, form=form, headers=headers)
        response = self._exchange(wire, cost)
        if (200 <= response.status < 300 or response.status in allow) and not self.limited(response):
            return response
        raise self._error(wire, response)

    def vendor_now(self) -> datetime:
        """The vendor's time, learnt from the `Date` of its answers; ours until it has answered. Good to a second."""
        return self._now() + self._offset

    @property
    def clock_offset(self) -> timedelta:
        """How far the vendor's clock is ahead of ours."""
        return self._offset

    def requests_adapter(self, allow: Collection[int] | None = None) -> BaseAdapter:
        """For libraries built on `requests`: mounted on their session, it sends what they prepare through this client.

        Every answer is given back as the library expects it, except a rate limit and a broken connection: those
        raise our errors, which the libraries let pass. With `allow` every other refusal does so, too, as in `request`:
        the library sees successes and these statuses only. Redirects are not followed by the session.
        """
        from connectors.requests_adapter import ClientAdapter  # only who uses such a library pays for the import

        return ClientAdapter(self, allow)

    def hide(self, *secrets: str) -> None:
        """Let these never show in a text either: what a connector makes of its credentials (a token it was given, the
        parts of a secret address)."""
        self._secrets += secrets
        self._redactor = Redactor(self._secrets)

    def redact(self, text: str) -> str:
        """The text with every known secret replaced by stars."""
        return self._redactor.redact(text)

    # --- one exchange -------------------------------------------------------------------------------

    def pass_through(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        allow: Collection[int] | None = None,
    ) -> Response:
        """Send a finished request and return the answer, for adapters of other libraries: whatever its status, or as
        `request` does with `allow`.

        Raises what `request` raises for rate limits, broken connections and requests that can't be sent.
        """
        wire = self._wire(method, url, headers=headers, content=content)
        response = self._exchange(wire, cost=1.0)
        welcome = allow is None or 200 <= response.status < 300 or response.status in allow
        if welcome and not self.limited(response):
            return response
        raise self._error(wire, response)

    def _wire(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None,
        params: Params | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> WireRequest:
        """The request as it will be sent. Raises Rejected when HTTP can't carry it."""
        try:
            address = httpx.URL(url).copy_merge_params(params) if params else httpx.URL(url)
            merged = httpx.Headers({"Accept": "application/json", "User-Agent": USER_AGENT})
            merged.update(headers)
            # What can be decoded without further packages, whatever a library would rather have.
            merged["Accept-Encoding"] = "gzip, deflate"
            return httpx.Request(
                method,
                address,
                headers=merged,
                json=json,
                data=form,
                content=content,
                extensions={"timeout": self._timeouts()},
            )
        except httpx.InvalidURL as error:
            raise Rejected(self.redact(f"The address can't be used: {error}")) from None
        except UnicodeError:
            text = "The request holds characters that HTTP can't carry; was a credential copied with something else?"
            raise Rejected(text) from None

    def _timeouts(self) -> dict[str, float | None]:
        connect = self._connect_timeout
        return httpx.Timeout(self.read_timeout, connect=connect, pool=connect).as_dict()

    def _exchange(self, wire: WireRequest, cost: float) -> Response:
        """Send once and read the whole answer. Raises what the budget, `_broken` and the size cap raise."""
        self._budget.take(cost)
        with self._lock:
            self.calls += 1
        started = time.monotonic()
        try:
            answer = self._transport.handle_request(wire)
            content, whole = self._read(answer, started + self._total_timeout)
        except httpx.RequestError as error:
            raise self._broken(wire, error) from None
        response = Response(answer.status_code, dict(answer.headers), content, str(wire.url))
        self._log(wire, response, started)
        self._learn(response)
        if not whole and response.status < 300:
            limit = self._max_response_bytes // (1024 * 1024)
            raise BadPayload(self._text(wire, f"answered more than {limit} MiB"))
        return response

    def _read(self, answer: WireResponse, deadline: float) -> tuple[bytes, bool]:
        """The decompressed body up to the cap, and whether that is all of it."""
        parts: list[bytes] = []
        size = 0
        try:
            for part in answer.iter_bytes():
                size += len(part)
                if size > self._max_response_bytes:
                    return b"".join(parts), False
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer took too long in all")
                parts.append(part)
        finally:
            answer.close()
        return b"".join(parts), True

    def _learn(self, response: Response) -> None:
        """Take the vendor's clock and its rate window from the headers."""
        now = self._now()
        date = http_date(response.headers.get("date", ""))
        if date is not None and "age" not in response.headers:  # a cache repeats the Date of the first answer
            self._offset = date - now
        left = room(response.headers, now)
        if left is not None:
            self._budget.note(*left)
        # Azure slows callers down with answers that succeed; on a 202 it is only when to ask for the outcome.
        if response.status < 300 and response.status != 202 and "retry-after" in response.headers:
            until = retry_after(response.headers, now)
            if until is not None:
                self._budget.park(until, "The vendor asked for a pause while answering.")

    def _log(self, wire: WireRequest, response: Response, started: float) -> None:
        log.debug(
            "vendor request",
            method=wire.method,
            host=wire.url.host,
            path=self.redact(wire.url.path),
            status=response.status,
            ms=round((time.monotonic() - started) * 1000),
        )

    # --- what went wrong ----------------------------------------------------------------------------

    def _error(self, wire: WireRequest, response: Response) -> ConnectorError:
        """The error an answer stands for; a limit of the whole account parks the budget."""
        status = response.status
        text = self._text(wire, f"answered {status}: {self._words(wire, response)}")
        if self.limited(response):
            return self._limited(response, text)
        if status in _ERRORS:
            return _ERRORS[status](text)
        if status >= 500 or status in _TRY_LATER:
            retry_at = retry_after(response.headers, self._now())
            return Transient(text, maybe_done=wire.method not in _SAFE, retry_at=retry_at)
        if 300 <= status < 400:
            return Rejected(self._text(wire, f"answered {status}, a redirect: configure the final address instead"))
        return Rejected(text)

    def _limited(self, response: Response, text: str) -> RateLimited:
        now = self._now()
        until = retry_after(response.headers, now) or now + DEFAULT_WAIT
        until = max(until, now + SHORTEST_WAIT)
        scope = self.limit_scope(response)
        if scope == "account":
            self._budget.park(until, text)
        return RateLimited(text, until, scope)

    def _broken(self, wire: WireRequest, error: httpx.RequestError) -> ConnectorError:
        """The error a broken exchange stands for. httpx's own error holds the request with its credentials."""
        if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            # No reason given: it would quote the header that HTTP can't carry.
            return Rejected(self._text(wire, "can't be sent: the address or a header is malformed"))
        if isinstance(error, httpx.DecodingError):
            return BadPayload(self._text(wire, "answered a body that can't be decompressed"))
        reason = str(error) or type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return Transient(self._text(wire, f"could not connect: {reason}"), maybe_done=False)
        maybe_done = wire.method not in _SAFE
        hint = "; it may have taken effect" if maybe_done else ""
        return Transient(self._text(wire, f"got no whole answer: {reason}{hint}"), maybe_done=maybe_done)

    def _words(self, wire: WireRequest, response: Response) -> str:
        """The vendor's words on one line, redacted before they are cut so that no part of a secret is left."""
        # Vendors echo what they were sent; the credential of this very request may be no configured secret.
        sent = Redactor([wire.headers.get("authorization", "").partition(" ")[2]])
        words = sent.redact(self.redact(self.errors_text(response)))
        line = "".join(char for char in " ".join(words.split()) if char.isprintable())
        return line[:WORDS_KEPT] or "no explanation"

    def _text(self, wire: WireRequest, happened: str) -> str:
        return self.redact(f"{wire.method} {place(str(wire.url))} {happened}")


def default_transport(allow: Sequence[str] = ()) -> Transport:
    """Pooled connections to public https addresses, and to what the operator allows (see `connectors.egress`)."""
    from connectors.egress import GuardedTransport  # it is built on the types of this module

    return GuardedTransport(allow)


Pin = Callable[[str], Sequence[str]]
"""Host name or address literal -> the addresses that may be connected to, best first. Raises OSError or Rejected."""


def pooled_transport(pin: Pin, tls: ssl.SSLContext | None = None) -> Transport:
    """Pooled HTTP/1.1 connections to the addresses `pin` gives for a name.

    The pool, TLS (SNI, certificate check) and Host all keep to the name; only the socket uses the address. So a
    connection is never reused for another name that happens to live at the same address.
    """
    return _PinnedTransport(pin, tls)


class _PinnedTransport(httpx.HTTPTransport):
    def __init__(self, pin: Pin, tls: ssl.SSLContext | None) -> None:
        # Not super().__init__(): it makes a pool of its own, without a way to say how to connect.
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(),
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            retries=0,
            network_backend=_PinnedBackend(pin),
        )


class _PinnedBackend(httpcore.SyncBackend):
    """Resolves a name once, by `pin`, and connects to exactly those addresses, the next when one is unreachable."""

    def __init__(self, pin: Pin) -> None:
        self._pin = pin

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._pin(host)
        except OSError:
            raise httpcore.ConnectError("the name can't be resolved") from None
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in addresses:
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("the name has no address")
