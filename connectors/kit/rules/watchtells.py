"""What is wrong becomes an incident, and what is measured a series: whole, under lasting names; of what is muted nobody
is told."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import ALERTS, MEASURES, Finding, Rule, Tier
from connectors.kit.watchreading import HOUR, amiss, has, play, unlike

FIELDS = ("title", "severity", "url", "opened_at")
"""What people have to see of an incident."""

WORDS = "Fill title, severity, url and `at` with what the vendor says, by webhooks and polls alike."


def becomes_incident(bench: Bench) -> Iterator[Finding]:
    """What goes wrong, heard by a delivery and seen by a poll."""
    for way in ("a delivery", "a poll") if has(bench, "webhooks") else ("a poll",):
        bench.begin(bound=False)
        for _ in play(bench, [("fire", 0)]):
            if way == "a poll":
                bench.arriving()
                bench.pull()
            else:
                bench.hear()
        yield from _shown(bench, way)


def _shown(bench: Bench, way: str) -> Iterator[Finding]:
    rows = bench.incidents()
    if len(rows) != 1:
        yield Finding(
            f"by {way}, {len(rows)} incidents came of what went wrong once",
            "Tell it with one lasting AlertRef: in `parse` as AlertHeard, and from alerts().",
        )
        return
    [wrong] = [one for one in bench.watch.wrongs() if one.resolved_at is None]
    yield from unlike(rows[0], wrong, ("monitor", "scope", *FIELDS), f"by {way}")
    empty = [name for name in FIELDS if not rows[0][name]]
    if empty:
        yield Finding(f"by {way}, an incident has no {' and no '.join(empty)}", WORDS)
    if rows[0]["url"] and not rows[0]["url"].startswith("https://"):
        yield Finding(f"by {way}, an incident's url is {rows[0]['url']!r}", "Give the monitor's page, which lasts.")


def becomes_series(bench: Bench) -> Iterator[Finding]:
    """All that is measured, with its unit; where the vendor tells of a measuring, by that alone."""
    for _ in play(bench, [("measure", 0), ("measure", 1)]):
        bench.hear()
    bench.wait(HOUR)
    bench.pull()
    yield from amiss(bench, "after a poll")
    if not bench.measured():
        yield Finding("nothing that is measured came here", "Give it from measures().")
    for one in bench.measured():
        if not one.series.unit:
            yield Finding(f"{one.series.metric} has no unit", "Bring values to one of Unit, or name the vendor's own.")


def stable_id(bench: Bench) -> Iterator[Finding]:
    """A monitor that is called otherwise is the same one: what goes wrong stays one incident."""
    bench.begin(bound=False)
    for _ in play(bench, [("fire", 0), ("call", 0), ("worsen", 0)]):
        bench.hear()
        bench.pull()
    statuses = [row["status"] for row in bench.incidents()]
    if statuses != ["open"]:
        yield Finding(
            f"a monitor that was given another title became {len(statuses)} incidents ({', '.join(statuses)})",
            "Make the AlertRef of the vendor's immutable id, and of the group's tags; leave titles out of it.",
        )


def muted(bench: Bench) -> Iterator[Finding]:
    """What is muted is told in no way; what went wrong before stays as it is."""
    bench.begin(bound=False)
    for _ in play(bench, [("fire", 1)]):
        bench.hear()
    before = bench.incidents()
    if not bench.watch.do("mute", 0):
        return
    bench.watch.do("mute", 1)
    for _ in play(bench, [("fire", 0)]):
        bench.hear()
        bench.pull()
    known = {row["id"] for row in before}
    for row in bench.incidents():
        if row["id"] not in known:
            yield Finding(f"{row['title']!r} is muted, and became an incident", "Leave out of alerts() what is muted.")
        elif row["status"] == "resolved":
            yield Finding(
                f"{row['title']!r} was muted, and its incident ended",
                "Let fetch_alerts tell how it stands, muted or not.",
            )


RULES = (
    Rule(
        "watch-incident-opened",
        Tier.BRONZE,
        "What goes wrong is an incident with title, severity, url and time, by a delivery or a poll.",
        executed=becomes_incident,
        needs=ALERTS,
    ),
    Rule(
        "watch-series-kept",
        Tier.BRONZE,
        "What is measured is a series with a known unit.",
        executed=becomes_series,
        needs=MEASURES,
    ),
    Rule(
        "watch-stable-id",
        Tier.BRONZE,
        "A monitor's id is immutable; with another title, it is the same one.",
        executed=stable_id,
        needs=ALERTS,
    ),
    Rule(
        "watch-muted",
        Tier.SILVER,
        "Of what is muted nobody is told, and what went wrong before goes on.",
        executed=muted,
        needs=ALERTS,
    ),
)
