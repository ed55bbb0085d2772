"""`turnbuckle demo`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from cli.up import leave
from core import logs


def demo(
    for_: Annotated[float | None, typer.Option("--for", min=1, help="Seconds; without it, until Ctrl-C.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="A vendor of each of the twelve types, not only three.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed plays the same scenes.")] = 1,
    items: Annotated[int, typer.Option(min=1, help="Items each tool starts with.")] = 25,
) -> None:
    """See it work: everything in one process against fake vendors, with people editing on both sides.

    Ends with a comparison of all ends and a table of all integrations, and with exit code 0 only if all are equal and
    healthy.
    """
    from cli.demo.course import run  # it loads everything there is, which other commands should not wait for

    logs.set_up(as_json=False, level="ERROR")
    leave(0 if run(for_, seed, items, everything, Console()) else 1)
