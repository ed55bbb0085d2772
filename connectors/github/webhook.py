"""GitHub's deliveries: is one to be believed, whose is it, and what does it mean. Pure.

A GitHub App has one webhook for all its installations; a repository or an organization may have hooks of its own.

What a delivery tells whole is heard: a push, a pull request's opening, a review, a deployment, a run, a release. The
rest is asked for: a pull request's other turns have their times in its timeline only, and of a deployment's states the
first of each kind counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from connectors import contract as c
from connectors.envelope import json_object, text_at
from connectors.github import mapping
from connectors.github import shapes as s
from connectors.github.config import KINDS, Event, GitHubConfig
from connectors.signing import hmac_hex
from connectors.times import moment

WEBHOOKS = c.WebhookFacts(
    max_body=25 * 1024 * 1024,  # GitHub's own limit: it drops larger events without a word
    headers_kept=(
        "x-github-event",
        "x-github-delivery",
        "x-github-hook-id",
        "x-github-hook-installation-target-type",
        "x-github-hook-installation-target-id",
        "x-github-enterprise-host",
    ),
    account="installation_id",
)

FORM = "application/x-www-form-urlencoded"

NOBODY = "0" * 40
"""The sha before a branch was made, and after it was deleted."""

CONNECTION = frozenset({"installation", "installation_repositories", "installation_target", "repository", "meta"})
"""Events about the connection itself: what is there, and whether we may see it."""

TURNS = frozenset({"closed", "reopened", "ready_for_review"})
"""What is asked for of a pull request."""


class _Numbered(msgspec.Struct):
    number: int


class _Push(msgspec.Struct):
    ref: str
    before: str
    after: str
    repository: s.Repository
    sender: s.User | None = None
    forced: bool = False


class _PullRequest(msgspec.Struct):
    action: str
    pull_request: s.Pull
    repository: s.Repository


class _Review(msgspec.Struct):
    action: str
    review: s.Review
    pull_request: _Numbered
    repository: s.Repository


class _Deployment(msgspec.Struct):
    action: str
    deployment: s.Deployment
    repository: s.Repository


class _Run(msgspec.Struct):
    action: str
    workflow_run: s.Run
    repository: s.Repository


class _Release(msgspec.Struct):
    action: str
    release: s.Release
    repository: s.Repository


class _Issue(msgspec.Struct):
    action: str
    issue: _Numbered
    repository: s.Repository


class _Account(msgspec.Struct):
    account: s.User = msgspec.field(default_factory=s.User)


class _Connection(msgspec.Struct):
    action: str = ""
    repository: s.Repository | None = None
    installation: _Account | None = None


def verify(delivery: c.RawDelivery, secrets: c.Secrets) -> c.Verified:
    """Check the SHA-256 signature; the older header with SHA-1 is not looked at. Raises BadSignature.

    The id is the same on a redelivery, and for every hook that got the event: one row per integration.
    """
    headers = delivery.headers
    hmac_hex(delivery.body, headers.get("x-hub-signature-256"), secrets.get("signing", ()), prefix="sha256=")
    return c.Verified(headers.get("x-github-delivery") or None, headers.get("x-github-event") or "unknown")


def handshake(delivery: c.RawDelivery, secrets: c.Secrets) -> c.Reply | None:
    """GitHub has none: its `ping` is a delivery. A hook set to send forms is told to send JSON."""
    if delivery.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM:
        return c.Reply(b"Set the webhook's content type to application/json.", status=415)
    return None


def account(delivery: c.RawDelivery) -> str | None:
    """The installation an App's delivery is about."""
    return text_at(json_object(delivery.body), "installation", "id") or None


def parse(delivery: c.RawDelivery, config: GitHubConfig) -> Sequence[c.Signal]:
    """What a delivery means, by the event its header names. Raises BadPayload."""
    event = delivery.headers.get("x-github-event", "")
    if event == "ping":
        return [c.Ignored("ping", "The hook was made.")]
    if event in CONNECTION:
        return [c.LookAgain(_said(event, _read(delivery, _Connection)))]
    if event == "issues":
        return [_issue(_read(delivery, _Issue), config)]
    if event not in READERS:
        return [c.Ignored("unsupported", event)]
    if KINDS[Event(event)] not in config.kinds():
        return [c.Ignored("not_followed", f"{event} is not among the events of the config")]
    shape, meaning = READERS[event]
    body = _read(delivery, shape)
    told = f"{event} {getattr(body, 'action', '')}".strip()
    return list(meaning(str(body.repository.id), body)) or [c.Ignored("nothing_new", told)]


def _read(delivery: c.RawDelivery, shape: type[Any]) -> Any:
    try:
        return msgspec.json.decode(delivery.body, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise c.BadPayload(f"GitHub's webhook has an unexpected shape: {error}") from None


def _said(event: str, body: _Connection) -> str:
    """What happened to the connection, for the operator."""
    owner = body.installation.account.login if body.installation else ""
    what = body.repository.full_name if body.repository else owner
    return f"GitHub: {event} {body.action}" + (f" ({what})" if what else "")


# --- by event -------------------------------------------------------------------------------------------


def _issue(body: _Issue, config: GitHubConfig) -> c.Signal:
    """An issue is read again: its time is told in seconds only, too coarse to tell two deliveries apart."""
    if not config.sync_issues:
        return c.Ignored("not_followed", "issues: sync_issues is off")
    if body.repository.name.casefold() not in {project.external.casefold() for project in config.projects}:
        return c.Ignored("other_repository", f"issues {body.action} in {body.repository.full_name}")
    return c.Hint(f"{body.repository.id}#{body.issue.number}")


def _push(repo: str, body: _Push) -> Iterable[c.Signal]:
    """The push itself only a delivery tells; its commits are read where they reached the default branch."""
    before, after = (None if sha == NOBODY else sha for sha in (body.before, body.after))
    what = c.Pushed(body.ref, before, after, mapping.person(body.sender), body.forced)
    yield c.CodeHeard(c.CodeEvent(repo, _pushed_at(body), what))
    if after is not None and body.ref == f"refs/heads/{body.repository.default_branch}":
        yield c.CodeHint(c.CodeRef(repo, c.RefKind.PUSH, f"{before or ''}...{after}"))


def _pushed_at(body: _Push) -> datetime:
    """When GitHub took the push: the repository's last."""
    at = body.repository.pushed_at
    if at is None:
        raise c.BadPayload("GitHub's push does not say when it was")
    return datetime.fromtimestamp(at, UTC) if isinstance(at, int) else moment(at)


def _pull_request(repo: str, body: _PullRequest) -> Iterable[c.Signal]:
    pull = body.pull_request
    if body.action == "opened":
        yield c.CodeHeard(mapping.opened(repo, pull))
        yield from map(c.CodeHeard, mapping.ready(repo, pull))
    elif body.action in TURNS:
        yield c.CodeHint(c.CodeRef(repo, c.RefKind.CHANGE, str(pull.number)))


def _review(repo: str, body: _Review) -> Iterable[c.Signal]:
    """That a review was dismissed has its time in the timeline only."""
    if body.action == "submitted":
        yield from map(c.CodeHeard, mapping.review(repo, body.pull_request.number, body.review))
    elif body.action == "dismissed":
        yield c.CodeHint(c.CodeRef(repo, c.RefKind.CHANGE, str(body.pull_request.number)))


def _deployment(repo: str, body: _Deployment) -> Iterable[c.Signal]:
    if body.action == "created":
        yield c.CodeHeard(mapping.deployed(repo, body.deployment))


def _deployment_status(repo: str, body: _Deployment) -> Iterable[c.Signal]:
    yield c.CodeHint(c.CodeRef(repo, c.RefKind.DEPLOYMENT, str(body.deployment.id)))


def _workflow_run(repo: str, body: _Run) -> Iterable[c.Signal]:
    yield c.CodeHeard(mapping.run(repo, body.workflow_run))


def _release(repo: str, body: _Release) -> Iterable[c.Signal]:
    if body.action == "published":
        yield from map(c.CodeHeard, mapping.release(repo, body.release))


READERS: Mapping[str, tuple[type[Any], Callable[[str, Any], Iterable[c.Signal]]]] = {
    "push": (_Push, _push),
    "pull_request": (_PullRequest, _pull_request),
    "pull_request_review": (_Review, _review),
    "deployment": (_Deployment, _deployment),
    "deployment_status": (_Deployment, _deployment_status),
    "workflow_run": (_Run, _workflow_run),
    "release": (_Release, _release),
}
"""Event -> the shape of its body, and what that means. Nothing: the event is no news (a label, a new title)."""
