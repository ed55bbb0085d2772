"""The front door over real HTTP, in front of a real application."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from core.db import Database
from tests.services.process import free_port, wait_until
from tests.webhooks.bell import MAX_BODY, PATH, VAULT, Door, ask, registry, settings, signed, stored_count, stored_keys
from webhooks.app import make_receiver, with_front_door
from webhooks.bodies import Bodies
from webhooks.metrics import Metrics


def application(life: list[str] | None = None) -> Starlette:
    async def say(request: Any) -> PlainTextResponse:
        return PlainTextResponse("inner")

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        (life if life is not None else []).append("up")
        yield
        (life if life is not None else []).append("down")

    return Starlette(routes=[Route("/v1/things", say), Mount("/webhooks", routes=[Route("/", say)])], lifespan=lifespan)


@contextmanager
def served(app: Any) -> Iterator[int]:
    """The port of a real server; it has stopped gracefully when the block is left."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", ws="none", lifespan="on")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), what="the server")
        yield port
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def shut_door(sqlite_url: str) -> Iterator[Door]:
    """Opened by the lifespan of who serves it."""
    door = Door(sqlite_url, bodies=Bodies(seconds=0.3))
    yield door
    door.close()


@pytest.fixture
def port(shut_door: Door) -> Iterator[int]:
    with served(with_front_door(shut_door.receiver, application())) as port:
        yield port


@pytest.fixture
def http_client(port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client


def test_a_delivery_is_stored_when_its_answer_comes(http_client: httpx.Client, shut_door: Door) -> None:
    for number in range(3):
        assert http_client.post(PATH, content=b"{}", headers=signed(key=str(number))).status_code == 202
        assert len(stored_keys(shut_door.db)) == number + 1


def test_the_usual_refusals_over_the_wire(http_client: httpx.Client, shut_door: Door) -> None:
    good = signed()
    assert http_client.post(PATH, content=b"{}", headers=good | {"x-bell-signature": "sha256=00"}).status_code == 401
    assert http_client.post(PATH, content=b"{}", headers=good | {"content-encoding": "gzip"}).status_code == 415
    assert http_client.post(PATH, content=b"x" * (MAX_BODY + 1), headers=good).status_code == 413
    assert http_client.get(PATH).status_code == 405
    assert http_client.head(PATH).status_code == 405
    assert http_client.post(PATH + "x", content=b"{}", headers=good).status_code == 404
    assert http_client.post(PATH, content=b"hello you", headers=signed(b"hello you")).text == "you"
    assert stored_count(shut_door.db) == 0
    assert http_client.post(PATH, content=b"{}", headers=good).status_code == 202


def test_chunks_are_counted_as_they_come(http_client: httpx.Client, shut_door: Door) -> None:
    def chunks(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b"x" * 1024

    body = b"x" * 1024 * 100
    assert http_client.post(PATH, content=chunks(100), headers=signed(body)).status_code == 202
    with contextlib.suppress(httpx.WriteError):  # the connection may be closed while we still send
        assert http_client.post(PATH, content=chunks(MAX_BODY // 1024 + 500), headers=signed(b"")).status_code == 413
    assert shut_door.count("refused") == 1
    assert stored_count(shut_door.db) == 1


def test_a_body_that_dribbles_in_is_given_up_and_the_connection_closed(port: int, shut_door: Door) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            for _ in range(60):  # each byte comes in good time; all of them would not
                connection.sendall(b"x")
                time.sleep(0.01)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))  # until it is closed
    assert answer.startswith(b"HTTP/1.1 408")
    assert stored_count(shut_door.db) == 0


def test_who_hangs_up_half_way_leaves_nothing_and_disturbs_nobody(
    port: int, http_client: httpx.Client, shut_door: Door
) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nxx".encode())
    assert http_client.post(PATH, content=b"{}", headers=signed()).status_code == 202
    assert stored_count(shut_door.db) == 1


def test_a_connection_carries_many_deliveries(port: int, shut_door: Door) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(20):
        connection.request("POST", PATH, b"{}", signed())
        response = connection.getresponse()
        response.read()
        assert response.status == 202
    connection.close()
    assert stored_count(shut_door.db) == 20


@pytest.mark.parametrize("path", ["/webhooks/", "/webhooks/bell", "/webhooks/bell/", PATH + "/", "/webhooks//"])
def test_below_the_prefix_nothing_is_redirected_nor_reaches_the_inner_application(
    http_client: httpx.Client, path: str
) -> None:
    for method in ("GET", "POST"):
        response = http_client.request(method, path)
        assert (response.status_code, response.text == "inner") == (404, False)


def test_everything_else_is_the_inner_applications(http_client: httpx.Client) -> None:
    assert http_client.get("/v1/things").text == "inner"
    assert http_client.get("/nothing").status_code == 404


def test_the_receiver_lives_as_long_as_the_application(sqlite_url: str) -> None:
    life: list[str] = []
    rings: list[str] = []
    db = Database(sqlite_url)
    receiver = make_receiver(
        settings=settings(),
        db=db,
        vault=VAULT,
        registry=registry(),
        ring=lambda integration_id: rings.append(integration_id),
        metrics=Metrics(CollectorRegistry()),
    )
    with served(with_front_door(receiver, application(life))) as port:
        assert httpx.post(f"http://127.0.0.1:{port}{PATH}", content=b"{}", headers=signed()).status_code == 202
        assert life == ["up"]
        assert _threads() == {"webhook-inbox", "webhook-doorbell"}
    assert (life, rings, _threads()) == (["up", "down"], ["INT-1"], set())
    db.close()


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("webhook-")}


def test_the_receiver_has_stopped_before_the_server_hears_of_the_shutdown(shut_door: Door) -> None:
    heard: list[tuple[str, set[str]]] = []
    messages = ["lifespan.startup", "lifespan.shutdown"]

    async def receive() -> Any:
        return {"type": messages.pop(0)}

    async def send(message: Any) -> None:
        heard.append((message["type"], _threads()))

    asyncio.run(with_front_door(shut_door.receiver, application())({"type": "lifespan"}, receive, send))
    assert heard == [
        ("lifespan.startup.complete", {"webhook-inbox", "webhook-doorbell"}),
        ("lifespan.shutdown.complete", set()),
    ]


def test_an_application_that_fails_to_start_leaves_no_thread_behind(shut_door: Door) -> None:
    async def failing(_scope: Any, _receive: Callable[[], Any], _send: Any) -> None:
        raise RuntimeError("no configuration")

    with pytest.raises(RuntimeError):
        asyncio.run(with_front_door(shut_door.receiver, failing)({"type": "lifespan"}, None, None))
    assert _threads() == set()


def test_a_prefix_of_the_server_is_not_part_of_the_path(door: Door) -> None:
    app = with_front_door(door.receiver, application())
    answered = door.runner.run(ask(app, path=f"/below{PATH}", root_path="/below", headers=signed(), body=b"{}"))
    assert answered is not None
    assert answered.status == 202
