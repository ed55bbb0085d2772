"""The facts of Microsoft Teams."""

from connectors.contract import Category, Manifest, RateFacts
from connectors.microsoft_teams.config import Bot, Flows, TeamsConfig
from connectors.microsoft_teams.webhook import WEBHOOKS

MANIFEST = Manifest(
    type="microsoft_teams",
    name="Microsoft Teams",
    category=Category.COMMUNICATION,
    description="Notifications, incident alerts",
    config=TeamsConfig,
    credentials={"webhook": Flows, "bot": Bot},
    endpoints={
        "login": "https://login.microsoftonline.com",
        "bot": "https://smba.trafficmanager.net",
        "keys": "https://login.botframework.com",
    },
    webhooks=WEBHOOKS,
    # Of all channels together: an app may call 30 times a second in a tenant (50 by newer texts). What one channel
    # takes is counted by itself.
    rates=RateFacts(per_second=10.0, burst=30),
)
