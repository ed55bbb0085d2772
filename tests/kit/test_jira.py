"""Jira by the quality scale: one case for each rule, up to the tier that is shipped with it."""

from __future__ import annotations

from connectors import tiers
from connectors.jira import JiraConnector
from connectors.kit import conformance
from connectors.kit.rule import Tier

test_conformance = conformance(JiraConnector, tier=Tier[tiers.SHIPPED["jira"].upper()])


def test_built_in_connectors_are_gold_at_least() -> None:
    assert all(Tier[tier.upper()] >= Tier.GOLD for tier in tiers.SHIPPED.values())
