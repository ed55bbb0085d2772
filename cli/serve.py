"""`turnbuckle serve`: the API and the front door alone; workers and beat are processes of their own."""

from __future__ import annotations

from dataclasses import replace

from cli.context import load_settings, open_database
from cli.output import note
from cli.up import Host, Port
from core import logs
from sync.runtime import no_ring


def serve(host: Host = "127.0.0.1", port: Port = 8800) -> None:
    """Run the API and the webhooks' front door. Workers and beat are started by themselves (see Procfile)."""
    settings = load_settings()
    logs.set_up(as_json=settings.log_json)
    with open_database(settings):
        pass  # a schema that does not fit is better found now than by the first request
    from cli.web import listen, web_server  # these take a moment to load, which other commands should not wait for
    from sync.app import configure

    runtime = configure(settings)
    if settings.embedded:
        note("There is no broker (TURNBUCKLE_BROKER_URL), so no worker hears of work here; `turnbuckle up` has one.")
        runtime = replace(runtime, ring=no_ring)
    with listen(host, port) as listening:
        note(f"The API and the front door are at {host}:{port}.")
        web_server(runtime).run([listening])
    runtime.transport.close()
    runtime.db.close()
