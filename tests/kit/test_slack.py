"""Slack by the quality scale: one case for each rule, up to the tier that is shipped with it."""

from __future__ import annotations

from connectors import tiers
from connectors.kit import conformance
from connectors.kit.rule import Tier
from connectors.slack import SlackConnector

test_conformance = conformance(SlackConnector, tier=Tier[tiers.SHIPPED["slack"].upper()])
