"""Cursor pagination: a page begins after the id at which the one before it ended.

Rows that are added meanwhile shift nothing, and the last page costs what the first one did. The cursor also holds
a digest of the filters: with other filters it would skip rows without anybody noticing, so it is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api.schemas import Meta
from core.db import UtcDateTime
from core.errors import BadRequest

T = TypeVar("T")

DEFAULT_LIMIT = 25
MAX_LIMIT = 100

NOT_VALID = "The cursor is not valid. Pass `meta.cursor` of the page before, or none for the first page."

MAX_DIGITS = 19
"""Numbers of fewer digits fit into a database's 64 bits."""

DIGEST_CHARS = 12
"""Enough to tell filters apart by accident; nothing secret hangs on it."""


class Window(BaseModel):
    """The two query parameters of every list. A parameter nobody knows is an error, as a mistyped filter would
    otherwise return everything."""

    model_config = ConfigDict(extra="forbid")

    cursor: Annotated[str | None, Field(description="`meta.cursor` of the page before.", max_length=512)] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Results per page.")] = DEFAULT_LIMIT

    def filters(self) -> dict[str, Any]:
        """The filters a list was asked with, without the window itself."""
        return self.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The rows of one page and what to say of the next."""

    rows: list[T]
    meta: Meta


def fetch(
    session: Session,
    wanted: Select[T],
    key: InstrumentedAttribute[Any],
    window: Window,
    *,
    newest_first: bool = True,
) -> Page[T]:
    """One page of `wanted` in the order of `key`. Raises BadRequest for a cursor that is not ours."""
    filters = window.filters()
    if window.cursor is not None:
        last = _as(key, decode(window.cursor, filters))
        wanted = wanted.where(key < last if newest_first else key > last)
    ordered = wanted.order_by(key.desc() if newest_first else key).limit(window.limit + 1)
    rows = list(session.scalars(ordered))
    if len(rows) <= window.limit:
        return Page(rows, Meta(cursor=None, has_more=False))
    rows = rows[: window.limit]
    return Page(rows, Meta(cursor=encode(str(getattr(rows[-1], key.key)), filters), has_more=True))


def _as(key: InstrumentedAttribute[Any], last: str) -> str | int | datetime:
    """The id in the key's own type: deliveries are numbered, points are at times. Raises BadRequest."""
    if isinstance(key.type, UtcDateTime):
        return _moment(last)
    if key.type.python_type is not int:
        return last
    if not (last.isascii() and last.isdigit() and len(last) < MAX_DIGITS):
        raise BadRequest(NOT_VALID)
    return int(last)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(NOT_VALID) from None
    if found.tzinfo is None:
        raise BadRequest(NOT_VALID)
    return found


def encode(last_id: str, filters: Mapping[str, Any]) -> str:
    """The cursor after this id."""
    text = json.dumps({"id": last_id, "f": _digest(filters)}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, filters: Mapping[str, Any]) -> str:
    """The id after which to go on. Raises BadRequest."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("id"), str) or "\0" in found["id"]:
        raise BadRequest(NOT_VALID)
    if found.get("f") != _digest(filters):
        raise BadRequest("The cursor is of a list with other filters. Keep the filters, or start without a cursor.")
    last: str = found["id"]
    return last


def _digest(filters: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:DIGEST_CHARS]
