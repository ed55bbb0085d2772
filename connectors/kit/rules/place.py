"""Where a connector lives, and how it is found."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from connectors.kit.rule import Finding, Rule, Subject, Tier


def domain_is_folder(subject: Subject) -> Iterator[Finding]:
    """The folder is called as the type is, or ends with it (`turnbuckle_plank`)."""
    type_, folder = subject.connector.manifest.type, subject.folder.name
    if folder != type_ and not folder.endswith(f"_{type_}"):
        yield Finding(
            f"the connector of type {type_!r} is in a folder called {folder!r}",
            f"Call the package {type_!r}, or let its name end with _{type_}.",
        )


def one_line(subject: Subject) -> Iterator[Finding]:
    """The package itself offers the class, so that one line registers it."""
    package = subject.connector.__module__.rpartition(".")[0] or subject.connector.__module__
    offered = vars(importlib.import_module(package)).values()
    ancestors = [base for base in subject.connector.__mro__ if hasattr(base, "manifest")]
    if not any(base is value for base in ancestors for value in offered):
        name = subject.connector.__name__
        yield Finding(
            f"the package {package} does not offer {name}",
            f"Import {name} in its __init__.py; the entry point is then `{package}:{name}`.",
        )


RULES = (
    Rule("domain-is-folder", Tier.BRONZE, "The folder is called as the type is.", static=domain_is_folder),
    Rule("one-line-registration", Tier.BRONZE, "One line registers it.", static=one_line),
)
