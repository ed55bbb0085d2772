"""The practical limit: the least a receiver can do that keeps the promise.

A bare ASGI application that checks the signature and answers when the row, the same as ours, is committed by raw
psycopg in the same table: one statement and one round trip for all that came meanwhile, on the event loop itself. No
routing, no bounds of size, time or memory, no vendor's rules, no secrets that can be rotated, nothing about a database
that is away, no metrics and no doorbell.
"""

from __future__ import annotations

import asyncio
import hmac
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
from psycopg.types.array import ListBinaryDumper
from sqlalchemy.engine import make_url

from benchmarks.front_door.deliveries import EVENT

GROUP_ROWS = 256
"""Most rows in one commit, as in ours."""

_INSERT = """
    INSERT INTO delivery
        (integration_id, dedupe_key, event, headers, body, received_at, state, attempts, next_attempt_at)
    SELECT v.integration, v.key, v.event, v.headers::jsonb, v.body, v.at, 'pending', 0, v.at
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::timestamptz[])
        AS v(integration, key, event, headers, body, at)
    ON CONFLICT (dedupe_key) DO NOTHING RETURNING dedupe_key
"""

_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]

Row = tuple[str, str, str, str, bytes, datetime]


class _Array(list[Any]):
    """Sent in binary form."""


class Limit:
    """The ASGI application. It needs its lifespan."""

    def __init__(self, url: str, integration_id: str, secret: str) -> None:
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._integration_id = integration_id
        self._secret = secret.encode()
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._come = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        status = await self._take(dict(scope["headers"]), b"".join(parts))
        await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": b"{}"})

    async def _take(self, headers: dict[bytes, bytes], body: bytes) -> int:
        signature = b"sha256=" + hmac.digest(self._secret, body, "sha256").hex().encode()
        if not hmac.compare_digest(headers.get(b"x-hub-signature", b""), signature):
            return 401
        committed = asyncio.get_running_loop().create_future()
        self._waiting.append((self._row(headers, body), committed))
        self._come.set()
        await committed
        return 202

    def _row(self, headers: dict[bytes, bytes], body: bytes) -> Row:
        key = headers[b"x-atlassian-webhook-identifier"].decode()
        kept = {"content-type": headers[b"content-type"].decode(), "x-atlassian-webhook-identifier": key}
        packed = msgspec.json.encode(kept).decode()
        return (self._integration_id, f"{self._integration_id}:{key}", EVENT, packed, body, datetime.now(UTC))

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        writer = asyncio.create_task(self._write())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        writer.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _write(self) -> None:
        psycopg.adapters.register_dumper(_Array, ListBinaryDumper)
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            while await self._come.wait():
                group, self._waiting = self._waiting[:GROUP_ROWS], self._waiting[GROUP_ROWS:]
                if not self._waiting:
                    self._come.clear()
                columns = zip(*(row for row, _ in group), strict=True)
                await connection.execute(_INSERT, [_Array(column) for column in columns], prepare=False)
                for _, committed in group:
                    committed.set_result(None)
