"""Which tier of the quality scale a connector was seen to reach: kept when it is checked, read when a process starts.

A tier is computed by running the connector (`turnbuckle connectors check plank --keep`), never claimed by its author.
It belongs to the very code that was run: with other code in the folder it counts no more.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

SHIPPED: Mapping[str, str] = {
    "azure_boards": "platinum",
    "azure_devops": "platinum",
    "bitbucket": "platinum",
    "clickup": "gold",
    "datadog": "platinum",
    "github": "platinum",
    "gitlab": "platinum",
    "jira": "platinum",
    "linear": "platinum",
    "microsoft_teams": "platinum",
    "slack": "platinum",
    "sonarcloud": "platinum",
}
"""The tiers of the built-in connectors; a test of each keeps this true."""

COUNTED = frozenset({".py", ".md", ".toml", ".json"})
"""Files that a rule looks at: code, README, exemptions, recordings."""


class KeptTier(BaseModel):
    """What came of a check: the tier (None: not even bronze), of which code, and when."""

    tier: str | None
    digest: str
    checked_at: datetime


_FILE = TypeAdapter(dict[str, KeptTier])


class BadTiersFile(ValueError):
    """The file of kept tiers can't be read; the text says which one it is and what to do."""


def folder_of(connector: type) -> Path:
    """Where the connector's code is."""
    return Path(inspect.getfile(connector)).parent


def digest(folder: Path) -> str:
    """Names and contents of all that was checked."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in COUNTED and path.is_file()):
        found.update(f"{path.relative_to(folder)}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def read(path: Path) -> Mapping[str, KeptTier]:
    """Integration type -> what was kept. Empty without a file. Raises BadTiersFile."""
    if not path.exists():
        return {}
    try:
        return _FILE.validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise BadTiersFile(f"{path} can't be read: {error}. Remove it and check the connectors again.") from None


def keep(path: Path, type_: str, tier: str | None, folder: Path, now: datetime) -> None:
    """Keep what came of a check. The file is replaced as a whole: a reader sees the old one or the new one."""
    kept = {**read(path), type_: KeptTier(tier=tier, digest=digest(folder), checked_at=now)}
    shown = {name: json.loads(one.model_dump_json()) for name, one in sorted(kept.items())}
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(shown, indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)


def tier_of(type_: str, connector: type, built_in: bool, kept: Mapping[str, KeptTier]) -> str | None:
    """The connector's tier; None where it has none, or nobody has checked this code."""
    if built_in:
        return SHIPPED.get(type_)
    found = kept.get(type_)
    if found is None or found.digest != digest(folder_of(connector)):
        return None
    return found.tier
