"""Titles and descriptions as fields of an item: whether two texts say the same, however a vendor keeps them. Pure.

`there` of a description is a digest of its text in one canonical form, so that the same said in a vendor's own way
(other bullets, wrapped otherwise) is no change; None for an empty one.
"""

from __future__ import annotations

from hashlib import blake2b

from connectors.contract import RemoteValue
from connectors.markup.document import PARSER
from connectors.markup.markdown import Markdown
from connectors.markup.stored import canonical

LONGEST_KNOWN = 255
"""Characters of a vendor's value that the engine can say it expects; longer ones it only knows as digests."""

_LOSSY = "lossy:"


def one_line(text: str, limit: int | None = None) -> str:
    """A title as vendors keep it: one line, of so many characters at most."""
    return " ".join(text.split())[:limit].rstrip()


def titled(text: str) -> RemoteValue:
    """A title of any length."""
    title = one_line(text)
    return RemoteValue(title, title if len(title) <= LONGEST_KNOWN else _digest(title))


def described(markdown: str | None) -> RemoteValue:
    """A description of a vendor that keeps markdown: compared by what it renders to."""
    text = (markdown or "").replace("\r\n", "\n").strip("\n").rstrip()
    return RemoteValue(text, _digest(PARSER.render(text)) if text else None)


def stored(markdown: str | None) -> RemoteValue:
    """A description of a vendor that keeps markdown, but for blanks at the end of lines."""
    text = canonical(markdown or "")
    return RemoteValue(markdown or "", _digest(text) if text else None)


def rich(markdown: Markdown) -> RemoteValue:
    """A description of a vendor that keeps rich text; `markdown` is what it comes to, and its digest is one of all that
    markdown could not say, too."""
    text, lost = markdown
    if not text and not lost:
        return RemoteValue("", None)
    return RemoteValue(text, f"{_LOSSY if lost else ''}{_digest(text, *lost)}")


def is_lossy(there: str | None) -> bool:
    """Whether the vendor's rich text holds more than our markdown says."""
    return there is not None and there.startswith(_LOSSY)


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
