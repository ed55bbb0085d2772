"""Code events stored: a fact the vendor told becomes one event of the platform's stream, however often it is heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from connectors.contract import CodeEvent, Committed, Reviewed, ReviewState
from core import events
from core.bulk import among
from core.clock import iso
from core.events import Told
from core.models import Integration, Repository

LONGEST_KEY = 1000
"""Characters of a stored key: a ref's name may have thousands, and PostgreSQL indexes no more than 2,700 bytes."""

LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of events: the keys that were new, and how many were not."""

    new: frozenset[str] = frozenset()
    known: int = 0

    def counts(self) -> dict[str, int]:
        """As runs count them."""
        return {"events_new": len(self.new), "events_known": self.known}


def store_events(
    db: DbSession,
    integration: Integration,
    repositories: Mapping[str, Repository],
    found: Sequence[CodeEvent],
    now: datetime,
) -> Stored:
    """Append the events that the stream does not have. `repositories` holds all they name, by external id.

    In a handful of statements whatever their number; others may store the same at once.
    """
    if not found:
        return Stored()
    keys = {stored_key(integration.id, event): event.key for event in found}
    ordered = sorted(found, key=lambda event: event.at)
    facts = [_told(integration, repositories[event.repository], event) for event in ordered]
    new = events.append_new(db, facts, now)
    return Stored(frozenset(keys[key] for key in new), len(keys) - len(new))


def followed(db: DbSession, integration_id: str, external_ids: Iterable[str]) -> dict[str, Repository]:
    """Those of the repositories that are the integration's, by external id; not those its config leaves out."""
    keys = [repository_key(integration_id, external_id) for external_id in dict.fromkeys(external_ids)]
    if not keys:
        return {}
    mine = select(Repository).where(among(db, Repository.repository_key, keys), Repository.state != LEFT_OUT)
    return {row.external_id: row for row in db.scalars(mine)}


def repository_key(integration_id: str, external_id: str) -> str:
    """By what a repository is found."""
    return f"{integration_id}:{external_id}"


def stored_key(integration_id: str, event: CodeEvent) -> str:
    """By what an event is found: the vendor's words for it behind the integration, cut where they are too long."""
    key = _storable(f"{integration_id}:{event.key}")
    if len(key) <= LONGEST_KEY:
        return key
    return f"{key[:LONGEST_KEY]}#{blake2b(key.encode(), digest_size=16).hexdigest()}"


def is_history(repository: Repository, event: CodeEvent) -> bool:
    """Whether it happened before anybody here wanted to hear of it.

    Once a repository's history is read, what bears an older time than its happening is news all the same: a commit that
    reached the default branch days after it was made, a review that was dismissed.
    """
    if event.at >= repository.history_until:
        return False
    return repository.state == "backfilling" or not _bears_an_older_time(event)


def _bears_an_older_time(event: CodeEvent) -> bool:
    match event.what:
        case Committed():
            return True
        case Reviewed(state=ReviewState.DISMISSED):
            return True
    return False


def _told(integration: Integration, repository: Repository, event: CodeEvent) -> Told:
    about = {"id": repository.id, "external_id": repository.external_id, "name": repository.name}
    return Told(
        organization_id=integration.organization_id,
        workspace_id=integration.workspace_id,
        type=event.what.type,
        subject_id=repository.id,
        actor=integration.id,
        data={**plain(event.what), "occurred_at": iso(event.at), "repository": about},
        key=stored_key(integration.id, event),
        occurred_at=event.at,
        backfilled=is_history(repository, event),
    )


def plain(value: Any) -> Any:
    """A value of the contract as JSON: times in the API's form, texts without what PostgreSQL can't store."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, StrEnum):
        return value.value
    return _storable(value) if isinstance(value, str) else value


def _storable(text: str) -> str:
    return text.replace("\0", "")
