"""The manifest, and the models of config and credentials."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretBytes, SecretStr

from connectors.contract import Manifest
from connectors.kit.rule import Finding, Rule, Subject, Tier
from connectors.registry import problems

REJECTIONS = range(200, 500)
"""Statuses a delivery may be refused with: 2xx for vendors that punish refusals; a 5xx would ask for it again."""

SECRET_WORDS = ("token", "secret", "password", "passphrase", "api_key", "private_key")


def manifest_valid(subject: Subject) -> Iterator[Finding]:
    """What the registry asks for, and that the facts can be true."""
    for problem in problems(subject.connector):
        yield Finding(problem, "Correct the manifest or the class; see connectors/contract.py.")
    manifest: Manifest = subject.connector.manifest
    for name in ("name", "description"):
        if not getattr(manifest, name).strip():
            yield Finding(f"the manifest's {name} is empty", f"Say in {name} what people will look for.")
    for name, url in manifest.endpoints.items():
        if urlsplit(url).scheme != "https":
            yield Finding(f"the endpoint {name} is {url!r}", "Name an https address; operators may override it.")
    if manifest.rates.per_second <= 0 or manifest.rates.burst < 1:
        yield Finding("the rate allows no calls", "Write down the vendor's documented sustained rate.")
    if manifest.refetch_batch < 1:
        yield Finding("refetch_batch is below 1", "Say how many ids one fetch_tasks may take.")
    if manifest.webhooks is not None and manifest.webhooks.rejection not in REJECTIONS:
        yield Finding(
            f"deliveries that are not believed are answered {manifest.webhooks.rejection}",
            "Use 401, or the 2xx that the vendor does not punish; a 5xx asks for the delivery again.",
        )


def typed(subject: Subject) -> Iterator[Finding]:
    """Every field has a type, every secret is a SecretStr, and a typo is an error."""
    manifest: Manifest = subject.connector.manifest
    models: dict[str, type[BaseModel]] = {"config": manifest.config}
    models |= {f"credentials {mode}": model for mode, model in manifest.credentials.items()}
    for where, model in models.items():
        if model.model_config.get("extra") != "forbid":
            yield Finding(
                f"{where} takes unknown keys", "Leave `extra` as the base class has it: a typo must be an error."
            )
        for name, field in model.model_fields.items():
            yield from _field(where, name, field.annotation)


def _field(where: str, name: str, annotation: object) -> Iterator[Finding]:
    if annotation is Any:
        yield Finding(f"{where}.{name} has no type", "Give it one: the form and the API's errors are made from it.")
    looks_secret = any(name == word or name.endswith(f"_{word}") for word in SECRET_WORDS)
    if not looks_secret:
        return
    if where == "config":
        yield Finding(f"config.{name} looks like a secret", "Move it to the credentials: a config is shown to people.")
    elif not _is_secret(annotation):
        yield Finding(f"{where}.{name} is not a SecretStr", "Make it SecretStr, so that no repr or log can show it.")


def _is_secret(annotation: object) -> bool:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return all(part is type(None) or _is_secret(part) for part in typing.get_args(annotation))
    return annotation in (SecretStr, SecretBytes)


RULES = (
    Rule("manifest-valid", Tier.BRONZE, "The manifest states facts that can be true.", static=manifest_valid),
    Rule(
        "config-and-credentials-are-typed",
        Tier.BRONZE,
        "Config and credentials are pydantic models; every secret is a SecretStr.",
        static=typed,
        essential=True,
    ),
)
