"""The facts of Jira Cloud (REST v3)."""

from datetime import timedelta

from connectors import contract as c
from connectors.jira.config import BasicCredentials, JiraConfig, OAuthCredentials

SCOPES = ("read:jira-work", "write:jira-work", "read:jira-user", "manage:jira-webhook", "offline_access")
"""`offline_access` brings the refresh token; webhooks need both read:jira-work and manage:jira-webhook."""

MANIFEST = c.Manifest(
    type="jira",
    name="Jira",
    category=c.Category.PROJECT_MANAGEMENT,
    description="Issues, sprints, project sync",
    config=JiraConfig,
    credentials={"oauth2": OAuthCredentials, "basic": BasicCredentials},
    endpoints={"api": "https://api.atlassian.com", "auth": "https://auth.atlassian.com"},
    oauth=c.OAuthFacts(
        authorize_url="{auth}/authorize",
        token_url="{auth}/oauth/token",  # noqa: S106  an address
        scopes=SCOPES,
        credentials="oauth2",
        params={"audience": "api.atlassian.com", "prompt": "consent"},
        token_body="json",  # noqa: S106  a form
        grace=timedelta(minutes=10),
    ),
    webhooks=c.WebhookFacts(
        secrets=("signing", "client_secret", "client_id"),
        max_body=25 * 1024 * 1024,  # Jira drops larger ones itself
        headers_kept=(
            "x-atlassian-webhook-identifier",
            "x-atlassian-webhook-flow",
            "x-atlassian-webhook-retry",
        ),
    ),
    # The burst limit is 100 calls a second for each endpoint; half of it leaves room for the site's other apps.
    # Hourly points are counted by Jira, whose 429 then parks the integration.
    rates=c.RateFacts(per_second=50.0, burst=100),
)
