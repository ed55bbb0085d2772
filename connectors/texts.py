"""Titles and descriptions of vendors that keep plain text and markdown: whether two texts say the same. Pure."""

from __future__ import annotations

from hashlib import blake2b

from markdown_it import MarkdownIt

from connectors.contract import RemoteValue

PARSER = MarkdownIt("commonmark", {"html": False, "maxNesting": 100}).enable(["table", "strikethrough"])

LONGEST_KNOWN = 255
"""Characters of a vendor's value that the engine can say it expects; longer ones it only knows as digests."""


def titled(text: str) -> RemoteValue:
    """A title as a field of an item: one line."""
    title = " ".join(text.split())
    return RemoteValue(title, title if len(title) <= LONGEST_KNOWN else _digest(title))


def described(markdown: str | None) -> RemoteValue:
    """A description as a field of an item. `there` is a digest of what the text renders to, so that the same said in
    a vendor's own way (other bullets, escapes, line ends) is no change; None for an empty one."""
    text = (markdown or "").replace("\r\n", "\n").strip("\n").rstrip()
    return RemoteValue(text, _digest(PARSER.render(text)) if text else None)


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
