"""Microsoft Teams by the quality scale: one case for each rule, up to the tier that is shipped with it."""

from __future__ import annotations

from connectors import tiers
from connectors.kit import conformance
from connectors.kit.rule import Tier
from connectors.microsoft_teams import TeamsConnector

test_conformance = conformance(TeamsConnector, tier=Tier[tiers.SHIPPED["microsoft_teams"].upper()])
