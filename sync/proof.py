"""Proof that an item is there. A message may be older than the item's end, and a listing may lag behind it: either
could bring back what was deleted. So items they name that we hold to be ended (or, told by a message, don't know at
all) are read once more before they are believed.

And proof that it is gone: "there is no such item" carries no version, so by the time it is written down it may be older
than a state another worker has heard of. It counts if the item's watermark did not move from before it was read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.orm import Session as DbSession

from connectors.contract import Gone, RemoteTask, TaskSource
from sync.leases import Lease
from sync.runtime import Runtime
from sync.sessions import Session

T = TypeVar("T")


@dataclass
class Proof:
    """What was read to settle doubts: items by id, and the watermark their binding had before that."""

    items: dict[str, RemoteTask | Gone] = field(default_factory=dict)
    watermarks: dict[str, int] = field(default_factory=dict)


class Doubtful(Exception):
    """These items may be there or gone: read them, and apply what was read. Each comes with its binding's watermark."""

    def __init__(self, watermarks: Mapping[str, int]) -> None:
        super().__init__(", ".join(watermarks))
        self.watermarks = watermarks


def run_with_proof(rt: Runtime, lease: Lease, session: Session, work: Callable[[DbSession, Proof], T]) -> T:
    """Run `work` in a write transaction; what it doubts is read, and it is run again with that."""
    proof = Proof()

    def with_proof(db: DbSession) -> T:
        return work(db, proof)

    while True:
        try:
            return rt.db.run(with_proof)
        except Doubtful as doubt:
            proof.watermarks |= doubt.watermarks
            proof.items |= read_items(lease, session, list(doubt.watermarks))


def read_items(lease: Lease, session: Session, external_ids: Sequence[str]) -> dict[str, RemoteTask | Gone]:
    """The items' state now, in as many calls as the vendor needs."""
    source: TaskSource = session.connector
    size = session.connector.manifest.refetch_batch
    items: dict[str, RemoteTask | Gone] = {}
    for start in range(0, len(external_ids), size):
        if start:
            lease.extend()
        items |= source.fetch_tasks(external_ids[start : start + size])
    return items
