"""Bitbucket by the quality scale: one case for each rule, up to the tier that is shipped with it."""

from __future__ import annotations

from connectors import tiers
from connectors.bitbucket import BitbucketConnector
from connectors.kit import conformance
from connectors.kit.rule import Tier

test_conformance = conformance(BitbucketConnector, tier=Tier[tiers.SHIPPED["bitbucket"].upper()])
