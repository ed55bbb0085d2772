"""Keeps secrets out of texts that people and logs see."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote


class Redactor:
    """Replaces known secrets, as they are and as they look inside a URL."""

    def __init__(self, secrets: Sequence[str]) -> None:
        found = {spelling for secret in secrets if secret for spelling in (secret, quote(secret, safe=""))}
        # Longest first: a secret that is part of another must not leave the rest of it readable.
        self._spellings = sorted(found, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """The text with stars in place of every secret."""
        for spelling in self._spellings:
            text = text.replace(spelling, "***")
        return text
