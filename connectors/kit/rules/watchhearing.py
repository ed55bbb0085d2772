"""Deliveries about what is watched that come twice, in any order, late or not at all: the same comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

from connectors.contract import RawDelivery
from connectors.kit.bench import Bench, Row
from connectors.kit.rule import ALERTS, WATCHES, WEBHOOKS, Finding, Rule, Tier
from connectors.kit.watchreading import HOUR, SOON, amiss, gates, has, incidents, play, told

SHUFFLES = 6
"""Orders drawn besides forwards and backwards; a story has some fifteen deliveries, so all of them can't be tried."""

STEP = 30
"""Seconds between two ticks."""

LATER = 90
"""Seconds after which a poll sees what happened: when it looks is not when that was."""

FLAPS = 50
"""How often something flaps."""

FLAP = 60
"""Seconds from going wrong to its end, and from that to going wrong again: well within any flap_minutes."""

OWN_TIME = (
    "Tell each alert and gate with the vendor's own time of it, the same by webhooks and polls, and with `cycle` where "
    "there is one."
)


def told_once(bench: Bench) -> Iterator[Finding]:
    """One delivery three times is one row, and does what it does once."""
    outcomes: list[object] = []
    for times in (1, 3):
        bench.begin(bound=False)
        for _ in play(bench):
            deliveries = bench.arriving()
            answers = bench.knock(delivery for delivery in deliveries for _ in range(times))
            stored = sum(answer.stored for answer in answers)
            if stored != len(deliveries):
                yield Finding(
                    f"one delivery sent {times} times was stored {stored / len(deliveries):g} times",
                    "Give as `key` what is the same on a retry, and another one for another delivery.",
                )
                return
            bench.drain()
        outcomes.append((_shown(bench), told(bench), len(bench.incident_lines())))
    if outcomes[0] != outcomes[1]:
        yield Finding("deliveries that came three times did something else than those that came once", OWN_TIME)


def _shown(bench: Bench) -> tuple[list[Row], list[Row]]:
    return incidents(bench), gates(bench)


Order = Callable[[Sequence[RawDelivery]], Sequence[RawDelivery]]


def any_order(bench: Bench) -> Iterator[Finding]:
    """The deliveries of a story forwards, backwards and shuffled; at once, or one by one: the same comes of it."""
    ways: dict[str, Order] = {
        "forwards": lambda told: told,
        "backwards": lambda told: told[::-1],
        **{f"shuffled by {seed}": _shuffled(seed) for seed in range(SHUFFLES)},
    }
    reference: object = None
    for number, (order, arranged) in enumerate(ways.items()):
        bench.begin(bound=False)
        arrived: list[RawDelivery] = []
        for _ in play(bench, apart=SOON):
            arrived += bench.arriving()
        for delivery in arranged(arrived):
            bench.wait(1)
            bench.knock([delivery])
            if number % 2 == 0:
                bench.drain()
        bench.drain()
        reference = reference or _shown(bench)
        if _shown(bench) != reference:
            yield Finding(f"told {order}, other incidents or gates came of it than told forwards", OWN_TIME)
            return
        bench.wait(HOUR)
        bench.pull()
        yield from amiss(bench, f"told {order}, and after a poll")


def _shuffled(seed: int) -> Order:
    return lambda told: Random(seed).sample(list(told), len(told))


# --- ways of hearing ----------------------------------------------------------------------------------

Way = Callable[[Bench], None]
Outcome = tuple[Sequence[Row], Sequence[Row], Sequence[Mapping[str, int]]]
"""Incidents, gates, and how often the stream was told what."""


def agree(bench: Bench) -> Iterator[Finding]:
    """A story by webhooks, worked off at once or late, by a poll after each thing done, and by both."""
    ways = WAYS if has(bench, "webhooks") else {POLLS: WAYS[POLLS]}
    outcomes: dict[str, Outcome] = {}
    for way, work in ways.items():
        bench.begin(bound=False)
        work(bench)
        outcomes[way] = (*_shown(bench), [told(bench)])
        yield from _begun(bench, f"by {way}")
        bench.wait(HOUR)
        bench.pull()
        yield from amiss(bench, f"by {way}, and after a poll")
    first, *others = outcomes
    for way in others:
        for what, one, other in zip(("incidents", "gates", "events"), outcomes[first], outcomes[way], strict=True):
            if one != other:
                yield Finding(f"{way} and {first} gave different {what}: {_difference(one, other)}", OWN_TIME)


def _difference(one: Sequence[Row], other: Sequence[Row]) -> str:
    if len(one) != len(other):
        return f"{len(other)} and {len(one)}"
    pairs = [(a, b, name) for a, b in zip(one, other, strict=True) for name in {**a, **b}]
    name, mine, theirs = next((name, a.get(name), b.get(name)) for a, b, name in pairs if a.get(name) != b.get(name))
    return f"{name} is {theirs!r} or {mine!r}"


def _begun(bench: Bench, when: str) -> Iterator[Finding]:
    """What goes on began when it did there."""
    there = {(one.monitor, one.scope): one for one in bench.watch.wrongs() if one.resolved_at is None}
    for row in bench.incidents():
        wrong = there.get((row["monitor"], row["scope"]))
        if wrong is not None and row["status"] != "resolved" and row["opened_at"] != wrong.opened_at:
            yield Finding(
                f"{when}, what began at {wrong.opened_at} is said to have begun at {row['opened_at']}", OWN_TIME
            )


def _by_webhooks(bench: Bench) -> None:
    for _ in play(bench):
        bench.hear()


def _late(bench: Bench) -> None:
    for _ in play(bench):
        bench.knock(bench.arriving())
    bench.drain()


def _by_polls(bench: Bench) -> None:
    for _ in play(bench):
        bench.arriving()
        bench.wait(LATER)
        bench.pull()


def _by_both(bench: Bench) -> None:
    late: list[RawDelivery] = []
    for number, _ in enumerate(play(bench)):
        if number % 2:
            late += bench.arriving()
        else:
            bench.hear()
        bench.wait(LATER)
        bench.pull()
    bench.knock(reversed(late))
    bench.drain()


POLLS = "a poll after each"
WAYS: Mapping[str, Way] = {
    "webhooks": _by_webhooks,
    "webhooks worked off late": _late,
    POLLS: _by_polls,
    "both": _by_both,
}


def missed_hook(bench: Bench) -> Iterator[Finding]:
    """Whatever webhooks would have told is there within one poll interval: what goes wrong, gets worse, ends; what is
    measured, and gates that turn."""
    bench.begin(bound=False)
    for story in (("fire", 0), ("measure", 0)), (("worsen", 0), ("spoil", 0)), (("recover", 0), ("accept", 0)):
        done = list(play(bench, story))
        _one_interval(bench)
        when = f"a poll interval after lost webhooks ({', '.join(done)})"
        yield from amiss(bench, when)
        yield from _begun(bench, when)
    ended = [one for one in bench.watch.wrongs() if one.resolved_at is not None]
    for row, wrong in zip(bench.incidents(), ended, strict=False):
        if row["resolved_at"] != wrong.resolved_at:
            yield Finding(
                f"a poll tells of an end at {row['resolved_at']}, and it was at {wrong.resolved_at}",
                "Give the vendor's own time of the end in fetch_alerts.",
            )


def _one_interval(bench: Bench) -> None:
    waited = 0
    while waited <= bench.config().poll_seconds:
        bench.arriving()
        bench.wait(STEP)
        waited += STEP
        bench.tick()


# --- flapping -----------------------------------------------------------------------------------------


def flapping(bench: Bench) -> Iterator[Finding]:
    """What goes wrong and ends fifty times in a row is one incident; heard in order, shuffled, or polled for."""
    for way, work in FLAPPING.items():
        if way != POLLS and not has(bench, "webhooks"):
            continue
        bench.begin(bound=False)
        work(bench)
        rows = bench.incidents()
        if len(rows) != 1 or rows[0]["flaps"] != FLAPS - 1:
            yield Finding(
                f"by {way}, what flapped {FLAPS} times became {len(rows)} incidents, "
                f"{Counter(row['flaps'] for row in rows)}",
                "Tell of each end and each beginning with its own time, under one AlertRef.",
            )
            continue
        first, *_, last = bench.watch.wrongs()
        if (rows[0]["opened_at"], rows[0]["resolved_at"]) != (first.opened_at, last.resolved_at):
            yield Finding(
                f"by {way}, flapping began at {rows[0]['opened_at']} and ended at {rows[0]['resolved_at']}, "
                f"not at {first.opened_at} and {last.resolved_at}",
                OWN_TIME,
            )


def _flap(bench: Bench) -> Iterator[str]:
    return play(bench, (("fire", 0), ("recover", 0)) * FLAPS, apart=FLAP)


def _in_order(bench: Bench) -> None:
    for _ in _flap(bench):
        bench.hear()


def _mixed(bench: Bench) -> None:
    arrived: list[RawDelivery] = []
    for _ in _flap(bench):
        arrived += bench.arriving()
    bench.knock(_shuffled(FLAPS)(arrived))
    bench.drain()


def _polled(bench: Bench) -> None:
    for _ in play(bench, (("fire", 0), ("recover", 0)) * FLAPS, apart=2 * FLAP):
        bench.arriving()
        bench.pull()


FLAPPING: Mapping[str, Way] = {"webhooks": _in_order, "webhooks in any order": _mixed, POLLS: _polled}


RULES = (
    Rule(
        "watch-told-once",
        Tier.SILVER,
        "A delivery sent three times does what it does once.",
        executed=told_once,
        needs=WEBHOOKS,
        among=WATCHES,
    ),
    Rule(
        "watch-any-order",
        Tier.SILVER,
        "The same incidents and gates come of a story's deliveries in any order.",
        executed=any_order,
        needs=WEBHOOKS,
        among=WATCHES,
    ),
    Rule(
        "watch-missed-hook-healed",
        Tier.GOLD,
        "What lost webhooks would have told is there within one poll interval.",
        executed=missed_hook,
        among=WATCHES,
    ),
    Rule(
        "watch-ways-agree",
        Tier.GOLD,
        "Webhooks and polls of one history give the same incidents and gates, each told once.",
        executed=agree,
        among=WATCHES,
        essential=True,
    ),
    Rule(
        "watch-flapping",
        Tier.GOLD,
        "What flaps fifty times is one incident.",
        executed=flapping,
        needs=ALERTS,
    ),
)
