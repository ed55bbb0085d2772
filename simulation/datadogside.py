"""Datadog on the conformance kit's bench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import connectors.datadog
from connectors.datadog import DatadogConnector
from sandbox.datadog import APPLICATION_KEY, DatadogSandbox
from sandbox.vendor import API_TOKEN
from simulation.monitorside import MonitorSide

MONITOR = 1002
"""The fake's monitor without groups."""


class DatadogSide(MonitorSide):
    """People at an organization whose monitors tell the webhook by a rule."""

    name = "datadog"
    connector_class = DatadogConnector
    sandbox_class = DatadogSandbox
    fixtures = Path(connectors.datadog.__file__).with_name("fixtures")
    sandbox: DatadogSandbox

    def config(self) -> dict[str, Any]:
        """All monitors, one metric."""
        metric = {"name": "cpu", "query": "avg:system.cpu.user{*} by {env}"}
        return {"poll_seconds": 60, "monitors": ["*"], "metrics": [metric], "route": "team:platform", "history_days": 1}

    def api_token(self) -> dict[str, Any]:
        """Both keys."""
        return {"api_key": API_TOKEN, "application_key": APPLICATION_KEY}

    def happen(self) -> None:
        """The monitor fires, or says so again."""
        self.sandbox.trigger(MONITOR)
