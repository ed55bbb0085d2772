"""`turnbuckle connectors`: what integrations can be made of."""

from __future__ import annotations

import typer

from cli.conformance import check
from cli.output import Json, note, print_json, print_table
from cli.scaffold.command import new
from connectors.registry import Registry
from core.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Connectors: the vendors that can be connected.")

app.command()(check)
app.command()(new)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the connectors, and those that were found but can't be used with the reason."""
    registry = Registry.load(tiers_file=Settings().tiers_file)
    if as_json:
        from api.connectors import ConnectorView  # the web framework takes a moment to load

        views = [ConnectorView.of(entry).model_dump(mode="json") for entry in registry.entries()]
        failures = [{"name": f.name, "origin": f.origin, "reason": f.reason} for f in registry.failures]
        print_json({"connectors": views, "failures": failures})
        return
    rows = [
        (entry.type, entry.connector.manifest.name, entry.tier or "-", entry.origin, ", ".join(entry.capabilities))
        for entry in registry.entries()
    ]
    print_table(("TYPE", "NAME", "TIER", "ORIGIN", "CAPABILITIES"), rows, empty="There are no connectors.")
    for failure in registry.failures:
        note(f"{failure.name} ({failure.origin}) can't be used: {failure.reason}")
