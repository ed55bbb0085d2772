"""Who is in the demo: one table of all vendors."""

from __future__ import annotations

from cli.demo.boards import BoardsTool
from cli.demo.channel import SlackTool, TeamsTool
from cli.demo.clickup import ClickUpTool
from cli.demo.datadog import DatadogTool
from cli.demo.hosts import BitbucketTool, DevOpsTool, GitHubTool, GitLabTool
from cli.demo.jira import JiraTool
from cli.demo.linear import LinearTool
from cli.demo.sonarcloud import SonarCloudTool
from cli.demo.vendor import Vendor

VENDORS: tuple[type[Vendor], ...] = (
    JiraTool,
    LinearTool,
    ClickUpTool,
    BoardsTool,
    GitHubTool,
    GitLabTool,
    BitbucketTool,
    DevOpsTool,
    DatadogTool,
    SonarCloudTool,
    SlackTool,
    TeamsTool,
)
"""A vendor of each integration type."""

USUAL: tuple[type[Vendor], ...] = (JiraTool, LinearTool, GitHubTool)
"""Those that the demo shows unless everything is asked for."""
