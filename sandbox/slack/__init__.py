"""A fake Slack: see `sandbox`."""

from sandbox.slack.sandbox import SlackSandbox

__all__ = ["SlackSandbox"]
