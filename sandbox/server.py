"""Serve a fake vendor with a real HTTP server, in a background thread or in the foreground."""

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.http import CUT_KEY

# Loopback only: the control endpoint can do anything and asks nobody.
DEFAULT_HOST = "127.0.0.1"
# Starting takes milliseconds; a port conflict shows as an early exit, not as a wait.
START_TIMEOUT_SECONDS = 10.0


class ServerDidNotStart(RuntimeError):
    """The port is taken or the app failed at start-up."""


class _Cutting:
    """Puts a function that aborts the client's TCP connection into each request's scope."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.transports: dict[tuple[str, int], asyncio.Transport] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            transport = self.transports.get(tuple(scope["client"]))
            if transport is not None:
                scope[CUT_KEY] = transport.abort
        await self.app(scope, receive, send)

    def protocol(self) -> type[H11Protocol]:
        """An HTTP protocol class that registers its connections here."""
        transports = self.transports

        class Protocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                if self.client:
                    transports[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                if self.client:
                    transports.pop(self.client, None)
                super().connection_lost(exc)

        return Protocol


class ServerHandle:
    """A running server: `.url` to reach it, `.close()` (or leaving the `with`) to stop it."""

    def __init__(self, server: uvicorn.Server, thread: threading.Thread, url: str) -> None:
        self._server = server
        self._thread = thread
        self.url = url
        self._on_close: list[Callable[[], None]] = []

    def on_close(self, callback: Callable[[], None]) -> None:
        """Run something when the server stops."""
        self._on_close.append(callback)

    def close(self) -> None:
        """Stop serving, dropping open connections; harmless when already stopped."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(timeout=START_TIMEOUT_SECONDS)
        while self._on_close:
            self._on_close.pop()()

    def __enter__(self) -> "ServerHandle":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _server(app: ASGIApp, host: str, port: int) -> uvicorn.Server:
    cutting = _Cutting(app)
    config = uvicorn.Config(
        cutting,
        host=host,
        port=port,
        http=cutting.protocol(),
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
    return uvicorn.Server(config)


def serve_in_thread(app: ASGIApp, port: int = 0, host: str = DEFAULT_HOST) -> ServerHandle:
    """Start serving and return once connections are accepted. Port 0 picks a free one.

    Raises ServerDidNotStart when the port is taken.
    """
    server = _server(app, host, port)
    thread = threading.Thread(target=_quietly(server.run), name="sandbox-server", daemon=True)
    thread.start()
    waited = threading.Event()
    for _ in range(int(START_TIMEOUT_SECONDS * 1000)):
        if server.started or not thread.is_alive():
            break
        waited.wait(0.001)
    if not server.started:
        raise ServerDidNotStart(f"nothing could be served on {host}:{port}; is the port taken?")
    bound = server.servers[0].sockets[0].getsockname()[1]
    return ServerHandle(server, thread, f"http://{host}:{bound}")


def _quietly(run: Callable[[], None]) -> Callable[[], None]:
    """uvicorn leaves with SystemExit when it cannot bind; the caller reports that better."""

    def target() -> None:
        try:
            run()
        except SystemExit:
            return

    return target


def serve_forever(app: ASGIApp, port: int, host: str = DEFAULT_HOST) -> None:
    """Serve in the foreground until interrupted."""
    _server(app, host, port).run()
