"""Reading: what a webhook did not tell a poll finds; everything is found, once."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench, Moment
from connectors.kit.rule import BOTH_WAYS, Finding, Rule, Tier

MANY = 2_500
"""Items: more pages than any vendor lets us have at once, and more than its search returns without a cursor."""

MEANWHILE = (
    Moment("before_call", 2, "pause", (("there_edit", 0), ("there_create", 0))),
    Moment("before_call", 5, "pause", (("there_edit", 40), ("there_edit", 1200), ("there_delete", 3))),
    Moment("before_call", 9, "pause", (("there_edit", 2400), ("there_create", 1), ("there_edit", 700))),
)
"""What people do while the pages are being read: items move to the end of any order by time."""

STEP = 30
"""Seconds between two ticks."""


def missed_hook(bench: Bench) -> Iterator[Finding]:
    """A webhook is lost; the next poll, within one interval, brings what it would have told."""
    bench.vendor.edit(0, "title", "Nobody told")
    bench.vendor.create("Nobody told of this one either", 0)
    bench.arriving()
    waited = 0
    while waited <= bench.config().poll_seconds:
        bench.wait(STEP)
        waited += STEP
        bench.tick()
        bench.arriving()
    there = sorted(str(item.values["title"]) for item in bench.vendor.items().values())
    here = sorted(task["title"] for task in bench.tasks())
    if here != there:
        yield Finding(
            f"a poll interval after a lost webhook the tasks are {here}, the items {there}",
            "Let changed_tasks give everything since the cursor, and overlap rather than miss.",
        )


def resync_writes_nothing(bench: Bench) -> Iterator[Finding]:
    """A second full sync finds everything as it is."""
    for number in range(3):
        bench.vendor.create(f"Item {number}", number)
        bench.vendor.edit(number, "status", number)
        bench.vendor.edit(number, "assignee", number)
    bench.vendor.edit(0, "description", "A text")
    bench.hear()
    bench.create("Made here", description="A text", status="in_progress", priority="high")
    bench.push()
    bench.resync()
    before = bench.settled()
    bench.resync()
    bench.push()
    if bench.settled() != before:
        yield Finding(
            "a second full sync changed tasks, bindings or items",
            "`there`, `version` and `key` must be equal for two reads of an unchanged item.",
        )


def complete(bench: Bench) -> Iterator[Finding]:
    """Thousands of items, changing while they are being read: after this pull and the next one, all are here."""
    bench.vendor.plant(MANY)
    bench.resync(*MEANWHILE)
    bench.arriving()
    bench.pull()
    bench.sweep()
    bound = {row["external_id"]: row["task_id"] for row in bench.bindings() if row["state"] == "bound"}
    titles = {task["id"]: task["title"] for task in bench.tasks()}
    items = bench.vendor.items()
    missing = sorted(items.keys() - bound.keys())
    if missing:
        yield Finding(
            f"{len(missing)} of {len(items)} items were not found, among them {missing[:3]}",
            "Follow the vendor's cursor to its end, in an order that edits can't disturb, and overlap.",
        )
    stale = [id_ for id_, item in items.items() if id_ in bound and titles[bound[id_]] != item.values["title"]]
    if stale:
        yield Finding(f"{len(stale)} items are known in an old state", "List by the time of change, oldest first.")
    extra = sorted(bound.keys() - items.keys())
    if extra:
        yield Finding(f"{extra[:3]} are bound and not there", "Let fetch_tasks say DELETED for what is proven gone.")


RULES = (
    Rule(
        "missed-hook-healed",
        Tier.GOLD,
        "What a lost webhook would have told is there within one poll interval.",
        executed=missed_hook,
        needs=frozenset({"task_source"}),
    ),
    Rule(
        "full-resync-idempotent",
        Tier.GOLD,
        "A second full sync changes nothing on either side.",
        executed=resync_writes_nothing,
        needs=BOTH_WAYS,
    ),
    Rule(
        "pagination-complete",
        Tier.GOLD,
        "2,500 items are complete although they change while they are being read.",
        executed=complete,
        needs=frozenset({"task_source"}),
    ),
)
