"""Statuses and priorities: every one means something here, and what is written reads back as what it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from connectors.contract import Priority, Status
from connectors.kit.bench import Bench
from connectors.kit.rule import BOTH_WAYS, Finding, Rule, Tier

VALUES: Mapping[str, tuple[str, ...]] = {"status": tuple(Status), "priority": tuple(Priority)}

BETWEEN = 120
"""Seconds between two things done here: a budget of calls that one of them used up is whole again."""


def total(bench: Bench) -> Iterator[Finding]:
    """Every value there maps, every value here comes back, and the operator's own map is heeded."""
    for field in VALUES:
        bench.begin()
        yield from _reads_all(bench, field)
        bench.begin()
        yield from _round_trip(bench, field)
        bench.begin()
        yield from _operators_map(bench, field)


def _names(bench: Bench, field: str) -> list[str]:
    names: list[str] = bench.vendor.statuses() if field == "status" else bench.vendor.priorities()
    return names


def _reads_all(bench: Bench, field: str) -> Iterator[Finding]:
    """Walk the item through what people there can choose, twice around: a workflow may not allow every step."""
    for number in range(2 * len(_names(bench, field))):
        bench.vendor.edit(0, field, number)
        bench.hear()
        [item] = bench.vendor.items().values()
        there = item.values[field]
        here = bench.tasks()[0][field]
        if here not in VALUES[field]:
            yield Finding(f"a {field} there became {here!r} here", f"Map every {field} to one of ours, with a default.")
        elif here != there:
            yield Finding(
                f"a {field} that means {there} reads as {here}",
                f"Complete the map of the {field}, and name the default for what is not in it.",
            )


def _round_trip(bench: Bench, field: str) -> Iterator[Finding]:
    for value in VALUES[field]:
        bench.wait(BETWEEN)
        bench.edit(field, value)
        bench.push()
        [item], [binding] = bench.vendor.items().values(), bench.bindings()
        refused = binding["refused"].get(field)
        if item.values[field] != value and refused is None:
            yield Finding(
                f"{value} was written and reads {item.values[field]}", f"Let {field}_out and {field}_map agree."
            )
            continue
        writes = bench.written()
        bench.hear()
        bench.pull()
        bench.push()
        if bench.tasks()[0][field] != value:
            yield Finding(
                f"{value} was written and came back as {bench.tasks()[0][field]}",
                f"What is written as {value} must read back as {value}.",
            )
        elif bench.written() != writes:
            yield Finding(f"{value} is written again and again", "Give `sent` in the form in which the item is read.")


def shifted(names: Sequence[str], values: Sequence[str], by: int) -> tuple[dict[str, str], dict[str, str]]:
    """A map of an operator's with a will of their own, and its way back: each value is read and written somewhere."""
    read = {name: values[(number + by) % len(values)] for number, name in enumerate(names)}
    written: dict[str, str] = {}
    for name, value in read.items():
        written.setdefault(value, name)
    return read, written


def _operators_map(bench: Bench, field: str) -> Iterator[Finding]:
    """Under two maps that differ in every name, one item reads as two values."""
    names, values = _names(bench, field), VALUES[field]
    if len(names) < len(values):
        return  # no map could name each of our values
    readings = []
    for by in (1, 2):
        read, written = shifted(names, values, by)
        changed = bench.reconfigure(**{f"{field}_map": read, f"{field}_out": written})
        if changed.http != 201:
            yield Finding(f"a map of every {field} is refused: {changed.text}", "Accept every name the vendor has.")
            return
        bench.wait(BETWEEN)
        bench.pull()
        readings.append(bench.tasks()[0][field])
    if readings[0] == readings[1]:
        yield Finding(
            f"the operator's {field}_map is not heeded: the item reads {readings[0]} under any",
            f"Look into config.{field}_map first, by the vendor's name and id.",
        )


RULES = (
    Rule(
        "map-total",
        Tier.BRONZE,
        "Every status and priority maps or has a default, and the round trip is stable.",
        executed=total,
        needs=BOTH_WAYS,
    ),
)
