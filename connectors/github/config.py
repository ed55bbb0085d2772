"""What a GitHub integration is configured with."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, SecretStr, StringConstraints, model_validator

from connectors.contract import CodeKind, CodeSyncConfig, Credentials, ProjectMapping, TaskSyncConfig

# GitHub's own rules: logins and organizations have up to 39 characters (managed users add "_company"), repositories
# up to 100. A repository is named without its owner.
Login = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]
RepositoryName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]


class Event(StrEnum):
    """The webhook events, as GitHub names them."""

    PUSH = "push"
    PULL_REQUEST = "pull_request"
    PULL_REQUEST_REVIEW = "pull_request_review"
    PULL_REQUEST_REVIEW_COMMENT = "pull_request_review_comment"
    ISSUE_COMMENT = "issue_comment"
    DEPLOYMENT = "deployment"
    DEPLOYMENT_STATUS = "deployment_status"
    WORKFLOW_RUN = "workflow_run"
    RELEASE = "release"
    ISSUES = "issues"


KINDS: Mapping[Event, CodeKind] = {
    Event.PUSH: CodeKind.PUSH,
    Event.PULL_REQUEST: CodeKind.PULL_REQUEST,
    Event.PULL_REQUEST_REVIEW: CodeKind.PULL_REQUEST,
    Event.DEPLOYMENT: CodeKind.DEPLOYMENT,
    Event.DEPLOYMENT_STATUS: CodeKind.DEPLOYMENT,
    Event.WORKFLOW_RUN: CodeKind.PIPELINE,
    Event.RELEASE: CodeKind.RELEASE,
}
"""What following an event means. Pull requests are followed with their reviews, deployments with their statuses; of
comments and issues nothing is read."""


TASK_CAPABILITIES = frozenset({"task_source", "task_sink", "vocabulary"})


class GitHubConfig(CodeSyncConfig, TaskSyncConfig):
    """Which repositories, and what of them. With `sync_issues` their issues are tasks, too: then `projects[].external`
    is a repository's name, and labels are the words of statuses and priorities."""

    organization: Login = Field(description="The organization or user that owns the repositories.")
    repositories: list[RepositoryName] = Field(
        default_factory=list, description="Names without the owner; none: all there are."
    )
    # The type is another than the base's on purpose: GitHub's words, as the platform's own sample has them, where other
    # vendors' configs have ours. Nobody but `kinds` reads them.
    events: list[Event] = Field(  # type: ignore[assignment]
        default_factory=lambda: list(KINDS), min_length=1, description="What to follow, as GitHub names webhook events."
    )

    sync_issues: bool = Field(False, description="Keep the repositories' issues and the tasks here the same.")
    projects: list[ProjectMapping] = Field(
        default_factory=list, description="Whose issues; none: those of `repositories`."
    )

    @model_validator(mode="before")
    @classmethod
    def _issues_of_the_repositories(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not given.get("sync_issues") or given.get("projects"):
            return given
        names = given.get("repositories")
        if not isinstance(names, list) or not names:
            raise ValueError("to sync issues, name the repositories in `projects` or `repositories`")
        return {**given, "projects": [{"external": name} for name in names]}

    def without(self) -> frozenset[str]:
        """Nothing is asked of issues that are not synced."""
        return frozenset() if self.sync_issues else TASK_CAPABILITIES

    def kinds(self) -> frozenset[CodeKind]:
        """What is followed, in the words of all vendors."""
        return frozenset(KINDS[event] for event in self.events if event in KINDS)


class InstallationCredentials(Credentials):
    """The GitHub App's installation in the organization; GitHub names the id when the App is installed."""

    model_config = ConfigDict(coerce_numbers_to_str=True)  # GitHub's own API gives the id as a number

    installation_id: str = Field(pattern=r"^[1-9][0-9]{0,18}$")


class TokenCredentials(Credentials):
    """A personal access token, classic or fine-grained."""

    token: SecretStr = Field(min_length=1)
