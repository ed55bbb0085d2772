"""Settings from the environment (`TURNBUCKLE_*`), read once at start; nothing else reads the environment."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class OAuthApp(BaseSettings):
    """The operator's own app at a vendor, used by every integration whose credentials name no app."""

    client_id: str = Field("", description="For vendors whose integrations are authorized by OAuth.")
    client_secret: SecretStr = SecretStr("")
    fields: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="What else the vendor knows the app by (a number, a private key): see the connector's README.",
    )
    webhook_secrets: list[SecretStr] = Field(
        default_factory=list,
        description="What verifies the app's own webhook (`/webhooks/{type}`), newest first: two while it is changed.",
    )


class Settings(BaseSettings):
    """Everything an operator can set. Names are the field names in upper case behind `TURNBUCKLE_`."""

    model_config = SettingsConfigDict(env_prefix="TURNBUCKLE_", env_nested_delimiter="__", extra="ignore")

    database_url: str = Field("sqlite:///turnbuckle.db", description="SQLAlchemy URL; SQLite file or PostgreSQL.")
    broker_url: str = Field("memory://", description="Celery broker; `memory://` runs worker and beat in this process.")
    public_url: str = Field("http://127.0.0.1:8800", description="Where vendors and people reach this server.")
    platform_url: str = Field(
        "",
        description="Where people open the platform, `https://app.example.com`: notifications lead there; or no links.",
    )
    secrets_keys: SecretStr = Field(
        SecretStr(""), description="Key ring for credentials: `name:base64(32 bytes)`, newest first, comma separated."
    )
    oauth_apps: dict[str, OAuthApp] = Field(default_factory=dict, description="Integration type -> our app there.")
    vendor_endpoints: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Integration type -> endpoint name -> base URL (a sandbox, a proxy)."
    )
    egress_allow: list[str] = Field(
        default_factory=list, description="Hosts and networks that user-given URLs may name although not public."
    )
    tick_seconds: float = Field(2.0, gt=0, description="How often beat looks for due work.")
    lease_seconds: float = Field(
        60.0,
        gt=0,
        description="How long a killed worker's lane stays closed. Longer than the slowest step of its work: a vendor "
        "call may take 35 s; a holder that is slower loses its lane, never data.",
    )
    retention_days: int = Field(
        14, ge=7, description="How long deliveries are kept, in and out; vendors redeliver for days."
    )
    tiers_file: Path = Field(
        Path("connector-tiers.json"),
        description="Where `turnbuckle connectors check --keep` keeps the tiers of plugins, which the API shows.",
    )
    log_json: bool = Field(False, description="JSON log lines for machines instead of coloured ones for people.")

    @cached_property
    def embedded(self) -> bool:
        """One process runs everything: there is no broker that others could reach."""
        return self.broker_url.startswith("memory:")
