"""The facts follow the stream: whatever is new in it is folded into the tables, once.

A look reads all that is new in batches, in the transaction that moves the reader: killed before its commit, it did
nothing. Memory holds a batch whatever the number of events; statements are a handful per batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Row as SqlRow
from sqlalchemy import delete, or_, select, true, update
from sqlalchemy.orm import Session

from connectors.contract import PRODUCTION
from core import stream
from core.bulk import among, upsert_rows
from core.db import Database
from core.models import CodeChange, CodeDeployment, CodeReview, Event, Integration
from core.models.facts import CodeFact
from core.stream import FACTS, News
from intelligence.facts import MODELS, Facts, Seen, fold, is_production, touched

BATCH = 1000
"""Events folded at once: beyond, statements get no cheaper."""

RECONFIGURED = "integration.updated"
"""The event after which another environment may count as production."""

_READ = (Event.type, Event.workspace_id, Event.actor, Event.subject_id, Event.occurred_at, Event.data)


def follow(db: Database) -> int:
    """Fold what is new. Returns how many events that were. Two at once come one after the other."""
    return db.run(_look)


def rebuild(db: Database) -> int:
    """Empty the tables and read the whole stream anew, in one transaction: readers see the old rows until the end.
    Returns how many events were read."""
    return db.run(_anew)


def _look(session: Session) -> int:
    if not stream.has_started(session, FACTS):
        return _anew(session)  # what is in the stream already is news to a reader that begins
    return _read(session, stream.advance(session, FACTS))


def _anew(session: Session) -> int:
    stream.start(session, FACTS)
    for model in MODELS:
        session.execute(delete(model).execution_options(synchronize_session=False))
    return _read(session, true())


def _read(session: Session, news: News) -> int:
    """Fold the events, and tell production anew where a config changed."""
    count, reconfigured = 0, set()
    for batch in _batches(session, news):
        count += len(batch)
        reconfigured |= {row.subject_id for row in batch if row.type == RECONFIGURED}
        _fold(session, [_seen(row) for row in batch if row.type != RECONFIGURED])
    for integration_id in sorted(reconfigured):
        _tell_production(session, integration_id)
    return count


def _batches(session: Session, news: News) -> Iterator[Sequence[SqlRow[Any]]]:
    """In no order: the fold needs none, and sorting a million events would cost more than reading them."""
    wanted = select(*_READ).where(news, or_(Event.key.is_not(None), Event.type == RECONFIGURED))
    yield from session.execute(wanted, execution_options={"yield_per": BATCH}).partitions()


def _seen(row: SqlRow[Any]) -> Seen:
    return Seen(row.type, row.workspace_id, row.actor, row.subject_id, row.occurred_at, row.data)


def _fold(session: Session, events: Sequence[Seen]) -> None:
    known = _known(session, touched(events))
    after = fold(known, events, _patterns(session, {event.integration_id for event in events}))
    for model, rows in after.rows.items():
        changed = [row for id_, row in rows.items() if row != known.rows[model].get(id_)]
        upsert_rows(session, model.__table__, changed, key="id")


def _known(session: Session, ids: Mapping[type[CodeFact], set[str]]) -> Facts:
    found = Facts()
    for model in MODELS:
        wanted = ids[CodeChange] if model is CodeReview else ids[model]
        if not wanted:
            continue
        key = CodeReview.change_id if model is CodeReview else model.id
        table = model.__table__
        rows = session.execute(select(table).where(among(session, key, sorted(wanted))))
        found.rows[model].update((row.id, dict(row._mapping)) for row in rows)
    return found


def _patterns(session: Session, integration_ids: set[str]) -> dict[str, Sequence[str]]:
    wanted = select(Integration.id, Integration.config).where(among(session, Integration.id, sorted(integration_ids)))
    return {row.id: row.config.get("production_environments", PRODUCTION) for row in session.execute(wanted)}


def _tell_production(session: Session, integration_id: str) -> None:
    """By the config of now. An integration has few environments, however many deployments there were."""
    patterns = _patterns(session, {integration_id}).get(integration_id, PRODUCTION)
    mine = CodeDeployment.integration_id == integration_id
    kinds = select(CodeDeployment.environment, CodeDeployment.tier, CodeDeployment.is_production).where(mine).distinct()
    for environment, tier, before in session.execute(kinds).all():
        now = is_production(environment, tier, patterns)
        if now != before:
            alike = (
                CodeDeployment.environment.is_not_distinct_from(environment),
                CodeDeployment.tier.is_not_distinct_from(tier),
            )
            told = update(CodeDeployment).where(mine, *alike).values(is_production=now)
            session.execute(told.execution_options(synchronize_session=False))
