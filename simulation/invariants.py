"""What must be true of every world that has come to rest. Each check says what is wrong, or nothing."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import select

from connectors.contract import TASK_FIELDS, RawDelivery, Snapshot, WebhookReceiver
from core.models import Delivery, Integration
from simulation.vendor import Change, Item
from simulation.world import World

TEXTS = ("title", "description")
"""Fields in which every edit has a value of its own, so that its fate can be followed."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a task's history."""

    kind: str
    field: str
    old: str | None
    new: str | None
    by_people: bool
    rule: str | None

    def __str__(self) -> str:
        who = "people" if self.by_people else "the engine"
        return f"{self.kind} {self.field} {self.old!r} -> {self.new!r} by {who}" + (
            f" ({self.rule})" if self.rule else ""
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """A binding with its task and its item, if that is there."""

    task_id: str
    task: Mapping[str, str | None]
    state: str
    item_id: str | None
    item: Item | None
    refused: Mapping[str, Any]
    owed: bool
    failed: bool
    reason: str | None
    history: tuple[Line, ...]


class Outcome:
    """A world at rest, read once: pairs of tasks and items, their histories, the vendor's journal."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.items = world.vendor.items()
        self.journal = world.vendor.journal()
        self.names = {id_: name for name, id_ in world.beginning.tenant.people.items()}
        self.history: dict[str, list[Line]] = defaultdict(list)
        for task_id, kind, change, old, new, by, rule in world.rows(
            "SELECT task_id, kind, change, old, new, by, rule FROM task_history ORDER BY id"
        ):
            if change == "assignee":
                old, new = self.names.get(old), self.names.get(new)
            self.history[task_id].append(Line(kind, change, old, new, by.startswith("USR"), rule))
        self.tasks = {
            row[0]: dict(zip(TASK_FIELDS, (*row[1:5], self.names.get(row[5])), strict=True))
            for row in world.rows("SELECT id, title, description, status, priority, assignee_id FROM task")
        }
        self.pairs = [self._pair(row) for row in world.rows(_PAIRS)]
        self.changes: dict[str, list[Change]] = defaultdict(list)
        self.lines: dict[str, list[tuple[int, Change]]] = defaultdict(list)
        for number, change in enumerate(self.journal):
            self.changes[change.item].append(change)
            self.lines[change.item].append((number, change))

    def _pair(self, row: Any) -> Pair:
        task_id, state, item_id, refused, owed, failed, reason = row
        item = self.items.get(item_id) if item_id else None
        lines = tuple(self.history[task_id])
        task = self.tasks[task_id]
        return Pair(task_id, task, state, item_id, item, json.loads(refused), owed, failed is not None, reason, lines)

    @property
    def deleted(self) -> set[str]:
        """Items that were deleted at some time."""
        return {change.item for change in self.journal if change.after is None}

    def calls(self, asked_by_engine: bool = True) -> int:
        """Writes that took effect at the vendor."""
        return sum(change.by_people is not asked_by_engine for change in self.journal)


_PAIRS = """SELECT task_id, state, external_id, refused, owed, failed_at, reason_code FROM binding ORDER BY id"""


def violations(world: World) -> list[str]:
    """Everything that is wrong with a world at rest."""
    outcome = Outcome(world)
    return [f"{check.__name__}: {found}" for check in CHECKS for found in check(outcome)]


def ending(world: World) -> Iterator[str]:
    """How a world ended, for its story: every pair, and what its history says."""
    for pair in Outcome(world).pairs:
        yield f"{pair.task_id} ({pair.state}) here:  {dict(pair.task)}"
        yield f"{pair.item_id} there: {dict(pair.item.values) if pair.item else None}"
        for line in pair.history:
            yield f"  {line}"


def fingerprint(world: World) -> object:
    """What must not change any more once a world is at rest."""
    return (
        world.rows("SELECT id, title, description, status, priority, assignee_id, version FROM task ORDER BY id"),
        world.rows("SELECT count(*) FROM task_history"),
        world.rows("SELECT id, state, base, watermark, owed, external_id FROM binding ORDER BY id"),
        len(world.vendor.journal()),
    )


# --- checks -------------------------------------------------------------------------------------------


def one_item_per_task(outcome: Outcome) -> Iterator[str]:
    """Every item that is there has one live binding; every task has one binding."""
    live = Counter(pair.item_id for pair in outcome.pairs if pair.state == "bound")
    for item_id, item in outcome.items.items():
        if live[item_id] != 1:
            yield f"item {item.key} ({item.values['title']}) is tied to {live[item_id]} tasks"
    for task_id, count in Counter(pair.task_id for pair in outcome.pairs).items():
        if count != 1:
            yield f"task {task_id} has {count} bindings"
    for task_id in outcome.tasks.keys() - {pair.task_id for pair in outcome.pairs}:
        yield f"task {task_id} has no item"
    for pair in outcome.pairs:
        if pair.state == "bound" and pair.item is None:
            yield f"task {pair.task_id} is tied to {pair.item_id}, which is not there"


def created_once(outcome: Outcome) -> Iterator[str]:
    """No marker was ever left in two items, unless people deleted the first before anything of it was heard here."""
    made: dict[str, list[int]] = defaultdict(list)
    for number, change in enumerate(outcome.journal):
        if change.before is None and change.after and change.after.create_key and not change.by_people:
            made[change.after.create_key].append(number)
    for key, births in made.items():
        for born, again in pairwise(births):
            item = outcome.journal[born].item
            ends = [n for n, change in outcome.lines[item] if change.after is None and change.by_people]
            if _heard(outcome.world, item) or not any(born < end < again for end in ends):
                yield f"{key} was created {len(births)} times"


def _heard(world: World, item: str) -> bool:
    """Whether any delivery told of an item with its marker; one that only names it does not."""
    with world.stage.database.read() as session:
        integration = session.get_one(Integration, world.integration_id)
        stored = session.scalars(select(Delivery)).all()
    connector = world.stage.runtime.registry.get(integration.type)
    assert issubclass(connector, WebhookReceiver)
    config = connector.manifest.config.model_validate(integration.config)
    raw = [RawDelivery(row.headers, row.body, row.received_at) for row in stored]
    told = [signal for one in raw for signal in connector.parse(one, config) if isinstance(signal, Snapshot)]
    return any(snapshot.task.external_id == item and snapshot.task.create_key for snapshot in told)


def equal_on_both_sides(outcome: Outcome) -> Iterator[str]:
    """A task and its item say the same, except what the vendor refused (with a reason) and people unknown here."""
    for pair in outcome.pairs:
        if pair.state != "bound" or pair.item is None or pair.failed:
            continue
        for name in TASK_FIELDS:
            here, there = pair.task[name], pair.item.values[name]
            if name == "assignee" and there not in outcome.names.values():
                there = None
            if here != there and name not in pair.refused:
                yield f"{pair.task_id}.{name} is {here!r} here and {there!r} there"


def nothing_stuck(outcome: Outcome) -> Iterator[str]:
    """Nothing waits any more, unless it says why."""
    for pair in outcome.pairs:
        if (pair.owed and not pair.failed) or pair.state == "creating":
            yield f"{pair.task_id} is {pair.state} and owed ({pair.reason})"
        if pair.failed and not pair.reason:
            yield f"{pair.task_id} was given up without a reason"
        if pair.refused and not all(refusal.get("code") for refusal in pair.refused.values()):
            yield f"{pair.task_id} has a refusal without a reason"
    for state, count in outcome.world.rows("SELECT state, count(*) FROM delivery GROUP BY state"):
        if state not in ("done", "ignored"):
            yield f"{count} deliveries are {state}"
    for status, count in outcome.world.rows("SELECT status, count(*) FROM sync_run GROUP BY status"):
        if status == "running":
            yield f"{count} runs are still open"


def history_is_whole(outcome: Outcome) -> Iterator[str]:
    """Each change begins where the one before ended, and the last one is what the task says now."""
    for task_id, lines in outcome.history.items():
        for name in TASK_FIELDS:
            chain = [line for line in lines if line.kind == "change" and line.field == name]
            for before, after in pairwise(chain):
                if before.new != after.old:
                    yield f"{task_id}: after [{before}] comes [{after}]"
            if chain and chain[-1].new != outcome.tasks[task_id][name]:
                yield f"{task_id}.{name} is {outcome.tasks[task_id][name]!r} after [{chain[-1]}]"


def no_edit_lost_there(outcome: Outcome) -> Iterator[str]:
    """What a person there set is what is there now, was replaced by a person there, or is in the task's history.

    Except where the answer to the write that replaced it was lost: no tracker tells what a write replaced but in its
    answer. Had it been heard of before the write, it would be in the history.
    """
    pairs = {pair.item_id: pair for pair in outcome.pairs}
    for item_id, lines in outcome.lines.items():
        pair = pairs.get(item_id)
        if pair is None or pair.state == "ended":
            continue
        for name in TEXTS:
            for (_, change), (number, following) in pairwise(_settings(lines, name)):
                assert change.after is not None
                value = change.after.values[name]
                known = {value for line in pair.history if line.field == name for value in (line.old, line.new)}
                excused = following.by_people or number in outcome.world.unsettled
                if change.by_people and not excused and value not in known:
                    yield f"{name}={value!r} of item {change.after.key} was written over and is nowhere"


def _settings(lines: list[tuple[int, Change]], name: str) -> list[tuple[int, Change]]:
    """The lines of the journal that gave the field another value."""
    return [
        (number, change)
        for number, change in lines
        if change.after and (change.before is None or change.before.values[name] != change.after.values[name])
    ]


def no_edit_lost_here(outcome: Outcome) -> Iterator[str]:
    """What a person here set stands, was replaced by a person here, or gave way to what a person there set: after
    they had seen it there, or by a rule that is named."""
    for pair in outcome.pairs:
        changes = outcome.changes.get(pair.item_id or "", [])
        for name in TEXTS:
            heard = -1
            for line in pair.history:
                if line.field != name or line.by_people:
                    continue
                theirs = line.new if line.kind == "change" else line.old
                at = _set_by_people(changes, name, theirs)
                if at is None:
                    yield f"{pair.task_id}: [{line}], but nobody there set {theirs!r}"
                elif at <= heard:
                    yield f"{pair.task_id}: [{line}], which was heard before, or is older than what was"
                elif line.kind == "change" and line.rule is None and not _held_before(changes, name, line.old, at):
                    yield f"{pair.task_id}: [{line}] without a rule, though {line.old!r} was never there before"
                heard = max(heard, at if at is not None else -1)


def _set_by_people(changes: list[Change], name: str, value: str | None) -> int | None:
    """Where in the journal a person there last gave the field this value."""
    for at, change in reversed(list(enumerate(changes))):
        new = change.before is None or (change.after and change.before.values[name] != change.after.values[name])
        if change.by_people and new and change.after and change.after.values[name] == value:
            return at
    return None


def _held_before(changes: list[Change], name: str, value: str | None, at: int) -> bool:
    """Whether the item had this value before that line of the journal."""
    held = [c.after.values[name] for c in changes[:at] if c.after]
    held += [c.before.values[name] for c in changes[: at + 1] if c.before]
    return value in held


def nothing_written_twice(outcome: Outcome) -> Iterator[str]:
    """A text that is there already is only written again when the answer to the first write was lost."""
    again = 0
    for change in outcome.journal:
        if change.by_people or change.before is None or change.after is None:
            continue
        again += any(change.before.values[name] == change.after.values[name] for name in TEXTS if name in change.asked)
    if again > outcome.world.disturbances:
        yield f"{again} writes of what was there already, after {outcome.world.disturbances} disturbances"


def writes_are_bounded(outcome: Outcome) -> Iterator[str]:
    """The engine writes no more often than people edit and things go wrong."""
    writes = sum(not change.by_people for change in outcome.journal)
    lines = [line for lines in outcome.history.values() for line in lines]
    reasons = sum(line.by_people or line.rule is not None for line in lines) + len(outcome.tasks)
    bound = (reasons + outcome.world.disturbances) * outcome.world.vendor.calls_of_a_write
    if writes > bound:
        yield f"{writes} writes for {bound} reasons"


def consent_only_when_tokens_were_lost(outcome: Outcome) -> Iterator[str]:
    """People are only asked for consent again when a token was lost on its way, or the vendor refused ours twice."""
    world = outcome.world
    if world.consents and not world.token_trouble and world.refusals < 2:
        yield "consent was asked for although no token was lost"


def no_transaction_across_a_call(outcome: Outcome) -> Iterator[str]:
    """No transaction is open while the vendor is called."""
    yield from sorted(set(outcome.world.stage.transport.calls_in_transactions))


def nothing_written_without_a_lease(outcome: Outcome) -> Iterator[str]:
    """A worker whose lease another one has taken writes nothing."""
    yield from outcome.world.stage.database.trespasses


def no_worker_failed(outcome: Outcome) -> Iterator[str]:
    """What goes wrong is written down, not raised."""
    yield from outcome.world.faults


CHECKS: tuple[Callable[[Outcome], Iterator[str]], ...] = (
    one_item_per_task,
    created_once,
    equal_on_both_sides,
    nothing_stuck,
    history_is_whole,
    no_edit_lost_there,
    no_edit_lost_here,
    nothing_written_twice,
    writes_are_bounded,
    consent_only_when_tokens_were_lost,
    no_transaction_across_a_call,
    nothing_written_without_a_lease,
    no_worker_failed,
)
