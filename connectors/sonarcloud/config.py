"""What a SonarCloud integration is configured with, and the token it uses."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from connectors.contract import Config, Credentials

METRICS = (
    "coverage",
    "line_coverage",
    "branch_coverage",
    "lines_to_cover",
    "uncovered_lines",
    "conditions_to_cover",
    "uncovered_conditions",
    "new_coverage",
    "ncloc",
    "duplicated_lines_density",
    "bugs",
    "vulnerabilities",
    "code_smells",
    "security_hotspots",
    "reliability_rating",
    "security_rating",
    "sqale_rating",
    "sqale_index",
)
"""What is read unless the config names others; with the counters that coverage of several projects is made of."""

# Sonar's rule for keys of projects: letters, digits, `-`, `_`, `.`, `:`.
ProjectKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,400}$")]
MetricKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]


class SonarCloudConfig(Config):
    """What is followed of an organization, or of a server of one's own."""

    flavor: Literal["cloud", "server"] = Field("cloud", description="SonarQube Cloud, or a SonarQube Server.")
    region: Literal["eu", "us"] = Field("eu", description="Of the cloud: sonarcloud.io or sonarqube.us.")
    organization: str | None = Field(None, min_length=1, max_length=255, description="The organization's key.")
    url: str | None = Field(None, pattern=r"^https://[^\s?#]+$", description="The server's address.")
    projects: list[ProjectKey] = Field(default_factory=list, description="Keys of projects; none: all there are.")
    branches: list[str] = Field(
        default_factory=list, description="Branches besides the main one, as patterns: `release/*`."
    )
    metrics: list[MetricKey] = Field(
        default_factory=lambda: list(METRICS), min_length=1, description="Sonar's keys of what is read."
    )
    history_days: int | None = Field(None, ge=1, description="How far back is read at first; none: to the start.")
    poll_seconds: int = Field(3600, ge=60, le=86_400)

    @model_validator(mode="after")
    def _fits_its_flavor(self) -> Self:
        if self.flavor == "cloud" and (self.organization is None or self.url is not None):
            raise ValueError("SonarQube Cloud needs `organization` and no `url`; of a server say `flavor: server`")
        if self.flavor == "server" and (self.url is None or self.organization is not None):
            raise ValueError("a server needs `url` and has no `organization`")
        return self

    def follows_project(self, key: str) -> bool:
        """Whether a project is read."""
        return not self.projects or key in self.projects

    def follows_branch(self, name: str, main: bool) -> bool:
        """Whether a branch is read: the main one is, whatever it is called."""
        return main or any(fnmatchcase(name, pattern) for pattern in self.branches)


class SonarToken(Credentials):
    """A token: of the organization (`sqco_…`), or of a person."""

    api_key: SecretStr = Field(min_length=1)

    def authorization(self) -> str:
        """The `Authorization` header."""
        return f"Bearer {self.api_key.get_secret_value()}"
