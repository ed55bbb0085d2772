"""Bitbucket Cloud: see README.md for what this connector does."""

from connectors.bitbucket.connector import BitbucketConnector

__all__ = ["BitbucketConnector"]
