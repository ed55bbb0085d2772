"""Azure DevOps' deliveries: Azure's service hooks about repositories, builds and runs. Pure.

Nothing is signed, and `git.pullrequest.merged` only means that a merge was tried: a delivery says what to read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from connectors.azure_devops.config import AzureDevOpsConfig
from connectors.azure_hooks import WEBHOOKS, handshake, verify
from connectors.contract import BadPayload, CodeHint, CodeKind, CodeRef, Ignored, RawDelivery, RefKind, Signal

__all__ = ["EVENTS", "WEBHOOKS", "handshake", "parse", "verify", "wanted"]


class _Id(msgspec.Struct):
    id: str | int


class _Pull(msgspec.Struct, rename="camel"):
    pull_request_id: int
    repository: _Id | None = None


class _Resource(msgspec.Struct, rename="camel"):
    """Of each event something else."""

    id: int | None = None
    push_id: int | None = None
    pull_request_id: int | None = None
    repository: _Id | None = None
    pull_request: _Pull | None = None
    run: _Id | None = None


class _Containers(msgspec.Struct):
    project: _Id | None = None


class _Body(msgspec.Struct, rename="camel"):
    resource: _Resource = msgspec.field(default_factory=_Resource)
    resource_containers: _Containers = msgspec.field(default_factory=_Containers)


class _Event(msgspec.Struct, rename="camel"):
    event_type: str


Home = _Id | None
Found = tuple[RefKind, Home, object]
"""What a delivery leads to: its kind, its repository (of a run its project), and its number."""


def _push(body: _Body) -> Found:
    return RefKind.PUSH, body.resource.repository, body.resource.push_id


def _pull(body: _Body) -> Found:
    """A comment's resource holds its pull request; the others are one."""
    pull = body.resource.pull_request or body.resource
    return RefKind.CHANGE, pull.repository, pull.pull_request_id


def _run(body: _Body) -> Found:
    """Builds and runs have the same numbers, and do not say of which repository they are: only of which project."""
    number = body.resource.run.id if body.resource.run else body.resource.id
    return RefKind.RUN, body.resource_containers.project, number


Row = tuple[str, frozenset[CodeKind], Callable[[_Body], Found]]

_PULL: Row = ("tfs", frozenset({CodeKind.PULL_REQUEST}), _pull)

EVENTS: Mapping[str, Row] = {
    "git.push": ("tfs", frozenset({CodeKind.PUSH}), _push),
    "git.pullrequest.created": _PULL,
    "git.pullrequest.updated": _PULL,
    "git.pullrequest.merged": _PULL,
    "ms.vss-code.git-pullrequest-comment-event": _PULL,
    "build.complete": ("tfs", frozenset({CodeKind.PIPELINE, CodeKind.DEPLOYMENT}), _run),
    "ms.vss-pipelines.run-state-changed-event": ("pipelines", frozenset({CodeKind.PIPELINE}), _run),
}
"""Event -> its publisher, what it may tell of, and what to read again. A deployment is part of a run, whose end tells
of it."""


def wanted(config: AzureDevOpsConfig) -> Mapping[str, str]:
    """The events that tell of what is followed -> their publishers; pushes where that is nothing."""
    followed = config.kinds()
    return {event: row[0] for event, row in EVENTS.items() if row[1] & followed} or {"git.push": "tfs"}


def parse(delivery: RawDelivery, config: AzureDevOpsConfig) -> Sequence[Signal]:
    """What to read again, of what is followed. Raises BadPayload."""
    try:
        event = msgspec.json.decode(delivery.body, type=_Event).event_type
        if event not in EVENTS:
            return [Ignored("unsupported", event)]
        _, kinds, read = EVENTS[event]
        if not kinds & config.kinds():
            return [Ignored("not_followed", event)]
        kind, home, number = read(msgspec.json.decode(delivery.body, type=_Body))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadPayload(f"Azure's service hook has an unexpected shape: {error}") from None
    if home is None or number is None:
        raise BadPayload(f"Azure's {event} does not say what it is about")
    if kind is RefKind.RUN:
        return [CodeHint(CodeRef("", kind, f"{home.id}/{number}"))]
    return [CodeHint(CodeRef(str(home.id), kind, str(number)))]
