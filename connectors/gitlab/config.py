"""What a GitLab integration is configured with, and with what it may call."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SecretStr, StringConstraints, model_validator

from connectors.contract import CodeSyncConfig, Credentials, ProjectMapping, TaskSyncConfig

TASK_CAPABILITIES = frozenset({"task_source", "task_sink", "users", "vocabulary"})

# GitLab's own rule for the parts of a path: letters, digits, `_`, `-`, `.`, and no such mark at the beginning.
_PATH = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"
Path = Annotated[str, StringConstraints(pattern=_PATH, max_length=255)]


class GitLabConfig(CodeSyncConfig, TaskSyncConfig):
    """A group, and which of the projects in it and below. With `sync_issues` their issues are tasks, too: then
    `projects[].external` is a project's path below the group, and labels are the words of statuses and priorities."""

    group: Path = Field(description="The group's (or user's) path: what follows the host in its address.")
    repositories: list[Path] = Field(
        default_factory=list, description="Project paths below the group; none: all there are, in subgroups too."
    )

    sync_issues: bool = Field(False, description="Keep the projects' issues and the tasks here the same.")
    projects: list[ProjectMapping] = Field(
        default_factory=list, description="Whose issues; none: those of `repositories`."
    )

    @model_validator(mode="before")
    @classmethod
    def _issues_of_the_repositories(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not given.get("sync_issues") or given.get("projects"):
            return given
        names = given.get("repositories") or []
        if not isinstance(names, list) or not names:
            raise ValueError("to sync issues, name the projects in `projects` or `repositories`")
        return {**given, "projects": [{"external": name} for name in names]}

    def without(self) -> frozenset[str]:
        """Nothing is asked of issues that are not synced."""
        return frozenset() if self.sync_issues else TASK_CAPABILITIES

    def path(self, repository: str) -> str:
        """A project's full path."""
        return f"{self.group}/{repository}"


class AccessToken(Credentials):
    """A project, group or personal access token."""

    token: SecretStr = Field(min_length=1)

    def authorization(self) -> str:
        """The `Authorization` header: GitLab takes its own tokens there, too."""
        return f"Bearer {self.token.get_secret_value()}"
