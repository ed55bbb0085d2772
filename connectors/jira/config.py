"""What a Jira integration is configured with, and the credentials it can use."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.contract import Credentials, Priority, Status, TaskSyncConfig
from connectors.words import folded

T = TypeVar("T", Status, Priority)

_KEY = re.compile(r"[A-Z][A-Z0-9_]{1,254}")


class JiraConfig(TaskSyncConfig):
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

    @field_validator("site_url")
    @classmethod
    def _is_a_site(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.path.strip("/"):
            raise ValueError("write the site as https://name.atlassian.net, without anything behind it")
        if parts.query or parts.fragment or (parts.scheme == "http" and not _near(parts.hostname)):
            raise ValueError("the site must be an https address")
        return value.rstrip("/").lower()

    @model_validator(mode="after")
    def _projects_are_keys(self) -> Self:
        for project in self.projects:
            if not _KEY.fullmatch(project.external):
                raise ValueError(f"{project.external!r} is not a project key; Jira shows it before the number: APEX-12")
        return self

    @model_validator(mode="after")
    def _maps_are_stable(self) -> Self:
        """What is written as one of our values must read back as that value."""
        _stable("status", self.status_map, self.status_out, may_share={Status.DONE, Status.CANCELLED})
        _stable("priority", self.priority_map, self.priority_out, may_share=set())
        return self


def _near(host: str) -> bool:
    """This machine or a name without a domain: a sandbox. Everything public is https only."""
    return "." not in host or host.startswith("127.")


def _stable(what: str, read: dict[str, T], written: dict[T, str], may_share: set[T]) -> None:
    back = {folded(name): value for name, value in read.items()}
    taken: dict[str, T] = {}
    for value, name in written.items():
        if back.get(folded(name), value) is not value:
            text = f"{what}_out writes {value} as {name!r}, but {what}_map reads {name!r} as {back[folded(name)]}"
            raise ValueError(f"{text}; make them agree")
        other = taken.setdefault(folded(name), value)
        if other is not value and {other, value} != may_share:
            raise ValueError(f"{what}_out writes both {other} and {value} as {name!r}, which can't be told apart again")


class OAuthCredentials(Credentials):
    """OAuth 2.0 (3LO). All but the app's own two are filled in by the consent flow."""

    client_id: str | None = None
    client_secret: SecretStr | None = None
    access_token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    expires_at: datetime | None = None
    cloud_id: str | None = Field(None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    account_id: str | None = None
    site_url: str | None = None


class BasicCredentials(Credentials):
    """An API token and the email of the account it belongs to."""

    email: str = Field(min_length=3)
    api_token: SecretStr = Field(min_length=1)
    account_id: str | None = None
