"""Repositories that another integration of the workspace reads: what happens there would count twice.

Configs alone do not tell: one names what another takes with all there is, or follows issues besides. The vendor's
listing does, by its immutable ids.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

from sqlalchemy import Select, select
from sqlalchemy.orm import Session as DbSession

from connectors.contract import RemoteRepository
from core.bulk import among
from core.models import Integration, Repository, Workspace
from sync.code import repository_key


def read_by_others(
    db: DbSession, integration: Integration, listed: Sequence[RemoteRepository], states: Collection[str]
) -> Mapping[str, Integration]:
    """Those of the repositories that another integration of the same type has in one of these states: external id ->
    which. Until the transaction ends, no other listing of the workspace finds something new."""
    if not listed:
        return {}
    # One at a time, or both would take what they find. As `lifecycle.refuse_double` does it.
    db.get_one(Workspace, integration.workspace_id, with_for_update={"key_share": True})
    others = {other.id: other for other in db.scalars(_others(integration))}
    if not others:
        return {}
    places = {one.external_id: _host(one.url) for one in listed}
    keys = [repository_key(other, external_id) for other in others for external_id in places]
    known = select(Repository).where(among(db, Repository.repository_key, keys), Repository.state.in_(states))
    # Two servers of one vendor give the same ids to different repositories.
    same = [row for row in db.scalars(known) if _host(row.url) == places[row.external_id]]
    return {row.external_id: others[row.integration_id] for row in same}


def _others(integration: Integration) -> Select[Integration]:
    return select(Integration).where(
        Integration.workspace_id == integration.workspace_id,
        Integration.type == integration.type,
        Integration.status != "disconnected",
        Integration.id != integration.id,
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc.casefold()
