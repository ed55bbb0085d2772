"""The facts of SonarQube Cloud (web API v1), whose hosts are still called SonarCloud's."""

from connectors.contract import Category, Manifest, RateFacts
from connectors.sonarcloud.config import SonarCloudConfig, SonarToken
from connectors.sonarcloud.webhook import WEBHOOKS

MANIFEST = Manifest(
    type="sonarcloud",
    name="SonarCloud",
    category=Category.QUALITY,
    description="Code quality metrics, quality gates",
    config=SonarCloudConfig,
    credentials={"api_key": SonarToken},
    endpoints={"eu": "https://sonarcloud.io", "us": "https://sonarqube.us"},
    webhooks=WEBHOOKS,
    # No limits are published; a 429 may come.
    rates=RateFacts(per_second=5.0, burst=10),
)
