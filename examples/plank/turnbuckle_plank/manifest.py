"""The facts of Plank."""

from connectors import contract as c
from turnbuckle_plank.config import PlankConfig, PlankCredentials

MANIFEST = c.Manifest(
    type="plank",
    name="Plank",
    category=c.Category.PROJECT_MANAGEMENT,
    description="Cards on boards",
    config=PlankConfig,
    credentials={"token": PlankCredentials},
    endpoints={"api": "https://api.plank.example"},
    webhooks=c.WebhookFacts(headers_kept=("x-plank-delivery", "x-plank-event")),
    # Plank allows 600 calls a minute; a quarter is left for the account's other programs.
    rates=c.RateFacts(per_second=7.5, burst=30),
    refetch_batch=50,
)
