"""Which connectors there are: the built-in ones, and plugins found by their entry points.

A plugin that can't be used is never fatal and never silent: it is in `Registry.failures` with the reason.
"""

from __future__ import annotations

import importlib.metadata
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel, PydanticUserError, SecretBytes, SecretStr

from connectors import tiers
from connectors.contract import CONTRACT_VERSION, Config, Connector, Credentials, Manifest, capabilities
from connectors.tiers import KeptTier

BUILT_IN = {  # one line a vendor
    "azure_boards": "connectors.azure_boards:AzureBoardsConnector",
    "bitbucket": "connectors.bitbucket:BitbucketConnector",
    "clickup": "connectors.clickup:ClickUpConnector",
    "datadog": "connectors.datadog:DatadogConnector",
    "github": "connectors.github:GitHubConnector",
    "gitlab": "connectors.gitlab:GitLabConnector",
    "jira": "connectors.jira:JiraConnector",
    "azure_devops": "connectors.azure_devops:AzureDevOpsConnector",
    "linear": "connectors.linear:LinearConnector",
    "sonarcloud": "connectors.sonarcloud:SonarCloudConnector",
    "slack": "connectors.slack:SlackConnector",
    "microsoft_teams": "connectors.microsoft_teams:TeamsConnector",
}

BUILT_IN_ORIGIN = "built-in"

ENTRY_POINTS = "turnbuckle.connectors"

OLDEST_CONTRACT = 1
"""Connectors written for this version of the contract still work."""

_FAULTS = (Exception, SystemExit)
"""What a plugin's code may do when it is imported or looked at. None of it is a reason for a server not to start."""

OURS = "turnbuckle"
"""The distribution whose version a plugin's requirements are held against."""

_SLUG = re.compile(r"[a-z][a-z0-9_]*")
_SECRET_WORDS = frozenset({"token", "secret", "password", "passphrase", "key"})
_ENDPOINT = re.compile(r"\{(\w+)\}")


ConnectorClass = type[Connector]


class UnknownType(LookupError):
    """There is no connector of this type; the text names those there are."""


class _Taken(ValueError):
    """A connector of this type is there already: the first one stays, and the built-in ones are first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One usable connector. `origin` is "built-in", or the distribution it came with and its version. `tier` is the one
    it was seen to reach, None where nobody has looked."""

    type: str
    connector: ConnectorClass
    origin: str
    capabilities: tuple[str, ...]
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """One connector that can't be used, and why."""

    name: str
    origin: str
    reason: str


class Registry:
    """The connectors of this process, by type."""

    def __init__(self, kept: Mapping[str, KeptTier] | None = None) -> None:
        self._kept = kept or {}
        self._entries: dict[str, Entry] = {}
        self._failures: list[Failure] = []

    @classmethod
    def load(cls, entry_points: Iterable[EntryPoint] | None = None, tiers_file: Path | None = None) -> Registry:
        """The built-in connectors and the plugins; `entry_points` stands in for the installed ones in tests.

        `tiers_file` is where checks keep their tiers (`connectors.tiers`); one that can't be read is a failure in the
        list, not of the process.
        """
        registry = cls()
        try:
            registry._kept = tiers.read(tiers_file) if tiers_file else {}
        except tiers.BadTiersFile as bad:
            registry._failures.append(Failure("tiers", str(tiers_file), str(bad)))
        for name, target in BUILT_IN.items():
            registry._add(EntryPoint(name, target, ENTRY_POINTS), BUILT_IN_ORIGIN)
        installed = importlib.metadata.entry_points(group=ENTRY_POINTS) if entry_points is None else entry_points
        for entry_point in installed:
            registry._add(entry_point, _origin(entry_point))
        return registry

    @property
    def failures(self) -> Sequence[Failure]:
        """Every connector that was found and can't be used."""
        return tuple(self._failures)

    def entries(self) -> Sequence[Entry]:
        """The usable connectors, by type."""
        return tuple(self._entries[name] for name in sorted(self._entries))

    def get(self, type_: str) -> ConnectorClass:
        """The connector class of an integration type. Raises UnknownType."""
        entry = self._entries.get(type_)
        if entry is None:
            raise UnknownType(f"There is no connector {type_!r}; there are: {', '.join(sorted(self._entries))}.")
        return entry.connector

    def origin(self, type_: str) -> str:
        """Where the connector of this type came from. Raises UnknownType."""
        self.get(type_)
        return self._entries[type_].origin

    def register(self, connector: ConnectorClass, origin: str = "registered") -> None:
        """Add a connector class by hand. Raises ValueError when it is not a sound one or its type is taken."""
        found = problems(connector)
        if found:
            raise ValueError("; ".join(found))
        self._keep(connector, origin)

    def _add(self, entry_point: EntryPoint, origin: str) -> None:
        unmet = _unmet(entry_point)
        if unmet:
            self._fail(entry_point, origin, unmet)
            return
        try:
            connector = entry_point.load()
        except _FAULTS as error:
            self._fail(entry_point, origin, f"can't be imported: {type(error).__name__}: {error}")
            return
        try:
            found = problems(connector)
            if not found and connector.manifest.type != entry_point.name:
                found = [f"its type is {connector.manifest.type!r}, not the name it is registered under"]
            if not found:
                self._keep(connector, origin)
        except _Taken as taken:
            found = [str(taken)]
        except _FAULTS as error:
            found = [f"its manifest can't be read: {type(error).__name__}: {error}"]
        if found:
            self._fail(entry_point, origin, "; ".join(found))

    def _keep(self, connector: ConnectorClass, origin: str) -> None:
        type_ = connector.manifest.type
        if type_ in self._entries:
            raise _Taken(f"the type {type_!r} is taken by {self._entries[type_].origin}")
        tier = tiers.tier_of(type_, connector, origin == BUILT_IN_ORIGIN, self._kept)
        self._entries[type_] = Entry(type_, connector, origin, capabilities(connector), tier)

    def _fail(self, entry_point: EntryPoint, origin: str, reason: str) -> None:
        self._failures.append(Failure(entry_point.name, origin, reason))


def problems(connector: object) -> list[str]:
    """What is wrong with a connector class, in words for its author; empty when it is sound."""
    if not isinstance(connector, type) or not callable(getattr(connector, "check", None)):
        return ["it is not a connector class: one has a manifest and a method `check`"]
    manifest = getattr(connector, "manifest", None)
    if not isinstance(manifest, Manifest):
        return ["it has no manifest"]
    return [problem for rule in _RULES for problem in rule(connector, manifest)]


def _contract_is_ours(connector: type, manifest: Manifest) -> Iterable[str]:
    if not OLDEST_CONTRACT <= manifest.contract <= CONTRACT_VERSION:
        yield (
            f"it was written for version {manifest.contract} of the connector contract; "
            f"this release runs versions {OLDEST_CONTRACT} to {CONTRACT_VERSION}"
        )


def _type_is_a_slug(connector: type, manifest: Manifest) -> Iterable[str]:
    if not _SLUG.fullmatch(manifest.type):
        yield f"its type {manifest.type!r} must be lower-case letters, digits and underscores"


def _models_fit(connector: type, manifest: Manifest) -> Iterable[str]:
    if not _is_subclass(manifest.config, Config):
        yield "its config model must subclass Config"
    if not manifest.credentials:
        yield "it names no credentials model"
    for mode, model in manifest.credentials.items():
        if not _is_subclass(model, Credentials):
            yield f"its credentials model {mode!r} must subclass Credentials"
        else:
            yield from _bare_secrets(mode, model)


def _bare_secrets(mode: str, model: type[Credentials]) -> Iterable[str]:
    for name, field in model.model_fields.items():
        if name.rpartition("_")[2] in _SECRET_WORDS and not _is_secret(field.annotation):
            yield f"the field {name!r} of its credentials model {mode!r} must be a SecretStr"


def _webhooks_are_told(connector: type, manifest: Manifest) -> Iterable[str]:
    receives = "webhooks" in capabilities(connector)
    if receives and manifest.webhooks is None:
        yield "it receives webhooks, but its manifest has no webhook facts"
    if manifest.webhooks is None:
        return
    if not receives:
        yield "its manifest has webhook facts, but it does not receive webhooks"
    known = {"signing"} | {field for model in manifest.credentials.values() for field in _fields(model)}
    for name in manifest.webhooks.secrets:
        if name not in known:
            yield f"its webhook secret {name!r} is neither 'signing' nor a field of its credentials"


def _schemas_build(connector: type, manifest: Manifest) -> Iterable[str]:
    """The API shows them: a model that has none would take the whole list down."""
    models: dict[str, type[BaseModel]] = {"config": manifest.config}
    models |= {f"credentials model {mode!r}": model for mode, model in manifest.credentials.items()}
    for name, model in models.items():
        if not _is_subclass(model, Config) and not _is_subclass(model, Credentials):
            continue  # that has been said
        try:
            model.model_json_schema()
        except PydanticUserError as error:
            yield f"its {name} has no JSON Schema: {error.message}"


def _oauth_is_sound(connector: type, manifest: Manifest) -> Iterable[str]:
    if manifest.oauth is None:
        return
    if manifest.oauth.credentials not in manifest.credentials:
        yield f"its OAuth facts name the credentials {manifest.oauth.credentials!r}, which it does not have"
    for url in (manifest.oauth.authorize_url, manifest.oauth.token_url, manifest.oauth.revoke_url):
        for endpoint in _ENDPOINT.findall(url or ""):
            if endpoint not in manifest.endpoints:
                yield f"its OAuth facts name the endpoint {endpoint!r}, which it does not have"


_RULES: tuple[Callable[[type, Manifest], Iterable[str]], ...] = (
    _contract_is_ours,
    _type_is_a_slug,
    _models_fit,
    _schemas_build,
    _webhooks_are_told,
    _oauth_is_sound,
)


def _is_subclass(model: object, base: type) -> bool:
    return isinstance(model, type) and issubclass(model, base)


def _fields(model: type[Credentials]) -> Iterable[str]:
    return model.model_fields if _is_subclass(model, Credentials) else ()


def _is_secret(annotation: object) -> bool:
    """SecretStr (or SecretBytes), or that and None."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return all(part is type(None) or _is_secret(part) for part in typing.get_args(annotation))
    return annotation in (SecretStr, SecretBytes)


def _unmet(entry_point: EntryPoint) -> str:
    """Why a plugin is not for this release, by the requirement of its own distribution; empty if it is."""
    distribution = entry_point.dist
    for line in (distribution.requires or []) if distribution else []:
        requirement = Requirement(line)
        if canonicalize_name(requirement.name) != OURS:
            continue
        version = importlib.metadata.version(OURS)
        if not requirement.specifier.contains(version, prereleases=True):
            return f"it requires {OURS} {requirement.specifier}; this is {version}"
    return ""


def _origin(entry_point: EntryPoint) -> str:
    distribution = entry_point.dist
    return f"{distribution.name} {distribution.version}" if distribution else "a plugin"
