"""What an author may name: a type, a folder, a package, a project that is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from connectors.jira import JiraConnector
from connectors.kit.targets import NoConnector, target
from connectors.registry import Registry

CLASS = "from tests.connectors.test_registry import having\n\n\nclass {name}(having()):\n    pass\n"
PROJECT = """
[project]
name = "turnbuckle-acme"

[project.entry-points."turnbuckle.connectors"]
acme = "{package}:Acme"
"""
SANDBOX = """
[project.entry-points."turnbuckle.sandboxes"]
acme = "{package}:Side"
"""


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a target puts on the path goes with its test."""
    monkeypatch.setattr(sys, "path", list(sys.path))


def package(root: Path, name: str, text: str) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(text)
    return folder


REGISTRY = Registry.load([])


def test_a_type_is_taken_from_the_registry() -> None:
    assert target("jira", REGISTRY).connector is JiraConnector


def test_a_package_with_one_connector_needs_no_more(tmp_path: Path) -> None:
    sys.path.insert(0, str(tmp_path))
    package(tmp_path, "acme_one", CLASS.format(name="Acme"))
    assert target("acme_one", REGISTRY).connector.__name__ == "Acme"
    assert target("acme_one:Acme", REGISTRY).connector.__name__ == "Acme"


def test_a_package_in_a_folder_needs_no_path(tmp_path: Path) -> None:
    folder = package(tmp_path, "acme_two", CLASS.format(name="Acme"))
    assert target(str(folder), REGISTRY).connector.__name__ == "Acme"


@pytest.mark.parametrize("below", ["", "src"])
def test_a_project_names_its_connector_and_its_fake_vendor(tmp_path: Path, below: str) -> None:
    name = f"acme_{below or 'flat'}"
    package(tmp_path / below, name, CLASS.format(name="Acme") + "\n\nclass Side:\n    pass\n")
    (tmp_path / "pyproject.toml").write_text((PROJECT + SANDBOX).format(package=name))
    found = target(str(tmp_path), REGISTRY)
    assert (found.connector.__name__, found.sandbox.__name__) == ("Acme", "Side")


def test_a_project_may_have_no_fake_vendor(tmp_path: Path) -> None:
    package(tmp_path, "acme_alone", CLASS.format(name="Acme"))
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(package="acme_alone"))
    assert target(str(tmp_path), REGISTRY).sandbox is None


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("acme_none", "", "it offers none"),
        ("acme_both", CLASS.format(name="A") + CLASS.format(name="B"), r"it offers \['A', 'B'\]"),
        ("acme_sick", "import nothing_of_that_name", "nothing_of_that_name"),
    ],
)
def test_what_offers_no_connector_says_what_it_offers(tmp_path: Path, name: str, text: str, problem: str) -> None:
    folder = package(tmp_path, name, text)
    with pytest.raises(NoConnector, match=problem):
        target(str(folder), REGISTRY)


@pytest.mark.parametrize("name", ["./no/such/folder", "no_such_package", "connectors.jira:Nobody"])
def test_what_is_not_there_is_said(name: str) -> None:
    with pytest.raises(NoConnector):
        target(name, REGISTRY)


def test_a_project_without_an_entry_point_says_which_one_is_missing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    with pytest.raises(NoConnector, match=r"turnbuckle\.connectors"):
        target(str(tmp_path), REGISTRY)
