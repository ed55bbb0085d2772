"""`turnbuckle connectors check`: the table, the exit code, and what is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from connectors import tiers
from connectors.kit.report import Outcome, Report, Verdict
from connectors.kit.rule import Finding, Tier
from connectors.kit.rules import RULES
from connectors.kit.run import Trial
from tests.kit.test_targets import CLASS, PROJECT, package


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["connectors", *arguments])


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A connector's project without a fake vendor."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    package(tmp_path, "acme_shown", CLASS.format(name="Acme"))
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(package="acme_shown"))
    return str(tmp_path)


def test_each_rule_is_a_line_and_the_tier_is_said(alone: str) -> None:
    result = run("check", alone)
    assert result.exit_code == 1
    assert all(rule.id in result.stdout for rule in RULES)
    assert "acme: not even bronze" in result.stderr
    assert "not checked (there is no fake vendor" in result.stdout


def test_scripts_get_json(alone: str) -> None:
    report = json.loads(run("check", alone, "--json").stdout)
    assert (report["connector"], report["tier"]) == ("acme", None)
    assert {rule["rule"] for rule in report["rules"]} == {rule.id for rule in RULES}


@pytest.mark.parametrize(("required", "code"), [("bronze", 0), ("silver", 0), ("gold", 1), ("platinum", 1)])
def test_the_exit_code_says_whether_the_required_tier_was_reached(
    required: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = next(rule for rule in RULES if rule.tier is Tier.GOLD)
    silver = Report("jira", [Verdict(gold, Outcome.FAILED, [Finding("it is wrong", "mend it")])])
    monkeypatch.setattr(Trial, "report", lambda self: silver)
    result = run("check", "jira", "--require", required)
    assert result.exit_code == code
    assert "failed: it is wrong → mend it" in result.stdout
    assert "jira: silver" in result.stderr


def test_what_is_no_connector_is_another_exit_code() -> None:
    result = run("check", "no_such_package")
    assert result.exit_code == 2
    assert "no_such_package" in result.stderr


def test_a_tier_is_kept_where_servers_look_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("TURNBUCKLE_TIERS_FILE", str(tmp_path / "kept.json"))
    package(tmp_path, "acme_kept", CLASS.format(name="Acme"))
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(package="acme_kept"))
    result = run("check", str(tmp_path), "--keep")
    assert "kept in" in result.stderr
    kept = tiers.read(tmp_path / "kept.json")["acme"]
    assert (kept.tier, kept.digest) == (None, tiers.digest(tmp_path / "acme_kept"))


def test_the_tier_of_a_built_in_connector_is_not_kept_but_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNBUCKLE_TIERS_FILE", str(tmp_path / "kept.json"))
    monkeypatch.setattr(Trial, "report", lambda self: Report("jira", []))
    assert "shipped" in run("check", "jira", "--keep").stderr
    assert not (tmp_path / "kept.json").exists()


def test_the_list_shows_tiers() -> None:
    listed = run("list").stdout
    assert next(line for line in listed.splitlines() if line.startswith("jira")).split()[2] == "platinum"
