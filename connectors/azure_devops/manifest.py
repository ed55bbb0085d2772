"""The facts of Azure DevOps: Repos and Pipelines (REST 7.1)."""

from connectors.azure import CREDENTIALS, ENDPOINTS, OAUTH
from connectors.azure_devops.config import AzureDevOpsConfig
from connectors.azure_devops.webhook import WEBHOOKS
from connectors.contract import Category, Manifest, RateFacts

MANIFEST = Manifest(
    type="azure_devops",
    name="Azure DevOps",
    category=Category.SOURCE_CONTROL_PM,
    description="Repos, boards, pipelines",
    config=AzureDevOpsConfig,
    credentials=CREDENTIALS,
    endpoints=ENDPOINTS,
    oauth=OAUTH,
    webhooks=WEBHOOKS,
    # Azure counts effort (200 units in 5 minutes), not calls, of which most take a few hundredths. Near the limit its
    # headers park the integration. The burst is for the subscriptions of each project.
    rates=RateFacts(per_second=10.0, burst=100),
)
