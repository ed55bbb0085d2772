"""A database, a workspace, a token: what there has to be before anything else; and how mistakes are told."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core.access import SCOPES, authenticate
from core.clock import utc_now
from core.db import Database
from core.errors import Unauthorized
from core.models import AuditRecord, ServiceLine, User, Workspace
from core.workspaces import settings_of
from tests.cli.conftest import Place, Turnbuckle


def test_the_database_is_brought_up_to_date_as_often_as_one_likes(turnbuckle: Turnbuckle) -> None:
    assert "up to date" in turnbuckle("db", "upgrade").stdout
    assert "up to date" in turnbuckle("db", "upgrade").stdout


def test_commands_refuse_a_database_that_is_not(turnbuckle: Turnbuckle) -> None:
    assert "turnbuckle db upgrade" in turnbuckle.error("integration", "list")


def test_a_password_in_the_database_url_is_not_shown(turnbuckle: Turnbuckle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNBUCKLE_DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/none")
    text = turnbuckle.error("db", "upgrade")
    assert "can't be used" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [("TICK_SECONDS", "soon"), ("DATABASE_URL", "nonsense"), ("RETENTION_DAYS", "1"), ("EGRESS_ALLOW", '["a b"]')],
)
def test_a_setting_that_is_wrong_is_named(
    turnbuckle: Turnbuckle, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"TURNBUCKLE_{name}", value)
    assert f"TURNBUCKLE_{name}" in turnbuckle.error("integration", "list")


def test_a_key_ring_that_is_wrong_is_told(
    turnbuckle: Turnbuckle, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNBUCKLE_SECRETS_KEYS", "k1:short")
    assert "'k1'" in turnbuckle.error("integration", "list")


def test_the_first_key_is_made_once_for_its_owner_only(turnbuckle: Turnbuckle, home: Path) -> None:
    turnbuckle("db", "upgrade")
    first = turnbuckle("integration", "list")
    keys = home / "turnbuckle.db.keys"
    made = keys.read_text()
    assert "turnbuckle.db.keys" in first.stderr
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert "turnbuckle.db.keys" not in turnbuckle("integration", "list").stderr
    assert keys.read_text() == made


def test_with_a_broker_the_key_ring_is_the_operators(turnbuckle: Turnbuckle, monkeypatch: pytest.MonkeyPatch) -> None:
    turnbuckle("db", "upgrade")
    monkeypatch.setenv("TURNBUCKLE_BROKER_URL", "redis://127.0.0.1:1/0")
    assert "TURNBUCKLE_SECRETS_KEYS" in turnbuckle.error("integration", "list")


def test_a_workspace_comes_with_what_is_in_it(turnbuckle: Turnbuckle, place: Place) -> None:
    more = turnbuckle.json(
        *("workspace", "create", "Search", "--organization", "Apex Digital", "--project", "Ledger"),
        *("--user", "bob@example.com", "--user", "Cleo <cleo@example.com>", "--optional-service-line"),
    )
    database = Database("sqlite:///turnbuckle.db")
    with database.read() as session:
        assert session.get_one(ServiceLine, place.line_id).workspace_id == place.workspace_id
        made = session.get_one(Workspace, more["workspace_id"])
        names = [session.get_one(User, id_).name for id_ in more["user_ids"]]
        audited = {record.subject_id: record.actor for record in session.query(AuditRecord)}
    database.close()
    assert not settings_of(made).require_task_service_line
    assert names == ["bob", "Cleo"]
    assert len(more["project_ids"]) == 1
    assert audited[place.workspace_id] == place.ann_id


def test_a_second_workspace_of_an_organization(turnbuckle: Turnbuckle, place: Place) -> None:
    first = turnbuckle.json("workspace", "create", "One", "--organization", "Other")
    second = turnbuckle.json("workspace", "create", "Two", "--organization", first["organization_id"])
    assert second["organization_id"] == first["organization_id"]
    assert "ORG-26-999999" in turnbuckle.error("workspace", "create", "Three", "--organization", "ORG-26-999999")


def test_people_need_an_address(turnbuckle: Turnbuckle) -> None:
    assert "Ann Archer" in turnbuckle.error("workspace", "create", "W", "--organization", "O", "--user", "Ann Archer")


def test_a_token_speaks_for_its_person(turnbuckle: Turnbuckle, place: Place) -> None:
    made = turnbuckle.json("token", "create", "--workspace", place.workspace_id, "--user", "ANN@example.com")
    database = Database("sqlite:///turnbuckle.db")
    with database.read() as session:
        principal = authenticate(session, made["token"], utc_now())
    database.close()
    assert principal.actor == place.ann_id
    assert principal.workspace_id == place.workspace_id
    assert principal.scopes == set(SCOPES)


def test_a_token_can_be_narrow_and_short_lived(turnbuckle: Turnbuckle, place: Place) -> None:
    options = ("--scope", "tasks:read", "--days", "1", "--whole-organization")
    made = turnbuckle.json("token", "create", "--workspace", place.workspace_id, *options)
    assert made["scopes"] == ["tasks:read"]
    assert made["workspace_id"] is None
    database = Database("sqlite:///turnbuckle.db")
    with database.read() as session, pytest.raises(Unauthorized):
        authenticate(session, made["token"], utc_now().replace(year=utc_now().year + 1))
    database.close()


def test_for_people_only_the_token_is_on_stdout(turnbuckle: Turnbuckle, place: Place) -> None:
    [line] = turnbuckle("token", "create", "--workspace", place.workspace_id).stdout.splitlines()
    assert line.startswith("tb_")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--scope", "everything"), "tasks:read"),
        (("--user", "zoe@example.com"), "zoe@example.com"),
        (("--agent", "AGT-26-000001"), "AGT-26-000001"),
        (("--agent", "AGT-26-000001", "--user", "ann@example.com"), "not for both"),
        (("--workspace", "WS-26-999999"), "WS-26-999999"),
    ],
)
def test_a_token_for_nobody_is_refused(
    turnbuckle: Turnbuckle, place: Place, options: tuple[str, ...], said: str
) -> None:
    assert said in turnbuckle.error("token", "create", "--workspace", place.workspace_id, *options)


def test_connectors_are_listed_with_their_schemas(turnbuckle: Turnbuckle) -> None:
    listed = turnbuckle.json("connectors", "list")
    [jira] = [connector for connector in listed["connectors"] if connector["type"] == "jira"]
    assert "task_sink" in jira["capabilities"]
    assert "site_url" in jira["config_schema"]["properties"]
    assert listed["failures"] == []
    assert "jira" in turnbuckle("connectors", "list").stdout


def test_up_is_for_one_process_only(turnbuckle: Turnbuckle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNBUCKLE_BROKER_URL", "redis://127.0.0.1:1/0")
    assert "turnbuckle serve" in turnbuckle.error("up")
