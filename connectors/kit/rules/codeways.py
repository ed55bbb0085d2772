"""Webhooks and polls tell one history alike: the same events, with the same in them, however they are heard of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from connectors.contract import CodeEvent, CodeKind, Cursor, RawDelivery
from connectors.kit.bench import Bench
from connectors.kit.codepeople import There
from connectors.kit.codereading import asked, counted, heard, hears, listable, listed, play, polled
from connectors.kit.rule import CODE, Finding, Rule, Tier

Told = Mapping[str, CodeEvent]
"""Key -> the event."""

ONE_POLL = "one poll of it all"

AGREE = (
    "Say in each way only what all of them can say: leave the rest out, or answer CodeHint and let fetch_code read "
    "it from where code_events does."
)


def complete(bench: Bench) -> Iterator[Finding]:
    """A first poll tells all that happened, as the fake vendor counts it, and nothing that did not."""
    for _ in play(bench):
        pass
    for repository in bench.code.repositories():
        yield from all_told(bench, repository)


def all_told(bench: Bench, repository: There) -> Iterator[Finding]:
    """What a poll of everything tells of a repository, beside what the fake vendor says that happened in it."""
    told = [event for event in polled(bench) if event.repository == repository.id]
    yield from _counts(f"of {repository.name}", bench.code.happened_in(repository.id), counted(told))


def _counts(of: str, there: Counter[str], here: Counter[str]) -> Iterator[Finding]:
    for what, count in there.items():
        if here[what] < count:
            yield Finding(f"{of}, {here[what]} of {count} {what} are told", "Read it in code_events, from None on.")
    for what in sorted(here.keys() - there.keys()):
        yield Finding(f"{of}, {what} is told, which did not happen", "Tell only what the vendor says.")
    for what in sorted(what for what, count in there.items() if here[what] > count):
        yield Finding(
            f"{of}, {what} is told {here[what]} times, and happened {there[what]} times",
            "Make the same key of it every time: of the vendor's ids, and times that do not move.",
        )


def agree(bench: Bench) -> Iterator[Finding]:
    """A story heard by webhooks (asked about at once, and at last), by a poll after each thing done, by one poll since
    it began, and by one of everything. States that pass, and what the vendor lists nowhere, may be missing in a way;
    told in two, they are the same."""
    start: dict[str, Cursor] = {}
    known = {event.key for event in polled(bench, start)}
    ways = _all_ways(bench, start)
    for way, events in ways.items():
        yield from _one_mind(way, events)
    told = {way: {e.key: e for e in events if e.key not in known} for way, events in ways.items()}
    reference = told.pop(ONE_POLL)
    for way, heard_of in told.items():
        yield from _differences(bench, way, heard_of, reference)


def _all_ways(bench: Bench, start: Mapping[str, Cursor]) -> dict[str, list[CodeEvent]]:
    cursors, step_by_step = dict(start), list[CodeEvent]()
    at_once, deliveries = list[CodeEvent](), list[RawDelivery]()
    for _ in play(bench):
        arrived = bench.arriving()
        whole, refs = heard(bench, arrived)
        at_once += whole + asked(bench, refs)
        step_by_step += polled(bench, cursors)
        deliveries += arrived
    ways = {"one poll since then": polled(bench, dict(start)), "a poll after each": step_by_step}
    if hears(bench):
        whole, refs = heard(bench, deliveries)
        ways |= {"webhooks": at_once, "webhooks worked off late": whole + asked(bench, refs)}
    return ways | {ONE_POLL: polled(bench)}


def _one_mind(way: str, events: Iterable[CodeEvent]) -> Iterator[Finding]:
    """What comes twice under one key is the same both times."""
    seen: dict[str, CodeEvent] = {}
    for event in events:
        first = seen.setdefault(event.key, event)
        if first != event:
            yield Finding(f"{way} tells {event.key} in two ways: {_difference(first, event)}", AGREE)
            return


def _differences(bench: Bench, way: str, told: Told, reference: Told) -> Iterator[Finding]:
    comparable = {key for key, event in {**reference, **told}.items() if listable(bench, event)}
    missing = sorted((reference.keys() - told.keys()) & comparable)
    more = sorted((told.keys() - reference.keys()) & comparable)
    if missing:
        yield Finding(f"{way} misses {_some(missing)}, which {ONE_POLL} tells", AGREE)
    if more:
        yield Finding(f"{way} tells {_some(more)}, which {ONE_POLL} does not", AGREE)
    unlike = [key for key in sorted(told.keys() & reference.keys()) if told[key] != reference[key]]
    if unlike:
        key = unlike[0]
        difference = _difference(told[key], reference[key])
        yield Finding(f"{way} and {ONE_POLL} tell {_some(unlike)} differently: {difference}", AGREE)


def _some(keys: list[str]) -> str:
    others = f" and {len(keys) - 2} more" if len(keys) > 2 else ""
    return ", ".join(keys[:2]) + others


def _difference(one: CodeEvent, other: CodeEvent) -> str:
    if one.at != other.at:
        return f"at {one.at} or {other.at}"
    fields = (name for name in getattr(one.what, "__slots__", ()) if hasattr(other.what, name))
    told = (f"{n} {getattr(one.what, n)!r} or {getattr(other.what, n)!r}" for n in fields if _unlike(one, other, n))
    return "; ".join(told) or f"{one.what!r} or {other.what!r}"


def _unlike(one: CodeEvent, other: CodeEvent, name: str) -> bool:
    return bool(getattr(one.what, name) != getattr(other.what, name))


KINDS: Mapping[str, CodeKind] = {
    "code.push": CodeKind.PUSH,
    "code.commit": CodeKind.PUSH,
    "code.review_submitted": CodeKind.PULL_REQUEST,
    "code.deployment": CodeKind.DEPLOYMENT,
    "code.deployment_status": CodeKind.DEPLOYMENT,
    "code.pipeline_run": CodeKind.PIPELINE,
    "code.release": CodeKind.RELEASE,
}
"""Type of event -> what the config follows it as; those not named are of changes."""


def kind_of(event: CodeEvent) -> CodeKind:
    """What an event is followed as."""
    return KINDS.get(event.what.type, CodeKind.PULL_REQUEST)


def followed(bench: Bench) -> Iterator[Finding]:
    """What the config leaves out is told in no way, and what it names is told as before."""
    told = []
    for _ in play(bench):
        told += bench.arriving()
    everything = {event.key: kind_of(event) for event in polled(bench)}
    for kind in CodeKind:
        made = bench.reconfigure(events=list(bench.code.followed_as(kind)))
        if made.http != 201:
            yield Finding(
                f"events can't be [{kind}]: {made.text}", "Let the config's `events` be those of the contract."
            )
            return
        events = polled(bench)
        if hears(bench):
            whole, refs = heard(bench, told)
            events += whole + asked(bench, refs)
        yield from _only(kind, {event.key: kind_of(event) for event in events}, everything)


def _only(kind: CodeKind, found: Mapping[str, CodeKind], everything: Mapping[str, CodeKind]) -> Iterator[Finding]:
    others = sorted({other.value for other in found.values() if other is not kind})
    if others:
        yield Finding(f"with events = [{kind}], {', '.join(others)} is told, too", "Heed config.kinds() in every way.")
    missing = sorted(key for key, one in everything.items() if one is kind and key not in found)
    if missing:
        yield Finding(f"with events = [{kind}] alone, {_some(missing)} is not told", "Leave out no more than that.")


def stable_id(bench: Bench) -> Iterator[Finding]:
    """A repository that is called otherwise is the same one, and what happened in it stays what it was."""
    before, told = {one.external_id: one.name for one in listed(bench)}, {event.key for event in polled(bench)}
    there = bench.code.repositories()[0]
    if there.id not in before:
        yield Finding(
            f"the repository {there.name} is told as one of {sorted(before)}, its id is {there.id}",
            "Give the vendor's immutable id of the repository as external_id.",
        )
        return
    bench.code.do("rename")
    names = [repository.name for repository in bench.code.repositories()]
    made = bench.reconfigure(repositories=names)
    if made.http != 201:
        yield Finding(f"the new name can't be configured: {made.text}", "Accept what the vendor has.")
        return
    after = {one.external_id: one.name for one in listed(bench)}
    if after.keys() != before.keys():
        yield Finding(f"a new name made {sorted(after)} of {sorted(before)}", "Use the vendor's immutable id.")
    elif after[there.id] == before[there.id]:
        yield Finding(f"it is still called {after[there.id]}", "Read the name anew every time.")
    made_up = sorted({event.key for event in polled(bench)} - told)
    if made_up:
        yield Finding(f"a new name made new events, {_some(made_up)}", "Keep names out of keys and of `repository`.")


RULES = (
    Rule(
        "code-stable-id",
        Tier.BRONZE,
        "A repository's id is immutable; renamed, it is the same one.",
        executed=stable_id,
        needs=CODE,
    ),
    Rule(
        "code-kinds-followed",
        Tier.SILVER,
        "What the config does not follow is told in no way.",
        executed=followed,
        needs=CODE,
    ),
    Rule(
        "code-history-complete",
        Tier.GOLD,
        "A first poll tells all that happened.",
        executed=complete,
        needs=CODE,
    ),
    Rule(
        "code-ways-agree",
        Tier.GOLD,
        "Webhooks and polls of one history give the same events.",
        executed=agree,
        needs=CODE,
        essential=True,
    ),
)
