"""The facts of ClickUp (API v2)."""

from connectors import contract as c
from connectors.clickup.config import ClickUpConfig
from connectors.clickup.webhook import WEBHOOKS
from connectors.credentials import ApiToken, OAuthTokens

MANIFEST = c.Manifest(
    type="clickup",
    name="ClickUp",
    category=c.Category.PROJECT_MANAGEMENT,
    description="Tasks, Lists, status sync",
    config=ClickUpConfig,
    credentials={"oauth2": OAuthTokens, "token": ApiToken},
    endpoints={"api": "https://api.clickup.com", "app": "https://app.clickup.com"},
    # No scopes, no PKCE, no refresh token: a token lasts until the person takes it back.
    oauth=c.OAuthFacts(
        authorize_url="{app}/api",
        token_url="{api}/api/v2/oauth/token",  # noqa: S106  an address
        scopes=(),
        pkce=False,
        token_body="json",  # noqa: S106  a form
    ),
    webhooks=WEBHOOKS,
    # The small plans allow 100 calls a minute and token. People edit in bursts, so half of it may be used at once: in
    # no minute more than 50 and 60 times 0.8.
    rates=c.RateFacts(per_second=0.8, burst=50),
    refetch_batch=20,  # a call each: together they take a fraction of a lease's time at that rate
)
