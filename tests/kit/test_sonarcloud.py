"""SonarCloud by the rules of the quality scale that are about what it does."""

from __future__ import annotations

from connectors.kit import conformance
from connectors.kit.rule import Tier
from connectors.sonarcloud import SonarCloudConnector

test_conformance = conformance(SonarCloudConnector, tier=Tier.PLATINUM)
