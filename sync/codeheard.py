"""What deliveries say of code: events told whole, hints of which many become one question, and "look again"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session as DbSession

from connectors.contract import (
    ChangeClosed,
    ChangeMerged,
    ChangeOpened,
    ChangeReady,
    ChangeReopened,
    CodeEvent,
    CodeRef,
    CodeSource,
    Committed,
    Deployed,
    DeploymentMoved,
    PipelineRan,
    Pushed,
    RefKind,
    Released,
    Reviewed,
)
from core.models import Integration, Repository
from sync.code import Stored, followed, store_events
from sync.leases import Lease
from sync.runs import AT_ONCE
from sync.runtime import Runtime
from sync.sessions import Session

log = structlog.get_logger()

TOLD_BY = {
    RefKind.CHANGE: (ChangeOpened, ChangeReady, ChangeMerged, ChangeClosed, ChangeReopened, Reviewed),
    RefKind.DEPLOYMENT: (Deployed, DeploymentMoved),
    RefKind.RUN: (PipelineRan,),
    RefKind.PUSH: (Pushed, Committed),
    RefKind.RELEASE: (Released,),
}
"""What can come of a question of each kind. A question is asked for many deliveries at once, and its answer does not
say which event came of which; so each delivery is told what came of its repository and kind."""


@dataclass
class CodeSaid:
    """What one delivery says of code."""

    events: list[CodeEvent] = field(default_factory=list)
    refs: list[CodeRef] = field(default_factory=list)
    look_again: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.refs or self.look_again)

    def repositories(self) -> Iterator[str]:
        """The external ids of the repositories it is about, as far as it tells."""
        yield from (event.repository for event in self.events)
        yield from (ref.repository for ref in self.refs if ref.repository)


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of what one delivery says of code. `new` and `known` are None where it says nothing of events."""

    new: int | None = None
    known: int | None = None
    look_again: Sequence[str] = ()
    ignored: Sequence[Mapping[str, str]] = ()

    def says_something(self) -> bool:
        """Whether anything of it was for us."""
        return self.new is not None or bool(self.look_again)

    def told(self) -> dict[str, Any]:
        """For the delivery's outcome."""
        told: dict[str, Any] = {}
        if self.new is not None:
            told["events"] = {"new": self.new, "known": self.known}
        if self.look_again:
            told["look_again"] = list(self.look_again)
        return told


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch of deliveries says: events told, and those fetched for its hints."""

    told: Sequence[CodeEvent] = ()
    fetched: Sequence[CodeEvent] = ()
    look_again: Sequence[str] = ()
    named: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch. `mine` are the repositories that are the integration's."""

    stored: Stored
    fetched: Sequence[CodeEvent]
    mine: frozenset[str]
    look_again: Sequence[str]

    def each(self, said: Sequence[CodeSaid]) -> list[Heard]:
        """What became of each delivery, in order: what several tell is new to the first of them."""
        unclaimed = set(self.stored.new)
        return [self._one(one, unclaimed) for one in said]

    def _one(self, said: CodeSaid, unclaimed: set[str]) -> Heard:
        strange = [id_ for id_ in dict.fromkeys(said.repositories()) if id_ not in self.mine]
        text = "The integration does not follow the repository {} (any more, or not yet)."
        ignored = [{"code": "other_repository", "text": text.format(id_)} for id_ in strange]
        asked = any(not ref.repository for ref in said.refs)
        if not asked and all(id_ in strange for id_ in said.repositories()):
            return Heard(look_again=said.look_again, ignored=ignored)
        keys = {event.key for event in said.events if event.repository in self.mine}
        keys |= {event.key for event in self.fetched if any(_answers(ref, event) for ref in said.refs)}
        new = keys & unclaimed
        unclaimed -= new
        return Heard(len(new), len(keys) - len(new), said.look_again, ignored)


def _answers(ref: CodeRef, event: CodeEvent) -> bool:
    return ref.repository in ("", event.repository) and isinstance(event.what, TOLD_BY[ref.kind])


def fetch_said(rt: Runtime, lease: Lease, session: Session, said: Sequence[CodeSaid]) -> Batch:
    """Ask the vendor for all that is only hinted at, each once, in as few calls as it takes. Raises what the connector
    raises."""
    refs = list(dict.fromkeys(ref for one in said for ref in one.refs))
    named = frozenset(id_ for one in said for id_ in one.repositories())
    if refs:
        with rt.db.read() as db:
            mine = followed(db, session.integration.id, (ref.repository for ref in refs))
        refs = [ref for ref in refs if not ref.repository or ref.repository in mine]
    fetched = _fetched(lease, session, refs)
    return Batch(
        told=[event for one in said for event in one.events],
        fetched=fetched,
        look_again=[text for one in said for text in one.look_again],
        named=named | {event.repository for event in fetched},
    )


def _fetched(lease: Lease, session: Session, refs: Sequence[CodeRef]) -> list[CodeEvent]:
    source: CodeSource = session.connector
    size = session.connector.manifest.refetch_batch
    found: list[CodeEvent] = []
    for start in range(0, len(refs), size):
        if start:
            lease.extend()
        found += source.fetch_code(refs[start : start + size])
    return found


def settle_said(db: DbSession, session: Session, batch: Batch, now: datetime) -> Outcome:
    """Store the events of repositories that are the integration's, and have it look again if that was said."""
    mine: dict[str, Repository] = followed(db, session.integration.id, batch.named)
    events = [event for event in (*batch.told, *batch.fetched) if event.repository in mine]
    stored = store_events(db, session.integration, mine, events, now)
    if batch.look_again:
        log.info("inbox.look_again", integration_id=session.integration.id, said=batch.look_again[:10])
        db.execute(
            update(Integration)
            .where(Integration.id == session.integration.id, Integration.status != "disconnected")
            .values(next_pull_at=AT_ONCE)
            .execution_options(synchronize_session=False)
        )
    return Outcome(stored, batch.fetched, frozenset(mine), batch.look_again)
