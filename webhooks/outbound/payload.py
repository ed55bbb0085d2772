"""What is sent: the body, made once, and the headers of one attempt. Standard Webhooks 1.0."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.signing import standard_webhooks_sign
from core.clock import iso

MAX_BODY = 20_000
"""Bytes; receivers may refuse more by the specification. An event's data is a few hundred."""

SECRET_BYTES = 32

OVERLAP = timedelta(hours=24)
"""How long the secret before a rotation still signs: time to put the new one into the receiver."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What a body tells: an event of the stream, or one made up for a test."""

    id: str
    workspace_id: str | None
    type: str
    subject_id: str
    actor: str
    data: Mapping[str, Any]
    at: datetime


def body_of(fact: Fact) -> bytes:
    """The body, minified. Data that would make it too large is left out and said to be: `GET /v1/events` has it."""
    body = _encoded(fact, {"data": dict(fact.data)})
    if len(body) < MAX_BODY:
        return body
    return _encoded(fact, {"data": None, "omitted": ["data"]})


def _encoded(fact: Fact, rest: Mapping[str, Any]) -> bytes:
    about = {"id": fact.id, "workspace_id": fact.workspace_id, "subject_id": fact.subject_id, "actor": fact.actor}
    whole = {"type": fact.type, "timestamp": iso(fact.at), "data": about | dict(rest)}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


def headers_of(message_id: str, sent_at: datetime, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """The headers of one attempt, signed with every secret that is valid."""
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(standard_webhooks_sign(message_id, sent_at, body, key) for key in keys),
    }


def new_secret() -> str:
    """A fresh signing secret in the form that receivers' libraries take."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


@dataclass(frozen=True, slots=True)
class Secrets:
    """An endpoint's signing secrets, newest first. `until` is when a replaced one ends; the newest has no end."""

    keys: tuple[tuple[str, datetime | None], ...]

    @classmethod
    def fresh(cls) -> Secrets:
        """One new secret."""
        return cls(((new_secret(), None),))

    @classmethod
    def opened(cls, stored: Mapping[str, Any]) -> Secrets:
        """From the JSON that is sealed."""
        return cls(tuple((each["key"], _moment(each["until"])) for each in stored["secrets"]))

    def stored(self) -> dict[str, Any]:
        """The JSON to be sealed."""
        return {"secrets": [{"key": key, "until": until and until.isoformat()} for key, until in self.keys]}

    @property
    def newest(self) -> str:
        """The one that stays."""
        return self.keys[0][0]

    def valid(self, now: datetime) -> list[str]:
        """Those to sign with."""
        return [key for key, until in self.keys if until is None or until > now]

    def rotated(self, now: datetime) -> Secrets:
        """With a new one in front; what was valid stays so for `OVERLAP`, what had an end keeps it."""
        before = tuple((key, until or now + OVERLAP) for key, until in self.keys if until is None or until > now)
        return Secrets(((new_secret(), None), *before))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
