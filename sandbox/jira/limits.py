"""Jira Cloud's rate limits: hourly points, bursts per endpoint, writes per issue.

Sizes are Jira Cloud REST v3's, multiplied by a scale so that a test can reach them.
"""

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.clock import Clock
from sandbox.jira.model import Settings

QUOTA_GLOBAL = "jira-quota-global-based"
QUOTA_TENANT = "jira-quota-tenant-based"
BURST = "jira-burst-based"
PER_ISSUE = "jira-per-issue-on-write"

# Points an app may spend in one UTC hour, all tenants together (default tier).
HOURLY_POINTS = 65_000
# Requests per second, and the bucket's depth, by method; two endpoints have their own.
BURST_BY_METHOD = {"GET": 100, "POST": 100, "PUT": 50, "DELETE": 50}
BURST_BY_OPERATION = {"getIssue": 150, "getChangeLogs": 200}
# Writes to one issue: (how many, in how many seconds).
ISSUE_WRITE_WINDOWS = ((20, 2.0), (100, 30.0))
# Below this share of what is left, answers say so.
NEAR_SHARE = 0.2


@dataclass(frozen=True)
class Refusal:
    """Why a call is refused, and for how long (seconds)."""

    reason: str
    retry_after: int
    limit: int
    reset: datetime

    def headers(self) -> dict[str, str]:
        """The headers of the 429."""
        return {
            "Retry-After": str(self.retry_after),
            "RateLimit-Reason": self.reason,
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": self.reset.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


@dataclass
class _Bucket:
    tokens: float
    at: datetime


@dataclass
class RateLimits:
    """The accounting. With `settings.enforce_limits` off nothing is counted."""

    clock: Clock
    settings: Settings
    _spent: int = 0
    _hour: datetime | None = None
    _buckets: dict[tuple[str, str, str], _Bucket] = field(default_factory=dict)
    _writes: dict[tuple[str, str], deque[datetime]] = field(default_factory=lambda: defaultdict(deque))

    def check(self, tenant: str, operation: str, method: str, issue: str | None, app: bool) -> Refusal | None:
        """Count a call about to be made; a Refusal when it must not be. `app`: points apply to it."""
        if not self.settings.enforce_limits:
            return None
        if app and self._points_left() <= 0:
            end = self._this_hour() + timedelta(hours=1)
            return self._refuse(QUOTA_GLOBAL, self._size(HOURLY_POINTS), end)
        refusal = self._burst(tenant, operation, method)
        if refusal is None and issue is not None and method != "GET":
            refusal = self._issue_write(tenant, issue)
        return refusal

    def charge(self, is_read: bool, objects: int, identities: int) -> None:
        """Spend points: a read costs 1, plus 1 per object and 2 per identity; a write costs 1."""
        if self.settings.enforce_limits:
            self._points_left()
            self._spent += 1 + objects + 2 * identities if is_read else 1

    def headers(self) -> dict[str, str]:
        """What a normal answer tells about the points."""
        if not self.settings.enforce_limits:
            return {}
        limit, left = self._size(HOURLY_POINTS), max(self._points_left(), 0)
        headers = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(left)}
        if left < limit * NEAR_SHARE:
            headers["X-RateLimit-NearLimit"] = "true"
        return headers

    def planned(self, reason: str | None, retry_after: int | None) -> Refusal:
        """A refusal somebody asked for."""
        seconds = 5 if retry_after is None else retry_after
        return Refusal(reason or BURST, seconds, HOURLY_POINTS, self.clock.now() + timedelta(seconds=seconds))

    def _size(self, size: int) -> int:
        return max(1, int(size * self.settings.limits_scale))

    def _this_hour(self) -> datetime:
        return self.clock.now().replace(minute=0, second=0, microsecond=0)

    def _points_left(self) -> int:
        if self._hour != self._this_hour():
            self._hour, self._spent = self._this_hour(), 0
        return self._size(HOURLY_POINTS) - self._spent

    def _burst(self, tenant: str, operation: str, method: str) -> Refusal | None:
        rate = self._size(BURST_BY_OPERATION.get(operation, BURST_BY_METHOD.get(method, 50)))
        now = self.clock.now()
        bucket = self._buckets.setdefault((tenant, operation, method), _Bucket(rate, now))
        refilled = bucket.tokens + (now - bucket.at).total_seconds() * rate
        bucket.tokens, bucket.at = min(float(rate), refilled), now
        if bucket.tokens < 1:
            return self._refuse(BURST, rate, now + timedelta(seconds=1))
        bucket.tokens -= 1
        return None

    def _issue_write(self, tenant: str, issue: str) -> Refusal | None:
        now = self.clock.now()
        writes = self._writes[tenant, issue]
        while writes and (now - writes[0]).total_seconds() > ISSUE_WRITE_WINDOWS[-1][1]:
            writes.popleft()
        for size, seconds in ISSUE_WRITE_WINDOWS:
            recent = [at for at in writes if (now - at).total_seconds() < seconds]
            if len(recent) >= self._size(size):
                return self._refuse(PER_ISSUE, self._size(size), recent[0] + timedelta(seconds=seconds))
        writes.append(now)
        return None

    def _refuse(self, reason: str, limit: int, reset: datetime) -> Refusal:
        seconds = (reset - self.clock.now()).total_seconds()
        return Refusal(reason, max(1, math.ceil(seconds)), limit, reset)
