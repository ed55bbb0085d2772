"""What the front door counts."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

ACK_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 1.0, 3.0, 10.0)
"""Seconds. 10 and 80 ms are our goals for an idle and a busy server, 3 and 10 s the patience of Slack and GitHub."""

GROUP_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Verdict(StrEnum):
    """What came of a request."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    HANDSHAKE = "handshake"
    REJECTED = "rejected"
    REFUSED = "refused"
    UNCLAIMED = "unclaimed"
    UNAVAILABLE = "unavailable"
    FAULT = "fault"


class Metrics:
    """The front door's counters in one Prometheus registry; make them once per registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.requests = Counter(
            "turnbuckle_webhook_requests",
            "Webhook requests by integration type and verdict: accepted (a new row), duplicate (stored before), "
            "handshake, rejected (not believed), refused (no such hook, too large, …), unclaimed (the app's, but of an "
            "account that is not connected here), unavailable (try later), "
            "fault (a connector or we failed; the vendor is told to try later).",
            ("type", "verdict"),
            registry=registry,
        )
        self.changed = Counter(
            "turnbuckle_webhook_changed_duplicates",
            "Deliveries that came again under the same id with another body; the first one is kept.",
            registry=registry,
        )
        self.group_rows = Histogram(
            "turnbuckle_webhook_group_rows",
            "Deliveries that shared one commit.",
            buckets=GROUP_BUCKETS,
            registry=registry,
        )
        self.ack_seconds = Histogram(
            "turnbuckle_webhook_ack_seconds",
            "From the request's headers to its answer, for deliveries that were stored.",
            buckets=ACK_BUCKETS,
            registry=registry,
        )
