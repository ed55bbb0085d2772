"""A stateful fake Jira Cloud (REST v3, OAuth 2.0 3LO, dynamic and admin webhooks)."""

from sandbox.jira.model import ApiToken, Issue, JiraError, Project, Settings, User
from sandbox.jira.people import Person
from sandbox.jira.sandbox import JiraSandbox
from sandbox.jira.site import JiraSite
from sandbox.oauth import OAuthApp
from sandbox.vendor import CLIENT_ID, CLIENT_SECRET

__all__ = [
    "CLIENT_ID",
    "CLIENT_SECRET",
    "ApiToken",
    "Issue",
    "JiraError",
    "JiraSandbox",
    "JiraSite",
    "OAuthApp",
    "Person",
    "Project",
    "Settings",
    "User",
]
