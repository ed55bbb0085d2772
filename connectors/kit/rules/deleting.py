"""What is deleted at the vendor ends here, and stays ended."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import BOTH_WAYS, Finding, Rule, Tier

PROOF = "Let fetch_tasks say Gone(DELETED) for what the vendor proves to be deleted, UNREACHABLE for what is hidden."


def tombstones(bench: Bench) -> Iterator[Finding]:
    """Told of it or not, the binding ends, the task is cancelled, and nothing is made again."""
    bench.vendor.delete(0)
    told = bench.arriving()
    if told:  # some vendors tell nobody
        bench.knock(told)
        bench.drain()
        yield from _ended(bench, "after its webhook")
        bench.begin()
        bench.vendor.delete(0)
        bench.arriving()
    bench.sweep()
    yield from _ended(bench, "after a sweep")


def _ended(bench: Bench, when: str) -> Iterator[Finding]:
    [task], [binding] = bench.tasks(), bench.bindings()
    if binding["state"] != "ended" or task["status"] != "cancelled":
        yield Finding(f"{when} the binding of a deleted item is {binding['state']}, its task {task['status']}", PROOF)
        return
    bench.edit("title", "Edited after the end")
    bench.edit("status", "in_progress")
    bench.push()
    bench.resync()
    bench.push()
    if bench.vendor.items() or len(bench.tasks()) != 1:
        yield Finding(f"{when} a deleted item was made again", "Never create in update_task: raise NotFound.")


RULES = (
    Rule(
        "deleted-is-tombstoned",
        Tier.GOLD,
        "A deleted item ends its binding, cancels its task, and is not created again.",
        executed=tombstones,
        needs=BOTH_WAYS,
    ),
)
