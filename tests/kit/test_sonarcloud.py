"""SonarCloud by the quality scale: one case for each rule, up to the tier that is shipped with it."""

from __future__ import annotations

from connectors import tiers
from connectors.kit import conformance
from connectors.kit.rule import Tier
from connectors.sonarcloud import SonarCloudConnector

test_conformance = conformance(SonarCloudConnector, tier=Tier[tiers.SHIPPED["sonarcloud"].upper()])
