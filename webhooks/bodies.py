"""Reading a request's body within bounds: of its size, of the time it takes, and of the memory all of them hold."""

from __future__ import annotations

import asyncio
from typing import Any

from webhooks.answers import COME_BACK, TOO_LONG, TOO_SLOW, Refused
from webhooks.metrics import Verdict

BODY_SECONDS = 10.0
"""How long a body may take: no vendor waits longer than that for the answer anyway (GitHub's 10 s is the most)."""

MAX_HELD = 96 * 1024 * 1024
"""Bytes of bodies held at once: three of the largest any vendor sends (25 MB), or a full queue of 96 KB each."""


class Gone(Exception):
    """The sender hung up: there is nobody to answer."""


class Bodies:
    """How many bytes of bodies this process holds, and may."""

    def __init__(self, *, max_held: int = MAX_HELD, seconds: float = BODY_SECONDS) -> None:
        self.max_held = max_held
        self.seconds = seconds
        self.held = 0


class Share:
    """One request's part of them; a context manager that gives it back."""

    __slots__ = ("_bodies", "_taken")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._taken = 0

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self._bodies.held -= self._taken

    async def read(self, receive: Any, limit: int) -> bytes:
        """The whole body. Raises Refused when it is too long, too slow, or too much with all the others; Gone."""
        try:
            async with asyncio.timeout(self._bodies.seconds):
                return await self._collect(receive, limit)
        except TimeoutError:
            raise Refused(TOO_SLOW) from None

    async def _collect(self, receive: Any, limit: int) -> bytes:
        parts: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part = message.get("body", b"")
            self._take(len(part), limit)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _take(self, size: int, limit: int) -> None:
        self._taken += size
        self._bodies.held += size
        if self._taken > limit:
            raise Refused(TOO_LONG)
        if self._bodies.held > self._bodies.max_held:
            raise Refused(COME_BACK, Verdict.UNAVAILABLE)
