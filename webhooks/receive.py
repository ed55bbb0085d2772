"""From a vendor's request to its answer: route, bound, verify on the raw bytes, store, acknowledge.

| what | answer |
|---|---|
| stored now, or stored before | the manifest's `accepted` (202) |
| a vendor's handshake | what its connector replies |
| not believed | the manifest's `rejection` (401), always the same body |
| no such hook, or its integration is disconnected | 404 |
| not POST · malformed · too slow · too large · encoded | 405 · 400 · 408 · 413 · 415 |
| database away, queue full, a connector's or our own fault | 503 with Retry-After |
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qsl

import structlog

from connectors.contract import BadSignature, RawDelivery, Reply, Secrets, Verified, WebhookFacts, WebhookReceiver
from connectors.registry import Registry, UnknownType
from core.clock import Clock, utc_now
from webhooks import answers
from webhooks.answers import Answer, Refused
from webhooks.bodies import Bodies, Gone, Share
from webhooks.hooks import Hook, Hooks, HooksUnavailable
from webhooks.inbox import Arrival, Inbox, Stored
from webhooks.metrics import Metrics, Verdict

log = structlog.get_logger(__name__)

BIG_BODY = 256 * 1024
"""Bytes from which on a body is verified in a thread: below, an HMAC takes well under a millisecond."""

MAX_KEY = 200
"""Characters of a vendor's delivery id kept as they are (they are UUIDs); a longer one is replaced by its digest,
since an index entry has a limit."""

MAX_EVENT = 200
"""Characters of an event's name kept; the longest in use have forty."""

MAX_QUERY_FIELDS = 100
"""Handshakes carry one or two; the limit bounds the parsing."""

NEVER_KEPT = frozenset({"authorization", "proxy-authorization", "cookie"})
"""Headers that are not stored even if a manifest names them: they are credentials."""

_PATH = re.compile(r"/webhooks/([a-z][a-z0-9_]{0,63})/([A-Za-z0-9_-]{16,128})")
"""A hook id has 32 characters; what can't be one is not looked up."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is needed of a connector that receives webhooks."""

    name: str
    receiver: type[WebhookReceiver]
    facts: WebhookFacts
    kept: tuple[str, ...]


class Receiver:
    """The ASGI application behind `/webhooks/`. `start` and `stop` it within the event loop that serves it."""

    def __init__(
        self,
        *,
        registry: Registry,
        hooks: Hooks,
        inbox: Inbox,
        metrics: Metrics,
        clock: Clock = utc_now,
        bodies: Bodies | None = None,
    ) -> None:
        self._registry = registry
        self._hooks = hooks
        self._inbox = inbox
        self._metrics = metrics
        self._clock = clock
        self._bodies = bodies or Bodies()
        self._kinds: dict[str, Kind] = {}

    async def start(self) -> None:
        """Begin to store what comes."""
        await self._inbox.start()

    async def stop(self) -> None:
        """Answer what is in hand and store no more."""
        await self._inbox.stop()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        assert scope["type"] == "http"
        started = time.perf_counter()
        route = _PATH.fullmatch(_path(scope))
        kind = self._kind(route[1]) if route else None
        try:
            with Share(self._bodies) as share:
                verdict, answer = await self._handle(kind, route[2] if route else "", scope, receive, share)
        except Refused as refused:
            verdict, answer = refused.verdict, refused.answer
        except Gone:
            return
        except HooksUnavailable:
            verdict, answer = Verdict.UNAVAILABLE, answers.COME_BACK
        except (Exception, SystemExit):  # an exit in the event loop would take the server with it
            # A connector's `verify` failed in a way its author did not foresee, or we did. Whether the delivery is
            # good is not known, so it must neither be taken nor refused: 503 is what vendors send again after, when
            # this has been mended. A 500 would say the same and some vendors count it against the hook; a 401 would
            # end the retries of those that take it for a verdict.
            log.exception("webhook_fault", type=kind.name if kind else None)
            verdict, answer = Verdict.FAULT, answers.COME_BACK
        self._metrics.requests.labels(kind.name if kind else "unknown", verdict.value).inc()
        if verdict in (Verdict.ACCEPTED, Verdict.DUPLICATE):
            self._metrics.ack_seconds.observe(time.perf_counter() - started)
        await answer.send(send)

    async def _handle(
        self, kind: Kind | None, hook_id: str, scope: Any, receive: Any, share: Share
    ) -> tuple[Verdict, Answer]:
        if kind is None:
            raise Refused(answers.UNKNOWN)
        if scope["method"] != "POST":
            raise Refused(answers.NOT_POST)
        headers = _headers(scope)
        _check(headers, kind.facts.max_body)
        query = _query(scope)
        # Before the body is read: who does not know a hook makes us hold nothing.
        hook = await self._hooks.find(kind.name, kind.facts, hook_id)
        if hook is None:
            raise Refused(answers.UNKNOWN)
        body = await share.read(receive, kind.facts.max_body)
        delivery = RawDelivery(headers, body, self._clock(), query)
        try:
            believed = await _believe(kind, delivery, hook.secrets)
        except BadSignature as bad:
            log.info("delivery_rejected", type=kind.name, integration_id=hook.integration_id, reason=bad.text)
            raise Refused(answers.rejected(kind.facts.rejection), Verdict.REJECTED) from None
        if isinstance(believed, Reply):
            return Verdict.HANDSHAKE, answers.handshake(believed)
        stored = await self._inbox.store(_arrival(kind, hook, delivery, believed))
        if stored is Stored.GONE:
            self._hooks.forget(kind.name, hook_id)
        return _acknowledge(stored, kind.facts)

    def _kind(self, type_: str) -> Kind | None:
        """None for a type that does not exist or receives no webhooks."""
        kind = self._kinds.get(type_)
        if kind is None:
            try:
                connector = self._registry.get(type_)
            except UnknownType:
                return None
            facts = connector.manifest.webhooks
            if facts is None:
                return None
            kept = {"content-type", *map(str.lower, facts.headers_kept)} - NEVER_KEPT
            # The registry has checked that facts come with the methods.
            receiver = cast(type[WebhookReceiver], connector)
            kind = self._kinds[type_] = Kind(type_, receiver, facts, tuple(sorted(kept)))
        return kind


def _acknowledge(stored: Stored, facts: WebhookFacts) -> tuple[Verdict, Answer]:
    match stored:
        case Stored.NEW:
            return Verdict.ACCEPTED, answers.accepted(facts.accepted)
        case Stored.DUPLICATE:
            return Verdict.DUPLICATE, answers.accepted(facts.accepted)
        case Stored.GONE:
            return Verdict.REFUSED, answers.UNKNOWN
        case Stored.NOT:
            return Verdict.UNAVAILABLE, answers.COME_BACK


# --- the request ----------------------------------------------------------------------------------------


def _path(scope: Any) -> str:
    """The path below the prefix the server is mounted under, if any."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "").rstrip("/"))


def _headers(scope: Any) -> dict[str, str]:
    """Names in lower case. A header that comes twice is joined as HTTP says, so that neither half is believed alone."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _check(headers: Mapping[str, str], max_body: int) -> None:
    """What can be refused by the headers alone."""
    # The signature is over the bytes on the wire, and unpacking what a stranger packed is how memory is exhausted.
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Refused(answers.ENCODED)
    length = headers.get("content-length")
    if length is None:
        return
    if not (length.isascii() and length.isdigit()):
        raise Refused(answers.MALFORMED)
    if len(length) > len(str(max_body)) or int(length) > max_body:
        raise Refused(answers.TOO_LARGE)


def _query(scope: Any) -> dict[str, str]:
    raw = scope.get("query_string", b"")
    if not raw:
        return {}
    try:
        fields = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise Refused(answers.MALFORMED) from None
    return dict(fields)


# --- the delivery ---------------------------------------------------------------------------------------


async def _believe(kind: Kind, delivery: RawDelivery, secrets: Secrets) -> Reply | Verified:
    if len(delivery.body) > BIG_BODY:
        return await asyncio.to_thread(_verify, kind.receiver, delivery, secrets)
    return _verify(kind.receiver, delivery, secrets)


def _verify(receiver: type[WebhookReceiver], delivery: RawDelivery, secrets: Secrets) -> Reply | Verified:
    """Raises BadSignature."""
    reply = receiver.handshake(delivery, secrets)
    return receiver.verify(delivery, secrets) if reply is None else reply


def _arrival(kind: Kind, hook: Hook, delivery: RawDelivery, verified: Verified) -> Arrival:
    kept = {name: _storable(delivery.headers[name]) for name in kind.kept if name in delivery.headers}
    return Arrival(
        integration_id=hook.integration_id,
        dedupe_key=f"{hook.integration_id}:{_key(verified.key, delivery.body)}",
        event=_storable(verified.event)[:MAX_EVENT],
        headers=kept,
        body=delivery.body,
        received_at=delivery.received_at,
    )


def _key(key: str | None, body: bytes) -> str:
    """What makes the delivery the same one when it comes again. An empty id is none: all would be one."""
    if not key:
        return hashlib.sha256(body).hexdigest()
    if len(key) > MAX_KEY or _storable(key) != key:
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return key


def _storable(text: str) -> str:
    """Without what no database takes as text: NUL, and halves of surrogate pairs (JSON may hold both)."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
