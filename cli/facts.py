"""`turnbuckle facts`: what metrics are computed from."""

from __future__ import annotations

import typer

from cli.context import open_runtime
from cli.output import note
from intelligence import projection

app = typer.Typer(no_args_is_help=True, help="What metrics are computed from: facts made of the stream of events.")


@app.command()
def rebuild() -> None:
    """Empty the tables of facts and read the whole stream anew. Until it is done, everybody sees the old rows."""
    with open_runtime() as runtime:
        count = projection.rebuild(runtime.db)
    note(f"{count} events were read.")
