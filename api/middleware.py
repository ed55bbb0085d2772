"""What surrounds every request: its id, its size, its encoding, the headers of its answer, its count and its time."""

from __future__ import annotations

import re
import time
from typing import Any
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors

log = structlog.get_logger(__name__)

MAX_BODY = 1024 * 1024
"""Bytes of a request to /v1: ten times the longest task description in its widest encoding."""

GUARDED = "/v1/"
"""Other paths (vendors' webhooks) have limits of their own."""

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""A caller's own id is kept when it can't do harm in a log line."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
API_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""For /v1 alone: the pages of documentation need scripts."""


class Surround:
    """Gives each request an id, and its answer the headers; counts and logs it when it is done."""

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self.app = app
        self.headers = SECURITY_HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = request_id
        headers = self.headers | (API_HEADERS if scope["path"].startswith(GUARDED) else {})
        status = 500
        started = time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add(MutableHeaders(scope=message), headers | {"X-Request-Id": request_id})
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, answer)
            finally:
                self._done(scope, status, time.perf_counter() - started)

    def _done(self, scope: Scope, status: int, seconds: float) -> None:
        """The route's template stands for the path: paths have no end, and a query may hold a code or a cursor."""
        route = getattr(scope.get("route"), "path", "unknown")
        scope["app"].state.meters.count(scope["method"], route, status, seconds)
        note = log.info if scope["path"].startswith(GUARDED) else log.debug  # probes come every few seconds
        note("request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1))


def _request_id(given: str) -> str:
    return given if REQUEST_ID.fullmatch(given) else uuid4().hex


def _add(present: MutableHeaders, wanted: dict[str, str]) -> None:
    for name, value in wanted.items():
        present.setdefault(name, value)


class BodyGuard:
    """Refuses what no route can use: bodies too large or not UTF-8, and NUL characters in the address.

    Every body is read as JSON, whatever its `Content-Type`: `curl -d` says "form" unless told otherwise.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(GUARDED):
            await self.app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await errors.answer(400, "The address holds a NUL character.")(scope, receive, send)
            return
        try:
            body = await _read(receive)
        except ClientDisconnect:
            return
        if body is None:
            refusal = errors.answer(413, f"The body is larger than {MAX_BODY} bytes.", {"Connection": "close"})
            await refusal(scope, receive, send)
        elif not _is_utf8(body):
            await errors.answer(400, "The body is not UTF-8.")(scope, receive, send)
        else:
            others = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
            scope["headers"] = [*others, (b"content-type", b"application/json")]
            await self.app(scope, _again(body, receive), send)


async def _read(receive: Receive) -> bytes | None:
    """The whole body, None as soon as it is known to be too large. Raises ClientDisconnect."""
    body = bytearray()
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, and then whatever comes."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _is_utf8(body: bytes) -> bool:
    """UTF-8 as JSON text has it: a NUL byte only occurs in the encodings that JSON gave up."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in body
