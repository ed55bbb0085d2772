"""`quality.toml` beside a connector: who answers for it, and the rules it is exempt from, each with its reason. The
tier is not in it: that is computed.

owner = "The payments team"

[exemptions]
call-budget = "A status is changed by a transition, whose id has to be asked for first: three calls."
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.kit.rule import Rule, Subject

NAME = "quality.toml"

SHORTEST_REASON = 20
"""Characters: shorter ones say nothing that another person could judge."""


class BadQualityFile(ValueError):
    """The file can't be taken as it is; the text says what to change in it."""


class QualityFile(BaseModel):
    """What may be in it."""

    model_config = ConfigDict(extra="forbid")

    owner: str = ""
    exemptions: dict[str, str] = Field(default_factory=dict)


def read(subject: Subject) -> QualityFile:
    """The file; an empty one where there is none. Raises BadQualityFile."""
    path = subject.paper(NAME)
    if not path.exists():
        return QualityFile()
    try:
        return QualityFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadQualityFile(f"{NAME} is not TOML: {error}") from None
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BadQualityFile(f"{NAME} has an owner and a table [exemptions] of reasons; {where} does not fit") from None


def exemptions(subject: Subject, rules: Collection[Rule]) -> Mapping[str, str]:
    """Rule id -> reason. Raises BadQualityFile, also for a rule nobody can be exempt from, or none at all."""
    found = read(subject).exemptions
    known = {rule.id: rule for rule in rules}
    for name, reason in found.items():
        if name not in known:
            raise BadQualityFile(f"{NAME} exempts from {name!r}, which is no rule; see docs/connector-quality.md")
        if known[name].essential:
            raise BadQualityFile(f"{NAME} exempts from {name!r}, from which nobody can be exempt")
        if len(reason.strip()) < SHORTEST_REASON:
            raise BadQualityFile(f"{NAME} exempts from {name!r} without a reason that others could judge")
    return found
