"""The migrations make exactly the schema the models describe, once, however many processes start them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.orm import Session

from core import events, ids
from core.clock import utc_now
from core.db import Base, Database, make_engine
from core.events import Fact
from core.migrations import _config, is_current, upgrade
from core.models import Event, Integration, Organization, SyncCause, Workspace

AT_ONCE = 4
MIGRATE = "import sys; from core.migrations import upgrade; upgrade(sys.argv[1])"


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    engine = make_engine(migrated_url)
    yield engine
    engine.dispose()


def test_migrations_and_models_agree(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_partial_indexes_keep_their_condition(engine: Engine) -> None:
    # Alembic does not compare these.
    indexes = {index["name"]: index for index in inspect(engine).get_indexes("binding")}
    options = indexes["ix_binding_owed"]["dialect_options"]
    assert str(options[f"{engine.dialect.name}_where"]) == "owed"
    [open_run] = [index for index in inspect(engine).get_indexes("sync_run") if index["name"] == "uq_sync_run_open"]
    assert open_run["unique"]
    assert "running" in str(open_run["dialect_options"][f"{engine.dialect.name}_where"])


def test_every_kind_of_id_has_its_counter(migrated_url: str) -> None:
    database = Database(migrated_url)
    with database.write() as session:
        taken = {prefix: ids.take(session, prefix, utc_now(), 2) for prefix in ids.PREFIXES}
    database.close()
    assert all(first.endswith("-000001") and second.endswith("-000002") for first, second in taken.values())


def test_a_database_is_current_after_the_upgrade_and_not_before(database_url: str) -> None:
    engine = make_engine(database_url)
    assert not is_current(engine)
    upgrade(database_url)
    assert is_current(engine)
    engine.dispose()


def test_a_second_upgrade_keeps_what_is_there(migrated_url: str) -> None:
    database = Database(migrated_url)
    with database.write() as session:
        first = ids.take_one(session, "ORG", utc_now())
    upgrade(migrated_url)
    with database.write() as session:
        assert ids.take_one(session, "ORG", utc_now()) != first
    database.close()


def test_processes_that_start_at_once_do_not_race(database_url: str) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", MIGRATE, database_url], stderr=subprocess.PIPE, text=True)
        for _ in range(AT_ONCE)
    ]
    errors = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * AT_ONCE, "\n".join(errors)
    engine = make_engine(database_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1
    engine.dispose()


def test_events_of_before_webhooks_stay_and_are_nobodys_news(database_url: str) -> None:
    engine = make_engine(database_url)
    before = {"id": "EVT-25-000001", "organization_id": "ORG-26-000001", "workspace_id": "WS-26-000001", "actor": "a"}
    with engine.execution_options(sqlite_immediate=True).begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        columns = "id, organization_id, workspace_id, actor, type, subject_id, data, at"
        values = ":id, :organization_id, :workspace_id, :actor, 'task.created', 'TSK-26-000001', '{}', :at"
        connection.execute(text(f"INSERT INTO event ({columns}) VALUES ({values})"), before | {"at": utc_now()})
    engine.dispose()
    upgrade(database_url)
    database = Database(database_url)
    with database.write() as session:
        events.append(session, [Fact("ORG-26-000001", None, "task.updated", "TSK-26-000001", "a", {})], utc_now())
    with database.read() as session:
        told = {event.type: event for event in session.scalars(select(Event))}
    database.close()
    assert told["task.created"].workspace_id == "WS-26-000001"
    assert told["task.created"].txid is None
    assert (told["task.updated"].txid is not None) == (database.dialect == "postgresql")


def test_what_was_wrong_before_there_were_causes_becomes_a_cause_that_can_heal(database_url: str) -> None:
    """Without it, an integration that was not healthy at the upgrade would stay so for good."""
    upgrade(database_url)
    was = {"INT-1": ("degraded", "sweep_guard"), "INT-2": ("failed", "rejected"), "INT-3": ("healthy", None)}
    engine = make_engine(database_url)
    with Session(engine) as session, session.begin():
        _integrations(session, was)
    _to(engine, "0004")
    _to(engine, "head")
    with Session(engine) as session:
        rows = session.scalars(select(SyncCause).order_by(SyncCause.integration_id)).all()
        found = [(row.integration_id, row.cause, row.severity, row.code) for row in rows]
    engine.dispose()
    assert found == [
        ("INT-1", "sweep", "degraded", "sweep_guard"),
        ("INT-2", "pull", "failed", "rejected"),
    ]


def _to(engine: Engine, revision: str) -> None:
    config = _config()
    with engine.execution_options(sqlite_immediate=True).begin() as connection:
        config.attributes["connection"] = connection
        run = command.downgrade if revision == "0004" else command.upgrade
        run(config, revision)


def _integrations(session: Session, was: dict[str, tuple[str, str | None]]) -> None:
    now = utc_now()
    session.add(Organization(id="ORG-1", name="Apex", created_at=now))
    session.flush()
    session.add(Workspace(id="WS-1", organization_id="ORG-1", name="Payments", settings={}, created_at=now))
    session.flush()
    for id_, (status, code) in was.items():
        session.add(
            Integration(
                id=id_,
                organization_id="ORG-1",
                workspace_id="WS-1",
                type="toy",
                name=id_,
                status="active",
                config={},
                capabilities=[],
                routes=[],
                hook_id=id_,
                sync_status=status,
                sync_code=code,
                sync_text=code,
                created_by="USR-1",
                created_at=now,
                updated_at=now,
            )
        )
