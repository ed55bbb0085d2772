"""The database every contestant finds: our tables, a workspace with its people, and a connected integration."""

from __future__ import annotations

from sqlalchemy import select

from benchmarks.pull import issues
from benchmarks.pull.job import Job
from benchmarks.pull.ours import runtime
from core import workspaces
from core.clock import utc_now
from core.db import Database
from core.migrations import upgrade
from core.models import ProjectLabel, ServiceLine, User, Workspace
from core.vault import new_key
from sync import integrations

USERS = issues.PEOPLE * 3 // 4
"""Of the people at the vendor so many are users here."""


def prepare(url: str) -> None:
    """Fill an empty database with all that does not depend on the run."""
    upgrade(url)
    database, now = Database(url), utc_now()
    with database.write() as session:
        organization = workspaces.create_organization(session, "Bench", now)
        workspace = workspaces.create_workspace(session, organization.id, "Bench", now)
        workspaces.create_service_line(session, workspace.id, "Payments", now)
        workspaces.create_project(session, organization.id, "Checkout", now)
        for person in range(USERS):
            workspaces.create_user(session, organization.id, f"Person {person}", issues.email(person), now)
    database.close()


def connect(url: str, site: str, page_size: int, server_pid: int, items: int) -> Job:
    """Connect the vendor to the workspace, and say where everything is."""
    key = new_key("bench")
    rt = runtime(url, key, site)
    with rt.db.read() as session:
        workspace = session.scalars(select(Workspace)).one()
        line = session.scalars(select(ServiceLine)).one()
        label = session.scalars(select(ProjectLabel)).one()
        users = {user.email: user.id for user in session.scalars(select(User))}
    mapping = {"external": issues.PROJECT, "service_line_id": line.id, "project_id": label.id}
    integration = integrations.create(
        rt,
        workspace=workspace,
        actor=next(iter(users.values())),
        token_id=None,
        type="jira",
        name="Bench",
        config={"site_url": site, "projects": [mapping], "page_size": page_size},
        credentials={"email": "bench@bench.test", "api_token": "not-a-secret"},
    )
    rt.db.close()
    rt.transport.close()
    return Job(
        url=url,
        site=site,
        server_pid=server_pid,
        key=key,
        workspace_id=workspace.id,
        line_id=line.id,
        project_id=label.id,
        integration_id=integration.id,
        users=users,
        items=items,
        page_size=page_size,
    )
