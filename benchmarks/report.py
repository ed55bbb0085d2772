"""What a benchmark found out: tables for people, rows for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

Cell = str | float | int | None


@dataclass
class Table:
    """Rows of one shape; the keys of the first row are the headings."""

    title: str
    rows: Sequence[Mapping[str, Cell]]

    def rich(self) -> RichTable:
        """The table as it is printed."""
        table = RichTable(title=self.title, title_justify="left", title_style="bold", header_style="")
        for heading, value in self.rows[0].items():
            table.add_column(heading, justify="left" if isinstance(value, str) else "right")
        for row in self.rows:
            table.add_row(*map(shown, row.values()))
        return table


@dataclass
class Report:
    """`facts` are printed above the tables, `notes` below them; `runs` are the single measurements behind them."""

    title: str
    facts: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def show(self, console: Console) -> None:
        """Print it."""
        console.rule(self.title)
        for name, value in self.facts.items():
            console.print(f"{name}: {value}", highlight=False)
        for table in self.tables:
            console.print()
            console.print(table.rich())
        for note in self.notes:
            console.print(f"- {note}", highlight=False)

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        tables = [{"title": table.title, "rows": [dict(row) for row in table.rows]} for table in self.tables]
        return {"title": self.title, "facts": self.facts, "tables": tables, "notes": self.notes, "runs": self.runs}


def shown(value: Cell) -> str:
    """A cell as people read it: three digits that matter."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if value >= 1000 or isinstance(value, int):
        return f"{value:,.0f}"
    return f"{value:.3g}"
