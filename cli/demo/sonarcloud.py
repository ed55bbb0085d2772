"""The demo's SonarCloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cli.demo.vendor import KitVendor
from sandbox.sonarcloud import ORGANIZATION, SonarCloudSandbox
from sandbox.vendor import API_TOKEN

HISTORY = 10
"""Days of analyses that a project has."""

GATES = {"OK": "passed", "ERROR": "failed", "NONE": "none"}
"""How a gate stands there -> here, written from what people see."""


@dataclass(frozen=True)
class Standing:
    """How the main branch of a project stands: its gate in our words, and its coverage in percent."""

    gate: str
    coverage: float | None


class SonarCloudTool(KitVendor):
    """An organization with two projects, connected with an API key."""

    kind = "quality"
    type = "sonarcloud"
    label = "SonarCloud"
    endpoint_names: ClassVar = ("eu",)

    def __init__(self, seed: int, items: int) -> None:
        """However many items tools start with."""
        super().__init__(seed, items)
        self.sandbox: SonarCloudSandbox = SonarCloudSandbox(seed=seed)
        self.sandbox.plant(HISTORY)

    def connection(self, service_line_id: str) -> dict[str, Any]:
        """The organization, polled as often as its config allows."""
        return {
            "config": {"organization": ORGANIZATION, "poll_seconds": 60},
            "credentials": {"api_key": API_TOKEN},
        }

    def standings(self) -> Mapping[str, Standing]:
        """Every project that was analysed, by its key."""
        with self.sandbox.tracker.lock:
            mains = {key: project.main for key, project in self.sandbox.projects.items()}
            return {
                key: Standing(GATES[branch.gate], float(coverage) if (coverage := newest.value("coverage")) else None)
                for key, branch in mains.items()
                if (newest := branch.newest) is not None
            }
