"""Deliveries about code that come twice, in any order, late or not at all: each thing that happened is one event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

from connectors.contract import RawDelivery
from connectors.kit.bench import Bench, Row
from connectors.kit.codereading import MAY_BE_ONLY_LIVE, SOON, lasts, listable, play, polled
from connectors.kit.rule import CODE, CODE_HEARD, Finding, Rule, Tier

SHUFFLES = 6
"""Orders drawn besides forwards and backwards; a story has some twenty deliveries, so all of them can't be tried."""

STEP = 30
"""Seconds between two ticks."""

ONE_KEY = "Make the key of the vendor's own ids by the contract's values, and tell the same under it every time."


def missing(bench: Bench, when: str) -> Iterator[Finding]:
    """What the vendor's listing tells now and is not in the stream, or is there twice or otherwise."""
    told = polled(bench)
    there = {event.key: bench.as_stored(event) for event in told}
    rows = bench.code_events()
    here = {row["key"]: row for row in rows}
    lost = sorted({event.key for event in told if listable(bench, event)} - here.keys())
    if lost:
        yield Finding(
            f"{when}, {len(lost)} of {len(there)} events are not here, among them {', '.join(lost[:3])}",
            "Let code_events give everything since the cursor, and overlap rather than miss.",
        )
    twice = sorted(key for key, times in Counter(row["key"] for row in rows).items() if times > 1)
    if twice:
        yield Finding(f"{when}, {', '.join(twice[:3])} came into the stream more than once", ONE_KEY)
    unlike = sorted(key for key in here.keys() & there.keys() if here[key] != there[key])
    if unlike:
        yield Finding(f"{when}, {', '.join(unlike[:3])} is here otherwise than a poll tells it", ONE_KEY)


def told_once(bench: Bench) -> Iterator[Finding]:
    """One delivery three times is one row and one event."""
    for _ in play(bench):
        deliveries = bench.arriving()
        answers = bench.knock(delivery for delivery in deliveries for _ in range(3))
        stored = sum(answer.stored for answer in answers)
        if stored != len(deliveries):
            yield Finding(
                f"one delivery sent three times was stored {stored / len(deliveries):g} times",
                "Give as `key` the vendor's id of the delivery, the same on a retry; None where there is none.",
            )
            return
        bench.drain()
    yield from missing(bench, "after every delivery came three times")


Way = Callable[[Bench], None]


def any_order(bench: Bench) -> Iterator[Finding]:
    """The deliveries of a story forwards, backwards and shuffled; at once, or one by one: the same comes of it."""
    ways: dict[str, Callable[[Sequence[RawDelivery]], Sequence[RawDelivery]]] = {
        "forwards": lambda told: told,
        "backwards": lambda told: told[::-1],
        **{f"shuffled by {seed}": _shuffled(seed) for seed in range(SHUFFLES)},
    }
    reference: object = None
    for number, (order, arranged) in enumerate(ways.items()):
        bench.begin()
        told: list[RawDelivery] = []
        for _ in play(bench, apart=SOON):
            told += bench.arriving()
        for delivery in arranged(told):
            bench.knock([delivery])
            if number % 2 == 0:
                bench.drain()
        bench.drain()
        outcome = _stream(bench)
        reference = reference or outcome
        if outcome != reference:
            yield Finding(
                f"told {order}, other events came of it than told forwards",
                "Let no event depend on another one: tell of each all that its kind has.",
            )
            return
        yield from missing(bench, f"told {order}")


def _shuffled(seed: int) -> Callable[[Sequence[RawDelivery]], Sequence[RawDelivery]]:
    return lambda told: Random(seed).sample(list(told), len(told))


def _stream(bench: Bench) -> Mapping[str, Row]:
    """What lasts: a state that passes is there or not, as it was asked for in time or too late."""
    return {row["key"]: row for row in bench.code_events() if lasts(row["type"], row["data"].get("state"))}


def _listed(bench: Bench) -> Mapping[str, Row]:
    """Of that, what the vendor lists, too."""
    only_live = bench.code.only_live & MAY_BE_ONLY_LIVE
    return {key: row for key, row in _stream(bench).items() if row["type"] not in only_live}


def one_history(bench: Bench) -> Iterator[Finding]:
    """A story by webhooks alone, by one poll alone, and by both at once: the same stream."""
    outcomes = {}
    for way, work in WAYS.items():
        bench.begin()
        work(bench)
        outcomes[way] = _listed(bench)
        yield from missing(bench, f"by {way}")
    first, *others = outcomes
    for way in others:
        if outcomes[way] != outcomes[first]:
            yield Finding(f"{way} and {first} gave different events", "See code-ways-agree for which events differ.")


def _by_webhooks(bench: Bench) -> None:
    for _ in play(bench):
        bench.hear()


def _by_poll(bench: Bench) -> None:
    for _ in play(bench):
        bench.arriving()
    bench.pull()


def _by_both(bench: Bench) -> None:
    late: list[RawDelivery] = []
    for number, _ in enumerate(play(bench)):
        if number % 2:
            late += bench.arriving()
            bench.pull()
        else:
            bench.hear()
    bench.knock(reversed(late))
    bench.drain()
    bench.pull()


WAYS: Mapping[str, Way] = {"webhooks": _by_webhooks, "one poll": _by_poll, "both": _by_both}


def missed_hook(bench: Bench) -> Iterator[Finding]:
    """All webhooks of a story are lost; the next poll, within one interval, brings what they would have told."""
    for _ in play(bench):
        bench.arriving()
    waited = 0
    while waited <= bench.config().poll_seconds:
        bench.wait(STEP)
        waited += STEP
        bench.tick()
        bench.arriving()
    yield from missing(bench, "a poll interval after lost webhooks")


RULES = (
    Rule(
        "code-told-once",
        Tier.SILVER,
        "A delivery sent three times is one event.",
        executed=told_once,
        needs=CODE_HEARD,
    ),
    Rule(
        "code-any-order",
        Tier.SILVER,
        "The same events come of a story's deliveries in any order.",
        executed=any_order,
        needs=CODE_HEARD,
    ),
    Rule(
        "code-one-history",
        Tier.GOLD,
        "Webhooks alone, polls alone and both together give one stream.",
        executed=one_history,
        needs=CODE_HEARD,
    ),
    Rule(
        "code-missed-hook-healed",
        Tier.GOLD,
        "What lost webhooks would have told is there within one poll interval.",
        executed=missed_hook,
        needs=CODE,
    ),
)
