"""What the command line's tests run in: a directory with a fresh database, a fake Jira, and the command itself."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from cli.main import app
from core.migrations import upgrade
from sandbox.jira import JiraSandbox


class Turnbuckle:
    """The command. What it prints must be right, and so must its exit code."""

    def __call__(self, *args: str, given: str | None = None) -> Result:
        """Run it; it must succeed."""
        result = self.run(*args, given=given)
        assert result.exit_code == 0, result.output
        return result

    def json(self, *args: str, given: str | None = None) -> Any:
        """Run it with --json; what it says."""
        return json.loads(self(*args, "--json", given=given).stdout)

    def error(self, *args: str, given: str | None = None) -> str:
        """Run it; it must fail with one sentence on stderr and nothing on stdout. The sentence."""
        result = self.run(*args, given=given)
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        [line] = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert "Traceback" not in result.stderr
        return line.removeprefix("error: ")

    def run(self, *args: str, given: str | None = None) -> Result:
        """Run it; whatever comes of it."""
        return CliRunner().invoke(app, args, input=given)


@dataclass(frozen=True)
class Place:
    """A workspace and who and what is in it."""

    workspace_id: str
    line_id: str
    ann_id: str


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, and no settings but the database's."""
    for name in [name for name in os.environ if name.startswith("TURNBUCKLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TURNBUCKLE_DATABASE_URL", "sqlite:///turnbuckle.db")
    monkeypatch.setenv("TURNBUCKLE_EGRESS_ALLOW", '["127.0.0.1/32"]')
    return tmp_path


@pytest.fixture
def turnbuckle(home: Path) -> Iterator[Turnbuckle]:
    """The command, in `home`. It sets up logging for its process, which here is the test's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Turnbuckle()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def place(turnbuckle: Turnbuckle) -> Place:
    """A workspace in a migrated database."""
    upgrade(os.environ["TURNBUCKLE_DATABASE_URL"])
    made = turnbuckle.json(
        *("workspace", "create", "Payments", "--organization", "Apex Digital"),
        *("--user", "Ann Archer <ann@example.com>", "--service-line", "Backend"),
    )
    return Place(made["workspace_id"], made["service_line_ids"][0], made["user_ids"][0])


@pytest.fixture
def jira() -> Iterator[JiraSandbox]:
    """A fake Jira over HTTP with three issues, whose service account may register webhooks."""
    sandbox = JiraSandbox(seed=1, seed_issues=3)
    email, _ = sandbox.basic_auth
    sandbox.add_user(replace(sandbox.site.user(email), admin=True))
    with sandbox.serve():
        yield sandbox


@pytest.fixture
def credentials(jira: JiraSandbox, home: Path) -> Path:
    """A file with credentials that work."""
    email, token = jira.basic_auth
    path = home / "credentials.json"
    path.write_text(json.dumps({"email": email, "api_token": token}))
    return path


@pytest.fixture
def integration_id(turnbuckle: Turnbuckle, place: Place, jira: JiraSandbox, credentials: Path) -> str:
    """An integration with the fake Jira."""
    made = turnbuckle.json("integration", "add", *connect(place, jira), "--credentials", f"@{credentials}")
    return str(made["id"])


def connect(place: Place, jira: JiraSandbox) -> list[str]:
    """The options of `integration add` for the fake Jira, without credentials."""
    projects = json.dumps([{"external": "APEX", "service_line_id": place.line_id}])
    config = ("--config", f"site_url={jira.site.url}", "--config", f"projects={projects}")
    return ["--type", "jira", "--workspace", place.workspace_id, "--name", "Apex", *config]
