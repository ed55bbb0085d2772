"""What commands print: JSON for scripts, a table or a few lines for people. Both on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

UNLIMITED = 10_000
"""Characters in a line that nobody reads on a screen."""

CUT = 60
"""Characters of a long value that are shown in a cell."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def print_json(value: Any) -> None:
    """One JSON document."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_fields(fields: Mapping[str, object]) -> None:
    """Names and values, one a line; empty ones are left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "", [])}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        typer.echo(f"{name:<{width}}  {value}")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table as wide as it needs to be; `empty` is said when there are no rows."""
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    if not table.row_count:
        typer.echo(empty)
        return
    # On a terminal it is made to fit; who pipes it on wants the columns whole.
    Console(width=None if sys.stdout.isatty() else UNLIMITED, highlight=False, markup=False).print(table)


def note(text: str) -> None:
    """Something beside the answer, for people: on stderr."""
    typer.echo(text, err=True)


def short(value: Any) -> str:
    """A value in a cell: one line, and not too much of it. A digest stands for a long text."""
    if value is None:
        return "-"
    text = "a long text" if isinstance(value, dict) else " ".join(str(value).split())
    return text if len(text) <= CUT else text[: CUT - 1] + "…"
