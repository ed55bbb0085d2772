"""What a GitLab integration is configured with, and with what it may call."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from connectors.contract import CodeSyncConfig, Credentials

# GitLab's own rule for the parts of a path: letters, digits, `_`, `-`, `.`, and no such mark at the beginning.
_PATH = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"
Path = Annotated[str, StringConstraints(pattern=_PATH, max_length=255)]


class GitLabConfig(CodeSyncConfig):
    """A group, and which of the projects in it and below."""

    group: Path = Field(description="The group's (or user's) path: what follows the host in its address.")
    repositories: list[Path] = Field(
        default_factory=list, description="Project paths below the group; none: all there are, in subgroups too."
    )

    def path(self, repository: str) -> str:
        """A project's full path."""
        return f"{self.group}/{repository}"


class AccessToken(Credentials):
    """A project, group or personal access token."""

    token: SecretStr = Field(min_length=1)

    def authorization(self) -> str:
        """The `Authorization` header: GitLab takes its own tokens there, too."""
        return f"Bearer {self.token.get_secret_value()}"
