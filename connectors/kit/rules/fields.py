"""Every field that is written is applied, or says why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectors.contract import TASK_FIELDS
from connectors.kit.bench import Bench
from connectors.kit.rule import BOTH_WAYS, Finding, Rule, Tier

WANTED: Mapping[str, str] = {
    "title": "A title",
    "description": "Some text.",
    "status": "in_progress",
    "priority": "high",
    "assignee": "bob",
}


def every_field(bench: Bench) -> Iterator[Finding]:
    """All five at once: in a new item, then one after the other, then what is impossible."""
    bench.begin(bound=False)
    bench.create(WANTED["title"], **{name: value for name, value in WANTED.items() if name != "title"})
    bench.push()
    bench.push()
    yield from _outcomes(bench, "a new item")
    for field, value in {**WANTED, "title": "Another", "status": "done", "priority": "low", "assignee": "ann"}.items():
        bench.wait(60)
        bench.edit(field, value)
        bench.push()
        yield from _outcomes(bench, f"a new {field}")
    for wrong in bench.rest():
        yield Finding(
            f"after every field was written, {wrong}", "Answer in TaskWritten what was sent and what refused."
        )
        return


def _outcomes(bench: Bench, what: str) -> Iterator[Finding]:
    [task], [binding] = bench.tasks(), bench.bindings()
    items = list(bench.vendor.items().values())
    if len(items) != 1:
        yield Finding(f"{what}: there are {len(items)} items for one task", "Create an item for the task.")
        return
    people = {name: bench.person(name) for name in ("ann", "bob")}
    for field in TASK_FIELDS:
        here = task["assignee_id" if field == "assignee" else field]
        there = items[0].values[field]
        there = people.get(there or "", there) if field == "assignee" else there
        refusal = binding["refused"].get(field)
        if refusal is not None and not (refusal.get("code") and refusal.get("text")):
            yield Finding(f"{what}: {field} was refused without a reason", "Give a Refusal a code and a text.")
        elif refusal is None and here != there and binding["reason_code"] is None:
            yield Finding(
                f"{what}: {field} is {here!r} here and {there!r} there, and nothing says why",
                "Write it, or answer it in `refused` with a code and what the operator can do.",
            )


RULES = (
    Rule(
        "outcome-for-every-field",
        Tier.SILVER,
        "Each field is applied, or skipped or refused with a reason.",
        executed=every_field,
        needs=BOTH_WAYS,
    ),
)
