"""Datadog by the quality scale: one case for each rule, up to the tier that is shipped with it."""

from __future__ import annotations

from connectors import tiers
from connectors.datadog import DatadogConnector
from connectors.kit import conformance
from connectors.kit.rule import Tier

test_conformance = conformance(DatadogConnector, tier=Tier[tiers.SHIPPED["datadog"].upper()])
