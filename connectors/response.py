"""A vendor's answer, as connectors see it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from connectors.contract import BadPayload

T = TypeVar("T")

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: header names in lower case, the body decompressed."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str

    def json(self) -> Any:
        """The body as `json.loads` gives it. Raises BadPayload."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise BadPayload(
                f"{urlsplit(self.url).hostname} answered {self.status} with something that is not JSON"
            ) from None

    def decode(self, type_: type[T]) -> T:
        """The body as this msgspec type; fields the type does not name are skipped unread. Raises BadPayload."""
        try:
            return msgspec.json.decode(self.content, type=type_)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadPayload(f"{self._host()} answered an unexpected shape: {error}") from None

    def decode_list(self, row: type[T]) -> list[T]:
        """The body as a list of this msgspec type. Raises BadPayload."""
        # The shape is made at run time, of the caller's row: no checker can follow that.
        return self.decode(list[row])  # type: ignore[valid-type]

    def _host(self) -> str:
        return urlsplit(self.url).hostname or ""


def plain_words(response: Response) -> str:
    """The vendor's words in an error answer, for vendors without a form of their own: the usual JSON fields, the
    title of an HTML page, or the text."""
    text = response.content.decode("utf-8", "replace")
    if "html" in response.headers.get("content-type", ""):
        title = _TITLE.search(text)
        return html.unescape(title[1]) if title else "an HTML page"
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(body, dict):
        for name in ("message", "error_description", "error", "detail", "title"):
            if isinstance(body.get(name), str):
                return str(body[name])
    return text


def words_of(*names: str) -> Callable[[Response], str]:
    """Reads a vendor's words in an error answer out of these fields of its JSON object, joined."""

    def words(response: Response) -> str:
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError):
            body = None
        found = [str(body[name]) for name in names if body.get(name)] if isinstance(body, dict) else []
        return " ".join(found) or plain_words(response)

    return words


def place(url: str) -> str:
    """Host and path: where an error happened. The query may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.hostname or ''}{parts.path}"
