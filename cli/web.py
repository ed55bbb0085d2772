"""The web application: the API, with the front door for vendors before it; and the socket it listens on."""

from __future__ import annotations

import socket
from functools import partial

import uvicorn

from api.app import create_app
from cli.errors import Refused
from sync.runtime import Lane, Runtime
from webhooks.app import AsgiApp, make_receiver, with_front_door
from webhooks.metrics import Metrics


def asgi_app(runtime: Runtime) -> AsgiApp:
    """The whole application over a runtime. Its counters are all on the API's /metrics."""
    api = create_app(runtime)
    receiver = make_receiver(
        settings=runtime.settings,
        db=runtime.db,
        vault=runtime.vault,
        registry=runtime.registry,
        ring=partial(runtime.ring, Lane.INBOX),
        clock=runtime.clock,
        metrics=Metrics(api.state.meters.registry),
    )
    return with_front_door(receiver, api)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there already, so that nobody else can take the port meanwhile. Port 0: any free one.

    Raises Refused.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise Refused(f"Nothing can be served on {host}:{port} ({error.strerror}); choose another --port.") from None
    # What it accepts inherits this. asyncio sets it on sockets it made itself, and does not recognize ours as TCP:
    # without it the body of an answer waits 40 ms for the peer to acknowledge its head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def web_server(runtime: Runtime) -> uvicorn.Server:
    """A server for the application; it is told on which socket when it is run."""
    return server_for(asgi_app(runtime))


def server_for(app: AsgiApp) -> uvicorn.Server:
    """A server for any application, with our settings: what the benchmarks compare ours with runs on it too."""
    return uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
