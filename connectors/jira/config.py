"""What a Jira integration is configured with, and the credentials it can use."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from connectors import contract as c
from connectors.credentials import EmailToken, OAuthTokens
from connectors.sites import site_address


class JiraConfig(c.TaskSyncConfig):
    """One Jira Cloud site, and which of its projects.

    `projects[].external` is a project key. Statuses and priorities are named by their id, or by their name in any
    case. Without maps Jira's own categories and the usual names decide (see README.md).
    """

    site_url: str = Field(description="The site as people open it, such as https://acme.atlassian.net.")
    issue_type: str = Field("Task", min_length=1, description="Type of the issues created; a name or an id.")
    resolution: str = Field("Done", min_length=1, description="Set when finishing an issue asks for one.")
    cancelled_resolution: str = Field(
        "Won't Do", min_length=1, description="Set when cancelling an issue asks for one."
    )
    allow_multi_hop: bool = Field(False, description="Take up to 3 transitions when none leads to the status directly.")
    page_size: int = Field(100, ge=1, le=1000, description="Issues asked for at once.")
    overlap_minutes: int = Field(5, ge=1, le=1440, description="How far each poll looks back before the last change.")
    jql_time: Literal["relative", "absolute"] = Field(
        "relative", description="How polls name their start: minutes ago, or a time in the account's own zone."
    )

    told_apart: ClassVar[tuple[c.Status, ...]] = (c.Status.DONE, c.Status.CANCELLED)  # by the resolution
    container_form = r"[A-Z][A-Z0-9_]{1,254}"
    container_hint = "a project key; Jira shows it before the number: APEX-12"

    @field_validator("site_url")
    @classmethod
    def _is_a_site(cls, value: str) -> str:
        return site_address(value, "https://name.atlassian.net")


class OAuthCredentials(OAuthTokens):
    """OAuth 2.0 (3LO)."""

    cloud_id: str | None = Field(None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    account_id: str | None = None
    site_url: str | None = None


class BasicCredentials(EmailToken):
    """An API token."""

    account_id: str | None = None
