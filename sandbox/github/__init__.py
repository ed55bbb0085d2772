"""A fake GitHub: repositories with pull requests, deployments, runs and releases; tokens, a GitHub App, webhooks."""

from sandbox.github.app import APP_ID, INSTALLATION, App
from sandbox.github.sandbox import GitHubSandbox

__all__ = ["APP_ID", "INSTALLATION", "App", "GitHubSandbox"]
