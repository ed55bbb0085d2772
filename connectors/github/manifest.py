"""The facts of GitHub."""

from connectors.contract import Category, Manifest, RateFacts
from connectors.github.config import GitHubConfig, InstallationCredentials, TokenCredentials
from connectors.github.webhook import WEBHOOKS

MANIFEST = Manifest(
    type="github",
    name="GitHub",
    category=Category.SOURCE_CONTROL,
    description="Repository events, PRs, commits",
    config=GitHubConfig,
    credentials={"installation": InstallationCredentials, "token": TokenCredentials},
    endpoints={"api": "https://api.github.com"},
    app=("app_id", "private_key"),
    webhooks=WEBHOOKS,
    # 5,000 calls an hour for a token or a small installation is 1.4 a second; bursts are counted by the hour only.
    rates=RateFacts(per_second=1.3, burst=60),
    refetch_batch=15,  # a call or several each: together they fit into a burst
)
