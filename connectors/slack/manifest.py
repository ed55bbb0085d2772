"""The facts of Slack."""

from connectors.contract import Category, Manifest, OAuthFacts, RateFacts
from connectors.slack.config import BotToken, Consent, SlackConfig
from connectors.slack.webhook import WEBHOOKS

SCOPES = (
    "chat:write",
    "channels:read",
    "groups:read",
    "channels:join",
    "channels:history",
    "groups:history",
)

MANIFEST = Manifest(
    type="slack",
    name="Slack",
    category=Category.COMMUNICATION,
    description="Notifications, incident alerts",
    config=SlackConfig,
    credentials={"bot_token": BotToken, "oauth2": Consent},
    endpoints={"api": "https://slack.com"},
    oauth=OAuthFacts(
        authorize_url="{api}/oauth/v2/authorize",
        token_url="{api}/api/oauth.v2.access",  # noqa: S106  an address
        scopes=SCOPES,
        params={"scope": ",".join(SCOPES)},  # Slack wants a comma between scopes
        pkce=False,  # an app has to be set up for it
        client_auth="basic",
    ),
    webhooks=WEBHOOKS,
    # A message a second for each channel, and a limit of the whole workspace that nobody tells: a second is what one
    # channel takes, and several may be told something at once.
    rates=RateFacts(per_second=2.0, burst=30),
)
