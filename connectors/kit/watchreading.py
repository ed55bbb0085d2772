"""What became of what watches: incidents, series and gates here, beside what goes on there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import isclose
from typing import Any

from connectors.contract import Measured, MeasureHint, RawDelivery, Series, capabilities
from connectors.kit.bench import Bench, Row
from connectors.kit.rule import Finding
from connectors.kit.watchpeople import WATCH_STORY, Wrong

APART = 300
"""Seconds between two things done: more than it takes to wait for a poll and work off what was heard."""

SOON = 8
"""Seconds between two things done where all is told at last: a whole story is younger then than the five minutes after
which some vendors' signatures count no more."""

HOUR = 3600
"""Seconds until the next poll has certainly come, and what was being measured is settled."""

TOLERANCE = 1e-9
"""Relative: a value may have been multiplied on its way."""

SHOWN = ("monitor", "scope", "status", "severity", "title", "url", "opened_at", "resolved_at", "flaps")
"""Of an incident, what has to be the same however it is heard of."""

GATE = ("subject", "branch", "main", "name", "status", "verdict", "at", "failed_at", "url", "conditions")
"""The same of a gate."""

Points = Mapping[datetime, float | None]

ASK = "Let alerts() tell all that fires, and fetch_alerts how each stands, with the vendor's times."
READ = "Let measures() give everything since the cursor, and overlap rather than miss."


def has(bench: Bench, capability: str) -> bool:
    """Whether the connector has it."""
    return capability in capabilities(bench.connector)


def play(bench: Bench, story: Iterable[tuple[str, int]] = WATCH_STORY, apart: int = APART) -> Iterator[str]:
    """Do these things one after the other; each that the vendor has is given when it is done."""
    for deed, slot in story:
        bench.strike(apart)
        if bench.watch.do(deed, slot):
            yield deed


# --- what is here -------------------------------------------------------------------------------------


def incidents(bench: Bench) -> list[Row]:
    """The incidents as they are shown, in the order of their beginning."""
    rows = [{name: row[name] for name in SHOWN} for row in bench.incidents()]
    return sorted(rows, key=lambda row: (row["monitor"], row["scope"], str(row["opened_at"])))


def gates(bench: Bench) -> list[Row]:
    """The gates as they are shown."""
    rows = [{name: row[name] for name in GATE} for row in bench.gates()]
    return sorted(rows, key=lambda row: (row["subject"], row["branch"]))


def told(bench: Bench) -> Counter[str]:
    """How often the stream was told what of incidents and gates: what is worse or less bad may be told in one go."""
    types = (row["type"] for row in bench.events() if row["type"].startswith(("incident.", "quality.")))
    return Counter(type_ for type_ in types if type_ != "incident.updated")


def points(measured: Iterable[Measured]) -> dict[str, dict[datetime, float | None]]:
    """The values of each series, by what people call it."""
    found: dict[str, dict[datetime, float | None]] = {}
    for one in measured:
        found.setdefault(called(one.series), {}).update((point.at, point.value) for point in one.points)
    return found


def called(series: Series) -> str:
    """What tells a series from others, its unit included: `test_coverage (percent) of shop, main`."""
    more = [
        series.subject,
        series.branch or "",
        *(f"{key}:{value}" for key, value in sorted(series.dimensions.items())),
    ]
    return f"{series.metric} ({series.unit}) of {', '.join(filter(None, more)) or 'all'}"


def hints(bench: Bench, deliveries: Iterable[RawDelivery]) -> set[str]:
    """The subjects that deliveries say were measured."""
    connector: Any = bench.connector
    signals = [signal for one in deliveries for signal in connector.parse(one, bench.config())]
    return {signal.subject for signal in signals if isinstance(signal, MeasureHint)}


# --- beside what is there -----------------------------------------------------------------------------


def amiss(bench: Bench, when: str) -> Iterator[Finding]:
    """What is otherwise here than there, after a poll: what goes wrong, how gates stand, what was measured."""
    if has(bench, "alert_source"):
        yield from going_amiss(bench, when)
    if has(bench, "measure_source"):
        yield from gates_amiss(bench, when)
        yield from points_amiss(bench, when)


def going_amiss(bench: Bench, when: str) -> Iterator[Finding]:
    """What goes wrong there is an incident here that is not resolved, and nothing else is."""
    there = {(one.monitor, one.scope): one for one in bench.watch.wrongs() if one.resolved_at is None}
    here = {(row["monitor"], row["scope"]): row for row in bench.incidents() if row["status"] != "resolved"}
    for ref in sorted(there.keys() - here.keys()):
        yield Finding(f"{when}, {_named(there[ref])} goes wrong, and is no incident", ASK)
    for ref in sorted(here.keys() - there.keys()):
        yield Finding(f"{when}, {here[ref]['title']!r} is over, and its incident is {here[ref]['status']}", ASK)
    for ref in sorted(there.keys() & here.keys()):
        yield from unlike(here[ref], there[ref], ("title", "severity"), when)


def unlike(row: Row, wrong: Wrong, names: Sequence[str], when: str) -> Iterator[Finding]:
    """Where an incident is not what the going wrong is."""
    for name in names:
        if row[name] != getattr(wrong, name):
            yield Finding(
                f"{when}, the {name} of {_named(wrong)} is {row[name]!r} here and {getattr(wrong, name)!r} there",
                "Tell it as the vendor does, by webhooks and polls alike.",
            )


def _named(wrong: Wrong) -> str:
    return f"{wrong.title!r}" + (f" of {wrong.scope}" if wrong.scope else "")


def gates_amiss(bench: Bench, when: str) -> Iterator[Finding]:
    """Every gate stands here as it does there."""
    here = {(row["subject"], row["branch"]): row["status"] for row in bench.gates()}
    for stands in bench.watch.gates():
        known = here.get((stands.subject, stands.branch))
        if known != stands.status:
            yield Finding(
                f"{when}, the gate of {stands.subject}, {stands.branch} is {known} here and {stands.status} there",
                "Tell gates as they are now, also where they have moved without a measuring.",
            )


def points_amiss(bench: Bench, when: str) -> Iterator[Finding]:
    """Every point that is there is here, with its value, and no other."""
    measured = bench.watch.measured()
    there, here = points(measured), points(bench.measured())
    live = {called(one.series) for one in measured if one.series.metric in bench.watch.only_live}
    subjects = {one.series.subject for one in measured}
    for name in sorted(there):
        yield from _series_amiss(name, there[name], here.get(name, {}), name in live, when)
    strange = {called(one.series) for one in bench.measured() if one.series.subject in subjects} - there.keys()
    for name in sorted(strange):
        yield Finding(
            f"{when}, there is a series {name} here, which is not measured there", "Tell units and names as they are."
        )


def _series_amiss(name: str, there: Points, here: Points, live: bool, when: str) -> Iterator[Finding]:
    missing = sorted(there.keys() - here.keys())
    if missing and not live:
        yield Finding(f"{when}, {len(missing)} of {len(there)} points of {name} are not here, as of {missing[0]}", READ)
    made_up = sorted(at for at in here.keys() - there.keys() if there and min(there) <= at <= max(there))
    if made_up:
        yield Finding(f"{when}, {name} has {len(made_up)} points that were not measured, as of {made_up[0]}", READ)
    other = sorted(at for at in there.keys() & here.keys() if not same(there[at], here[at]))
    if other:
        at = other[0]
        yield Finding(f"{when}, {name} was {there[at]} at {at}, and is {here[at]} here", "Leave what is not settled.")


def same(one: float | None, other: float | None) -> bool:
    """Whether two values are one."""
    if one is None or other is None:
        return one is other
    return isclose(one, other, rel_tol=TOLERANCE)
