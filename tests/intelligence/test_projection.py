"""The facts follow the stream, and a rebuild makes the same rows of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import events, stream
from core.clock import iso
from core.db import Database
from core.events import Fact, Told
from core.models import CodeChange, CodeDeployment, Integration, Organization, Workspace
from intelligence import projection
from intelligence.facts import MODELS
from intelligence.projection import follow, rebuild

NOW = datetime(2026, 4, 15, 10, tzinfo=UTC)
ANN = {"id": "u1", "name": "Ann", "email": None, "bot": False}


class Platform:
    """A database with one integration, whose code events tests append."""

    def __init__(self, db: Database) -> None:
        self.db = db
        with db.write() as session:
            session.add(Organization(id="ORG-1", name="Apex", created_at=NOW))
            session.flush()
            session.add(Workspace(id="WS-1", organization_id="ORG-1", name="Payments", settings={}, created_at=NOW))
            session.flush()
            told = {"name": "Forge", "status": "active", "config": {}, "capabilities": [], "routes": [], "hook_id": "h"}
            made = {"created_by": "USR-1", "created_at": NOW, "updated_at": NOW}
            session.add(
                Integration(id="INT-1", organization_id="ORG-1", workspace_id="WS-1", type="forge", **told, **made)
            )

    def tell(self, *told: Told) -> None:
        with self.db.write() as session:
            events.append_new(session, told, NOW)

    def configure(self, **config: Any) -> None:
        with self.db.write() as session:
            session.get_one(Integration, "INT-1").config = config
            data = {"fields": ["config"]}
            events.append(session, [Fact("ORG-1", "WS-1", "integration.updated", "INT-1", "USR-1", data)], NOW)

    def rows(self) -> dict[type, list[dict[str, Any]]]:
        with self.db.read() as session:
            return {
                model: [dict(row._mapping) for row in session.execute(model.__table__.select().order_by(model.id))]
                for model in MODELS
            }


def told(type_: str, key: str, minutes: int, **data: Any) -> Told:
    at = NOW + timedelta(minutes=minutes)
    return Told("ORG-1", "WS-1", f"code.{type_}", "RPO-1", "INT-1", data, f"INT-1:{key}", at, False)


def opened(number: int) -> Told:
    facts = {"number": str(number), "title": "T", "url": "u", "author": ANN, "source_branch": "topic"}
    return told("pull_request_opened", f"change:{number}:opened", number, **facts)


def merged(number: int) -> Told:
    counts = dict.fromkeys(("additions", "deletions", "changed_files", "commits"))
    facts = {"merge_sha": "m", "head_sha": "h", "target_branch": "main", "by": None, "first_commit_at": iso(NOW)}
    return told("pull_request_merged", f"change:{number}:merged", number + 5, number=str(number), **facts, **counts)


def deployed(id_: str, environment: str) -> Told:
    facts = {"id": id_, "sha": "s", "ref": None, "environment": environment, "by": None, "tier": None}
    return told("deployment", f"deployment:{id_}", 1, **facts)


@pytest.fixture
def platform(migrated_url: str) -> Iterator[Platform]:
    database = Database(migrated_url)
    yield Platform(database)
    database.close()


def test_the_first_look_reads_what_is_there_and_the_next_one_what_is_new(platform: Platform) -> None:
    platform.tell(opened(1), opened(2))
    assert follow(platform.db) == 2
    platform.tell(merged(1), opened(1))
    assert follow(platform.db) == 1
    assert follow(platform.db) == 0
    first, second = platform.rows()[CodeChange]
    assert (first["opened_at"], first["merged_at"]) == (NOW + timedelta(minutes=1), NOW + timedelta(minutes=6))
    assert (first["workspace_id"], first["repository_id"], second["merged_at"]) == ("WS-1", "RPO-1", None)


def test_a_rebuild_makes_the_rows_that_following_made(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "BATCH", 7)
    follow(platform.db)
    for start in range(0, 40, 10):
        platform.tell(*(merged(number) for number in range(start, start + 10)))
        follow(platform.db)
        platform.tell(*(opened(number) for number in range(start, start + 10)), deployed(f"d{start}", "prod"))
        follow(platform.db)
    before = platform.rows()
    assert len(before[CodeChange]) == 40
    with platform.db.write() as session:
        session.execute(CodeChange.__table__.update().values(title="wrong"))
    assert rebuild(platform.db) == 84
    assert platform.rows() == before
    assert follow(platform.db) == 0


def test_a_look_that_dies_leaves_what_is_new_to_the_next(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.tell(opened(1))
    follow(platform.db)
    platform.tell(merged(1))

    def dies(*args: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(projection, "upsert_rows", dies)
        with pytest.raises(KeyboardInterrupt):
            follow(platform.db)
    assert follow(platform.db) == 1
    assert platform.rows()[CodeChange][0]["merged_at"] is not None


def test_other_patterns_change_what_was_production(platform: Platform) -> None:
    platform.tell(deployed("d1", "live-eu"), deployed("d2", "prod"), deployed("d3", "live-us"))
    follow(platform.db)
    told_now = lambda: [row["is_production"] for row in platform.rows()[CodeDeployment]]  # noqa: E731 - asked three times
    assert told_now() == [False, True, False]
    platform.configure(production_environments=["LIVE-*"])
    follow(platform.db)
    assert told_now() == [True, False, True]
    rebuild(platform.db)
    assert told_now() == [True, False, True]


def test_unchanged_rows_are_not_written_again(platform: Platform) -> None:
    platform.tell(opened(1), deployed("d1", "prod"))
    follow(platform.db)
    with platform.db.write() as session:
        stream.start(session, "another")  # what it reads is nobody's affair but its own
    written: list[str] = []
    from sqlalchemy import event

    event.listen(platform.db.engine, "before_cursor_execute", lambda *args: written.append(args[2]))
    platform.configure()
    follow(platform.db)
    assert not [statement for statement in written if "code_" in statement and not statement.startswith("SELECT")]
