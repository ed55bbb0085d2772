"""Examining a connector: every rule in a world of its own, in the order of the scale.

Nothing a connector does ends the examination: what it raises in the middle of a rule is that rule's finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice

from connectors.contract import capabilities
from connectors.kit.bench import Bench
from connectors.kit.quality import BadQualityFile, exemptions
from connectors.kit.report import Outcome, Report, Verdict
from connectors.kit.rule import Finding, Rule, Subject
from connectors.kit.rules import RULES

MOST_FINDINGS = 5
"""Findings shown of one rule: what is wrong in one place is often wrong in many, and is mended in one go."""

OpenBench = Callable[[], AbstractContextManager[Bench]]
"""Opens a bench with a new world on it, and listens to the logs until it is closed."""

NO_SANDBOX = "there is no fake vendor for it: register one in the entry-point group turnbuckle.sandboxes"


@dataclass(frozen=True, slots=True)
class Trial:
    """A connector and, where there is a fake vendor for it, the way to a bench."""

    subject: Subject
    open_bench: OpenBench | None = None

    def verdicts(self, rules: Sequence[Rule] = RULES) -> Iterator[Verdict]:
        """The verdict of each rule, as it is reached."""
        exempt, broken = self._exemptions()
        for rule in rules:
            yield self._judge(rule, exempt, broken)

    def report(self, rules: Sequence[Rule] = RULES) -> Report:
        """All verdicts."""
        return Report(self.subject.connector.manifest.type, tuple(self.verdicts(rules)))

    def _exemptions(self) -> tuple[Mapping[str, str], str]:
        try:
            return exemptions(self.subject, RULES), ""
        except BadQualityFile as bad:
            return {}, str(bad)

    def _judge(self, rule: Rule, exempt: Mapping[str, str], broken: str) -> Verdict:
        if rule.static is None and rule.executed is None:
            return Verdict(rule, Outcome.HUMAN, reason="a person has to look")
        if rule.id == "manifest-valid" and broken:
            return Verdict(rule, Outcome.FAILED, [Finding(broken, "Mend the file.")])
        if lacking := rule.lacks(capabilities(self.subject.connector)):
            return Verdict(rule, Outcome.NOT_APPLICABLE, reason=lacking)
        findings = self._findings(rule)
        if findings and rule.id in exempt and not any(found.unfinished for found in findings):
            return Verdict(rule, Outcome.EXEMPT, reason=exempt[rule.id])
        if findings:
            return Verdict(rule, Outcome.FAILED, findings)
        if rule.executed is not None and self.open_bench is None:
            return Verdict(rule, Outcome.NOT_CHECKED, reason=NO_SANDBOX)
        reason = "the exemption in quality.toml can go" if rule.id in exempt else ""
        return Verdict(rule, Outcome.PASSED, reason=reason)

    def _findings(self, rule: Rule) -> list[Finding]:
        found: list[Finding] = []
        try:
            if rule.static is not None:
                found += islice(rule.static(self.subject), MOST_FINDINGS)
            if rule.executed is not None and self.open_bench is not None:
                with self.open_bench() as bench:
                    found += islice(rule.executed(bench), MOST_FINDINGS - len(found))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise SystemExit, too; to be unable to finish is a failure
            found.append(_unfinished(error))
        return found


def _unfinished(error: BaseException) -> Finding:
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f" at {trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    text = f"the rule could not be finished: {type(error).__name__}: {str(error)[:300]}{place}"
    return Finding(text, "Raise one of the contract's errors instead; anything else is a fault of the connector.", True)
