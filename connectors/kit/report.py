"""What an examination came to: a verdict for each rule, and the tier that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from connectors.kit.rule import Finding, Rule, Tier


class Outcome(StrEnum):
    """What came of a rule."""

    PASSED = "passed"
    EXEMPT = "exempt"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"
    """The connector lacks the capability the rule is about."""
    NOT_CHECKED = "not checked"
    """There is no fake vendor to run it against. It stands in the way of a tier as a failure does."""
    HUMAN = "for people"
    """No machine can check it: it neither helps nor hinders."""


BLOCKING = frozenset({Outcome.FAILED, Outcome.NOT_CHECKED})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one rule, with its findings, or the reason for an exemption."""

    rule: Rule
    outcome: Outcome
    findings: Sequence[Finding] = ()
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "rule": self.rule.id,
            "tier": self.rule.tier.label,
            "check": self.rule.how,
            "outcome": self.outcome.value,
            "findings": [{"text": found.text, "next_step": found.next_step} for found in self.findings],
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """One connector's verdicts, in the order of the scale."""

    type: str
    verdicts: Sequence[Verdict]

    @property
    def tier(self) -> Tier | None:
        """The highest tier of which, as of all below it, no rule stands in the way; None: not even bronze."""
        reached = None
        for tier in Tier:
            if any(v.outcome in BLOCKING for v in self.verdicts if v.rule.tier is tier):
                break
            reached = tier
        return reached

    def reaches(self, required: Tier) -> bool:
        """Whether the tier is the required one or better."""
        return self.tier is not None and self.tier >= required

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        tier = self.tier
        verdicts = [verdict.as_json() for verdict in self.verdicts]
        return {"connector": self.type, "tier": tier.label if tier else None, "rules": verdicts}

    def rows(self) -> list[tuple[str, str, str]]:
        """(rule, tier, what came of it) for a table; each further finding is a row of its own."""
        rows = []
        for verdict in self.verdicts:
            first, *others = _words(verdict)
            rows.append((verdict.rule.id, verdict.rule.tier.label, first))
            rows += [("", "", words) for words in others]
        return rows


def _words(verdict: Verdict) -> list[str]:
    if verdict.findings:
        return [f"{verdict.outcome}: {found.text} → {found.next_step}" for found in verdict.findings]
    return [f"{verdict.outcome} ({verdict.reason})" if verdict.reason else verdict.outcome.value]
