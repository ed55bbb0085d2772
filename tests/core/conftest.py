"""A tenant in a database of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from core import workspaces
from core.db import Database
from core.models import ProjectLabel, ServiceLine, User, Workspace

NOW = datetime(2026, 4, 15, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Tenant:
    """An organization's rows, detached."""

    workspace: Workspace
    line: ServiceLine
    project: ProjectLabel
    ann: User


@pytest.fixture
def db(migrated_url: str) -> Iterator[Database]:
    database = Database(migrated_url)
    yield database
    database.close()


@pytest.fixture
def tenant(db: Database) -> Tenant:
    return make_tenant(db)


def make_tenant(db: Database, name: str = "Apex") -> Tenant:
    """An organization with a workspace, a service line, a project label and a person."""
    with db.write() as session:
        organization = workspaces.create_organization(session, name, NOW)
        workspace = workspaces.create_workspace(session, organization.id, "Payments", NOW)
        line = workspaces.create_service_line(session, workspace.id, "Backend", NOW)
        project = workspaces.create_project(session, organization.id, "Checkout", NOW)
        ann = workspaces.create_user(session, organization.id, "Ann", "Ann@Apex.test ", NOW)
        return Tenant(workspace, line, project, ann)
