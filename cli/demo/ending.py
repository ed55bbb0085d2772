"""The end of the demo: what happened, whether all ends are equal, and how every integration is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.demo.channel import channels
from cli.demo.comparing import Comparison
from cli.demo.outcome import Outcome
from cli.demo.tool import Tool
from cli.demo.vendor import Vendor
from cli.demo.view import in_ms
from cli.demo.watching import Numbers
from cli.demo.world import World

HEALTHY = "healthy"

SHOWN = 10
"""Threads of each channel that are shown at last."""


def conclude(
    world: World,
    numbers: Numbers,
    arrived: int,
    comparison: Comparison,
    lost: Sequence[str],
    outcomes: Mapping[str, Outcome],
    troubles: Sequence[str],
    console: Console,
) -> bool:
    """Say how it was and how everything compares; `outcomes` by integration. True if all is equal, no edit was lost,
    and every integration is healthy."""
    health = {one.integration_id: _health(world.shown(one)) for one in world.connected}
    summarize(numbers, comparison, lost, console)
    lines = [f"events            {arrived} arrived live, after the history"]
    for one in world.connected:
        if not isinstance(one.vendor, Tool):
            lines += equality(one.vendor.label, outcomes[one.integration_id])
    lines += [f"a person was told: {trouble}" for trouble in troubles]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    for talk in world.channels:
        for lines_of_one in channels(talk.vendor, SHOWN):
            console.print("\n".join(["", *lines_of_one]), markup=False, highlight=False, soft_wrap=True)
    rows = [(one.vendor, outcomes[one.integration_id], health[one.integration_id]) for one in world.connected]
    tabulate(rows, console)
    unequal = bool(comparison.differences or lost or any(one.differences for one in outcomes.values()))
    return not unequal and set(health.values()) == {HEALTHY}


def _health(shown: Mapping[str, Any]) -> str:
    """How an integration is, and why it is not well."""
    reason = shown["sync_reason"]
    return f"{shown['sync_status']}: {reason['text']}" if reason else str(shown["sync_status"])


def equality(label: str, made: Outcome) -> list[str]:
    """Whether a vendor and what we hold of it say the same, in lines."""
    if not made.differences:
        return [f"equal             {label}: {made.equal}"]
    return [f"NOT EQUAL         {label}:", *(f"  {difference}" for difference in made.differences)]


def tabulate(rows: Sequence[tuple[Vendor, Outcome, str]], console: Console) -> None:
    """Every integration: its type, what it brought, what that cost in calls, how it is."""
    table = Table("integration", "brought", "calls", "sync_status", box=None)
    for vendor, made, status in rows:
        table.add_row(vendor.type, made.brought, str(vendor.calls()), Text(status, "" if status == HEALTHY else "red"))
    console.print()
    console.print(table, soft_wrap=True)


def summarize(numbers: Numbers, comparison: Comparison, lost: Sequence[str], console: Console) -> None:
    """What happened, whether both ends are equal, and whether they are what people last said."""
    lines = [
        "",
        f"edits made        {numbers.edits_here + numbers.edits_there}"
        f" ({numbers.edits_here} here, {numbers.edits_there} in the tools)",
        f"reconciled        {numbers.reconciled} changes crossed, {numbers.healed} of them found by polling",
        f"echoes suppressed {numbers.echoes}",
        f"conflicts         {numbers.conflicts}",
        f"calls made        {numbers.calls}",
        f"latency           {in_ms(numbers.latency)} (median, edit to arrival)",
    ]
    if lost:
        lines.append(f"LOST EDITS        {len(lost)}:")
        lines += [f"  {text}" for text in lost]
    if comparison.differences:
        lines.append(f"NOT EQUAL         {comparison.unequal} of {comparison.pairs} items differ:")
        lines += [f"  {difference}" for difference in comparison.differences]
    else:
        lines.append(f"equal             all {comparison.pairs} tasks and items, in every field")
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
