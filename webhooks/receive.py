"""From a vendor's request to its answer: route, bound, verify on the raw bytes, store, acknowledge.

| what | answer |
|---|---|
| stored now, or stored before | what its connector replies to it, else the manifest's `accepted` (202) |
| a vendor's handshake | what its connector replies |
| not believed | the manifest's `rejection` (401), always the same body |
| no such hook, or its integration is disconnected | 404 |
| verified for the operator's app, but of an account that no integration is connected to | 404 |
| not POST · malformed · too slow · too large · encoded | 405 · 400 · 408 · 413 · 415 |
| database away, queue full, a connector's or our own fault | 503 with Retry-After |
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qsl

import structlog

from connectors.contract import (
    AppWebhookReceiver,
    BadSignature,
    RawDelivery,
    Reply,
    Secrets,
    Verified,
    WebhookFacts,
    WebhookReceiver,
)
from connectors.registry import Registry, UnknownType
from core.clock import Clock, utc_now
from core.deliveries import dedupe_key, event_name, kept_headers
from core.delivery_counts import Counted
from webhooks import answers
from webhooks.answers import Answer, Refused
from webhooks.bodies import Bodies, Gone, Share
from webhooks.hooks import Hook, Hooks, HooksUnavailable
from webhooks.inbox import Arrival, Inbox, Stored
from webhooks.metrics import Metrics, Verdict

log = structlog.get_logger(__name__)

BIG_BODY = 256 * 1024
"""Bytes from which on a body is verified in a thread: below, an HMAC takes well under a millisecond."""

MAX_QUERY_FIELDS = 100
"""Handshakes carry one or two; the limit bounds the parsing."""

_PATH = re.compile(r"/webhooks/([a-z][a-z0-9_]{0,63})(?:/([A-Za-z0-9_-]{16,128}))?")
"""A hook id has 32 characters; what can't be one is not looked up. Without one it is the hook of the operator's app."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is needed of a connector that receives webhooks."""

    name: str
    receiver: type[WebhookReceiver]
    facts: WebhookFacts
    account: Callable[[RawDelivery], str | None] | None


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
                verdict, answer = await self._handle(kind, route[2] if route else None, scope, receive, share)
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
        self, kind: Kind | None, hook_id: str | None, scope: Any, receive: Any, share: Share
    ) -> tuple[Verdict, Answer]:
        if kind is None or (hook_id is None and kind.account is None):
            raise Refused(answers.UNKNOWN)
        if scope["method"] != "POST":
            raise Refused(answers.NOT_POST)
        headers = _headers(scope)
        _check(headers, kind.facts.max_body)
        query = _query(scope)
        # Before the body is read: who does not know a hook makes us hold nothing.
        hook, secrets = await self._known(kind, hook_id)
        body = await share.read(receive, kind.facts.max_body)
        delivery = RawDelivery(headers, body, self._clock(), query)
        believed = await self._believe(kind, hook, delivery, secrets)
        if isinstance(believed, Reply):
            return Verdict.HANDSHAKE, answers.handshake(believed)
        if hook is None:
            return await self._store_for_all(kind, delivery, believed)
        stored = await self._inbox.store(_arrival(kind, hook.integration_id, delivery, believed))
        if stored is Stored.GONE:
            self._hooks.forget(kind.name, hook.hook_id)
        return _acknowledge(stored, kind.facts, believed.reply)

    async def _known(self, kind: Kind, hook_id: str | None) -> tuple[Hook | None, Secrets]:
        """Whose URL it is and what verifies it; no hook for the app's own URL. Raises Refused, HooksUnavailable."""
        if hook_id is None:
            secrets = self._hooks.app_secrets(kind.name, kind.facts)
            if secrets is None:
                raise Refused(answers.UNKNOWN)
            return None, secrets
        hook = await self._hooks.find(kind.name, kind.facts, hook_id)
        if hook is None:
            raise Refused(answers.UNKNOWN)
        return hook, hook.secrets

    async def _believe(
        self, kind: Kind, hook: Hook | None, delivery: RawDelivery, secrets: Secrets
    ) -> Reply | Verified:
        """Raises Refused for what is not to be believed."""
        try:
            if len(delivery.body) > BIG_BODY:
                return await asyncio.to_thread(_verify, kind.receiver, delivery, secrets)
            return _verify(kind.receiver, delivery, secrets)
        except BadSignature as bad:
            integration_id = hook.integration_id if hook else None
            log.info("delivery_rejected", type=kind.name, integration_id=integration_id, reason=bad.text)
            if hook is not None:
                self._inbox.tally.note(hook.integration_id, Counted.REJECTED, delivery.received_at)
            raise Refused(answers.rejected(kind.facts.rejection), Verdict.REJECTED) from None

    async def _store_for_all(self, kind: Kind, delivery: RawDelivery, verified: Verified) -> tuple[Verdict, Answer]:
        """A row for every integration of the account the delivery is about: all of them, or the vendor sends again."""
        assert kind.account is not None
        account = kind.account(delivery)
        members = await self._hooks.of_account(kind.name, account) if account else ()
        if not members:
            # Somebody installed the app and connected nothing. There is nobody to keep it for, so no 2xx either.
            log.info("delivery_unclaimed", type=kind.name, account=account, delivery_event=verified.event)
            raise Refused(answers.UNKNOWN, Verdict.UNCLAIMED)
        arrivals = [_arrival(kind, integration_id, delivery, verified) for integration_id in members]
        outcomes = await asyncio.gather(*(self._inbox.store(arrival) for arrival in arrivals))
        if Stored.GONE in outcomes:
            self._hooks.forget_account(kind.name, account or "")
        worst_first = (Stored.NOT, Stored.NEW, Stored.DUPLICATE, Stored.GONE)
        return _acknowledge(min(outcomes, key=worst_first.index), kind.facts, verified.reply)

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
            # The registry has checked that facts come with the methods.
            receiver = cast(type[WebhookReceiver], connector)
            account = connector.account if isinstance(connector, AppWebhookReceiver) else None
            kind = self._kinds[type_] = Kind(type_, receiver, facts, account)
        return kind


def _acknowledge(stored: Stored, facts: WebhookFacts, reply: Reply | None) -> tuple[Verdict, Answer]:
    said = answers.handshake(reply) if reply else answers.accepted(facts.accepted, facts.accepted_body)
    match stored:
        case Stored.NEW:
            return Verdict.ACCEPTED, said
        case Stored.DUPLICATE:
            return Verdict.DUPLICATE, said
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


def _verify(receiver: type[WebhookReceiver], delivery: RawDelivery, secrets: Secrets) -> Reply | Verified:
    """Raises BadSignature."""
    reply = receiver.handshake(delivery, secrets)
    return receiver.verify(delivery, secrets) if reply is None else reply


def _arrival(kind: Kind, integration_id: str, delivery: RawDelivery, verified: Verified) -> Arrival:
    return Arrival(
        integration_id=integration_id,
        dedupe_key=dedupe_key(integration_id, verified.key, delivery.body),
        event=event_name(verified.event),
        headers=kept_headers(delivery.headers, kind.facts.headers_kept),
        body=delivery.body,
        received_at=delivery.received_at,
    )
