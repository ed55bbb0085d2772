"""GitLab's deliveries: is one to be believed, and what does it tell. Pure.

Newer servers sign by Standard Webhooks if the hook has a signing token (`whsec_…`); all of them send the secret in a
header. A signature that is there must be right: there is no falling back to the header.

GitLab pauses a hook after four failures in a row and drops it for good after forty, and any 4xx or 5xx is one.

A delivery tells an opened merge request whole. Of everything else it tells less than the API (of a push no time, of a
deployment no sha, of a pipeline not when it began), so that is asked for.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

import msgspec

from connectors.contract import (
    BadPayload,
    ChangeReady,
    CodeEvent,
    CodeHeard,
    CodeHint,
    CodeKind,
    CodeRef,
    Hint,
    Ignored,
    LookAgain,
    RawDelivery,
    RefKind,
    Reply,
    Secrets,
    Signal,
    Verified,
    WebhookFacts,
)
from connectors.gitlab import mapping
from connectors.gitlab.config import GitLabConfig
from connectors.gitlab.reading import push_id
from connectors.gitlab.shapes import User
from connectors.signing import standard_webhooks, token_equal

WEBHOOKS = WebhookFacts(
    accepted=200,
    max_body=25 * 1024 * 1024,  # GitLab's own limit
    renew_before=timedelta(minutes=15),
    headers_kept=("x-gitlab-event", "x-gitlab-event-uuid", "x-gitlab-webhook-uuid", "x-gitlab-instance"),
)

SIGNING = "whsec_"
"""How a signing token begins."""

SUBSCRIBED: Mapping[CodeKind, tuple[str, ...]] = {
    CodeKind.PUSH: ("push_events", "tag_push_events"),
    CodeKind.PULL_REQUEST: ("merge_requests_events", "note_events"),
    CodeKind.DEPLOYMENT: ("deployment_events",),
    CodeKind.PIPELINE: ("pipeline_events",),
    CodeKind.RELEASE: ("releases_events",),
}
"""What a hook is asked to tell of each kind."""

ISSUES_TOLD = ("issues_events", "confidential_issues_events")
"""The same for issues; the second are not among the first."""

TOLD = frozenset({"draft", "work_in_progress", "title", "reviewers"})
"""Of what may change of a merge request, what tells us something: titles mark drafts on older servers."""

Body = TypeVar("Body", bound=msgspec.Struct)


def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
    """Check the signature, or else the token. Raises BadSignature."""
    headers, known = delivery.headers, secrets.get("signing", ())
    event = headers.get("x-gitlab-event") or "unknown"
    tokens = [secret for secret in known if secret.startswith(SIGNING)]
    if tokens and "webhook-signature" in headers:
        id_, time = headers.get("webhook-id"), headers.get("webhook-timestamp")
        standard_webhooks(id_, time, headers["webhook-signature"], delivery.body, tokens, delivery.received_at)
        return Verified(id_, event)  # the id that was signed: another header's could be anything
    token_equal(headers.get("x-gitlab-token"), known)
    return Verified(delivery_key(delivery), event)


def delivery_key(delivery: RawDelivery) -> str | None:
    """GitLab before 17.4 numbers no events: the hook and the body, then. The event's UUID is shared by others."""
    headers = delivery.headers
    told = headers.get("idempotency-key") or headers.get("webhook-id")
    hook = headers.get("x-gitlab-webhook-uuid")
    if told or not hook:
        return told or None
    return f"{hook}/{sha256(delivery.body).hexdigest()}"


def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
    """GitLab has none."""
    return None


def signing_token(secret: str) -> str:
    """The signing token made of a secret; one that is a token already is itself. GitLab takes 32 bytes as base64."""
    if secret.startswith(SIGNING):
        return secret
    return SIGNING + base64.b64encode(sha256(secret.encode()).digest()).decode()


# --- what it tells ----------------------------------------------------------------------------------


class _Project(msgspec.Struct):
    id: int
    default_branch: str | None = None


class _Push(msgspec.Struct):
    ref: str
    before: str
    after: str
    project_id: int
    project: _Project | None = None


class _Request(msgspec.Struct):
    iid: int
    title: str = ""
    url: str = ""
    action: str = ""
    author_id: int | None = None
    source_branch: str = ""
    created_at: str = ""
    draft: bool | None = None
    work_in_progress: bool | None = None


class _RequestBody(msgspec.Struct):
    project: _Project
    object_attributes: _Request
    user: User | None = None
    changes: dict[str, Any] | None = None


class _Note(msgspec.Struct):
    noteable_type: str
    system: bool | None = None
    action: str | None = None


class _NotedRequest(msgspec.Struct):
    iid: int
    author_id: int | None = None


class _NoteBody(msgspec.Struct):
    project_id: int
    object_attributes: _Note
    user: User
    merge_request: _NotedRequest | None = None


class _Numbered(msgspec.Struct):
    id: int


class _Iid(msgspec.Struct):
    iid: int


class _PipelineBody(msgspec.Struct):
    project: _Project
    object_attributes: _Numbered


class _DeploymentBody(msgspec.Struct):
    project: _Project
    deployment_id: int


class _ReleaseBody(msgspec.Struct):
    project: _Project
    tag: str
    action: str = ""


class _IssueBody(msgspec.Struct):
    project: _Project
    object_attributes: _Iid


class _ProjectBody(msgspec.Struct):
    event_name: str
    path_with_namespace: str = ""
    old_path_with_namespace: str | None = None


class _ExpiringToken(msgspec.Struct):
    name: str = ""
    expires_at: str | None = None


class _TokenBody(msgspec.Struct):
    object_attributes: _ExpiringToken


def parse(delivery: RawDelivery, config: GitLabConfig) -> Sequence[Signal]:
    """What a delivery means, by the event its header names. Raises BadPayload."""
    event = delivery.headers.get("x-gitlab-event", "")
    known = EVENTS.get(event)
    if known is None:
        return [Ignored("unsupported", event or "a delivery without X-Gitlab-Event")]
    if known.kind is not None and known.kind not in config.kinds():
        return [Ignored("not_followed", f"{event}: {known.kind} is not among the events of the config")]
    if known.read is _issue and not config.sync_issues:
        return [Ignored("not_followed", f"{event}: sync_issues is off")]
    try:
        return known.read(msgspec.json.decode(delivery.body, type=known.body))
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadPayload(f"GitLab's {event} has an unexpected shape: {error}") from None


def _push(body: _Push) -> list[Signal]:
    """A push tells no time of its own, and 20 of its commits at most."""
    default = body.project.default_branch if body.project else None
    to_default = default is not None and body.ref == f"refs/heads/{default}"
    return [_hint(str(body.project_id), RefKind.PUSH, push_id(body.ref, body.before, body.after, to_default))]


def _request(body: _RequestBody) -> list[Signal]:
    """A request is opened once, by its author: that is told whole. Everything else is asked for, but changes of what
    decides nothing (labels, assignees, new commits)."""
    request, project = body.object_attributes, str(body.project.id)
    if request.action == "open" and body.user is not None and body.user.id == request.author_id and request.created_at:
        return [CodeHeard(event) for event in _opened(project, request, body.user)]
    if request.action == "update" and TOLD.isdisjoint(body.changes or {}):
        return [Ignored("other_field", "a change of a merge request that decides nothing here")]
    return [_hint(project, RefKind.CHANGE, request.iid)]


def _opened(project: str, request: _Request, author: User) -> list[CodeEvent]:
    number, draft = str(request.iid), request.draft if request.draft is not None else request.work_in_progress
    opened = mapping.opened(
        project, number, request.title, request.url, author, request.source_branch, request.created_at
    )
    return [opened] if draft else [opened, CodeEvent(project, opened.at, ChangeReady(number))]


def _note(body: _NoteBody) -> list[Signal]:
    """Only what others say about a merge request is a review."""
    note, request = body.object_attributes, body.merge_request
    if note.noteable_type != "MergeRequest" or request is None:
        return [Ignored("comment", f"a comment on {note.noteable_type}")]
    if note.system or note.action == "update" or body.user.id == request.author_id:
        return [Ignored("comment", "not a review: its author's own, or an edit")]
    return [_hint(str(body.project_id), RefKind.CHANGE, request.iid)]


def _deployment(body: _DeploymentBody) -> list[Signal]:
    return [_hint(str(body.project.id), RefKind.DEPLOYMENT, body.deployment_id)]


def _pipeline(body: _PipelineBody) -> list[Signal]:
    return [_hint(str(body.project.id), RefKind.RUN, body.object_attributes.id)]


def _release(body: _ReleaseBody) -> list[Signal]:
    if body.action == "delete":
        return [Ignored("deleted", f"the release {body.tag} was deleted")]
    return [_hint(str(body.project.id), RefKind.RELEASE, body.tag)]


def _issue(body: _IssueBody) -> list[Signal]:
    """Only which one: its labels and times come in another form than the API's."""
    return [Hint(f"{body.project.id}#{body.object_attributes.iid}")]


def _project(body: _ProjectBody) -> list[Signal]:
    """Told by group and system hooks: project_create, project_destroy, project_rename, project_transfer, …"""
    was = f" (before: {body.old_path_with_namespace})" if body.old_path_with_namespace else ""
    return [LookAgain(f"GitLab says {body.event_name}: {body.path_with_namespace}{was}")]


def _token(body: _TokenBody) -> list[Signal]:
    token = body.object_attributes
    return [LookAgain(f"The access token {token.name!r} ends on {token.expires_at or 'a day soon'}: make a new one.")]


def _hint(project: str, kind: RefKind, id_: object) -> CodeHint:
    return CodeHint(CodeRef(project, kind, str(id_)))


class _Event(NamedTuple):
    kind: CodeKind | None
    body: type[msgspec.Struct]
    read: Callable[[Any], list[Signal]]


EVENTS: Mapping[str, _Event] = {
    "Push Hook": _Event(CodeKind.PUSH, _Push, _push),
    "Tag Push Hook": _Event(CodeKind.PUSH, _Push, _push),
    "Merge Request Hook": _Event(CodeKind.PULL_REQUEST, _RequestBody, _request),
    "Note Hook": _Event(CodeKind.PULL_REQUEST, _NoteBody, _note),
    "Deployment Hook": _Event(CodeKind.DEPLOYMENT, _DeploymentBody, _deployment),
    "Pipeline Hook": _Event(CodeKind.PIPELINE, _PipelineBody, _pipeline),
    "Release Hook": _Event(CodeKind.RELEASE, _ReleaseBody, _release),
    "Issue Hook": _Event(None, _IssueBody, _issue),
    "Confidential Issue Hook": _Event(None, _IssueBody, _issue),
    "Project Hook": _Event(None, _ProjectBody, _project),
    "System Hook": _Event(None, _ProjectBody, _project),
    "Resource Access Token Hook": _Event(None, _TokenBody, _token),
}
"""By `X-Gitlab-Event`. The others (`Job Hook`, `Member Hook`, …) tell nothing we use."""
