"""A fake Bitbucket Cloud: a workspace with repositories, pull requests, pipelines, deployments and webhooks."""

from sandbox.bitbucket.sandbox import WORKSPACE, BitbucketSandbox, Settings

__all__ = ["WORKSPACE", "BitbucketSandbox", "Settings"]
