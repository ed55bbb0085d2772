"""Integrations as the API shows and takes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints

from api.schemas import Body, Id, Moment, Reason, View, absent, reason
from core.models import Integration, Subscription, SyncRun
from sync.repositories import eta

Status = Literal["active", "pending_auth", "error", "disconnected"]
STATUSES = ("active", "pending_auth", "error", "disconnected")
SyncStatus = Literal["healthy", "degraded", "failed"]

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]

CHANGED = ("created", "updated", "adopted", "ended", "events_new")
"""Of a run's counts, those of records that came to something; the others were looked at and left."""


class IntegrationListed(View):
    """An integration in a list."""

    id: str
    workspace_id: str
    type: str
    name: str
    status: Status
    last_synced_at: Moment | None = Field(description="Most recent successful sync.")
    sync_status: SyncStatus
    created_at: Moment

    @classmethod
    def of(cls, integration: Integration) -> IntegrationListed:
        """The view of an integration."""
        return cls(**{name: getattr(integration, name) for name in IntegrationListed.model_fields})


class Account(View):
    """Who the credentials speak for at the vendor."""

    id: str
    name: str | None


class ConfigWarning(View):
    """Something in a configuration that may not be meant so."""

    path: str = Field(examples=["config.status_out.in_review"])
    text: str = Field(examples=["no status of APEX means in_review, so it can't be written there: …"])


class IntegrationRecord(IntegrationListed):
    """An integration. Its credentials are never shown."""

    config: dict[str, Any]
    warnings: list[ConfigWarning] = Field(description="What may be wrong with `config`, by the vendor's own words.")
    status_reason: Reason | None = Field(description="Why it has its status.")
    sync_reason: Reason | None = Field(description="Why it has its sync status.")
    account: Account | None
    capabilities: list[str]
    has_credentials: bool
    webhook_url: str | None = Field(
        description="Where the vendor must send its webhooks; null when we register them there ourselves."
    )

    @classmethod
    def parts(
        cls, integration: Integration, *, has_credentials: bool, subscription: Subscription | None, public_url: str
    ) -> dict[str, Any]:
        """The values of the fields, for this class and those that add to it."""
        account_id = integration.account_id
        return {
            **IntegrationListed.of(integration).model_dump(),
            "config": integration.config,
            "warnings": [ConfigWarning(**warning) for warning in integration.config_warnings],
            "status_reason": reason(integration.status_code, integration.status_text),
            "sync_reason": reason(integration.sync_code, integration.sync_text),
            "account": Account(id=account_id, name=integration.account_name) if account_id else None,
            "capabilities": integration.capabilities,
            "has_credentials": has_credentials,
            "webhook_url": _webhook_url(integration, subscription, public_url),
        }


def _webhook_url(integration: Integration, subscription: Subscription | None, public_url: str) -> str | None:
    if "webhooks" not in integration.capabilities or integration.status == "disconnected":
        return None
    unavailable = subscription is not None and subscription.state == "unavailable"
    if "webhook_subscriptions" in integration.capabilities and not unavailable:
        return None
    return f"{public_url.rstrip('/')}/webhooks/{integration.type}/{integration.hook_id}"


class IntegrationCreated(IntegrationRecord):
    """A new integration."""

    authorize_url: str | None = Field(
        description="Set with `pending_auth`: where a person has to consent at the vendor. Valid for some minutes; "
        "`GET /v1/integrations/{id}/oauth/start` gives a fresh one."
    )


class SyncSummary(View):
    """One finished sync."""

    at: Moment
    status: Literal["success", "failed", "partial"]
    records_synced: int = Field(description="Records that were created, updated or ended; for code, new events.")


class IntegrationDetail(IntegrationRecord):
    """An integration with its recent syncs."""

    sync_history: list[SyncSummary] = Field(description="The last 10 finished syncs, newest first.")


def summaries(runs: Sequence[SyncRun]) -> list[SyncSummary]:
    """The views of finished runs."""
    return [SyncSummary(at=run.finished_at, status=run.status, records_synced=records_synced(run)) for run in runs]


def records_synced(run: SyncRun) -> int:
    """How many records a run changed."""
    return sum(run.counts.get(name, 0) for name in CHANGED)


class SyncStarted(View):
    """A sync that was triggered, or the one that was running already."""

    sync_id: str
    status: Literal["running", "success", "failed", "partial"]
    started_at: Moment

    @classmethod
    def of(cls, run: SyncRun) -> Self:
        """The view of a run."""
        return cls(sync_id=run.id, status=run.status, started_at=run.started_at)


class SyncDetail(SyncStarted):
    """One sync."""

    finished_at: Moment | None
    integration_id: str
    kind: Literal["pull", "sweep", "backfill"] = Field(
        description="`sweep`: a look for deleted items; `backfill`: the history of one repository."
    )
    repository_id: str | None = Field(description="Whose history a backfill reads.", examples=["RPO-26-000012"])
    trigger: str = Field(examples=["manual"])
    requested_by: str = Field(description="Who asked for it; the integration itself for a scheduled one.")
    records_synced: int
    counts: dict[str, int] = Field(description="What became of the records.")
    total: int | None = Field(description="The vendor's estimate of the records of the whole run.")
    done: int | None = Field(description="How many of `total` a backfill has behind it, in the vendor's own count.")
    eta: Moment | None = Field(description="When a backfill will be finished, at the pace it has had so far.")
    error: Reason | None = Field(description="What went wrong; of a run that goes on, what it waits for.")

    @classmethod
    def at(cls, run: SyncRun, now: datetime) -> Self:
        """The view of a run as of now."""
        return cls(
            sync_id=run.id,
            status=run.status,
            started_at=run.started_at,
            finished_at=run.finished_at,
            integration_id=run.integration_id,
            kind=run.kind,
            repository_id=run.repository_id,
            trigger=run.trigger,
            requested_by=run.requested_by,
            records_synced=records_synced(run),
            counts=run.counts,
            total=run.total,
            done=run.done,
            eta=eta(run, now),
            error=reason(run.error_code, run.error_text),
        )


class WebhookSecret(View):
    """What a person enters at the vendor to register the webhook by hand."""

    webhook_url: str
    secret: str = Field(description="Shown this once.")


class NewIntegration(Body):
    """An integration to be connected. `GET /v1/connectors` tells the shapes of `config` and `credentials`."""

    workspace_id: Id
    type: Id
    name: Name
    config: dict[str, Any] = Field(default_factory=dict)
    credentials: dict[str, Any] | None = Field(
        None, description="Write-only. Left out, the vendor is asked for consent (OAuth)."
    )


class IntegrationPatch(Body):
    """What to change. `config` is merged into the stored one, key by key at the top level."""

    name: Name = absent()
    config: dict[str, Any] = absent()
    credentials: dict[str, Any] = absent()
