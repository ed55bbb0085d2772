"""Which files a connector's package has, and writing them: all of them, or none."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from pathlib import Path

from cli.errors import Refused
from cli.scaffold.filling import filled

NEEDS = {
    "task_sink": "task_source",
    "users": "task_sink",
    "webhooks": "task_source",
    "webhook_subscriptions": "webhooks",
}
"""Capability -> the one it makes no sense without."""

OFFERED = ("task_source", *NEEDS)
"""What a new package can begin with. It tells its vocabulary, too; the rest (the operator's own app, the vendor's log
of deliveries) depends on the vendor so much that a template would be in the way."""

FILES: Mapping[str, tuple[str, str]] = {
    "pyproject.toml": ("pyproject.toml", ""),
    "README.md": ("README.md", ""),
    "quality.toml": ("quality.toml", ""),
    "__init__.py": ("{module}/__init__.py", ""),
    "manifest.py": ("{module}/manifest.py", ""),
    "config.py": ("{module}/config.py", ""),
    "client.py": ("{module}/client.py", ""),
    "mapping.py": ("{module}/mapping.py", ""),
    "connector.py": ("{module}/connector.py", ""),
    "webhook.py": ("{module}/webhook.py", "webhooks"),
    "fake.py": ("{module}/fake.py", ""),
    "side.py": ("{module}/side.py", ""),
    "conftest.py": ("tests/conftest.py", ""),
    "test_connector.py": ("tests/test_connector.py", ""),
    "test_words.py": ("tests/test_words.py", ""),
    "test_webhook.py": ("tests/test_webhook.py", "webhooks"),
    "test_worlds.py": ("tests/test_worlds.py", "task_sink"),
    "item-created.json": ("fixtures/item-created.json", "webhooks"),
    "item-deleted.json": ("fixtures/item-deleted.json", "webhooks"),
    "project-archived.json": ("fixtures/project-archived.json", "webhooks"),
}
"""Template -> where its file goes, and the capability it is for (none: always)."""

# Longer names make lines of the generated files longer than people like them.
LONGEST_TYPE = 16
_TYPE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Plan:
    """A connector to be made: the type of its integrations and what it can do."""

    type: str
    capabilities: tuple[str, ...]

    @property
    def package(self) -> str:
        """The name of the distribution."""
        return f"turnbuckle-{self.type.replace('_', '-')}"

    @property
    def module(self) -> str:
        """The name to import."""
        return f"turnbuckle_{self.type}"

    def words(self) -> dict[str, str]:
        """What the templates' names stand for."""
        parts = self.type.split("_")
        return {
            "type": self.type,
            "package": self.package,
            "module": self.module,
            "class_": "".join(part.capitalize() for part in parts),
            "title": " ".join(part.capitalize() for part in parts),
            "host": "-".join(parts),
            "header": "-".join(part.capitalize() for part in parts),
            "bounds": _bounds(metadata.version("turnbuckle")),
            "capabilities": "\n".join(f'        "{name}",' for name in self.capabilities),
        }

    def true(self) -> set[str]:
        """What the templates' blocks may ask."""
        able = set(self.capabilities)
        by_hand = "webhooks" in able and "webhook_subscriptions" not in able
        only_sink = "task_sink" in able and "webhook_subscriptions" not in able
        return able | {name for name, holds in (("by_hand", by_hand), ("only_sink", only_sink)) if holds}


def planned(type_: str, capabilities: Sequence[str], taken: Mapping[str, str]) -> Plan:
    """The plan, if it makes sense; `taken` are the types there are and where they came from. Raises Refused."""
    if not _TYPE.fullmatch(type_) or len(type_) > LONGEST_TYPE:
        raise Refused(
            f"{type_!r} can't be a connector's type: it is lower-case letters, digits and single underscores, begins "
            f"with a letter and has at most {LONGEST_TYPE} of them, such as `acme`."
        )
    if type_ in taken:
        raise Refused(f"The type {type_!r} is taken by {taken[type_]}; choose another.")
    unknown = [name for name in capabilities if name not in OFFERED]
    if unknown:
        raise Refused(f"There is no capability {unknown[0]!r}; there are: {', '.join(OFFERED)}.")
    if not capabilities:
        raise Refused(f"Name a capability at least; there are: {', '.join(OFFERED)}.")
    for name in capabilities:
        if NEEDS.get(name, name) not in capabilities:
            raise Refused(f"{name} makes no sense without {NEEDS[name]}: add it to --capabilities.")
    return Plan(type_, tuple(name for name in OFFERED if name in capabilities))


def contents(plan: Plan) -> Iterator[tuple[str, str]]:
    """Every file of the package: its path inside, and its text."""
    words, true = plan.words(), plan.true()
    for template, (path, needed) in FILES.items():
        if not needed or needed in plan.capabilities:
            text = files("cli.scaffold").joinpath("templates", f"{template}.tmpl").read_text(encoding="utf-8")
            yield path.format(module=plan.module), filled(text, words, true)


def write(plan: Plan, folder: Path) -> list[Path]:
    """Make the folder with the package in it; the files. Raises Refused when there is something already, or it can't
    be written; then there is nothing."""
    if folder.exists():
        raise Refused(f"{folder} exists; name another folder with --package, or remove it.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-connector-") as scratch:
            made = Path(scratch) / folder.name
            paths = []
            for path, text in contents(plan):
                (made / path).parent.mkdir(parents=True, exist_ok=True)
                (made / path).write_text(text, encoding="utf-8")
                paths.append(folder / path)
            made.rename(folder)
    except OSError as error:
        raise Refused(f"{folder} can't be written: {error.strerror or error}.") from None
    return paths


def _bounds(version: str) -> str:
    """The versions of Turnbuckle with this one's contract: `>=0.1,<0.2`."""
    major, minor = (int(part) for part in version.split(".")[:2])
    return f">={major}.{minor},<{major}.{minor + 1}"
