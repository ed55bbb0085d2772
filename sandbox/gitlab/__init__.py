"""A stateful fake GitLab (API v4, OAuth with rotating tokens, webhooks that are signed, logged, paused and resent)."""

from sandbox.gitlab.sandbox import GitLabSandbox, Settings

__all__ = ["GitLabSandbox", "Settings"]
