"""Call a fake vendor's app without sockets: deterministic, and fast enough for a simulator."""

import asyncio
import weakref
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import httpx
from starlette.types import ASGIApp, Message

from sandbox.http import ConnectionCut, ConnectionFrozen


@dataclass(frozen=True)
class Answer:
    """What came back from the app."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class InProcessClient:
    """Runs one request at a time on a private event loop. Not for use inside a running loop.

    Raises ConnectionCut or ConnectionFrozen where a real client would see a broken connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()
        # Whoever forgets to close a client in a test should not be told off by the interpreter.
        weakref.finalize(self, self._loop.close)

    def request(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """Send one request; `url` is absolute, its host only shows in the answer's links."""
        return self._loop.run_until_complete(self._request(method, url, headers, body))

    def close(self) -> None:
        """Release the event loop."""
        self._loop.close()

    async def _request(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        parts = urlsplit(url)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": parts.scheme,
            "path": unquote(parts.path),
            "raw_path": parts.path.encode("ascii"),
            "query_string": parts.query.encode("ascii"),
            "root_path": "",
            "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers],
            "server": (parts.hostname or "sandbox", parts.port or 80),
            "client": ("in-process", 0),
        }
        started: list[Message] = []
        received = bytearray()

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
            received.extend(message.get("body", b""))

        await self._app(scope, receive, send)
        pairs = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in started[0]["headers"]]
        return Answer(started[0]["status"], pairs, bytes(received))


class InProcessTransport(httpx.BaseTransport):
    """An httpx transport over a fake vendor's app; broken connections become httpx's own errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._client = InProcessClient(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request from the app."""
        headers = [(k, v) for k, v in request.headers.multi_items()]
        try:
            answer = self._client.request(request.method, str(request.url), headers, request.read())
        except ConnectionCut as cut:
            raise httpx.RemoteProtocolError(str(cut), request=request) from cut
        except ConnectionFrozen as frozen:
            raise httpx.ReadTimeout(str(frozen), request=request) from frozen
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

    def close(self) -> None:
        """Release the event loop."""
        self._client.close()
