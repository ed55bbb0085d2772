"""What a command works with: the settings and, for all but a few, an open database that is up to date."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from cli.errors import Refused
from cli.keyring import with_key_ring
from connectors.http import default_transport
from connectors.registry import Registry
from core import logs
from core.db import Database
from core.migrations import is_current
from core.settings import Settings
from core.vault import Vault
from sync.runtime import Runtime


def load_settings() -> Settings:
    """The environment's settings, checked as far as can be told without using them. Raises Refused."""
    settings = with_key_ring(Settings())
    try:
        default_transport(settings.egress_allow).close()
    except ValueError as error:
        raise Refused(f"TURNBUCKLE_EGRESS_ALLOW: {error}") from None
    return settings


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The database, closed at the end. Refuses one whose schema is not this release's."""
    db = Database(settings.database_url)
    try:
        if not is_current(db.engine):
            raise Refused("The database is not up to date: run `turnbuckle db upgrade` first (`turnbuckle up` does).")
        yield db
    finally:
        db.close()


@contextmanager
def open_runtime() -> Iterator[Runtime]:
    """The engine's world for one command. It rings for workers where there is a broker they can hear."""
    settings = load_settings()
    logs.set_up(as_json=settings.log_json, level="WARNING")
    transport = default_transport(settings.egress_allow)
    with closing(transport), open_database(settings) as db:
        runtime = Runtime(
            settings=settings,
            db=db,
            vault=Vault.parse(settings.secrets_keys.get_secret_value()),
            registry=Registry.load(tiers_file=settings.tiers_file),
            transport=transport,
            worker=f"cli:{os.getpid()}",
        )
        yield runtime if settings.embedded else _heard(runtime)


def _heard(runtime: Runtime) -> Runtime:
    from sync.app import ring  # Celery takes a moment to load, which only commands that ring should wait for

    return replace(runtime, ring=ring)
