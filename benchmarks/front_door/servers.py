"""The servers that are compared, each in a process of its own and all on the same uvicorn settings.

    python -m benchmarks.front_door.servers NAME PORT

| name | before it answers 202 |
|---|---|
| ours | `turnbuckle serve`, as operators run it |
| limit | checks the signature, stores the delivery by the shortest way (`limit`): the least that keeps the promise |
| groups of one | as ours, but every delivery has a commit of its own |
| bare ASGI | reads the body |
| FastAPI | reads the body |
| FastAPI + Celery | checks the signature, reads the JSON, sends it to Redis with `.delay()` |
| FastAPI + commit | checks the signature, stores the delivery in a SQLAlchemy session, in the pool of threads |
"""

from __future__ import annotations

import hmac
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from benchmarks.front_door.deliveries import EVENT
from benchmarks.front_door.limit import Limit
from cli.main import app as command_line
from cli.web import listen, server_for
from core.db import make_engine
from core.models import Delivery
from webhooks import inbox

STORING = ("ours", "limit", "groups of one", "FastAPI + commit")
"""Those that leave a row per delivery."""

CELERY = "FastAPI + Celery"
QUEUE = "bench"
"""Where that one's messages end up."""

PATH = "/webhooks/{type_}/{hook_id}"


def environment(url: str, broker: str, key: str, secret: str, integration_id: str) -> dict[str, str]:
    """What all of them are told."""
    ours = {"TURNBUCKLE_DATABASE_URL": url, "TURNBUCKLE_BROKER_URL": broker, "TURNBUCKLE_SECRETS_KEYS": key}
    return ours | {"BENCH_SECRET": secret, "BENCH_INTEGRATION": integration_id}


def ours(port: int) -> None:
    """The product."""
    command_line(["serve", "--port", str(port)])


def groups_of_one(port: int) -> None:
    """The product without its group commit."""
    inbox.GROUP_ROWS = 1
    ours(port)


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The least a server can do: the limit of the server and the load."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    while (await receive()).get("more_body", False):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def limit() -> Limit:
    """The practical limit of what keeps the promise."""
    told = ("TURNBUCKLE_DATABASE_URL", "BENCH_INTEGRATION", "BENCH_SECRET")
    return Limit(*(os.environ[name] for name in told))


def fastapi_alone() -> FastAPI:
    """A route that does nothing."""
    api = FastAPI()

    @api.post(PATH, status_code=202)
    async def take(request: Request) -> dict[str, str]:
        await request.body()
        return {}

    return api


def fastapi_and_celery() -> FastAPI:
    """How receivers are usually written."""
    api = FastAPI()
    celery = Celery("bench", broker=os.environ["TURNBUCKLE_BROKER_URL"])
    celery.conf.update(task_ignore_result=True, task_default_queue=QUEUE)

    @celery.task(name="bench.process")
    def process(event: dict[str, Any]) -> None:
        raise AssertionError("no worker runs here")

    @api.post(PATH, status_code=202)
    async def take(request: Request) -> dict[str, str]:
        _verify(await request.body(), request.headers.get("x-hub-signature", ""))
        process.delay(await request.json())
        return {"status": "queued"}

    return api


def fastapi_and_commit() -> FastAPI:
    """A session and a commit per request."""
    api = FastAPI()
    engine = make_engine(os.environ["TURNBUCKLE_DATABASE_URL"])
    integration_id = os.environ["BENCH_INTEGRATION"]

    def store(key: str, body: bytes) -> None:
        with Session(engine) as session, session.begin():
            session.add(_delivery(integration_id, key, body))

    @api.post(PATH, status_code=202)
    async def take(request: Request) -> dict[str, str]:
        body = await request.body()
        _verify(body, request.headers.get("x-hub-signature", ""))
        await run_in_threadpool(store, request.headers["x-atlassian-webhook-identifier"], body)
        return {"status": "stored"}

    return api


def _verify(body: bytes, signature: str) -> None:
    expected = "sha256=" + hmac.digest(os.environ["BENCH_SECRET"].encode(), body, "sha256").hex()
    if not hmac.compare_digest(expected, signature):
        raise HTTPException(401)


def _delivery(integration_id: str, key: str, body: bytes) -> Delivery:
    now = datetime.now(UTC)
    return Delivery(
        integration_id=integration_id,
        dedupe_key=f"{integration_id}:{key}",
        event=EVENT,
        headers={"x-atlassian-webhook-identifier": key},
        body=body,
        received_at=now,
        state="pending",
        attempts=0,
        next_attempt_at=now,
    )


def _served(make: Callable[[], Any]) -> Callable[[int], None]:
    def serve(port: int) -> None:
        with listen("127.0.0.1", port) as listening:
            server_for(make()).run([listening])

    return serve


SERVERS: dict[str, Callable[[int], None]] = {
    "ours": ours,
    "limit": _served(limit),
    "groups of one": groups_of_one,
    "bare ASGI": _served(lambda: bare),
    "FastAPI": _served(fastapi_alone),
    CELERY: _served(fastapi_and_celery),
    "FastAPI + commit": _served(fastapi_and_commit),
}
"""Name -> what serves on a port until the process is told to end."""


if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]))
