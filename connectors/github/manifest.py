"""The facts of GitHub."""

from connectors.contract import Category, Manifest, RateFacts
from connectors.github.config import GitHubConfig, InstallationCredentials, TokenCredentials

API_VERSION = "2022-11-28"
"""The REST API version this connector was written for; GitHub serves the newest to callers that name none."""

MANIFEST = Manifest(
    type="github",
    name="GitHub",
    category=Category.SOURCE_CONTROL,
    description="Repository events, PRs, commits",
    config=GitHubConfig,
    credentials={"installation": InstallationCredentials, "token": TokenCredentials},
    endpoints={"api": "https://api.github.com"},
    # 5,000 calls an hour for a token or a small installation is 1.4 a second; bursts are counted by the hour only.
    rates=RateFacts(per_second=1.3, burst=60),
)
