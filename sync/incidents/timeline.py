"""From alerts to incidents, pure: what all that is known of one ref (a monitor and a group of it) amounts to.

What is known are *lines*: alerts as the vendor told them, and what people did. They are put in the vendor's order and
read from the first to the last, so the order in which they were heard, and how often each was, changes nothing. An
incident lasts from one going wrong to its end, and on, if the monitor flaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class What(StrEnum):
    """What a line says: an alert's state, or what a person did."""

    FIRING = "firing"
    REPEATED = "repeated"
    OVER = "over"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


WRONG = (What.FIRING, What.REPEATED)
BY_HAND = (What.ACKNOWLEDGED, What.RESOLVED)

RANK = {What.FIRING: 0, What.REPEATED: 1, What.OVER: 2, What.ACKNOWLEDGED: 3, What.RESOLVED: 3}
"""Of lines of one moment, the order in which they are read: what is over has been wrong before, and a person acts on
what is known."""


class Effect(StrEnum):
    """What a line does.

    RECORDED  an incident that is over, and whose beginning nobody told
    NOTED     nothing: it is kept in the history
    """

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    ACKNOWLEDGED = "acknowledged"
    RECORDED = "recorded"
    NOTED = "noted"


MOST_FLAPS = 500
"""What has begun again so often has a history that nobody reads, and that is read whole for every new line: almost two
days of a monitor that flaps every five minutes. What begins then is another incident."""

BEGINNINGS = (Effect.OPENED, Effect.RECORDED)


class Status(StrEnum):
    """How an incident stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


GOING = (Status.OPEN, Status.ACKNOWLEDGED)
"""Statuses of what is still wrong, as far as anybody told."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is known of a ref.

    key        the same for the same thing, however often it is told
    at         when it happened: the vendor's time, of a person's doing ours
    placed_at  where it stands among the others, in the vendor's time: `at`, but a person's doing stands behind all that
               was known then
    by         INT-* or USR-*
    flap       what begins again so soon after its end is the same incident, if this line begins one
    """

    key: str
    what: What
    at: datetime
    placed_at: datetime
    severity: str
    title: str
    text: str
    url: str
    by: str
    flap: timedelta
    cycle: str | None = None
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """What a line did, and which of what is shown of the incident it changed."""

    line: Line
    effect: Effect
    changed: tuple[str, ...] = ()


@dataclass(slots=True)
class Story:
    """An incident as its lines make it.

    shown      the line that tells how it is: the newest that says something is wrong
    opened_at  None where the beginning was missed
    ended_at   when it was over last, by a person's word or the vendor's; `by_hand`: by a person's alone
    cycles     the vendor's names for its going wrong; `cycle` is the one it is in, or was in last
    """

    shown: Line
    flap: timedelta
    status: Status = Status.OPEN
    opened_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    last_seen_at: datetime | None = None
    flaps: int = 0
    ended_at: datetime | None = None
    by_hand: bool = False
    cycle: str | None = None
    cycles: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)

    @property
    def going(self) -> bool:
        """Whether it is not resolved."""
        return self.status in GOING

    @property
    def watermark(self) -> datetime:
        """The vendor's time of the newest that is known."""
        return self.steps[-1].line.placed_at

    def flaps_at(self, moment: datetime) -> bool:
        """Whether what goes wrong then follows so closely on its end that it is the same."""
        return self.ended_at is None or moment - self.ended_at <= self.flap

    def is_past(self, cycle: str | None) -> bool:
        """Whether another going wrong has followed on that one."""
        return cycle in self.cycles and cycle != self.cycle


def timeline(lines: Iterable[Line]) -> list[Story]:
    """The incidents that lines of one ref make, the first one first. In any order, and each any number of times."""
    stories: list[Story] = []
    for line in sorted({line.key: line for line in lines}.values(), key=_place):
        current = stories[-1] if stories else None
        effect = decide(current, line)
        if current is None or effect in BEGINNINGS:
            current = Story(line, line.flap)
            stories.append(current)
        _apply(current, line, effect)
    return stories


def _place(line: Line) -> tuple[datetime, int, datetime, str]:
    return (line.placed_at, RANK[line.what], line.at, line.key)


def decide(story: Story | None, line: Line) -> Effect:
    """What the line does to the incident before it, if there is one. It is not older than what made the incident."""
    match line.what:
        case What.OVER:
            return _over(story, line)
        case What.FIRING | What.REPEATED:
            return _wrong(story, line)
        case _ if story is None or not story.going:
            return Effect.NOTED
        case What.RESOLVED:
            return Effect.RESOLVED
        case What.ACKNOWLEDGED:
            return Effect.ACKNOWLEDGED if story.status is Status.OPEN else Effect.NOTED


def _over(story: Story | None, line: Line) -> Effect:
    if story is None:
        return Effect.RECORDED
    if story.going:
        return Effect.NOTED if story.is_past(line.cycle) else Effect.RESOLVED
    strange = line.cycle is not None and line.cycle not in story.cycles
    if strange and not story.by_hand and not story.flaps_at(line.at):
        return Effect.RECORDED
    return Effect.NOTED


def _wrong(story: Story | None, line: Line) -> Effect:
    if story is None:
        return Effect.OPENED
    if story.going:
        return Effect.NOTED if story.is_past(line.cycle) else Effect.UPDATED
    known = line.cycle is not None and line.cycle in story.cycles
    repeated = line.what is What.REPEATED
    if story.by_hand and (known or (repeated and line.cycle is None)):
        return Effect.NOTED  # it still is as it was when somebody said that it is resolved
    if known and repeated and story.flaps_at(line.at):
        return Effect.NOTED  # a straggler: it was said before the end, and bears a later time
    again = story.flaps_at(line.at) and story.flaps < MOST_FLAPS
    return Effect.REOPENED if again else Effect.OPENED


def _apply(story: Story, line: Line, effect: Effect) -> None:
    changed = _changed(story.shown, line) if effect is Effect.UPDATED else ()
    story.steps.append(Step(line, effect, changed))
    if line.what in WRONG:
        _seen(story, line, effect)
    match effect:
        case Effect.OPENED:
            story.opened_at = line.at
        case Effect.ACKNOWLEDGED:
            story.status = Status.ACKNOWLEDGED
            story.acknowledged_at, story.acknowledged_by = line.at, line.by
        case Effect.RESOLVED | Effect.RECORDED:
            _end(story, line)
        case Effect.REOPENED:
            _again(story)
        case Effect.NOTED if line.what is What.OVER and not story.going:
            _over_too(story, line)


def _seen(story: Story, line: Line, effect: Effect) -> None:
    story.last_seen_at = line.at
    if effect is Effect.NOTED:
        return
    story.shown = line
    if line.cycle is not None:
        story.cycle = line.cycle
        story.cycles.add(line.cycle)


def _end(story: Story, line: Line) -> None:
    story.status = Status.RESOLVED
    # A vendor that is asked how things stand may name an end from before a late word of theirs.
    story.resolved_at = max(line.at, story.opened_at or line.at)
    story.resolved_by = line.by
    story.ended_at, story.by_hand = story.resolved_at, line.what in BY_HAND
    if line.cycle is not None:
        story.cycle = line.cycle
        story.cycles.add(line.cycle)


def _over_too(story: Story, line: Line) -> None:
    """What is resolved already is over for the vendor, too: what goes wrong from now on is another going wrong."""
    if story.by_hand and not story.is_past(line.cycle):
        story.by_hand = False
        story.ended_at = max(story.ended_at or line.at, line.at)


def _again(story: Story) -> None:
    story.status = Status.OPEN
    story.flaps += 1
    story.acknowledged_at = story.acknowledged_by = None
    story.resolved_at = story.resolved_by = None
    story.ended_at, story.by_hand = None, False


def _changed(before: Line, after: Line) -> tuple[str, ...]:
    return tuple(name for name in ("severity", "title") if getattr(before, name) != getattr(after, name))
