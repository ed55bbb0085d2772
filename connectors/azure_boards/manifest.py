"""The facts of Azure Boards (REST 7.1)."""

from dataclasses import replace

from connectors.azure import ENDPOINTS, OAUTH, OAuthCredentials, PatCredentials
from connectors.azure_boards.config import AzureBoardsConfig
from connectors.azure_boards.webhook import WEBHOOKS
from connectors.contract import Category, Manifest, RateFacts

MANIFEST = Manifest(
    type="azure_boards",
    name="Azure Boards",
    category=Category.PROJECT_MANAGEMENT,
    description="Work items of Azure DevOps, both ways",
    config=AzureBoardsConfig,
    credentials={"pat": PatCredentials, "oauth2": OAuthCredentials},
    endpoints=ENDPOINTS,
    oauth=replace(OAUTH, credentials="oauth2"),
    webhooks=WEBHOOKS,
    # Azure counts effort, not calls (200 units in 5 minutes), and tells of it only near the limit: this many cheap
    # calls stay far below, and its headers park the integration when they do not.
    rates=RateFacts(per_second=5.0, burst=20),
    refetch_batch=200,
)
