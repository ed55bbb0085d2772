"""/v1/integrations/{id}/repositories: what a source control integration reads, and how far it has come."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from api import paging, scope
from api.auth import IntegrationReader, Rt
from api.errors import documented
from api.paging import Window
from api.repository_views import RepositoryView
from api.schemas import Listing
from core.models import Repository

router = APIRouter(tags=["Integrations"])


class RepositoryFilters(Window):
    """Repositories have no filters."""


@router.get("/v1/integrations/{integration_id}/repositories", responses=documented(404))
def list_repositories(
    rt: Rt, caller: IntegrationReader, integration_id: str, filters: Annotated[RepositoryFilters, Query()]
) -> Listing[RepositoryView]:
    """List an integration's repositories, those known longest first. There are none before its first sync."""
    with rt.db.read() as session:
        found = scope.integration(session, caller, integration_id)
        wanted = select(Repository).where(Repository.integration_id == found.id)
        page = paging.fetch(session, wanted, Repository.id, filters, newest_first=False)
        return Listing(data=[RepositoryView.of(row) for row in page.rows], meta=page.meta)
