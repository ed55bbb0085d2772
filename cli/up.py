"""`turnbuckle up`: everything in one process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Annotated

import typer

from cli.context import load_settings
from cli.errors import Refused
from cli.output import note
from core import logs
from core.settings import Settings

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")]


def up(host: Host = "127.0.0.1", port: Port = 8800) -> None:
    """Run everything in one process: API, webhooks, worker and scheduler, on SQLite and no other service."""
    settings = load_settings()
    if not settings.embedded:
        raise Refused(
            "TURNBUCKLE_BROKER_URL names a broker, so the parts run by themselves: `turnbuckle serve`, and Celery's "
            "worker and beat (see Procfile). Unset it to run everything here."
        )
    logs.set_up(as_json=settings.log_json)
    from cli.embedded import embedded  # Celery and the web framework take a moment to load
    from cli.web import listen

    stop = stop_on_signals()
    with listen(host, port) as listening, embedded(reachable_at(settings, host, port), listening) as runtime:
        note(f"Turnbuckle is up at {runtime.settings.public_url} (API docs at /docs). Ctrl-C stops it.")
        stop.wait()
    note("stopped")
    leave()


def reachable_at(settings: Settings, host: str, port: int) -> Settings:
    """The settings with the public URL following --port, unless somebody set it."""
    if "public_url" in settings.model_fields_set:
        return settings
    name = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    shown = f"[{name}]" if ":" in name else name
    return settings.model_copy(update={"public_url": f"http://{shown}:{port}"})


def stop_on_signals() -> threading.Event:
    """Set when somebody asks this process to end. Asked twice, it ends at once."""
    asked = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            leave(1)
        asked.set()

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    return asked


def leave(code: int = 0) -> None:
    """End the process now. Work that outlasted the grace period is cut off: it is found again at the next start."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
