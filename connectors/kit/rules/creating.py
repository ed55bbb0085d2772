"""Creating: whatever dies in the middle, the task has one item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from connectors.kit.bench import Bench, Moment
from connectors.kit.rule import BOTH_WAYS, Finding, Rule, Tier

WHERE = ("before_call", "after_call", "after_commit")
MOST_MOMENTS = 40
"""Of one kind in one creation: far beyond what any connector needs."""


def crash_safe(bench: Bench) -> Iterator[Finding]:
    """A worker dies at each moment of a creation in turn, and no webhook tells of the item."""
    for where in WHERE:
        for nth in range(MOST_MOMENTS):
            bench.begin(bound=False)
            bench.create("Only once")
            if not bench.push(Moment(where, nth)):
                break
            bench.arriving()  # dropped: the marker alone has to do
            found = list(_outcome(bench, f"{where} {nth}"))
            if found:
                yield found[0]
                break


def _outcome(bench: Bench, when: str) -> Iterator[Finding]:
    wrong = bench.rest()
    made = Counter(item.values["title"] for item in bench.vendor.items().values())["Only once"]
    if made != 1:
        yield Finding(
            f"a worker died ({when}) and there are {made} items for one task",
            "Leave create_key in the item with the creating call itself, and find it by that in find_created.",
        )
    elif wrong:
        yield Finding(f"a worker died ({when}) and {wrong[0]}", "See that the item reads as it was created.")


RULES = (
    Rule(
        "crash-safe-create",
        Tier.SILVER,
        "A worker killed at any moment of a creation leaves exactly one item.",
        executed=crash_safe,
        needs=BOTH_WAYS,
        essential=True,
    ),
)
