"""Azure DevOps' deliveries: Azure's service hooks about repositories, builds and runs. Pure.

Nothing is signed, and `git.pullrequest.merged` only means that a merge was tried: a delivery says what to read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from connectors.azure_devops.config import AzureDevOpsConfig
from connectors.azure_hooks import WEBHOOKS, handshake, verify
from connectors.contract import BadPayload, CodeHint, CodeKind, CodeRef, Ignored, RawDelivery, RefKind, Signal

__all__ = ["EVENTS", "WEBHOOKS", "handshake", "parse", "verify"]

COMMENT = "ms.vss-code.git-pullrequest-comment-event"
RUN = "ms.vss-pipelines.run-state-changed-event"

PULLS = ("git.pullrequest.created", "git.pullrequest.updated", "git.pullrequest.merged")

EVENTS: Mapping[CodeKind, Mapping[str, tuple[str, ...]]] = {
    CodeKind.PUSH: {"tfs": ("git.push",)},
    CodeKind.PULL_REQUEST: {"tfs": (*PULLS, COMMENT)},
    CodeKind.PIPELINE: {"tfs": ("build.complete",), "pipelines": (RUN,)},
    CodeKind.DEPLOYMENT: {"tfs": ("build.complete",)},
}
"""What is followed -> publisher -> its events. A deployment is part of a run, whose end tells of it."""


KINDS: Mapping[str, frozenset[CodeKind]] = {
    event: frozenset(
        kind for kind, publishers in EVENTS.items() if any(event in events for events in publishers.values())
    )
    for publishers in EVENTS.values()
    for events in publishers.values()
    for event in events
}
"""Event -> what it may tell of."""


class _Repository(msgspec.Struct):
    id: str


class _Pull(msgspec.Struct, rename="camel"):
    pull_request_id: int
    repository: _Repository | None = None


class _Run(msgspec.Struct):
    id: int


class _Resource(msgspec.Struct, rename="camel"):
    """Of each event something else."""

    id: int | None = None
    push_id: int | None = None
    pull_request_id: int | None = None
    repository: _Repository | None = None
    pull_request: _Pull | None = None
    run: _Run | None = None


class _Project(msgspec.Struct):
    id: str = ""


class _Containers(msgspec.Struct):
    project: _Project = msgspec.field(default_factory=_Project)


class _Body(msgspec.Struct, rename="camel"):
    event_type: str
    resource: _Resource | None = None
    resource_containers: _Containers = msgspec.field(default_factory=_Containers)


class _Event(msgspec.Struct, rename="camel"):
    event_type: str


def parse(delivery: RawDelivery, config: AzureDevOpsConfig) -> Sequence[Signal]:
    """What to read again, of what is followed. Raises BadPayload."""
    try:
        event = msgspec.json.decode(delivery.body, type=_Event).event_type
        if event not in _REFERENCES:
            return [Ignored("unsupported", event)]
        if not KINDS[event] & config.kinds():
            return [Ignored("not_followed", event)]
        body = msgspec.json.decode(delivery.body, type=_Body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadPayload(f"Azure's service hook has an unexpected shape: {error}") from None
    reference = _REFERENCES[event](body, body.resource or _Resource())
    if reference is None:
        raise BadPayload(f"Azure's {event} does not say what it is about")
    return [CodeHint(reference)]


def _push(body: _Body, resource: _Resource) -> CodeRef | None:
    if resource.push_id is None or resource.repository is None:
        return None
    return CodeRef(resource.repository.id, RefKind.PUSH, str(resource.push_id))


def _pull(body: _Body, resource: _Resource) -> CodeRef | None:
    """A comment's resource holds its pull request; the others are one."""
    inner = resource.pull_request
    number = inner.pull_request_id if inner else resource.pull_request_id
    home = inner.repository if inner else resource.repository
    return CodeRef(home.id, RefKind.CHANGE, str(number)) if home and number is not None else None


def _run(body: _Body, resource: _Resource) -> CodeRef | None:
    """Builds and runs have the same numbers, and do not say of which repository they are: only of which project."""
    number, project = resource.run.id if resource.run else resource.id, body.resource_containers.project.id
    return CodeRef("", RefKind.RUN, f"{project}/{number}") if project and number is not None else None


_REFERENCES = {"git.push": _push, **dict.fromkeys((*PULLS, COMMENT), _pull), "build.complete": _run, RUN: _run}
