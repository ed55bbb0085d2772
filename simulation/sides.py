"""Which fake vendors there are: the built-in ones, and those of plugins found by their entry points.

Those with items can be simulated. Those with code, alerts, measures or messages alone are only judged by the
conformance kit: what they tell are facts, and what they are told nobody edits at both ends.
"""

from __future__ import annotations

import importlib.metadata
from importlib.metadata import EntryPoint

from simulation.stage import MakeVendor

SIDES = {  # one line a vendor
    "toy": "simulation.toyside:ToySide",
    "jira": "simulation.jiraside:JiraSide",
    "azure_boards": "simulation.azureboardsside:AzureBoardsSide",
    "clickup": "simulation.clickupside:ClickUpSide",
    "linear": "simulation.linearside:LinearSide",
    "github": "simulation.githubside:GitHubSide",
    "gitlab": "simulation.gitlabside:GitLabSide",
}

CODE_SIDES = {  # one line a vendor
    "azure_devops": "simulation.azuredevopsside:AzureDevOpsSide",
    "bitbucket": "simulation.bitbucketside:BitbucketSide",
}

MONITOR_SIDES = {  # one line a vendor
    "datadog": "simulation.datadogside:DatadogSide",
    "sonarcloud": "simulation.sonarcloudside:SonarCloudSide",
}

NOTIFIER_SIDES = {  # one line a vendor
    "slack": "simulation.slackside:SlackSide",
    "microsoft_teams": "simulation.teamsside:TeamsSide",
}

ENTRY_POINTS = "turnbuckle.sandboxes"
"""A plugin's name -> a `(clock, machine) -> SimulatedVendor`: a subclass of `SandboxSide`, `CodeSide`,
`MonitorSide`, or of `NotifierSide`."""


class UnknownSide(LookupError):
    """There is no such vendor to simulate; the text names those there are."""


def names() -> list[str]:
    """What can be simulated, the built-in ones first. A plugin never takes a built-in one's place."""
    return [*SIDES, *(point.name for point in _plugins() if point.name not in SIDES)]


def side(name: str) -> MakeVendor:
    """The factory of a vendor's side. Raises UnknownSide, and what a plugin raises when it is imported."""
    built_in = {**SIDES, **CODE_SIDES, **MONITOR_SIDES, **NOTIFIER_SIDES}
    if name in built_in:
        return _loaded(EntryPoint(name, built_in[name], ENTRY_POINTS))
    for point in _plugins():
        if point.name == name:
            return _loaded(point)
    raise UnknownSide(f"There is no vendor {name!r} to simulate; there are: {', '.join(names())}.")


def _loaded(point: EntryPoint) -> MakeVendor:
    made: MakeVendor = point.load()
    return made


def _plugins() -> list[EntryPoint]:
    return sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
