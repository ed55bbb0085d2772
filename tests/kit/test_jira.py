"""Jira by the quality scale: one case for each rule."""

from __future__ import annotations

from connectors.jira import JiraConnector
from connectors.kit import conformance
from connectors.kit.rule import Tier

test_conformance = conformance(JiraConnector, tier=Tier.PLATINUM)
