"""How a delivery becomes a row of the inbox, whichever way it came: through the front door or from a vendor's log."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

MAX_KEY = 200
"""Characters of a vendor's delivery id kept as they are (they are UUIDs); a longer one is replaced by its digest,
since an index entry has a limit."""

MAX_EVENT = 200
"""Characters of an event's name kept; the longest in use have forty."""


NEVER_KEPT = frozenset({"authorization", "proxy-authorization", "cookie", "x-gitlab-token", "x-turnbuckle-token"})
"""Headers that are not stored even if a manifest names them: they are credentials."""


def dedupe_key(integration_id: str, key: str | None, body: bytes) -> str:
    """What makes a delivery the same one when it comes again. An empty id is none: all would be one."""
    return f"{integration_id}:{_told(key) if key else hashlib.sha256(body).hexdigest()}"


def _told(key: str) -> str:
    if len(key) > MAX_KEY or storable(key) != key:
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return key


def storable(text: str) -> str:
    """Without what no database takes as text: NUL, and halves of surrogate pairs (JSON may hold both)."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def kept_headers(headers: Mapping[str, str], named: Iterable[str]) -> dict[str, str]:
    """The headers that are stored with a delivery: its content type, and those the connector's manifest names."""
    return {name: storable(headers[name]) for name in _kept(tuple(named)) if name in headers}


@lru_cache(maxsize=256)
def _kept(named: tuple[str, ...]) -> list[str]:
    return sorted({"content-type", *map(str.lower, named)} - NEVER_KEPT)


def event_name(told: str) -> str:
    """An event's name as it is stored."""
    return storable(told)[:MAX_EVENT]


def new_row(
    integration_id: str, key: str, event: str, headers: Mapping[str, str], body: bytes, received_at: datetime
) -> dict[str, Any]:
    """A delivery that waits to be worked off. `key` is its dedupe key, `event` a stored name."""
    return {
        "integration_id": integration_id,
        "dedupe_key": key,
        "event": event,
        "headers": headers,
        "body": body,
        "received_at": received_at,
        "state": "pending",
        "attempts": 0,
        "next_attempt_at": received_at,
    }
