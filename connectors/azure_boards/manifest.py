"""The facts of Azure Boards (REST 7.1)."""

from connectors import contract as c
from connectors.azure import CREDENTIALS, ENDPOINTS, OAUTH
from connectors.azure_boards.config import AzureBoardsConfig
from connectors.azure_hooks import WEBHOOKS

MANIFEST = c.Manifest(
    type="azure_boards",
    name="Azure Boards",
    category=c.Category.PROJECT_MANAGEMENT,
    description="Work items of Azure DevOps, both ways",
    config=AzureBoardsConfig,
    credentials=CREDENTIALS,
    endpoints=ENDPOINTS,
    oauth=OAUTH,
    webhooks=WEBHOOKS,
    # Azure counts effort (200 units in 5 minutes), not calls, of which most take a few hundredths. Near the limit its
    # headers park the integration. The burst is for the four subscriptions of each project.
    rates=c.RateFacts(per_second=10.0, burst=100),
    refetch_batch=200,
)
