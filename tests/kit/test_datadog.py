"""Datadog by the rules of the quality scale that are about what it does."""

from __future__ import annotations

from connectors.datadog import DatadogConnector
from connectors.kit import conformance
from connectors.kit.rule import Tier

test_conformance = conformance(DatadogConnector, tier=Tier.PLATINUM)
