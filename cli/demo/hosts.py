"""The code hosts of the demo, one class each."""

from __future__ import annotations

from typing import Any, ClassVar

from cli.demo.host import CodeHostTool
from sandbox.azure_boards import ORGANIZATION
from sandbox.azure_devops import AzureDevOpsSandbox
from sandbox.azure_devops.forms import APEX
from sandbox.bitbucket import BitbucketSandbox
from sandbox.code import OWNER
from sandbox.github import GitHubSandbox
from sandbox.gitlab import GitLabSandbox
from sandbox.vendor import API_TOKEN

TOKEN: dict[str, Any] = {"token": API_TOKEN}


class GitHubTool(CodeHostTool):
    """An organization. GitHub allows 1.3 calls a second in the long run: a poll costs ten, a merge five."""

    type = "github"
    label = "GitHub"
    sandbox_class = GitHubSandbox
    poll_seconds = 30
    pause = (2.5, 4.5)
    told_on_merge = ("pull_request", 1)

    def config(self) -> dict[str, Any]:
        """With pipelines."""
        return {
            "organization": OWNER,
            "events": ["push", "pull_request", "deployment", "workflow_run", "release"],
        }

    def credentials(self) -> dict[str, Any]:
        """A token."""
        return TOKEN


class GitLabTool(CodeHostTool):
    """A group. GitLab allows 33 calls a second."""

    type = "gitlab"
    label = "GitLab"
    sandbox_class = GitLabSandbox
    poll_seconds = 15
    pause = (2.0, 4.0)
    told_on_merge = ("Merge Request Hook", 1)

    def config(self) -> dict[str, Any]:
        """The group."""
        return {"group": OWNER}

    def credentials(self) -> dict[str, Any]:
        """A token."""
        return TOKEN


class BitbucketTool(CodeHostTool):
    """A workspace. Bitbucket allows a thousand calls an hour, of which polls and a merge cost about six each."""

    type = "bitbucket"
    label = "Bitbucket"
    endpoint_names: ClassVar = ("api", "web")
    sandbox_class = BitbucketSandbox
    poll_seconds = 120
    pause = (6.0, 12.0)
    told_on_merge = ("pullrequest:fulfilled", 1)

    def config(self) -> dict[str, Any]:
        """The workspace."""
        return {"workspace": OWNER}

    def credentials(self) -> dict[str, Any]:
        """An access token."""
        return TOKEN


class DevOpsTool(CodeHostTool):
    """An organization with one project. Azure allows three calls a second."""

    type = "azure_devops"
    label = "Azure DevOps"
    endpoint_names: ClassVar = ("api", "login")
    sandbox_class = AzureDevOpsSandbox
    poll_seconds = 20
    pause = (3.0, 6.0)
    told_on_merge = ("git.pullrequest.*", 2)

    def config(self) -> dict[str, Any]:
        """The organization and its project."""
        return {"organization": ORGANIZATION, "projects": [APEX]}

    def credentials(self) -> dict[str, Any]:
        """A personal access token."""
        return {"personal_access_token": API_TOKEN}
