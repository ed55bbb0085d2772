"""What the front door says. Every answer of a kind is the same bytes: a refusal tells a stranger nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from connectors.contract import Reply
from webhooks.metrics import Verdict

RETRY_SECONDS = 5
"""When to come back after a 503: a full queue is empty in under a second, a database's restart takes a few."""

NO_BODY = (204, 205, 304)
"""Statuses whose answers must have no body; a manifest may name one."""

_CONTENT_TYPE = re.compile(r"[\x20-\x7e]{1,200}")


class Answer:
    """One finished HTTP answer, as the two messages an ASGI server takes."""

    __slots__ = ("_body", "_start", "status")

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.status = status
        body = b"" if status in NO_BODY else body
        fields = {**headers, "content-length": str(len(body))} if status not in NO_BODY else headers
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
        self._start = {"type": "http.response.start", "status": status, "headers": encoded}
        self._body = {"type": "http.response.body", "body": body}

    async def send(self, send: Any) -> None:
        """Answer the request."""
        await send(self._start)
        await send(self._body)


class Refused(Exception):
    """The request is not taken; `answer` says so to the sender."""

    def __init__(self, answer: Answer, verdict: Verdict = Verdict.REFUSED) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.verdict = verdict


def _error(status: int, code: str, message: str, **headers: str) -> Answer:
    """The platform's error envelope."""
    body = json.dumps({"error": {"code": code, "message": message, "status": status}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, {"content-type": "application/json", **named})


MALFORMED = _error(400, "bad_request", "The request is malformed.")
UNKNOWN = _error(404, "not_found", "There is no such webhook.")
NOT_POST = _error(405, "method_not_allowed", "Webhooks are sent with POST.", allow="POST")
# Whoever dribbles must not keep the connection either.
TOO_SLOW = _error(408, "timeout", "The body did not arrive in time.", connection="close")
TOO_LARGE = _error(413, "too_large", "The body is larger than this vendor's deliveries are.")
# Nobody knows how much would still come.
TOO_LONG = _error(413, "too_large", "The body is larger than this vendor's deliveries are.", connection="close")
ENCODED = _error(415, "unsupported_encoding", "Send the body without Content-Encoding.")
COME_BACK = _error(
    503, "unavailable", "The delivery can't be stored now. Send it again.", retry_after=str(RETRY_SECONDS)
)


STORED = '{"data":{"status":"stored"},"meta":{}}'


@lru_cache(maxsize=64)
def accepted(status: int, body: str | None) -> Answer:
    """The delivery is stored. `body` is what the vendor wants to hear with it; None: it does not care."""
    said = STORED if body is None else body
    return Answer(status, said.encode(), {"content-type": "application/json"} if said else {})


@lru_cache(maxsize=64)
def rejected(status: int) -> Answer:
    """The delivery is not believed; which check failed is nobody's business."""
    return _error(status, "unauthorized", "The delivery could not be verified.")


def handshake(reply: Reply) -> Answer:
    """What the vendor wants to hear. It may echo what was sent, so no browser may take it for a page.

    Raises ValueError for a reply no server would send.
    """
    if not 200 <= reply.status <= 599 or not _CONTENT_TYPE.fullmatch(reply.content_type):
        raise ValueError(f"not a sound reply: status {reply.status}, content type {reply.content_type!r}")
    headers = {"content-type": reply.content_type, "x-content-type-options": "nosniff"}
    return Answer(reply.status, reply.body, headers)
