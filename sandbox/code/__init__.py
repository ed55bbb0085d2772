"""What all fake source control vendors share: the host's state, ready-made histories, and the base of a sandbox."""

from sandbox.code.host import CodeHost
from sandbox.code.values import Deed, Deployment, Kind, Pull, Push, Release, Repo, Review, Run
from sandbox.code.vendor import OWNER, REPOSITORIES, CodeSandbox

__all__ = [
    "OWNER",
    "REPOSITORIES",
    "CodeHost",
    "CodeSandbox",
    "Deed",
    "Deployment",
    "Kind",
    "Pull",
    "Push",
    "Release",
    "Repo",
    "Review",
    "Run",
]
