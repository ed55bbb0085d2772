"""The one line in a connector's own tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.contract import Connector
from connectors.kit.report import BLOCKING, Outcome
from connectors.kit.rule import Rule, Tier
from connectors.kit.rules import RULES


def conformance(connector: type[Connector], *, sandbox: Any = None, tier: Tier = Tier.GOLD) -> Callable[[Rule], None]:
    """A parametrized pytest function: one case for each rule up to `tier`, which fails with the finding and next step.

    `sandbox` makes the vendor's side of the bench (`(clock, machine) -> TrialVendor`); where it is left out, the one
    registered for the connector's type is taken. Rules for people, and those about capabilities the connector does
    not have, are skipped.
    """
    import pytest  # only who tests needs it

    # The bench is made of the engine and the simulator, which are on upper floors: this is the kit's one way up to
    # them, taken only when somebody tests. The import contract names it.
    from simulation.bench import trial_of

    trial = trial_of(connector, sandbox)

    @pytest.mark.parametrize("rule", [rule for rule in RULES if rule.tier <= tier], ids=lambda rule: rule.id)
    def test_conformance(rule: Rule) -> None:
        [verdict] = trial.verdicts([rule])
        if verdict.outcome in BLOCKING:
            told = [f"{found.text}\n  next step: {found.next_step}" for found in verdict.findings]
            pytest.fail(f"{rule.id} ({rule.title}): " + ("\n".join(told) or verdict.reason), pytrace=False)
        if verdict.outcome in (Outcome.HUMAN, Outcome.NOT_APPLICABLE):
            pytest.skip(verdict.reason)

    return test_conformance
