"""The tree and its configuration name the same rooms."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_ROOMS = {"tests", "benchmarks", "tools", "docs", "build", "dist"}
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())

ROOMS = {
    path.parent.name
    for path in ROOT.glob("*/__init__.py")
    if path.parent.name not in NOT_ROOMS and not path.parent.name.startswith(".")
}


def test_every_room_is_shipped() -> None:
    assert set(CONFIG["tool"]["hatch"]["build"]["only-include"]) >= ROOMS


def test_every_room_is_under_the_import_rules() -> None:
    assert set(CONFIG["tool"]["importlinter"]["root_packages"]) == ROOMS


def test_every_other_room_is_forbidden_to_the_sandbox() -> None:
    [contract] = [c for c in CONFIG["tool"]["importlinter"]["contracts"] if c["type"] == "forbidden"]
    assert set(contract["forbidden_modules"]) == ROOMS - {"sandbox"}


def test_the_container_gets_every_room() -> None:
    copied = {line.split()[1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")}
    assert copied >= ROOMS
