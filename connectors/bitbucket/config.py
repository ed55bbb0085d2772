"""What a Bitbucket Cloud integration is configured with, and the credentials it can use."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from connectors.contract import CodeSyncConfig, Credentials

CLOUD = "bitbucket.org"

DATA_CENTER = (
    "{host} is no address of Bitbucket Cloud. This connector speaks to bitbucket.org only; Bitbucket Data Center and "
    "Server are another product with another API, and are not supported."
)

_SLUG = re.compile(r"[A-Za-z0-9._-]{1,62}")
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


class BitbucketConfig(CodeSyncConfig):
    """One workspace, and which of its repositories. Polling is hourly by default: webhooks bring what happens at once,
    and a poll of a repository costs four of the thousand calls there are in an hour."""

    workspace: str = Field(
        pattern=r"^([A-Za-z0-9_-]{1,62}|\{[0-9a-fA-F-]{36}\})$",
        description="What follows bitbucket.org/ in the address; or the workspace's id, in braces.",
    )
    poll_seconds: int = Field(3600, ge=5, le=86_400)
    overlap_minutes: int = Field(15, ge=1, le=1440, description="How far each poll looks back before what it knows.")

    @model_validator(mode="before")
    @classmethod
    def _is_in_the_cloud(cls, given: Any) -> Any:
        """Addresses are refused in words: whoever enters one may have the other Bitbucket."""
        for address in _addresses(given):
            host = urlsplit(address).hostname or address
            if host != CLOUD and not host.endswith("." + CLOUD):
                raise ValueError(DATA_CENTER.format(host=host))
            raise ValueError(f"{address} is an address; of bitbucket.org/apex/shop the workspace is apex")
        return given

    @model_validator(mode="after")
    def _repositories_are_names(self) -> Self:
        for name in self.repositories:
            if not _SLUG.fullmatch(name):
                raise ValueError(f"{name!r} is not a repository's name; of bitbucket.org/apex/shop it is shop")
        return self

    def follows(self, *slugs: str) -> bool:
        """Whether a repository known by one of these names is followed."""
        named = {name.casefold() for name in self.repositories}
        return not named or any(slug.casefold() in named for slug in slugs)


def _addresses(given: Any) -> Iterator[str]:
    values = given.values() if isinstance(given, dict) else ()
    for value in values:
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and _ADDRESS.match(text.strip()):
                yield text.strip()


class AccessTokenCredentials(Credentials):
    """An access token of the workspace, of a project or of a repository: it acts as itself, not as a person."""

    token: SecretStr = Field(min_length=1)

    def authorization(self) -> str:
        """The `Authorization` header."""
        return f"Bearer {self.token.get_secret_value()}"


class ApiTokenCredentials(Credentials):
    """A person's API token, with the address of their Atlassian account."""

    email: str = Field(min_length=3, pattern=r"^[^:\s]+@[^:\s]+$")
    api_token: SecretStr = Field(min_length=1)

    def authorization(self) -> str:
        """The `Authorization` header."""
        pair = f"{self.email}:{self.api_token.get_secret_value()}"
        return "Basic " + b64encode(pair.encode()).decode()
