"""The load: 64 kept-alive connections, each sending its next request as soon as the one before is answered.

Requests are made and signed before the clock starts. One thread on bare sockets: a fraction of the CPU the leanest
server needs for a request; `busy` in the result tells how much of a core it took.
"""

from __future__ import annotations

import gc
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import child
from benchmarks.front_door.deliveries import body_ends, requests

ANSWER_BYTES = 16 * 1024
"""More than any contestant's answer."""

SILENCE = 30.0
"""Seconds without any answer after which the server counts as dead."""


@dataclass(frozen=True)
class Load:
    """Whom to send to and how much. A stretch ends after its seconds, or when the `prebuilt` requests are used up."""

    port: int
    path: str
    secret: str
    prefix: str
    connections: int = 64
    warm_up: float = 1.0
    seconds: float = 4.0
    prebuilt: int = 40_000


@dataclass
class Stretch:
    """What was answered within one stretch. `waits` are seconds from the first byte sent to the answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0


def run(load: Load) -> dict[str, Any]:
    """Warm up, measure, and say what came of it."""
    stock = iter(list(requests(load.path, load.secret, load.prefix, load.prebuilt)))
    gc.freeze()  # the stock is not garbage; looking through it would show as pauses of the server
    sockets = [socket.create_connection(("127.0.0.1", load.port)) for _ in range(load.connections)]
    for one in sockets:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.settimeout(SILENCE)
    warm_up = _stretch(sockets, stock, load.warm_up)
    measured = _stretch(sockets, stock, load.seconds)
    for one in sockets:
        one.close()
    return _told(load, warm_up, measured)


def _stretch(sockets: list[socket.socket], stock: Iterator[tuple[bytes, bytes]], seconds: float) -> Stretch:
    """Send for so long, then wait for the answers that are still to come."""
    stretch, before = Stretch(), body_ends()[0]
    sent_at: dict[socket.socket, float] = {}
    started, cpu = time.perf_counter(), time.process_time()
    end = started + seconds

    def send(one: socket.socket) -> None:
        if (now := time.perf_counter()) < end and (request := next(stock, None)) is not None:
            sent_at[one] = now
            _send(one, [request[0], before, request[1]])

    with selectors.DefaultSelector() as selector:
        for one in sockets:
            selector.register(one, selectors.EVENT_READ)
            send(one)
        while sent_at:
            ready = selector.select(SILENCE)
            if not ready:
                raise TimeoutError(f"no answer within {SILENCE:g} s; {len(sent_at)} requests wait for theirs")
            for key, _ in ready:
                one = key.fileobj
                assert isinstance(one, socket.socket)
                stretch.statuses[_status(one)] += 1
                stretch.waits.append(time.perf_counter() - sent_at.pop(one))
                send(one)
    stretch.seconds, stretch.cpu = time.perf_counter() - started, time.process_time() - cpu
    return stretch


def _send(one: socket.socket, parts: list[bytes]) -> None:
    """The request in one system call; the rest of it, if the socket's buffer is full, when there is room."""
    sent = one.sendmsg(parts)
    if sent < sum(map(len, parts)):
        one.sendall(b"".join(parts)[sent:])


def _status(one: socket.socket) -> int:
    """Read one whole answer."""
    answer = one.recv(ANSWER_BYTES)
    while not _complete(answer):
        more = one.recv(ANSWER_BYTES)
        if not more:
            raise ConnectionError(f"the server hung up after {answer!r}")
        answer += more
    return int(answer[9:12])


def _complete(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    _, _, length = head.lower().partition(b"\r\ncontent-length: ")
    return len(body) == int(length.partition(b"\r\n")[0])


def _told(load: Load, warm_up: Stretch, measured: Stretch) -> dict[str, Any]:
    waits = sorted(measured.waits)
    count = len(waits)
    if not count:
        raise RuntimeError(f"all {load.prebuilt} requests were used up by the warm-up: it needs to be shorter")
    return {
        "sent": len(warm_up.waits) + count,
        "statuses": dict(warm_up.statuses + measured.statuses),
        "answered": count,
        "seconds": measured.seconds,
        "rate": count / measured.seconds,
        "p50_ms": waits[count // 2] * 1000,
        "p99_ms": waits[min(count - 1, count * 99 // 100)] * 1000,
        "max_ms": waits[-1] * 1000,
        "busy": measured.cpu / measured.seconds,
    }


def send(load: Load) -> dict[str, Any]:
    """Run the load in a process of its own."""
    told: dict[str, Any] = child.run("benchmarks.front_door.load", asdict(load))
    return told


if __name__ == "__main__":
    child.answer(run(Load(**child.given())))
