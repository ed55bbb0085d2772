"""A vendor's side of the wire, in this process: scripted answers in memory, or over a real socket."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.http import Transport, WireRequest, WireResponse

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
HANG = b"hang"
"""An answer that never comes: the connection stays open until the client gives up."""
CUT = b""
"""An answer that never comes: the connection is closed after the request was read."""


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    sni: str | None = None


class Scripted(Transport):
    """Answers in turn; the last one again and again. An exception is raised instead of answering."""

    def __init__(self, *answers: WireResponse | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[WireRequest] = []

    def handle_request(self, request: WireRequest) -> WireResponse:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status: int = 200, body: Any = b"", headers: Mapping[str, str] | None = None) -> WireResponse:
    """One scripted answer; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return WireResponse(status, headers=headers, content=content)


def raw_answer(status: int = 200, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of an answer for `LocalServer`."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def zipped_answer(body: bytes) -> bytes:
    return raw_answer(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})


@dataclass
class LocalServer:
    """A server on 127.0.0.1 that hands each request to `reply` and sends back its bytes."""

    reply: Callable[[Seen], bytes]
    tls: ssl.SSLContext | None = None
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        names: list[str | None] = [None]
        if self.tls is not None:
            self.tls.sni_callback = lambda _socket, name, _context: names.__setitem__(0, name)
            try:
                connection = self.tls.wrap_socket(connection, server_side=True)
            except OSError:
                connection.close()
                return
        with connection, connection.makefile("rb") as stream:
            while (seen := _read(stream, number, names[0])) is not None:
                self.seen.append(seen)
                reply = self.reply(seen)
                if reply == CUT:
                    return
                if reply == HANG:
                    connection.recv(1)
                    return
                connection.sendall(reply)


def _read(stream: Any, number: int, sni: str | None) -> Seen | None:
    try:
        first = stream.readline()
    except OSError:
        return None
    if not first:
        return None
    method, target, _ = first.decode().split(" ")
    headers = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Seen(method, target, headers, body, number, sni)


@contextmanager
def serving(reply: Callable[[Seen], bytes] | bytes, tls: ssl.SSLContext | None = None) -> Iterator[LocalServer]:
    """A local server for the length of a `with`."""
    server = LocalServer(reply if callable(reply) else lambda _: reply, tls)
    try:
        yield server
    finally:
        server.close()
