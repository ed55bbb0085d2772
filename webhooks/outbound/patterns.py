"""The names of events an endpoint can ask for."""

from __future__ import annotations

import re

KNOWN = ("task", "integration", "code", "incident", "alert", "notification", "quality", "agent", "webhook")
"""The beginnings of all events' names: a filter with another one would never match, which is a typo."""

ALL = "*"

_NAME = re.compile(r"([a-z]+)\.(\*|[a-z_]+(\.[a-z_]+)*)")


def check(name: str) -> str:
    """The name itself. Raises ValueError when no event can have it."""
    found = _NAME.fullmatch(name)
    if name == ALL or (found is not None and found[1] in KNOWN):
        return name
    begins = ", ".join(f"{prefix}.*" for prefix in KNOWN)
    raise ValueError(f"must be * or begin as one of {begins}: a name such as task.status_changed, or task.* for all")
