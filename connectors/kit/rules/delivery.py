"""Deliveries that come twice, in any order, or as the echo of our own writes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from connectors.contract import RawDelivery
from connectors.kit.bench import Bench
from connectors.kit.rule import BOTH_WAYS, RECEIVES, Finding, Rule, Tier


def duplicates(bench: Bench) -> Iterator[Finding]:
    """One delivery three times is one row and one effect."""
    bench.vendor.edit(0, "title", "Said three times")
    deliveries = bench.arriving()
    answers = bench.knock(delivery for delivery in deliveries for _ in range(3))
    if sum(answer.stored for answer in answers) != len(deliveries):
        yield Finding(
            f"one delivery sent three times was stored {sum(answer.stored for answer in answers)} times",
            "Give as `key` the vendor's id of the delivery, the same on a retry; None where there is none.",
        )
    bench.drain()
    changes = [line for line in bench.history() if line["new"] == "Said three times"]
    if len(changes) != 1:
        yield Finding(f"one edit became {len(changes)} changes", "`there` must be equal for two reads of one state.")


def any_order(bench: Bench) -> Iterator[Finding]:
    """Four deliveries, in all 24 orders: here is always what is there at last."""
    for order in permutations(range(4)):
        bench.begin()
        told = _history(bench)
        for number in order:
            bench.knock(told[number])
            bench.drain()
        wrong = _differences(bench)
        if wrong:
            yield Finding(
                f"told in the order {order}, {wrong}",
                "Give the vendor's own version of each state, or only a Hint, so that it is read again.",
            )
            return


def _history(bench: Bench) -> list[list[RawDelivery]]:
    edits: tuple[tuple[str, str | int], ...] = (
        ("title", "One"),
        ("status", 1),
        ("title", "Two"),
        ("description", "Three"),
    )
    told = []
    for field, value in edits:
        bench.wait(1)
        bench.vendor.edit(0, field, value)
        told.append(bench.arriving())
    return told


def _differences(bench: Bench) -> str:
    [item], [task] = bench.vendor.items().values(), bench.tasks()
    for field in ("title", "description", "status"):
        if item.values[field] != task[field]:
            return f"the {field} is {task[field]!r} here and {item.values[field]!r} there"
    return ""


def echoes(bench: Bench) -> Iterator[Finding]:
    """Our write comes back as a webhook and a poll, and theirs is not written back to them."""
    lines = len(bench.history())
    bench.edit("title", "Written here")
    bench.push()
    yield from _no_writes(bench, "our own write came back")
    if len(bench.history()) != lines + 1:
        yield Finding(
            "our own write came back and was taken for a change",
            "Give in `sent` exactly what `remote` will read, and read back what was written.",
        )
    for field in ("status", "priority", "description"):
        bench.wait(30)
        bench.vendor.edit(0, field, 1)
        yield from _no_writes(bench, f"a {field} was set there")


def _no_writes(bench: Bench, what: str) -> Iterator[Finding]:
    writes = bench.written()
    for _ in range(2):
        bench.hear()
        bench.push()
        bench.pull()
    if bench.written() != writes:
        yield Finding(
            f"{what}, and it was written to the vendor again",
            "`there` must be equal for two reads of an unchanged item, and `sent` in the same form.",
        )


RULES = (
    Rule(
        "duplicate-delivery",
        Tier.SILVER,
        "A delivery sent three times has one effect.",
        executed=duplicates,
        needs=RECEIVES,
    ),
    Rule("any-order", Tier.SILVER, "Deliveries converge in every order.", executed=any_order, needs=RECEIVES),
    Rule(
        "echo-suppressed",
        Tier.SILVER,
        "What was written comes back and causes no further write, in either direction.",
        executed=echoes,
        needs=BOTH_WAYS | RECEIVES,
    ),
)
