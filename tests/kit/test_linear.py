"""Linear by the quality scale: one case for each rule."""

from __future__ import annotations

from connectors.kit import conformance
from connectors.kit.rule import Tier
from connectors.linear import LinearConnector

test_conformance = conformance(LinearConnector, tier=Tier.PLATINUM)
