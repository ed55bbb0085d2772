"""Kept tiers: they belong to the code that was checked, and what can't be read takes nothing down."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from connectors import tiers
from connectors.registry import Registry

NOW = datetime(2026, 4, 15, 10, tzinfo=UTC)
PLUGIN = "from tests.connectors.test_registry import having\n\n\nclass Acme(having()):\n    pass\n"


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a plugin that can be imported."""
    folder = tmp_path / "acme_tiers"
    folder.mkdir()
    (folder / "__init__.py").write_text(PLUGIN)
    (folder / "README.md").write_text("# Acme\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_tiers", raising=False)
    return folder


def tier(kept: Path) -> str | None:
    registry = Registry.load([EntryPoint("acme", "acme_tiers:Acme", "turnbuckle.connectors")], kept)
    return next(entry.tier for entry in registry.entries() if entry.type == "acme")


def test_a_plugin_nobody_has_checked_has_no_tier(acme: Path, tmp_path: Path) -> None:
    assert tier(tmp_path / "kept.json") is None


def test_a_checked_plugin_shows_what_it_reached(acme: Path, tmp_path: Path) -> None:
    tiers.keep(tmp_path / "kept.json", "acme", "silver", acme, NOW)
    assert tier(tmp_path / "kept.json") == "silver"


@pytest.mark.parametrize("file", ["__init__.py", "README.md", "quality.toml"])
def test_a_tier_does_not_outlive_the_code_that_reached_it(acme: Path, tmp_path: Path, file: str) -> None:
    tiers.keep(tmp_path / "kept.json", "acme", "silver", acme, NOW)
    with (acme / file).open("a") as opened:
        opened.write("\n# changed\n")
    assert tier(tmp_path / "kept.json") is None


def test_keeping_one_tier_keeps_the_others(acme: Path, tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    tiers.keep(path, "acme", "gold", acme, NOW)
    tiers.keep(path, "other", None, acme, NOW)
    assert {name: kept.tier for name, kept in tiers.read(path).items()} == {"acme": "gold", "other": None}


def test_a_moved_folder_with_the_same_code_is_the_same_code(acme: Path, tmp_path: Path) -> None:
    shutil.copytree(acme, tmp_path / "elsewhere")
    assert tiers.digest(acme) == tiers.digest(tmp_path / "elsewhere")


def test_a_file_that_can_not_be_read_is_listed_and_takes_nothing_down(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_text('{"acme": 7}')
    registry = Registry.load([], path)
    assert "Remove it and check" in registry.failures[0].reason
    assert "jira" in [entry.type for entry in registry.entries()]


def test_built_in_connectors_show_the_tier_that_is_shipped() -> None:
    assert {entry.type: entry.tier for entry in Registry.load([]).entries()} == tiers.SHIPPED
