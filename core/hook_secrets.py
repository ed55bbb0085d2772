"""The secrets that verify an integration's webhook: the newest, and those before it until their time is over.

While a secret is being changed at the vendor, deliveries signed with the old one are under way. It verifies for
`OVERLAP` after the vendor was told (or, where a person registers the webhook, after the new one was made); until then
it has no end. Sealed as `{"secrets": [newest, …], "until": [null, iso time or null, …]}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

OVERLAP = timedelta(hours=24)
"""Longer than any vendor retries what it signed before; short enough that a leaked secret is soon worthless."""

KEPT = 2
"""Secrets at once. More would mean that somebody changes them faster than vendors retry."""


@dataclass(frozen=True, slots=True)
class HookSecret:
    """One secret. `until` None: no end is known."""

    value: str
    until: datetime | None = None


@dataclass(frozen=True)
class HookSecrets:
    """All of an integration's, newest first; never empty."""

    kept: tuple[HookSecret, ...]

    @classmethod
    def first(cls, value: str) -> HookSecrets:
        """Those of a webhook that is new."""
        return cls((HookSecret(value),))

    @classmethod
    def opened(cls, sealed: Mapping[str, Any]) -> HookSecrets:
        """From what was sealed."""
        values = sealed.get("secrets", ())
        ends = [*sealed.get("until", ()), *[None] * len(values)]
        moments = [datetime.fromisoformat(end) if end else None for end in ends]
        return cls(tuple(HookSecret(value, until) for value, until in zip(values, moments, strict=False)))

    def to_seal(self) -> dict[str, Any]:
        """What is sealed."""
        ends = [secret.until.isoformat() if secret.until else None for secret in self.kept]
        return {"secrets": [secret.value for secret in self.kept], "until": ends}

    @property
    def newest(self) -> str:
        """The one to sign with."""
        return self.kept[0].value

    def valid(self, now: datetime) -> tuple[str, ...]:
        """Those that verify now, newest first."""
        return tuple(secret.value for secret in self.kept if secret.until is None or secret.until > now)

    def changed(self, value: str) -> HookSecrets:
        """With a new one in front; how long those before it last is decided when the vendor knows."""
        before = tuple(secret for secret in self.kept if secret.value != value)
        return HookSecrets((HookSecret(value), *before)[:KEPT])

    def settled(self, now: datetime) -> HookSecrets:
        """The vendor signs with the newest from now on: those before it get their end, and what is over goes."""
        newest, *before = self.kept
        ending = [HookSecret(secret.value, secret.until or now + OVERLAP) for secret in before]
        return HookSecrets((newest, *(secret for secret in ending if secret.until and secret.until > now)))
