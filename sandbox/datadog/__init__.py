"""A fake Datadog organization: monitors that people make fire, metrics that are functions of time, and webhooks."""

from sandbox.datadog.metrics import Metric
from sandbox.datadog.monitors import Going, Monitor
from sandbox.datadog.sandbox import APPLICATION_KEY, DatadogSandbox, Settings

__all__ = ["APPLICATION_KEY", "DatadogSandbox", "Going", "Metric", "Monitor", "Settings"]
