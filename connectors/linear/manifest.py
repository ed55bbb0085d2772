"""The facts of Linear."""

from connectors import contract as c
from connectors.linear.config import ApiKeyCredentials, LinearConfig, OAuthCredentials
from connectors.linear.webhook import WEBHOOKS

SCOPES = ("read", "write")

MANIFEST = c.Manifest(
    type="linear",
    name="Linear",
    category=c.Category.PROJECT_MANAGEMENT,
    description="Issues, cycles, team sync",
    config=LinearConfig,
    credentials={"oauth2": OAuthCredentials, "api_key": ApiKeyCredentials},
    endpoints={"api": "https://api.linear.app", "auth": "https://linear.app"},
    oauth=c.OAuthFacts(
        authorize_url="{auth}/oauth/authorize",
        token_url="{api}/oauth/token",  # noqa: S106  an address
        revoke_url="{api}/oauth/revoke",
        scopes=SCOPES,
        # As the app itself, so that people see who did it. Linear wants a comma between scopes.
        params={"scope": ",".join(SCOPES), "actor": "app", "prompt": "consent"},
    ),
    webhooks=WEBHOOKS,
    # 2,500 calls an hour with an API key (an app has twice that): in no hour more than 500 and 3,600 times 0.55.
    rates=c.RateFacts(per_second=0.55, burst=500),
    refetch_batch=50,
)
