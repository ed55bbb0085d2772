"""A fake Microsoft Teams: see `sandbox`."""

from sandbox.microsoft_teams.sandbox import TeamsSandbox

__all__ = ["TeamsSandbox"]
