"""The facts of Datadog (API v1 and v2)."""

from connectors.contract import Category, Manifest, RateFacts
from connectors.datadog.config import SITES, DatadogConfig, DatadogKeys
from connectors.datadog.webhook import WEBHOOKS

MANIFEST = Manifest(
    type="datadog",
    name="Datadog",
    category=Category.MONITORING,
    description="Metrics ingestion, alert bridging",
    config=DatadogConfig,
    credentials={"api_key": DatadogKeys},
    endpoints={site: f"https://api.{site}" for site in SITES},
    webhooks=WEBHOOKS,
    # Limits are told in headers only, differ by endpoint, and are the organization's: 1,600 metric queries an hour were
    # the documented ones, and as many as that are not taken from people's dashboards.
    rates=RateFacts(per_second=0.4, burst=40),
    # Each monitor is asked for by itself: a batch has to fit into the burst.
    refetch_batch=20,
)
