"""`quality.toml` beside a connector: the rules it is exempt from, each with its reason. Nothing else is declared.

[exempt]
owner-named = "A connector for our own house; the platform team owns everything in it."
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.kit.rule import Rule

NAME = "quality.toml"

SHORTEST_REASON = 20
"""Characters: shorter ones say nothing that another person could judge."""


class BadQualityFile(ValueError):
    """The file can't be taken as it is; the text says what to change in it."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    exempt: dict[str, str] = Field(default_factory=dict)


def exemptions(folder: Path, rules: Collection[Rule]) -> Mapping[str, str]:
    """Rule id -> reason. Empty without a file. Raises BadQualityFile."""
    path = folder / NAME
    if not path.exists():
        return {}
    try:
        exempt = _File.model_validate(tomllib.loads(path.read_text("utf-8"))).exempt
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadQualityFile(f"{NAME} is not TOML: {error}") from None
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BadQualityFile(f"{NAME} has only a table [exempt] of reasons; {where} does not fit") from None
    known = {rule.id: rule for rule in rules}
    for name, reason in exempt.items():
        _check(name, reason, known)
    return exempt


def _check(name: str, reason: str, known: Mapping[str, Rule]) -> None:
    if name not in known:
        raise BadQualityFile(f"{NAME} exempts from {name!r}, which is no rule; see docs/connector-quality.md")
    if known[name].essential:
        raise BadQualityFile(f"{NAME} exempts from {name!r}, from which nobody can be exempt")
    if len(reason.strip()) < SHORTEST_REASON:
        raise BadQualityFile(f"{NAME} exempts from {name!r} without a reason that others could judge")
