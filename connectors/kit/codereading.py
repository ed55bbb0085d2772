"""A code connector by itself, without the engine: what its listing, its deliveries and its answers say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from connectors.contract import (
    FINAL,
    ChangeMerged,
    CodeEvent,
    CodeHeard,
    CodeHint,
    CodeRef,
    Committed,
    Cursor,
    Deployed,
    DeploymentMoved,
    PipelineRan,
    Pushed,
    RawDelivery,
    Released,
    RemoteRepository,
    Reviewed,
    ReviewState,
    capabilities,
)
from connectors.kit.bench import Bench
from connectors.kit.codepeople import STORY

APART = 300
"""Seconds between two things done: more than it takes to wait for a poll and work off what was heard."""

SOON = 8
"""Seconds between two things done where all is told at last: a whole story is younger then than the five minutes after
which some vendors' signatures count no more."""

MAY_BE_ONLY_LIVE = frozenset({Pushed.type})
"""What a vendor may leave out of all its lists: nothing is measured by a push, but by its commits, which are listed."""

PASSES = frozenset({DeploymentMoved.type, PipelineRan.type})
"""These come to states that are over soon: a poll sees the ones that last until it looks."""


def play(bench: Bench, deeds: Iterable[str] = STORY, repo: int = 0, apart: int = APART) -> Iterable[str]:
    """Do these things one after the other; each that the vendor has is given when it is done."""
    for deed in deeds:
        bench.strike(apart)
        if bench.code.do(deed, repo):
            yield deed


def polled(bench: Bench, cursors: dict[str, Cursor] | None = None) -> list[CodeEvent]:
    """All that its listing says, of every repository; after the cursors if there are any, which are then moved."""
    connector: Any = bench.instance()
    found: list[CodeEvent] = []
    for repository in listed(bench):
        cursor = (cursors or {}).get(repository.external_id)
        for page in connector.code_events(repository, cursor):
            found += page.events
            cursor = page.cursor
        if cursors is not None and cursor is not None:
            cursors[repository.external_id] = cursor
    return found


def listed(bench: Bench) -> list[RemoteRepository]:
    """The repositories it names."""
    connector: Any = bench.instance()
    return [repository for batch in connector.repositories() for repository in batch]


def hears(bench: Bench) -> bool:
    """Whether it can be told anything."""
    return "webhooks" in capabilities(bench.connector)


def heard(bench: Bench, deliveries: Iterable[RawDelivery]) -> tuple[list[CodeEvent], list[CodeRef]]:
    """What deliveries say: the events told whole, and what has to be asked for, each once."""
    if not hears(bench):
        return [], []
    connector: Any = bench.connector
    signals = [signal for delivery in deliveries for signal in connector.parse(delivery, bench.config())]
    refs = dict.fromkeys(signal.ref for signal in signals if isinstance(signal, CodeHint))
    return [signal.event for signal in signals if isinstance(signal, CodeHeard)], list(refs)


def asked(bench: Bench, refs: Sequence[CodeRef]) -> list[CodeEvent]:
    """What it answers when it is asked for these."""
    connector: Any = bench.instance()
    return list(connector.fetch_code(refs)) if refs else []


def lasts(type: str, state: object) -> bool:
    """Whether an event of this type and state is there to be told by every way of hearing, also by one that looks
    when all is over."""
    return type not in PASSES or state in FINAL


def listable(bench: Bench, event: CodeEvent) -> bool:
    """Whether an event lasts, and is in a list of the vendor's."""
    only_live = bench.code.only_live & MAY_BE_ONLY_LIVE
    return lasts(event.what.type, getattr(event.what, "state", None)) and event.what.type not in only_live


def counted(events: Iterable[CodeEvent]) -> Counter[str]:
    """How often what happened: `type`, or `type:detail` where the detail is the same at every vendor. Each key counts
    once; what not every vendor has, or tells in the same way, is left out."""
    unique = {event.key: event for event in events}
    return Counter(word for event in unique.values() if (word := _word(event)))


def _word(event: CodeEvent) -> str | None:
    what = event.what
    match what:
        case Committed(sha=detail) | Deployed(sha=detail) | ChangeMerged(merge_sha=detail) | Released(tag=detail):
            return f"{what.type}:{detail}"
        case DeploymentMoved(state=state) | PipelineRan(state=state):
            return f"{what.type}:{state}" if state in FINAL else None
        case Reviewed(state=ReviewState.APPROVED):
            return f"{what.type}:approved"
    return what.type if what.type in _PLAIN else None


_PLAIN = frozenset(f"code.pull_request_{what}" for what in ("opened", "closed", "reopened"))
