"""What `verify` may ask of a body without believing its shape: names and ids that may or may not be there.

A signed delivery is stored whatever it says. So nothing here fails on an odd body: `parse` tells later what is wrong
with it, and the delivery can be replayed when that was mended.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from connectors.contract import JsonObject

MAX_FORM_FIELDS = 100
"""Slack's commands have fifteen; the limit bounds the parsing."""


def json_object(body: bytes | str) -> JsonObject:
    """The body's JSON object; {} for anything else."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def form_fields(body: bytes) -> dict[str, str]:
    """The fields of a form's body; {} for anything else."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS))
    except ValueError:  # not UTF-8, or fields without end
        return {}


def text_at(value: Any, *path: str) -> str:
    """The text or whole number at a path of names; "" where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def list_at(value: Any, name: str) -> list[Any]:
    """The list of this name; [] where there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def digest_of(*parts: str) -> str | None:
    """One key of several parts; None when all are empty. Parts can't run into one another."""
    if not any(parts):
        return None
    return sha256(msgspec.json.encode(parts)).hexdigest()
