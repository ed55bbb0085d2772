"""`turnbuckle connectors new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import note
from cli.scaffold.package import planned, write
from connectors.registry import Registry
from simulation.sides import SIDES

USUAL = "task_source,task_sink,users,webhooks,webhook_subscriptions"


def new(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="The type of its integrations, such as acme.")],
    capabilities: Annotated[str, typer.Option(help="What it can do, separated by commas.")] = USUAL,
    package: Annotated[
        Path | None, typer.Option(help="The folder to make; turnbuckle-TYPE here where none is named.")
    ] = None,
) -> None:
    """Write a package for a new vendor: a connector, a fake of the vendor, tests that pass, and what to do next."""
    chosen = [name.strip() for name in capabilities.split(",") if name.strip()]
    plan = planned(type_, chosen, _taken())
    folder = package or Path(plan.package)
    for path in write(plan, folder):
        typer.echo(str(path))
    note(
        f"Next: `pip install -e {folder}`, run `pytest` in it, and do what it lists. `turnbuckle connectors list` then "
        f"shows {plan.type}."
    )


def _taken() -> dict[str, str]:
    """The types there are, and where they came from; those that can't be used, and the simulator's own, too."""
    registry = Registry.load()
    taken = dict.fromkeys(SIDES, "the simulator")
    taken |= {failure.name: failure.origin for failure in registry.failures}
    return taken | {entry.type: entry.origin for entry in registry.entries()}
