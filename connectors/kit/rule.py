"""What a rule of the connector quality scale is, and what it finds.

A rule is a function that yields findings: what is wrong, and the next step that mends it. It looks at the connector's
code (`static`), runs the connector on a bench (`executed`), or both. One with neither is for people to judge: it is
listed, and never counted as passed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from connectors.contract import Connector
from connectors.kit.bench import Bench


class Tier(IntEnum):
    """How far a connector has come. Each tier stands on the ones below it."""

    BRONZE = 1
    SILVER = 2
    GOLD = 3
    PLATINUM = 4

    @property
    def label(self) -> str:
        """As people read it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and what its author can do about it. `unfinished`: the rule came to no end; from that
    nobody is exempt."""

    text: str
    next_step: str
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """The connector under examination and the folder its code, README and quality.toml are in."""

    connector: type[Connector]
    folder: Path

    def paper(self, name: str) -> Path:
        """A file that belongs to the connector: beside its code, or at the root of its own project."""
        beside, above = self.folder / name, self.folder.parent
        at_root = (above / "pyproject.toml").exists() or above.name == "src"
        root = above.parent if above.name == "src" else above
        return root / name if at_root and not beside.exists() else beside


Static = Callable[[Subject], Iterable[Finding]]
Executed = Callable[[Bench], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    id         stable; what quality.toml and reports name it by
    title      what it asks for, for its readers
    needs      capabilities it is about: a connector without one of them has nothing to pass
    among      it is about each of these that the connector has: one that has none of them has nothing to pass
    essential  nobody can be exempt: users of the platform would bear the damage
    """

    id: str
    tier: Tier
    title: str
    static: Static | None = None
    executed: Executed | None = None
    needs: frozenset[str] = frozenset()
    among: frozenset[str] = frozenset()
    essential: bool = False

    @property
    def how(self) -> str:
        """`static`, `executed`, `static + executed` or `human`."""
        ways = [name for name, check in (("static", self.static), ("executed", self.executed)) if check is not None]
        return " + ".join(ways) or "human"

    def lacks(self, capabilities: Collection[str]) -> str:
        """What a connector with these capabilities lacks for the rule to be about it; empty if nothing."""
        missing = sorted(self.needs - set(capabilities))
        if missing:
            return f"no {', '.join(missing)}"
        if self.among and not self.among & set(capabilities):
            return f"no {' and no '.join(sorted(self.among))}"
        return ""


BOTH_WAYS = frozenset({"task_source", "task_sink"})
RECEIVES = frozenset({"task_source", "webhooks"})
"""What most rules about tasks are about."""

CODE = frozenset({"code_source"})
CODE_HEARD = frozenset({"code_source", "webhooks"})
"""What most rules about code are about."""

NOTIFIER = frozenset({"notifier"})
NOTIFIER_HEARD = frozenset({"notifier", "webhooks"})
"""What rules about notifications are about."""

ALERTS = frozenset({"alert_source"})
MEASURES = frozenset({"measure_source"})
WATCHES = ALERTS | MEASURES
"""What rules about what watches are about."""

COUNTED = frozenset({"task_source", "code_source"})
"""What would be there, or count, twice where one account is connected twice."""

SOURCES = COUNTED | WATCHES
WEBHOOKS = frozenset({"webhooks"})
"""What is the same for all of them."""
