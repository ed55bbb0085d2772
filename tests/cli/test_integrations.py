"""Connecting, listing, showing and syncing from the command line."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from cli.context import open_runtime
from sandbox.jira import JiraSandbox
from sync.pull import pull
from tests.cli.conftest import Place, Turnbuckle, connect

SECRET = "not-the-right-token"


def sync_now(integration_id: str) -> None:
    """What a worker does when it hears of a sync."""
    with open_runtime() as runtime:
        assert pull(runtime, integration_id) is not None


def test_an_integration_is_added_listed_and_shown(turnbuckle: Turnbuckle, place: Place, integration_id: str) -> None:
    [listed] = turnbuckle.json("integration", "list", "--workspace", place.workspace_id)
    shown = turnbuckle.json("integration", "show", integration_id)
    assert listed["id"] == shown["id"] == integration_id
    assert shown["status"] == "active"
    assert shown["account"]["name"] == "Sync Service"
    assert shown["has_credentials"]
    assert "sandbox-api-token" not in json.dumps(shown)
    assert "Apex" in turnbuckle("integration", "list").stdout
    assert "Sync Service" in turnbuckle("integration", "show", integration_id).stdout


def test_support_is_given_a_document_without_secrets(turnbuckle: Turnbuckle, integration_id: str) -> None:
    told = turnbuckle("integration", "diagnostics", integration_id).stdout
    assert json.loads(told)["integration"]["id"] == integration_id
    assert "sandbox-api-token" not in told


def test_config_from_a_file_and_credentials_from_stdin(
    turnbuckle: Turnbuckle, place: Place, jira: JiraSandbox, credentials: Path, home: Path
) -> None:
    config = {"site_url": jira.site.url, "projects": [{"external": "APEX", "service_line_id": place.line_id}]}
    (home / "config.json").write_text(json.dumps(config))
    options = ("--type", "jira", "--workspace", place.workspace_id, "--name", "Apex")
    made = turnbuckle.json(
        *("integration", "add", *options, "--config", "@config.json", "--config", "poll_seconds=60"),
        *("--credentials", "-"),
        given=credentials.read_text(),
    )
    assert made["config"]["poll_seconds"] == 60


def test_secrets_may_be_asked_for(
    turnbuckle: Turnbuckle, place: Place, jira: JiraSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    email, token = jira.basic_auth
    answers = {"email: ": email, "api_token: ": token}
    monkeypatch.setattr("cli.given.getpass.getpass", answers.__getitem__)
    made = turnbuckle.json("integration", "add", *connect(place, jira), "--credentials", "?email,api_token")
    assert made["status"] == "active"


def test_secrets_are_no_arguments(turnbuckle: Turnbuckle, place: Place, jira: JiraSandbox) -> None:
    text = turnbuckle.error(
        "integration", "add", *connect(place, jira), "--credentials", f'{{"api_token": "{SECRET}"}}'
    )
    assert SECRET not in text
    assert "@file" in text


@pytest.mark.parametrize("content", [f'{{"api_token": "{SECRET}"', f'["{SECRET}"]'])
def test_a_file_that_is_no_object_is_not_repeated(
    turnbuckle: Turnbuckle, place: Place, jira: JiraSandbox, home: Path, content: str
) -> None:
    (home / "broken.json").write_text(content)
    text = turnbuckle.error("integration", "add", *connect(place, jira), "--credentials", "@broken.json")
    assert "broken.json" in text
    assert SECRET not in text


def test_credentials_that_do_not_work_leave_nothing_behind(
    turnbuckle: Turnbuckle, place: Place, jira: JiraSandbox, home: Path
) -> None:
    (home / "wrong.json").write_text(json.dumps({"email": "sync@example.com", "api_token": SECRET}))
    text = turnbuckle.error("integration", "add", *connect(place, jira), "--credentials", "@wrong.json")
    assert "credentials" in text
    assert SECRET not in text
    assert turnbuckle.json("integration", "list") == []


def test_a_config_that_does_not_fit_is_told_by_field(
    turnbuckle: Turnbuckle, place: Place, jira: JiraSandbox, credentials: Path
) -> None:
    options = ("--config", "poll_seconds=1", "--credentials", f"@{credentials}")
    assert "config.poll_seconds" in turnbuckle.error("integration", "add", *connect(place, jira), *options)
    assert "key=value" in turnbuckle.error("integration", "add", *connect(place, jira), "--config", "nothing")


def test_who_is_doing_it_must_be_clear(turnbuckle: Turnbuckle, place: Place, integration_id: str) -> None:
    turnbuckle("workspace", "create", "W", "--organization", "Other", "--user", "zoe@example.com")
    assert "zoe@example.com" in turnbuckle.error("integration", "sync", integration_id, "--as", "zoe@example.com")
    assert turnbuckle.json("integration", "sync", integration_id, "--as", "ann@example.com")["status"] == "running"


def test_a_sync_is_asked_for_and_joined(turnbuckle: Turnbuckle, place: Place, integration_id: str) -> None:
    first = turnbuckle.json("integration", "sync", integration_id)
    second = turnbuckle.json("integration", "sync", integration_id)
    assert first["sync_id"] == second["sync_id"]
    assert first["requested_by"] == place.ann_id
    sync_now(integration_id)
    [summary] = turnbuckle.json("integration", "show", integration_id)["sync_history"]
    assert summary["status"] == "success"
    assert summary["records_synced"] == 3


def test_waiting_for_a_sync_ends_with_it(turnbuckle: Turnbuckle, integration_id: str) -> None:
    turnbuckle("integration", "sync", integration_id)
    worker = threading.Timer(0.5, sync_now, [integration_id])
    worker.start()
    finished = turnbuckle.json("integration", "sync", integration_id, "--wait")
    worker.join()
    assert finished["status"] == "success"
    assert finished["counts"]["created"] == 3


def test_a_sync_that_fails_fails_the_command(turnbuckle: Turnbuckle, jira: JiraSandbox, integration_id: str) -> None:
    jira.faults.add("error", operation="searchJql", status=400, count=None)
    turnbuckle("integration", "sync", integration_id)
    worker = threading.Timer(0.2, sync_now, [integration_id])
    worker.start()
    result = turnbuckle.run("integration", "sync", integration_id, "--wait", "--json")
    worker.join()
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "rejected"


@pytest.mark.parametrize("command", ["show", "sync"])
def test_an_integration_that_is_not_there(turnbuckle: Turnbuckle, place: Place, command: str) -> None:
    assert "INT-26-999999" in turnbuckle.error("integration", command, "INT-26-999999")


def test_without_credentials_somebody_has_to_consent(
    turnbuckle: Turnbuckle, place: Place, jira: JiraSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = {"jira": {"client_id": "our-app", "client_secret": SECRET}}
    monkeypatch.setenv("TURNBUCKLE_OAUTH_APPS", json.dumps(app))
    monkeypatch.setenv("TURNBUCKLE_VENDOR_ENDPOINTS", json.dumps({"jira": {"auth": jira.site.url}}))
    made = turnbuckle.json("integration", "add", *connect(place, jira))
    assert made["status"] == "pending_auth"
    assert made["authorize_url"].startswith(f"{jira.site.url}/authorize?")
    assert "client_id=our-app" in made["authorize_url"]
    assert SECRET not in json.dumps(made)


def test_consent_needs_an_app(turnbuckle: Turnbuckle, place: Place, jira: JiraSandbox) -> None:
    result = turnbuckle("integration", "add", *connect(place, jira))
    assert "pending_auth" in result.stderr
    assert "client_id" in result.stderr or "OAUTH_APPS" in result.stderr
    assert result.stdout == ""
