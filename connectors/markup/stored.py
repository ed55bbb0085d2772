"""Markdown as it is compared with itself after a vendor has stored it. Pure."""

from __future__ import annotations

import re

_BULLET = re.compile(r"^(\s*)[*+](?=\s)")


def canonical(markdown: str) -> str:
    """Markdown with one kind of line end and of list sign, without blanks at the end; code stays as it is."""
    lines, inside = [], False
    for line in markdown.replace("\r\n", "\n").split("\n"):
        fence = line.lstrip().startswith("```")
        inside ^= fence
        lines.append(line if inside or fence else _BULLET.sub(r"\1-", line.rstrip()))
    return "\n".join(lines).strip()
