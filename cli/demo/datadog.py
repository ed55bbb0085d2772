"""The demo's Datadog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from cli.demo.vendor import KitVendor
from sandbox.datadog import APPLICATION_KEY, DatadogSandbox
from sandbox.vendor import API_TOKEN

OK = "OK"

GROUPS = {
    "Payments are slow": ("service:payments,zone:eu", "service:payments,zone:us"),
    "CPU is high": ("*",),
    "Queue is long": ("queue:mail", "queue:exports"),
}
"""Monitor -> the groups that go wrong."""

SEVERITIES = {1: "critical", 2: "high", 3: "medium", 4: "low", 5: "low", None: "high"}
"""A monitor's priority -> ours, written from what people see."""


@dataclass(frozen=True)
class Wrong:
    """A group of a monitor as Datadog has it. `scope` is the group's tags, empty for a monitor without groups."""

    monitor: int
    scope: str
    title: str
    severity: str
    fires: bool
    ended: datetime | None


class DatadogTool(KitVendor):
    """An organization with three monitors and a metric, connected with both keys; one rule tells us of all."""

    kind = "monitors"
    type = "datadog"
    label = "Datadog"
    endpoint_names: ClassVar = ("datadoghq.com",)

    def __init__(self, seed: int, items: int) -> None:
        """However many items tools start with."""
        super().__init__(seed, items)
        self.sandbox: DatadogSandbox = DatadogSandbox(seed=seed)
        self.sandbox.add_monitor(
            "Queue is long",
            query="avg(last_5m):avg:queue.length{env:prod} by {queue} > 1000",
            message="Nobody works it off.",
            tags=["team:payments"],
            priority=1,
            by=("queue",),
            groups={},
        )
        for monitor in self.sandbox.monitors.values():
            monitor.tags.append("env:prod")
            for group in GROUPS[monitor.name]:
                monitor.group(group)

    def connection(self, service_line_id: str) -> dict[str, Any]:
        """Two days of history are two calls of the forty that the limits allow at once."""
        config = {
            "monitors": ["*"],
            "route": "env:prod",
            "metrics": [{"name": "cpu", "query": "avg:system.cpu.user{*} by {env}"}],
            "history_days": 2,
            "default_service_line": service_line_id,
            "poll_seconds": 10,
        }
        return {"config": config, "credentials": {"api_key": API_TOKEN, "application_key": APPLICATION_KEY}}

    def wrong(self) -> Mapping[tuple[int, str], Wrong]:
        """Every group of every monitor that ever went wrong, by monitor and scope."""
        with self.sandbox.tracker.lock:
            return {
                (monitor.id, _scope(group.name)): Wrong(
                    monitor.id,
                    _scope(group.name),
                    monitor.name,
                    SEVERITIES[monitor.priority],
                    group.status != OK,
                    _time(group.last_resolved_ts) if group.status == OK else None,
                )
                for monitor in self.sandbox.monitors.values()
                for group in monitor.groups.values()
                if group.last_triggered_ts is not None
            }


def _scope(group: str) -> str:
    return "" if group == "*" else group


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
