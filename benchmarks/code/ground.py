"""The database every contestant finds: our tables, a workspace, and an integration whose repositories are listed."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import select

from benchmarks.code.job import Job, runtime
from benchmarks.code.vendor import Vendor
from core import workspaces
from core.clock import utc_now
from core.db import Database
from core.migrations import upgrade
from core.models import Repository, User, Workspace
from core.vault import new_key
from sandbox.vendor import API_TOKEN
from sync import integrations
from sync.pull import pull
from sync.reading import remote
from tests.services.github import REPOSITORY

ORGANIZATION = "apex-digital"


def prepare(url: str) -> None:
    """Fill an empty database with all that does not depend on the run."""
    upgrade(url)
    database, now = Database(url), utc_now()
    with database.write() as session:
        organization = workspaces.create_organization(session, "Bench", now)
        workspaces.create_workspace(session, organization.id, "Bench", now)
        workspaces.create_user(session, organization.id, "Ann", "ann@example.com", now)
    database.close()


def connect(url: str, vendor: Vendor, server_pid: int) -> Job:
    """Connect the vendor to the workspace and list its repositories, so that a history is due to be read."""
    key = new_key("bench")
    rt = runtime(url, key, vendor.url)
    with rt.db.read() as session:
        workspace, ann = session.scalars(select(Workspace)).one(), session.scalars(select(User)).one()
    integration = integrations.create(
        rt,
        workspace=workspace,
        actor=ann.id,
        token_id=None,
        type="github",
        name="Bench",
        config={"organization": ORGANIZATION, "repositories": [REPOSITORY]},
        credentials={"token": API_TOKEN},
    )
    pulled = pull(rt, integration.id)
    assert pulled is not None
    assert pulled.status == "success", pulled
    with rt.db.read() as session:
        repository = session.scalars(select(Repository)).one()
    rt.db.close()
    rt.transport.close()
    return Job(
        url=url,
        site=vendor.url,
        server_pid=server_pid,
        vendor_pid=vendor.pid,
        key=key,
        integration_id=integration.id,
        repository=asdict(remote(repository)),
    )
