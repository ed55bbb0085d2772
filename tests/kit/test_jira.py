"""Jira by the quality scale: one case for each rule, up to the tier that is shipped with it."""

from __future__ import annotations

from connectors import tiers
from connectors.jira import JiraConnector
from connectors.kit import conformance
from connectors.kit.rule import Tier

SHIPPED = Tier[tiers.SHIPPED["jira"].upper()]

test_conformance = conformance(JiraConnector, tier=SHIPPED)


def test_a_built_in_connector_is_gold_at_least() -> None:
    assert SHIPPED >= Tier.GOLD
