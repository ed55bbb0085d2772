"""The key ring that credentials are sealed with.

In production it is a setting. An embedded Turnbuckle makes itself one on its first start and keeps it in a file beside
its database, readable by its owner only.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.engine import make_url

from cli.output import note
from core.settings import Settings
from core.vault import new_key

FIRST_KEY = "k1"


def with_key_ring(settings: Settings) -> Settings:
    """The settings with a key ring: the given one, else an embedded database's own, made if there is none yet."""
    path = key_file(settings)
    if settings.secrets_keys.get_secret_value() or path is None:
        return settings
    if not path.exists():
        _make(path)
    return settings.model_copy(update={"secrets_keys": SecretStr(path.read_text().strip())})


def key_file(settings: Settings) -> Path | None:
    """Where an embedded database's key ring is; None where there is no such file."""
    url = make_url(settings.database_url)
    if not settings.embedded or url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(f"{url.database}.keys")


def _make(path: Path) -> None:
    """Put a ring with one fresh key there, at once and whole: of two processes that start together, one makes it."""
    handle, draft = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # readable by the owner only
    try:
        with os.fdopen(handle, "w") as file:
            file.write(new_key(FIRST_KEY) + "\n")
        os.link(draft, path)
    except FileExistsError:
        return  # the other process was first
    finally:
        os.unlink(draft)
    note(f"Made a key for credentials: {path} (keep a copy, but not beside the database's backups).")
