"""The facts of Bitbucket Cloud (API 2.0)."""

from connectors.bitbucket.config import AccessTokenCredentials, ApiTokenCredentials, BitbucketConfig
from connectors.bitbucket.webhook import WEBHOOKS
from connectors.contract import Category, Manifest, OAuthFacts, RateFacts
from connectors.credentials import OAuthTokens

MANIFEST = Manifest(
    type="bitbucket",
    name="Bitbucket Cloud",
    category=Category.SOURCE_CONTROL,
    description="Repository events, PRs",
    config=BitbucketConfig,
    credentials={"token": AccessTokenCredentials, "api_token": ApiTokenCredentials, "oauth2": OAuthTokens},
    endpoints={"api": "https://api.bitbucket.org", "web": "https://bitbucket.org"},
    oauth=OAuthFacts(
        authorize_url="{web}/site/oauth2/authorize",
        token_url="{web}/site/oauth2/access_token",  # noqa: S106  an address
        scopes=("repository", "pullrequest", "pipeline", "webhook", "account"),
        pkce=False,  # not documented, and the consumer has a secret
        client_auth="basic",
    ),
    webhooks=WEBHOOKS,
    # 1,000 calls in any hour, and no header tells what is left: 900 at most, 180 at once and 3,600 times 0.2.
    rates=RateFacts(per_second=0.2, burst=180),
    # A merged change costs up to six calls: a batch has to fit into the burst, or it would never be read to its end.
    refetch_batch=20,
)
