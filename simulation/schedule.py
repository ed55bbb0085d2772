"""Schedules: what happens in one simulated world, in order; drawn from one integer and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from connectors.contract import TASK_FIELDS, Rule


@dataclass(frozen=True, slots=True)
class Interrupt:
    """What happens to a process in the middle of its work.

    where    `before_call`, `after_call` (a request to the vendor, before it arrives or after it took effect),
             `before_commit` or `after_commit`
    nth      at which of those moments of the process, counting from 0
    what     `crash`, `cut` (the answer is lost), `limit` (429), `refuse` (500), `outage` (500 for a while),
             `unauthorized` (401) or `pause`
    seconds  how long a pause or an outage lasts, or what a 429 says
    then     steps others take during it
    """

    where: str
    nth: int
    what: str
    seconds: float = 0
    then: tuple[Step, ...] = ()

    def __str__(self) -> str:
        meanwhile = ", ".join(str(step) for step in self.then)
        seconds = f" {self.seconds:g} s" if self.seconds else ""
        return f"{self.what}{seconds} {self.where} #{self.nth}" + (f" while [{meanwhile}]" if meanwhile else "")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that people, the network, the clock or a worker does. `slot` picks among what there is (modulo), so
    that a step keeps its meaning when others are taken away."""

    do: str
    slot: int = 0
    field: str = ""
    value: str | int = 0
    wait: float = 0
    interrupts: tuple[Interrupt, ...] = ()

    def __str__(self) -> str:
        words = [f"+{self.wait:g}s"] if self.wait else []
        words.append(f"{self.do}({self.slot}{f' {self.field}={self.value}' if self.field else ''})")
        words += [f"<{interrupt}>" for interrupt in self.interrupts]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is true of a world from its beginning.

    bound      an item tied to a task is there from the start
    oauth      the integration has tokens that end, not a password
    snapshots  deliveries hold the item's state, not only its name
    checks     the vendor refuses to write over a version it was not told of
    skew       seconds the vendor's clock is ahead of ours
    lag        seconds the vendor's search is behind
    page       items in one page of its listing
    conflict   field -> who wins
    refuses    field the vendor does not let us set, if any
    """

    bound: bool = True
    oauth: bool = False
    snapshots: bool = True
    checks: bool = False
    skew: int = 0
    lag: int = 0
    page: int = 50
    conflict: tuple[tuple[str, Rule], ...] = ()
    refuses: str = ""

    def __str__(self) -> str:
        named = ((name, getattr(self, name)) for name in self.__slots__)
        return " ".join(f"{name}={dict(value) if name == 'conflict' else value}" for name, value in named if value)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A world's conditions and what happens in it."""

    seed: int
    conditions: Conditions = Conditions()
    steps: tuple[Step, ...] = field(default=())


WAITS = (0, 0, 0, 1, 5, 20, 65, 65, 400, 3 * 3600)
"""Seconds before a step: at once, within a lease, just past one, past a poll, hours later."""

PEOPLE = {
    "here_edit": 26,
    "there_edit": 26,
    "here_create": 9,
    "there_create": 5,
    "there_move": 3,
    "there_delete": 4,
    "there_restore": 3,
}
NETWORK = {"deliver": 12, "deliver_one": 9, "double": 3, "drop": 6, "replay": 4}
WORKERS = {"hear": 14, "drain": 8, "push": 22, "poll": 9, "tick": 5, "sync": 2, "expire": 2}
"""What happens, and how often: edits and their writing most, since there most can go wrong."""

RULES = (
    (),
    (("title", Rule.PLATFORM), ("status", Rule.EXTERNAL)),
    (("title", Rule.EXTERNAL), ("status", Rule.PLATFORM)),
)


def draw(seed: int) -> Schedule:
    """The schedule of a seed, always the same."""
    random = Random(seed)
    drawer = _Drawer(random)
    conditions = drawer.conditions()
    steps: list[Step] = []
    for _ in range(random.randint(2, 5)):
        steps += drawer.scene()
    return Schedule(seed, conditions, tuple(steps))


class _Drawer:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._serial = 0

    def conditions(self) -> Conditions:
        pick = self._random.choice
        return Conditions(
            bound=self._random.random() < 0.8,
            oauth=self._random.random() < 0.3,
            snapshots=self._random.random() < 0.6,
            checks=self._random.random() < 0.2,
            skew=pick((0, 0, 0, 3, -3, 300, -300, 7200)),
            lag=pick((0, 20)),
            page=pick((50, 50, 1, 2)),
            conflict=pick(RULES),
            refuses=pick(("", "", "", "", "", "", "status", "priority")),
        )

    def scene(self) -> list[Step]:
        """A step, and often the worker that will have to do with it."""
        first = self.step()
        if self._random.random() < 0.05:
            return [self.step({"there_edit": 2, "there_create": 1}) for _ in range(2)] + [
                Step("drop"),
                Step("drop"),
                self.step({"poll": 1}, trouble=0.9),
            ]
        if first.do == "here_create" and self._random.random() < 0.8:
            return [first, self.step({"push": 1}, trouble=0.8), self.step({"drop": 1, "hear": 1})]
        if first.do.startswith("here") and self._random.random() < 0.5:
            return [first, self.step({"push": 5, "tick": 1})]
        if first.do == "there_delete" and self._random.random() < 0.5:
            return [self.step({"there_edit": 1}), first, self.step({"deliver_one": 1}), self.step({"drain": 1})]
        if first.do.startswith("there") and self._random.random() < 0.4:
            return [first, self.step({"hear": 5, "poll": 2, "drop": 2})]
        return [first]

    def step(self, kinds: Mapping[str, int] = PEOPLE | NETWORK | WORKERS, trouble: float = 0.5) -> Step:
        """A step of one of these kinds, the weightier the likelier; `trouble` is how often a worker is interrupted."""
        (do,) = self._random.choices(tuple(kinds), tuple(kinds.values()))
        interrupts: tuple[Interrupt, ...] = ()
        if do in WORKERS and self._random.random() < trouble:
            interrupts = tuple(self._interrupt() for _ in range(self._random.choice((1, 1, 2))))
        elif do.startswith("here") and self._random.random() < 0.05:
            interrupts = (Interrupt(self._random.choice(("before_commit", "after_commit")), 0, "crash"),)
        return self._plain(do, self._random.choice(WAITS), interrupts)

    def _plain(self, do: str, wait: float = 0, interrupts: tuple[Interrupt, ...] = ()) -> Step:
        self._serial += 1
        slot = self._random.randrange(4) if self._random.random() < 0.4 else 0
        if not do.endswith(("_edit", "_create", "_move")):
            return Step(do, slot, wait=wait, interrupts=interrupts)
        field = self._random.choice((*TASK_FIELDS, "title", "title", "status")) if do.endswith("_edit") else "title"
        value: str | int = self._random.randrange(12)
        if field in ("title", "description"):
            value = f"{'H' if do.startswith('here') else 'T'}{self._serial}"
        return Step(do, slot, field, value, wait, interrupts)

    def _interrupt(self) -> Interrupt:
        random = self._random
        where = random.choice(
            ("before_call", "after_call", "before_call", "after_call", "before_commit", "after_commit")
        )
        at_call = where.endswith("call")
        nth = min(int(random.expovariate(0.9 if at_call else 0.25)), 20)
        if where == "before_commit":
            return Interrupt(where, nth, "crash")
        whats = ["crash", "crash", "pause", "pause", "pause"]
        if where == "before_call":
            whats += ["limit", "refuse", "unauthorized", "outage"]
        if where == "after_call":
            whats += ["cut", "cut", "cut"]
        what = random.choice(whats)
        seconds = random.choice((1, 30, 90, 600)) if what in ("limit", "outage") else 0
        then: tuple[Step, ...] = ()
        if what == "pause":
            seconds = random.choice((0, 0, 10, 70, 400))
            then = tuple(self._meanwhile() for _ in range(random.choice((1, 1, 2, 3))))
        return Interrupt(where, nth, what, seconds, then)

    def _meanwhile(self) -> Step:
        kinds = PEOPLE | {"deliver": 10} | {name: 2 * weight for name, weight in WORKERS.items()}
        (do,) = self._random.choices(tuple(kinds), tuple(kinds.values()))
        return self._plain(do)
