"""What a Datadog integration is configured with, and the keys it can use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, SecretStr, StringConstraints, model_validator

from connectors.contract import AlertingConfig, Config, Credentials

Site = Literal[
    "datadoghq.com",
    "us3.datadoghq.com",
    "us5.datadoghq.com",
    "ap1.datadoghq.com",
    "ap2.datadoghq.com",
    "uk1.datadoghq.com",
    "datadoghq.eu",
    "ddog-gov.com",
    "us2.ddog-gov.com",
]

SITES: tuple[str, ...] = get_args(Site)
"""All there are; keys of one are unknown to the others."""

DAY = 86_400

ANY = "*"
"""As a tag of `monitors`: every monitor."""

_QUERY = re.compile(r"[a-z0-9]+:[\w.]+\{[^{}]*\}( by \{[^{}]+\})?(\.\w+\([^()]*\))*")
_AGGREGATED = {"min": "min", "max": "max"}

QueryName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class DatadogMetric(Config):
    """A number to be read: one query, or a formula of several."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_.]*$", max_length=100, description="What it is called here.")
    query: str | None = Field(None, description="`avg:system.cpu.user{env:prod} by {host}`, without a rollup.")
    queries: dict[QueryName, str] = Field(default_factory=dict, description="Name -> query, for `formula`.")
    formula: str | None = Field(None, min_length=1, description="`100 * errors / hits`.")
    unit: str | None = Field(None, min_length=1, description="Instead of the one Datadog names; nothing is converted.")
    rollup_seconds: int = Field(300, ge=60, le=DAY, description="The time each point stands for; divides a day.")
    rollup: Literal["avg", "sum", "min", "max", "count"] | None = Field(
        None, description="How values of that time become one; none: by the query (`sum` of counts, else `avg`)."
    )

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if (self.query is None) == (self.formula is None) or (self.formula is None) != (not self.queries):
            raise ValueError("give a `query`, or a `formula` and its `queries`")
        if DAY % self.rollup_seconds:
            raise ValueError(f"a day can't be divided into times of {self.rollup_seconds} seconds")
        for query in self.named().values():
            if ".rollup(" in query:
                raise ValueError(f"{query!r}: leave the rollup out; it is made of `rollup_seconds` and `rollup`")
            if not _QUERY.fullmatch(query):
                raise ValueError(f"{query!r} is no single query such as `avg:system.cpu.user{{env:prod}} by {{host}}`")
        return self

    def named(self) -> Mapping[str, str]:
        """The queries by name."""
        return self.queries if self.query is None else {"a": self.query}

    def pinned(self) -> Mapping[str, str]:
        """The queries with their rollup: without one Datadog chooses it by the window, and values would change."""
        return {
            name: f"{query}.rollup({self._method(query)}, {self.rollup_seconds})"
            for name, query in self.named().items()
        }

    def _method(self, query: str) -> str:
        counts = ".as_count()" in query
        return self.rollup or ("sum" if counts else _AGGREGATED.get(query.partition(":")[0], "avg"))


class DatadogConfig(AlertingConfig):
    """What is followed of an organization. Without an application key nothing can be read: then `monitors`, `metrics`
    and `route` have to be empty, and the webhook is registered by hand."""

    monitors: list[str] = Field(
        default_factory=list, description="Monitors that are asked: those with one of these tags; `*` for all."
    )
    metrics: list[DatadogMetric] = Field(default_factory=list, description="Numbers that are read.")
    route: str | None = Field(
        None,
        min_length=1,
        description="Scope of monitors that tell us without being edited, as a notification rule: `service:payments`.",
    )
    history_days: int = Field(30, ge=1, le=450, description="How far back metrics are read at first.")
    max_series: int = Field(200, ge=1, le=2000, description="The most series of one metric that are kept.")

    @model_validator(mode="after")
    def _names_are_used_once(self) -> Self:
        names = [metric.name for metric in self.metrics]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two metrics are called {name!r}")
        return self

    def without(self) -> frozenset[str]:
        """What nothing is asked of."""
        unused = {"alert_source": not self.monitors, "measure_source": not self.metrics}
        return frozenset(name for name, is_unused in unused.items() if is_unused)

    def needs_application_key(self) -> list[str]:
        """The keys that are set and can't be used with an API key alone."""
        return [name for name in ("monitors", "metrics", "route") if getattr(self, name)]


class DatadogKeys(Credentials):
    """An API key, and an application key, without which nothing can be read or registered."""

    api_key: SecretStr = Field(min_length=1)
    application_key: SecretStr | None = Field(None, min_length=1)
    site: Site = "datadoghq.com"

    def headers(self) -> Mapping[str, str]:
        """The headers that prove who is calling."""
        proof = {"DD-API-KEY": self.api_key.get_secret_value()}
        if self.application_key is not None:
            proof["DD-APPLICATION-KEY"] = self.application_key.get_secret_value()
        return proof
