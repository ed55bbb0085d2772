"""Proof that an item is there. A message may be older than the item's end, and a listing may lag behind it: either
could bring back what was deleted. So items they name that we hold to be ended (or, told by a message, don't know at
all) are read once more before they are believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy.orm import Session as DbSession

from connectors.contract import Gone, RemoteTask, TaskSource
from sync.leases import Lease
from sync.runtime import Runtime
from sync.sessions import Session

T = TypeVar("T")

Read = Mapping[str, RemoteTask | Gone]
"""Items by id, as just read."""


class Doubtful(Exception):
    """These items may be gone: read them, and apply what was read."""

    def __init__(self, external_ids: Sequence[str]) -> None:
        super().__init__(", ".join(external_ids))
        self.external_ids = external_ids


def run_with_proof(rt: Runtime, lease: Lease, session: Session, work: Callable[[DbSession, Read], T]) -> T:
    """Run `work` in a write transaction; what it doubts is read, and it is run again with that."""
    read: dict[str, RemoteTask | Gone] = {}

    def with_what_was_read(db: DbSession) -> T:
        return work(db, read)

    while True:
        try:
            return rt.db.run(with_what_was_read)
        except Doubtful as doubt:
            read |= read_items(lease, session, doubt.external_ids)


def read_items(lease: Lease, session: Session, external_ids: Sequence[str]) -> dict[str, RemoteTask | Gone]:
    """The items' state now, in as many calls as the vendor needs."""
    source = session.connector
    assert isinstance(source, TaskSource)
    size = session.connector.manifest.refetch_batch
    items: dict[str, RemoteTask | Gone] = {}
    for start in range(0, len(external_ids), size):
        if start:
            lease.extend()
        items |= source.fetch_tasks(external_ids[start : start + size])
    return items
