"""Workers that a test kills: processes on PostgreSQL and Redis, and a runtime of the test's own beside them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from connectors.http import default_transport
from connectors.registry import Registry
from core import workspaces
from core.db import Database
from core.settings import Settings
from core.vault import Vault, new_key
from sync import integrations
from sync.runtime import Runtime
from tests.services.process import ServiceProcess

BIN = Path(sys.executable).parent
LEASE_SECONDS = 1.5


def environment(database_url: str, broker_url: str, endpoints: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What the processes are told: what a killed worker held is soon free again."""
    return {
        "TURNBUCKLE_DATABASE_URL": database_url,
        "TURNBUCKLE_BROKER_URL": broker_url,
        "TURNBUCKLE_SECRETS_KEYS": new_key("test"),
        "TURNBUCKLE_EGRESS_ALLOW": '["127.0.0.1"]',
        "TURNBUCKLE_VENDOR_ENDPOINTS": json.dumps(endpoints),
        "TURNBUCKLE_LEASE_SECONDS": str(LEASE_SECONDS),
        "TURNBUCKLE_TICK_SECONDS": "0.5",
    }


def runtime_of(env: Mapping[str, str]) -> Runtime:
    """A runtime by that environment. Whoever made it closes its database and transport."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        settings = Settings()
    return Runtime(
        settings=settings,
        db=Database(settings.database_url),
        vault=Vault.parse(settings.secrets_keys.get_secret_value()),
        registry=Registry.load(),
        transport=default_transport(settings.egress_allow),
    )


def connected(rt: Runtime, type_: str, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> tuple[str, str]:
    """A new workspace's integration, and who made it; both ids."""
    now = rt.clock()
    with rt.db.write() as session:
        organization = workspaces.create_organization(session, "Apex", now)
        workspace = workspaces.create_workspace(session, organization.id, "Payments", now)
        ann = workspaces.create_user(session, organization.id, "Ann", "ann@example.com", now)
    made = integrations.create(
        rt,
        workspace=workspace,
        actor=ann.id,
        token_id=None,
        type=type_,
        name=type_,
        config=config,
        credentials=credentials,
    )
    return made.id, ann.id


def worker(env: Mapping[str, str], queues: str) -> ServiceProcess:
    """A worker of these lanes."""
    more = ["--queues", queues, "--concurrency", "2", "--without-mingle"]
    return _celery(env, "worker", more, ready=r"ready\.")


@contextmanager
def beat(env: Mapping[str, str]) -> Iterator[ServiceProcess]:
    """A beat, whose file is gone with it."""
    with TemporaryDirectory(prefix="turnbuckle-beat-") as folder:
        with _celery(env, "beat", ["--schedule", f"{folder}/schedule"], ready=None) as process:
            yield process


def _celery(env: Mapping[str, str], role: str, more: list[str], ready: str | None) -> ServiceProcess:
    command = [str(BIN / "celery"), "-A", "tests.services.hasty_worker", role, *more, "--loglevel", "INFO"]
    return ServiceProcess(command, env=dict(env), ready=ready, timeout=40, name=role)
