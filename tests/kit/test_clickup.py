"""ClickUp by the quality scale: one case for each rule."""

from __future__ import annotations

from connectors.clickup import ClickUpConnector
from connectors.kit import conformance
from connectors.kit.rule import Tier

test_conformance = conformance(ClickUpConnector, tier=Tier.PLATINUM)
