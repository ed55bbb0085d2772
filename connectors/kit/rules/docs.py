"""The README beside a connector, by its headings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from connectors.kit import quality
from connectors.kit.rule import Finding, Rule, Subject, Tier

SETUP = r"set[- ]?up|installation|connecting"
SCOPES = r"scopes?|permissions?|rights"

BASICS = {
    "Setup": SETUP,
    "Removal": r"removal|removing|disconnecting|uninstall",
}
MORE = {
    "Known limits": r"known limit(s|ations)|limitations",
    "Troubleshooting": r"troubleshooting",
    "Configuration": r"configuration|examples?",
}
SHORTEST = 40
"""Characters under a heading: with less than that nobody can do anything."""

_HEADING = re.compile(r"^#{1,4}\s+(.+?)\s*$", re.MULTILINE)
_OWNER = re.compile(r"^(owner|maintained by|maintainer)s?\b\W*\w+", re.IGNORECASE | re.MULTILINE)


def readme(subject: Subject) -> str:
    """The README's text; empty without one."""
    path = subject.paper("README.md")
    return path.read_text("utf-8") if path.exists() else ""


def sections(text: str) -> dict[str, str]:
    """Heading -> all below it up to the next heading of its rank or higher."""
    found: dict[str, str] = {}
    marks = list(_HEADING.finditer(text))
    for number, mark in enumerate(marks):
        rank = len(mark[0]) - len(mark[0].lstrip("#"))
        later = (m.start() for m in marks[number + 1 :] if len(m[0]) - len(m[0].lstrip("#")) <= rank)
        found[mark[1]] = text[mark.end() : next(later, len(text))].strip()
    return found


def has_sections(wanted: Mapping[str, str], subject: Subject) -> Iterator[Finding]:
    """A heading for each, with something below it."""
    below = sections(readme(subject))
    for name, pattern in wanted.items():
        texts = [text for heading, text in below.items() if re.search(rf"\b({pattern})\b", heading, re.IGNORECASE)]
        if not texts:
            yield Finding(f"README.md has no section {name!r}", f"Add a heading {name!r} and say it there.")
        elif max(map(len, texts)) < SHORTEST:
            yield Finding(
                f"README.md says next to nothing under {name!r}", "Write what a newcomer has to do, step by step."
            )


def basics(subject: Subject) -> Iterator[Finding]:
    """How to connect it, with which scopes, and how to get rid of it. Scopes may have a heading or be told in Setup."""
    yield from has_sections(BASICS, subject)
    below = sections(readme(subject))
    told = [text for heading, text in below.items() if re.search(rf"\b({SETUP})\b", heading, re.IGNORECASE)]
    if not any(re.search(rf"\b({SCOPES})\b", text, re.IGNORECASE) for text in (*below, *told)):
        yield Finding(
            "README.md does not say which scopes or permissions are needed",
            "List under Setup what the credentials must be allowed to do, and what each is for.",
        )


def limits_and_examples(subject: Subject) -> Iterator[Finding]:
    """What it can't do, what to do when it fails, and an example to copy."""
    yield from has_sections(MORE, subject)
    if "```" not in readme(subject):
        yield Finding("README.md has no example", "Show a config that works, in a code block.")


def owner_named(subject: Subject) -> Iterator[Finding]:
    """`owner` in quality.toml, or a line of the README that begins with "Owner:" or "Maintained by"."""
    owner = quality.read(subject).owner.strip()
    if (not owner or owner.startswith("nobody")) and not _OWNER.search(readme(subject)):
        yield Finding("nobody is named who answers for it", "Write `owner = …` into quality.toml.")


RULES = (
    Rule("docs", Tier.BRONZE, "The README tells of setup, scopes and removal.", static=basics),
    Rule("owner-named", Tier.SILVER, "Somebody is named who answers for it.", static=owner_named),
    Rule("tests-cover-it", Tier.SILVER, "Its own tests cover 95 % of its lines."),
    Rule(
        "docs-limits-and-examples",
        Tier.GOLD,
        "Known limits, troubleshooting and an example are documented.",
        static=limits_and_examples,
    ),
)
