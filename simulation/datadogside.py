"""Datadog on the conformance kit's bench."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import connectors.datadog
from connectors.contract import Measured, Point, Series
from connectors.datadog import DatadogConnector
from connectors.kit.watchpeople import Wrong
from sandbox.datadog import APPLICATION_KEY, DatadogSandbox, Going
from sandbox.vendor import API_TOKEN, TrackerSandbox
from simulation.machine import START
from simulation.monitorside import MonitorSide

MONITOR = 1002
"""The fake's monitor without groups."""

SLOTS = ((1003, "service:orders"), (1004, "*"))
"""What deeds are done to: a group of a monitor, and one without groups."""

FIRST, WORSE = "Warn", "Alert"
SEVERITIES = {FIRST: "medium", WORSE: "high"}
"""Of monitors without a priority."""

SETTLED = timedelta(minutes=20)
"""What is older is not told otherwise any more, and has been read by a poll of now."""

EDGE = timedelta(hours=1)
"""Within it of the beginning of a history it depends on the moment of reading what is read."""

MINUTE = 60

CPU = {"name": "cpu", "query": "avg:system.cpu.user{*} by {env}"}
QUEUE = {"name": "queue_time", "query": "avg:queue.time{*} by {env}", "rollup_seconds": MINUTE}


@dataclass(frozen=True, slots=True)
class Read:
    """A metric of the config: the fake's name of it, what it is to be here, and since when it is read. Values are
    multiplied by `scale`; a point stands for `step` seconds."""

    metric: str
    name: str
    unit: str
    scale: float
    step: int
    since: datetime


class DatadogSide(MonitorSide):
    """People at an organization whose monitors tell the webhook by a rule."""

    name = "datadog"
    connector_class = DatadogConnector
    sandbox_class = DatadogSandbox
    fixtures = Path(connectors.datadog.__file__).with_name("fixtures")
    sandbox: DatadogSandbox

    def prepare(self, sandbox: TrackerSandbox) -> None:
        """Monitors without a priority, so that it shows how bad it is."""
        assert isinstance(sandbox, DatadogSandbox)
        told = {"tags": ["team:platform"], "message": "Look into it."}
        grouped = {"by": ("service",), "groups": {}, "query": "avg(last_5m):avg:queue.time{*} by {service} > 2"}
        sandbox.add_monitor("Queues are slow", **told, **grouped)
        sandbox.add_monitor("Disks are full", **told)
        since = START - timedelta(days=1) + EDGE
        self._read = [Read("system.cpu.user", "cpu", "percent", 1.0, 300, since)]

    def config(self) -> dict[str, Any]:
        """All monitors, one metric."""
        return {"poll_seconds": 60, "monitors": ["*"], "metrics": [CPU], "route": "team:platform", "history_days": 1}

    def api_token(self) -> dict[str, Any]:
        """Both keys."""
        return {"api_key": API_TOKEN, "application_key": APPLICATION_KEY}

    def happen(self) -> None:
        """The monitor fires, or says so again."""
        self.sandbox.trigger(MONITOR)

    # --- what goes on there -------------------------------------------------------------------------

    def deeds(self) -> Mapping[str, Callable[[int], object]]:
        """All that is done to monitors; numbers are measured by themselves."""
        do = self.sandbox
        of: dict[str, Callable[[int, str], object]] = {
            "fire": partial(do.trigger, state=FIRST),
            "worsen": partial(do.trigger, state=WORSE),
            "repeat": do.renotify,
            "recover": do.recover,
            "mute": do.mute,
        }
        whole = {"remove": do.delete_monitor, "call": self._call}
        return {
            **{deed: partial(_to_group, how) for deed, how in of.items()},
            **{deed: partial(_to_monitor, how) for deed, how in whole.items()},
        }

    def _call(self, monitor: int) -> None:
        self.sandbox.monitors[monitor].name += ", as they say"

    def wrongs(self) -> list[Wrong]:
        """By the fake's journal."""
        titles = {number: monitor.name for number, monitor in self.sandbox.monitors.items()}
        return [self._wrong(going, titles.get(going.monitor, "")) for going in self.sandbox.goings]

    def _wrong(self, going: Going, title: str) -> Wrong:
        ended = None if going.ended is None else datetime.fromtimestamp(going.ended, UTC)
        return Wrong(
            monitor=str(going.monitor),
            scope=going.group.removeprefix("*"),
            title=title,
            severity=SEVERITIES[going.states[-1]],
            url=f"https://app.datadoghq.com/monitors/{going.monitor}",
            opened_at=datetime.fromtimestamp(going.began, UTC),
            resolved_at=ended,
        )

    def measured(self) -> list[Measured]:
        """What the fake's metrics are at each step."""
        return [one for read in self._read for one in self._series(read)]

    def _series(self, read: Read) -> Iterator[Measured]:
        metric = self.sandbox.metrics[read.metric]
        begin = ceil(read.since.timestamp() / read.step) * read.step
        steps = range(begin, int((self.now() - SETTLED).timestamp()), read.step)
        for number, env in enumerate(metric.tags["env"]):
            values = [(at, metric.told(at, read.step, number, len(metric.tags["env"]))) for at in steps]
            points = [Point(datetime.fromtimestamp(at, UTC), None if v is None else v * read.scale) for at, v in values]
            yield Measured(Series("", read.name, read.unit, dimensions={"env": env}), points)

    def grow(self, count: int) -> Mapping[str, Any]:
        """A metric with a point for each minute of some days, now and then without a value."""
        days = ceil(count * MINUTE / timedelta(days=1).total_seconds())
        self.sandbox.add_metric("queue.time", level=250.0, swing=50.0, unit="millisecond", holes=7)
        since = self.now() - timedelta(days=days) + EDGE
        self._read.append(Read("queue.time", "queue_time", "seconds", 0.001, MINUTE, since))
        return {"metrics": [CPU, QUEUE], "history_days": days}

    def too_much(self) -> Mapping[str, Any]:
        """There are two series."""
        return {"max_series": 1}


def _to_group(how: Callable[[int, str], object], slot: int) -> None:
    how(*SLOTS[slot])


def _to_monitor(how: Callable[[int], object], slot: int) -> None:
    how(SLOTS[slot][0])
