"""What /metrics shows: this process's requests, and the installation's backlog as the database has it right now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.models import Binding, Delivery, Integration, NotificationMessage, WebhookEndpoint, WebhookMessage
from sync.runtime import Runtime

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Meters:
    """The meters of one application, in a registry of their own."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, rt: Runtime) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route")
        self._requests = Counter(
            "turnbuckle_http_requests", "Requests answered.", (*labels, "status"), registry=self.registry
        )
        self._seconds = Histogram("turnbuckle_http_request_seconds", "Time to answer.", labels, registry=self.registry)
        self.registry.register(Backlog(rt))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered."""
        method = method if method in METHODS else "other"  # a caller may make up any number of them
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def exposition(self) -> str:
        """All meters in Prometheus's text format."""
        return generate_latest(self.registry).decode()


class Backlog(Collector):
    """Gauges read from the database at scrape time: the same from every process, and right after a restart."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges now."""
        now = self._rt.clock()
        with self._rt.db.read() as session:
            yield from _deliveries(session, now)
            yield from _bindings(session, now)
            yield from _integrations(session)
            yield from _webhooks(session, now)
            yield from _notifications(session, now)


def _deliveries(session: Session, now: datetime) -> Iterator[GaugeMetricFamily]:
    wanted = select(func.count(), func.min(Delivery.received_at)).where(Delivery.state == "pending")
    count, oldest = session.execute(wanted).one()
    yield _gauge("turnbuckle_deliveries_pending", "Webhook deliveries waiting to be worked on.", count)
    yield _gauge("turnbuckle_deliveries_oldest_seconds", "Age of the oldest of them.", _age(oldest, now))


def _bindings(session: Session, now: datetime) -> Iterator[GaugeMetricFamily]:
    owed = select(func.count(), func.min(Binding.owed_since)).where(Binding.owed, Binding.failed_at.is_(None))
    count, oldest = session.execute(owed).one()
    failed = session.scalar(select(func.count()).where(Binding.owed, Binding.failed_at.is_not(None)))
    yield _gauge("turnbuckle_bindings_owed", "Tasks with a change still to be written to a vendor.", count)
    yield _gauge("turnbuckle_bindings_owed_oldest_seconds", "Age of the oldest of them.", _age(oldest, now))
    yield _gauge("turnbuckle_bindings_failed", "Tasks whose write to a vendor was given up.", failed or 0)


def _integrations(session: Session) -> Iterator[GaugeMetricFamily]:
    gauge = GaugeMetricFamily(
        "turnbuckle_integrations", "Integrations by state.", labels=("type", "status", "sync_status")
    )
    columns = (Integration.type, Integration.status, Integration.sync_status)
    for *labels, count in session.execute(select(*columns, func.count()).group_by(*columns)):
        gauge.add_metric(labels, count)
    yield gauge


def _webhooks(session: Session, now: datetime) -> Iterator[GaugeMetricFamily]:
    """What can be sent; what is owed to a disabled endpoint waits for a person."""
    enabled = WebhookEndpoint.enabled
    pending = (
        select(func.count(), func.min(WebhookMessage.created_at))
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookMessage.endpoint_id)
        .where(WebhookMessage.state == "pending", enabled)
    )
    count, oldest = session.execute(pending).one()
    disabled = session.scalar(select(func.count()).select_from(WebhookEndpoint).where(~enabled))
    yield _gauge("turnbuckle_webhooks_pending", "Webhook messages still to be delivered.", count)
    yield _gauge("turnbuckle_webhooks_oldest_seconds", "Age of the oldest of them.", _age(oldest, now))
    yield _gauge("turnbuckle_webhooks_disabled", "Webhook endpoints that are disabled.", disabled or 0)


def _notifications(session: Session, now: datetime) -> Iterator[GaugeMetricFamily]:
    """What can be said; what is owed through an integration that is not active waits for a person."""
    message = NotificationMessage
    pending = (
        select(func.count(), func.min(message.queued_at))
        .join(Integration, Integration.id == message.integration_id)
        .where(message.state == "pending", Integration.status == "active")
    )
    count, oldest = session.execute(pending).one()
    yield _gauge("turnbuckle_notifications_pending", "Notifications still to be said.", count)
    yield _gauge("turnbuckle_notifications_oldest_seconds", "Age of the oldest of them.", _age(oldest, now))


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _age(moment: datetime | None, now: datetime) -> float:
    return max((now - moment).total_seconds(), 0.0) if moment else 0.0
