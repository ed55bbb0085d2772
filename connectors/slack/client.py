"""Slack's Web API: one method per call that is made.

Success is a 200 that says `ok`; every other answer, a 200 too, says in a word what is wrong. Nothing is tried again
here: Slack has no idempotency key, so whoever repeats a message says it twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import msgspec

from connectors.contract import (
    AuthFailed,
    BadPayload,
    ConnectorError,
    Context,
    Forbidden,
    JsonObject,
    NotFound,
    RateLimited,
    Rejected,
    Transient,
)
from connectors.http import Response

T = TypeVar("T")

PAGE = 100
"""Rows of a listing: Slack recommends 100 to 200."""

PAUSE = timedelta(seconds=30)
"""How long to wait after a limit that is told in a 200, which names no time: the tiers count by the minute."""

SAYS: tuple[tuple[str, type[ConnectorError], str], ...] = (
    ("invalid_auth", AuthFailed, "Slack does not know the token."),
    ("not_authed", AuthFailed, "Slack was given no token."),
    ("token_revoked", AuthFailed, "The token was revoked: install the app again."),
    ("token_expired", AuthFailed, "The token has ended."),
    ("account_inactive", AuthFailed, "The app was removed from the workspace: install it again."),
    ("channel_not_found", NotFound, "There is no such channel, or the app may not see it: invite it with /invite."),
    ("is_archived", NotFound, "The channel is archived: unarchive it, or name another one."),
    ("message_not_found", NotFound, "The message is not there any more."),
    ("edit_window_closed", NotFound, "The message can't be changed any more."),
    ("cant_update_message", NotFound, "The message is somebody else's."),
    ("thread_not_found", NotFound, "The message to answer is not there any more."),
    ("not_in_channel", Forbidden, "The app is not in the channel: invite it with /invite."),
    ("missing_scope", Forbidden, "The app lacks a scope: add it and install the app again."),
    ("restricted_action*", Forbidden, "The workspace's rules do not let the app write there."),
    ("ekm_access_denied", Forbidden, "The workspace's keys are withheld by its administrators."),
    ("no_permission", Forbidden, "The app may not do this."),
    ("method_not_supported_for_channel_type", Forbidden, "This can't be done in a channel of this kind."),
)
"""What Slack says (patterns), what that is, and what an operator can do."""

TOO_MANY = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})

PASSES = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
"""It may have been done, or not."""


class _Said(msgspec.Struct):
    ok: bool
    error: str = ""
    needed: str = ""


class Identity(msgspec.Struct):
    """`auth.test`."""

    team: str
    team_id: str
    user: str
    user_id: str
    bot_id: str | None = None


class Posted(msgspec.Struct):
    """`chat.postMessage` and `chat.update`; `ts` is the message's id in its channel, and no number."""

    channel: str
    ts: str


class Metadata(msgspec.Struct):
    """What an app put beside its message."""

    event_type: str = ""
    event_payload: dict[str, Any] = {}


class Message(msgspec.Struct):
    """One of a channel's messages."""

    ts: str
    metadata: Metadata | None = None


class _Next(msgspec.Struct):
    next_cursor: str = ""


class _Messages(msgspec.Struct):
    messages: list[Message]
    response_metadata: _Next | None = None


class SlackClient:
    """The calls of one installation. Raises the contract's errors."""

    def __init__(self, context: Context) -> None:
        self._http, self._now = context.http, context.now
        self._base = context.endpoints["api"] + "/api"
        self._credentials = context.credentials
        # A message too many is one channel's affair; the other methods are limited for the whole workspace.
        self._http.limit_scope = lambda response: "item" if response.url.endswith("/chat.postMessage") else "account"

    def _call(
        self, method: str, shape: type[T], body: JsonObject | None = None, query: Mapping[str, str] | None = None
    ) -> T:
        """One call, with a body or, of methods that read, a query. Raises what SAYS names."""
        headers = {"Authorization": self._credentials.authorization()}
        verb, url = ("GET" if query else "POST"), f"{self._base}/{method}"
        answer = self._http.request(verb, url, headers=headers, params=query, json=body)
        said = answer.decode(_Said)
        if not said.ok:
            raise self._refused(method, said)
        return _shaped(answer, shape)

    def _refused(self, method: str, said: _Said) -> ConnectorError:
        word = said.error or "nothing"
        if word in TOO_MANY:
            scope = "item" if method == "chat.postMessage" else "account"
            return RateLimited(f"Slack says {word} to {method}.", self._now() + PAUSE, scope)
        if word in PASSES:
            return Transient(f"Slack says {word} to {method}.")
        for pattern, kind, advice in SAYS:
            if fnmatchcase(word, pattern):
                lacks = f" It needs {said.needed}." if said.needed else ""
                return kind(f"Slack says {word}. {advice}{lacks}")
        return Rejected(f"Slack says {word} to {method}.")

    def identity(self) -> Identity:
        """Who the token is."""
        return self._call("auth.test", Identity, {})

    def post(self, message: Mapping[str, Any]) -> Posted:
        """Say something."""
        return self._call("chat.postMessage", Posted, dict(message))

    def update(self, message: Mapping[str, Any]) -> Posted:
        """Say something else instead."""
        return self._call("chat.update", Posted, dict(message))

    def join(self, channel: str) -> None:
        """Become a member of a public channel."""
        self._call("conversations.join", _Said, {"channel": channel})

    def history(self, channel: str, oldest: str) -> Iterator[list[Message]]:
        """A channel's messages since then, the newest first, in pages. Answers to messages are not among them."""
        return self._pages("conversations.history", channel=channel, oldest=oldest, inclusive="true")

    def replies(self, channel: str, root: str, oldest: str) -> Iterator[list[Message]]:
        """The answers to a message since then, in pages; the message itself comes first."""
        return self._pages("conversations.replies", channel=channel, ts=root, oldest=oldest, inclusive="true")

    def _pages(self, method: str, **query: str) -> Iterator[list[Message]]:
        cursor = ""
        while True:
            turn = {"cursor": cursor} if cursor else {}
            asked = {**query, "include_all_metadata": "true", "limit": str(PAGE), **turn}
            page = self._call(method, _Messages, query=asked)
            yield page.messages
            cursor = page.response_metadata.next_cursor if page.response_metadata else ""
            if not cursor:
                return


def _shaped(answer: Response, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.DecodeError as error:
        raise BadPayload(f"Slack answered an unexpected shape: {error}") from None
