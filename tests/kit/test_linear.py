"""Linear by the quality scale: one case for each rule, up to the tier that is shipped with it."""

from __future__ import annotations

from connectors import tiers
from connectors.kit import conformance
from connectors.kit.rule import Tier
from connectors.linear import LinearConnector

test_conformance = conformance(LinearConnector, tier=Tier[tiers.SHIPPED["linear"].upper()])
