"""Azure Boards by the quality scale: one case for each rule."""

from __future__ import annotations

from connectors.azure_boards import AzureBoardsConnector
from connectors.kit import conformance
from connectors.kit.rule import Tier

test_conformance = conformance(AzureBoardsConnector, tier=Tier.PLATINUM)
