"""Microsoft Teams by the quality scale: one case for each rule, up to the tier that is shipped with it."""

from __future__ import annotations

import pytest

from connectors import tiers
from connectors.contract import Forbidden
from connectors.kit import conformance
from connectors.kit.report import Outcome
from connectors.kit.rule import Rule, Tier
from connectors.kit.rules import RULES
from connectors.microsoft_teams import TeamsConnector
from simulation.bench import trial_of
from simulation.teamsside import FlowSide

test_conformance = conformance(TeamsConnector, tier=Tier[tiers.SHIPPED["microsoft_teams"].upper()])


ALSO = frozenset({"secrets-never-logged", "no-network-in-request"})
"""What flows have to pass besides; they hear nothing, and nobody can ask whose they are."""

BY_ID = {rule.id: rule for rule in RULES}

NOT = frozenset({"notify-auth-expired", "notify-press-told-once"})
"""Each flow has a key of its own, so that one is refused is its channel's trouble; and nothing can be pressed."""

OF_FLOWS = [rule for rule in RULES if rule.id in ALSO or (rule.id.startswith("notify-") and rule.id not in NOT)]


@pytest.mark.parametrize("rule", OF_FLOWS, ids=lambda rule: rule.id)
def test_flows_say_things_as_well_as_the_bot_does(rule: Rule) -> None:
    [verdict] = trial_of(TeamsConnector, FlowSide).verdicts([rule])
    assert (verdict.outcome, [finding.text for finding in verdict.findings]) == (Outcome.PASSED, [])


def test_the_address_of_a_flow_is_starred_out_of_the_diagnostics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a connector gives it away: those of further channels are within a credential."""

    def refuse(self: TeamsConnector, *_: object) -> None:
        raise Forbidden(f"Nobody may post to {self._way._flow('incidents')[1]} now.")

    monkeypatch.setattr(TeamsConnector, "send", refuse)
    [verdict] = trial_of(TeamsConnector, FlowSide).verdicts([BY_ID["notify-diagnostics-redacted"]])
    assert verdict.outcome is Outcome.PASSED
