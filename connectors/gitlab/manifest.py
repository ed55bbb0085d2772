"""The facts of GitLab (REST API v4)."""

from connectors.contract import Category, Manifest, OAuthFacts, RateFacts
from connectors.credentials import OAuthTokens
from connectors.gitlab.config import AccessToken, GitLabConfig
from connectors.gitlab.webhook import WEBHOOKS

MANIFEST = Manifest(
    type="gitlab",
    name="GitLab",
    category=Category.SOURCE_CONTROL,
    description="Repository events, pipelines",
    config=GitLabConfig,
    credentials={"oauth2": OAuthTokens, "token": AccessToken},
    endpoints={"api": "https://gitlab.com"},
    # Refreshing ends both old tokens at once: there is no grace.
    oauth=OAuthFacts(
        authorize_url="{api}/oauth/authorize",
        token_url="{api}/oauth/token",  # noqa: S106  an address
        revoke_url="{api}/oauth/revoke",
        scopes=("api",),
    ),
    webhooks=WEBHOOKS,
    # gitlab.com allows a user 2,000 calls a minute, servers of one's own 7,200 an hour where they limit at all. 10 a
    # second leaves the user's other programs room; what a server says in its headers slows us down further.
    rates=RateFacts(per_second=10.0, burst=60),
    refetch_batch=20,
)
