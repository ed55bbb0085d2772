"""Bitbucket Cloud on the conformance kit's bench."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import connectors.bitbucket
from connectors.bitbucket import BitbucketConnector
from sandbox.bitbucket import WORKSPACE, BitbucketSandbox
from sandbox.bitbucket.render import uuid
from sandbox.code import Repo
from simulation.codeside import CodeSide


class BitbucketSide(CodeSide):
    """People in a workspace. Nothing there is archived, released, reopened or run again, and of an approval that was
    withdrawn nothing is left to be read."""

    name = "bitbucket"
    connector_class = BitbucketConnector
    sandbox_class = BitbucketSandbox
    token_field = "token"
    delivery_header = "x-request-uuid"
    fixtures = Path(connectors.bitbucket.__file__).with_name("fixtures")
    tells_not = frozenset({"code.release"})
    only_live = frozenset({"code.push"})
    has_not = frozenset({"archive", "dismiss", "release", "reopen", "rerun", "unarchive"})

    def config(self) -> dict[str, Any]:
        """The workspace."""
        return {"workspace": WORKSPACE, **super().config()}

    def repository_id(self, repo: Repo) -> str:
        """A UUID in braces."""
        return uuid("repository", repo.id)

    def happened_in(self, repo: str) -> Counter[str]:
        """There is a deployment for each step that may deploy one day: it happened when it began."""
        homes = (*self.host.repos.values(), *self.host.gone.values())
        made = (one for home in homes if self.repository_id(home) == repo for one in home.deployments.values())
        waiting = (one.sha for one in made if one.state == "queued")
        return super().happened_in(repo) - Counter(f"code.deployment:{sha}" for sha in waiting)
