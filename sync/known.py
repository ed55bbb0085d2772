"""Items that say nothing new, told apart at a glance.

Most of what a full read brings is known already. For such an item no task has to be read, no row locked and nothing
decided: its version and the vendor's own values are those its binding has seen. Whoever writes the binding at the same
time has seen something newer, so that looking without a lock does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from connectors.contract import RemoteTask
from core.bulk import among
from core.models import Binding
from sync.reconcile import fingerprint
from sync.scope import Scope

_SEEN = (
    Binding.external_id,
    Binding.external_key,
    Binding.external_url,
    Binding.container,
    Binding.watermark,
    Binding.base,
)


def bound_and_known(session: Session, scope: Scope, items: Iterable[RemoteTask]) -> tuple[set[str], set[str]]:
    """Of the items, the ids of those that have a binding, and of these the ids of those that say nothing new.

    A binding that is owed a write, waits for its item, has ended or was not read under today's mapping is never known:
    it has to be decided.
    """
    by_id = {item.external_id: item for item in items}
    keys = [scope.key(id_) for id_ in by_id]
    at_rest = (
        (Binding.state == "bound")
        & ~Binding.owed
        & Binding.reason_code.is_(None)
        & Binding.missing_since.is_(None)
        & (Binding.mapping_rev == scope.mapping_rev)
    )
    statement = select(*_SEEN, at_rest).where(among(session, Binding.binding_key, keys))
    bound, known = set(), set()
    for row in session.execute(statement):
        bound.add(row[0])
        if row[-1] and _says_nothing_new(by_id[row[0]], row):
            known.add(row[0])
    return bound, known


def _says_nothing_new(item: RemoteTask, row: Row[*tuple[Any, ...]]) -> bool:
    _, key, url, container, watermark, base, _ = row
    if (item.version, item.key, item.url, item.container) != (watermark, key, url, container):
        return False
    if not _same_assignee(item, base.get("assignee")):
        return False
    return all(
        name in base and len(base[name]) == 2 and base[name][1] == fingerprint(value.there)
        for name, value in item.values.items()
    )


def _same_assignee(item: RemoteTask, agreed: list[Any] | None) -> bool:
    """Whether the assignee is the one agreed on. Somebody who was nobody here may have become a user since."""
    if agreed is None or len(agreed) != 2:
        return False
    if item.assignee is None:
        return agreed[1] is None
    return agreed[0] is not None and bool(agreed[1] == item.assignee.id)
