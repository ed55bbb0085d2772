"""What an author names on the command line: a type, a package, or a folder that need not be installed yet."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from connectors.contract import Connector, Manifest
from connectors.registry import ENTRY_POINTS, Registry

SANDBOXES = "turnbuckle.sandboxes"
"""Entry points in this group make the vendor's side of the bench: `(clock, machine) -> TrialVendor`."""


class NoConnector(LookupError):
    """The target names no connector; the text says what was looked for."""


@dataclass(frozen=True, slots=True)
class Target:
    """A connector, and the fake vendor its own project names (`package:Side`), if it names one."""

    connector: type[Connector]
    sandbox: Any = None


def target(name: str, registry: Registry) -> Target:
    """The connector of a type (`jira`), a folder (`./plank`) or a package (`plank_connector`, or `package:Class`).

    Raises NoConnector. Code of the author's own is imported by this.
    """
    if any(entry.type == name for entry in registry.entries()):
        return Target(registry.get(name))
    broken = [failure for failure in registry.failures if failure.name == name]
    if broken:
        raise NoConnector(f"{name} ({broken[0].origin}) can't be used: {broken[0].reason}")
    path = Path(name)
    if path.is_dir():
        return _in_folder(path.resolve())
    if "/" in name or name.startswith("."):
        raise NoConnector(f"there is no folder {name}")
    return Target(_class_of(name))


def _in_folder(folder: Path) -> Target:
    """A project with entry points in its pyproject.toml, or the package itself."""
    project = folder / "pyproject.toml"
    if not project.exists():
        root = next(parent for parent in folder.parents if not (parent / "__init__.py").exists())
        _importable(root)
        return Target(_class_of(".".join(folder.relative_to(root).parts)))
    points = tomllib.loads(project.read_text("utf-8")).get("project", {}).get("entry-points", {})
    named: Mapping[str, str] = points.get(ENTRY_POINTS, {})
    if len(named) != 1:
        raise NoConnector(f"{project} must name one entry point in the group {ENTRY_POINTS!r}; it names {len(named)}")
    [(type_, reference)] = named.items()
    root = folder / "src" if (folder / "src").is_dir() else folder
    _importable(root)
    _forget_installed(reference.partition(":")[0].partition(".")[0], root)
    sandbox = points.get(SANDBOXES, {}).get(type_)
    return Target(_class_of(reference), _loaded(sandbox) if sandbox else None)


def _importable(root: Path) -> None:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def _forget_installed(package: str, root: Path) -> None:
    """What is checked is the folder, also where the package is installed and was imported from there already."""
    loaded = sys.modules.get(package)
    if loaded is None or Path(str(loaded.__file__)).is_relative_to(root):
        return
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


def _class_of(reference: str) -> type[Connector]:
    """`package:Class`, or the only connector class a package offers."""
    if ":" in reference:
        found: type[Connector] = _loaded(reference)
        return found
    offered: set[type[Connector]] = {value for value in vars(_module(reference)).values() if _is_connector(value)}
    if len(offered) != 1:
        names = sorted(value.__name__ for value in offered) or "none"
        raise NoConnector(f"{reference} must offer one connector class (one with a manifest); it offers {names}")
    return offered.pop()


def _is_connector(value: object) -> bool:
    return isinstance(value, type) and isinstance(getattr(value, "manifest", None), Manifest)


def _loaded(reference: str) -> Any:
    module, _, name = reference.partition(":")
    try:
        return getattr(_module(module), name)
    except AttributeError:
        raise NoConnector(f"{module} has no {name}") from None


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise NoConnector(f"{name} can't be imported: {missing}") from None
