"""Bitbucket's deliveries: is one to be believed, and what does it mean. Pure.

Events of more than 256 KB are never sent, and there is no log of deliveries: polls find what did not come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from connectors import contract as c
from connectors.bitbucket import mapping
from connectors.bitbucket.config import BitbucketConfig
from connectors.bitbucket.shapes import Account, Change, Comment, Home, Row, Said
from connectors.signing import hmac_hex

WEBHOOKS = c.WebhookFacts(
    accepted=200,
    max_body=1024 * 1024,  # Bitbucket sends at most 256 KB, and drops what is larger
    renew_before=timedelta(hours=1),
    headers_kept=("x-event-key", "x-hook-uuid", "x-request-uuid", "x-attempt-number"),
)

REFS = {"tag": "refs/tags/", "annotated_tag": "refs/tags/"}
"""A ref's type -> what its full name begins with; of all others it is a branch's."""

_PIPELINE = re.compile(r"https://bitbucket\.org/.+/results/(\d+)/?")
"""The page of a pipeline, which its commit status links to; other programs' statuses link elsewhere."""


class _Tip(msgspec.Struct):
    hash: str
    date: str | None = None


class _Node(msgspec.Struct):
    name: str
    target: _Tip
    type: str = "branch"


class _Moved(msgspec.Struct):
    old: _Node | None = None
    new: _Node | None = None
    forced: bool = False


class _Push(msgspec.Struct):
    changes: list[_Moved]


class _Status(msgspec.Struct):
    url: str = ""


class Told(msgspec.Struct):
    """A delivery's body; which of its parts are there depends on the event."""

    repository: Home
    actor: Account | None = None
    push: _Push | None = None
    pullrequest: Change | None = None
    approval: Said | None = None
    changes_request: Said | None = None
    comment: Comment | None = None
    commit_status: _Status | None = None
    changes: dict[str, Any] | None = None


def verify(delivery: c.RawDelivery, secrets: c.Secrets) -> c.Verified:
    """Check the signature: SHA-256, in the header whose name means SHA-1 at GitHub. Raises BadSignature."""
    headers = delivery.headers
    hmac_hex(delivery.body, headers.get("x-hub-signature"), secrets.get("signing", ()), prefix="sha256=")
    return c.Verified(headers.get("x-request-uuid") or None, headers.get("x-event-key") or "unknown")


def handshake(delivery: c.RawDelivery, secrets: c.Secrets) -> c.Reply | None:
    """Bitbucket has none."""
    return None


def parse(delivery: c.RawDelivery, config: BitbucketConfig) -> Sequence[c.Signal]:
    """What happened, as far as the delivery tells it as a poll would; else what to ask for. Raises BadPayload."""
    event = delivery.headers.get("x-event-key", "")
    known = EVENTS.get(event)
    if known is None:
        return [c.Ignored("unsupported", event)]
    kinds, read = known
    try:
        told = msgspec.json.decode(delivery.body, type=Told)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise c.BadPayload(f"Bitbucket's {event} has an unexpected shape: {error}") from None
    if not config.follows(*_slugs(told)):
        return [c.Ignored("other_repository", told.repository.full_name)]
    if kinds and not kinds & config.kinds():
        return [c.Ignored("not_followed", event)]
    return list(read(told, config, event)) or [c.Ignored("no_news", event)]


def _slugs(told: Told) -> Iterator[str]:
    """What the repository is called, and was called before."""
    yield told.repository.full_name.rpartition("/")[2]
    renamed = (told.changes or {}).get("full_name")
    if isinstance(renamed, dict):
        yield from (str(renamed[which]).rpartition("/")[2] for which in ("old", "new") if renamed.get(which))


def _change(told: Told, event: str) -> Change:
    if told.pullrequest is None:
        raise c.BadPayload(f"Bitbucket's {event} names no pull request")
    return told.pullrequest


def _hint(told: Told, kind: c.RefKind, id_: str) -> c.CodeHint:
    return c.CodeHint(c.CodeRef(told.repository.uuid, kind, id_))


# --- what each event means --------------------------------------------------------------------------


def _pushed(told: Told, config: BitbucketConfig, event: str) -> Iterator[c.Signal]:
    """The push itself is told nowhere else, its time nowhere at all: it bears that of the commit it leads to. Which
    commits reached the default branch has to be asked: which branch that is, and more than five, are not told."""
    if told.push is None:
        raise c.BadPayload(f"Bitbucket's {event} names no push")
    for moved in told.push.changes:
        node = moved.new or moved.old
        if node is None:
            continue
        before = moved.old.target.hash if moved.old else None
        after = moved.new.target.hash if moved.new else None
        prefix = REFS.get(node.type, "refs/heads/")
        if node.target.date:
            pushed = c.Pushed(prefix + node.name, before, after, mapping.person(told.actor), moved.forced)
            yield c.CodeHeard(c.CodeEvent(told.repository.uuid, mapping.when(node.target.date), pushed))
        if after is not None and node.type not in REFS:
            yield _hint(told, c.RefKind.PUSH, f"{node.name}:{before or ''}:{after}" + ":forced" * moved.forced)


def _opened(told: Told, config: BitbucketConfig, event: str) -> Iterator[c.Signal]:
    change = _change(told, event)
    yield c.CodeHeard(mapping.opened(told.repository.uuid, change))
    if not change.draft:
        yield c.CodeHeard(mapping.ready(told.repository.uuid, change))


def _updated(told: Told, config: BitbucketConfig, event: str) -> Iterator[c.Signal]:
    """It may have been a draft until now: only its activity tells. What is still a draft is no news."""
    change = _change(told, event)
    if not change.draft:
        yield _hint(told, c.RefKind.CHANGE, str(change.id))


def _ended(told: Told, config: BitbucketConfig, event: str) -> Iterator[c.Signal]:
    """When, and by which commits, has to be asked."""
    yield _hint(told, c.RefKind.CHANGE, str(_change(told, event).id))


def _reviewed(told: Told, config: BitbucketConfig, event: str) -> Iterator[c.Signal]:
    row = Row(approval=told.approval, changes_request=told.changes_request, comment=told.comment)
    if row == Row():
        raise c.BadPayload(f"Bitbucket's {event} does not say what was said")
    withdrawn = event in WITHDRAWN
    for heard in mapping.reviews(told.repository.uuid, _change(told, event), row, dismissed=withdrawn):
        yield c.CodeHeard(heard)


def _status(told: Told, config: BitbucketConfig, event: str) -> Iterator[c.Signal]:
    """Pipelines and deployments have no events of their own: this one is all that is heard of them."""
    found = _PIPELINE.fullmatch(told.commit_status.url if told.commit_status else "")
    if found is None:
        yield c.Ignored("other_status", "a status of a program that is not Bitbucket Pipelines")
        return
    if c.CodeKind.PIPELINE in config.kinds():
        yield _hint(told, c.RefKind.RUN, found[1])
    if c.CodeKind.DEPLOYMENT in config.kinds():
        yield _hint(told, c.RefKind.DEPLOYMENT, found[1])


def _repository(told: Told, config: BitbucketConfig, event: str) -> Iterator[c.Signal]:
    """Only of an update it is told what it changed: a description is no news."""
    if event != "repo:updated" or {"full_name", "name", "slug"} & (told.changes or {}).keys():
        happened = event.partition(":")[2]
        yield c.LookAgain(f"The repository {told.repository.full_name} was {PAST.get(happened, happened)}.")


Read = Callable[[Told, BitbucketConfig, str], Iterator[c.Signal]]

PAST = {"transfer": "transferred", "updated": "renamed"}
WITHDRAWN = frozenset({"pullrequest:unapproved", "pullrequest:changes_request_removed"})

_PUSH, _CHANGE = frozenset({c.CodeKind.PUSH}), frozenset({c.CodeKind.PULL_REQUEST})
_RUNS = frozenset({c.CodeKind.PIPELINE, c.CodeKind.DEPLOYMENT})
_ALWAYS: frozenset[c.CodeKind] = frozenset()

EVENTS: Mapping[str, tuple[frozenset[c.CodeKind], Read]] = {
    "repo:push": (_PUSH, _pushed),
    "pullrequest:created": (_CHANGE, _opened),
    "pullrequest:updated": (_CHANGE, _updated),
    "pullrequest:fulfilled": (_CHANGE, _ended),
    "pullrequest:rejected": (_CHANGE, _ended),
    "pullrequest:approved": (_CHANGE, _reviewed),
    "pullrequest:unapproved": (_CHANGE, _reviewed),
    "pullrequest:changes_request_created": (_CHANGE, _reviewed),
    "pullrequest:changes_request_removed": (_CHANGE, _reviewed),
    "pullrequest:comment_created": (_CHANGE, _reviewed),
    "repo:commit_status_created": (_RUNS, _status),
    "repo:commit_status_updated": (_RUNS, _status),
    "repo:created": (_ALWAYS, _repository),
    "repo:imported": (_ALWAYS, _repository),
    "repo:updated": (_ALWAYS, _repository),
    "repo:transfer": (_ALWAYS, _repository),
    "repo:deleted": (_ALWAYS, _repository),
}
"""Event -> the kinds it is followed for (none: always), and what it means."""


def wanted(config: BitbucketConfig) -> list[str]:
    """The events to subscribe to."""
    return [event for event, (kinds, _) in EVENTS.items() if not kinds or kinds & config.kinds()]
