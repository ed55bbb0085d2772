"""Atlassian's OAuth 2.0 (3LO): its rules, and the list of sites a consent covers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sandbox.jira.model import Json
from sandbox.oauth import Grant, OAuthRules

RULES = OAuthRules(
    name="Sandbox Jira",
    audience="api.atlassian.com",
    scopes=(
        "read:jira-work",
        "write:jira-work",
        "read:jira-user",
        "manage:jira-webhook",
        "manage:jira-configuration",
        "manage:jira-project",
        "read:me",
        "offline_access",
    ),
    offline_scope="offline_access",
    # Jira Cloud: 90 days without use end a refresh token.
    refresh_life=timedelta(days=90),
    # Jira Cloud, rotating refresh tokens: the previous one works this much longer.
    leeway=timedelta(minutes=10),
)


@dataclass(frozen=True)
class Site:
    """A site as accessible-resources lists it."""

    cloud_id: str
    url: str
    name: str


def resources(grant: Grant, sites: Iterable[Site]) -> list[Json]:
    """The accessible-resources answer: the sites a grant covers."""
    scopes = [scope for scope in grant.scopes if scope != "offline_access"]
    return [
        {
            "id": site.cloud_id,
            "url": site.url,
            "name": site.name,
            "scopes": scopes,
            "avatarUrl": f"{site.url}/avatars/240/site.png",
        }
        for site in sites
        if site.cloud_id in grant.resources
    ]
