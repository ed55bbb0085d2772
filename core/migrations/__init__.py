"""The database's schema, step by step, and how a database is brought up to date.

Each file in `versions/` is one step; a release only ever adds files. A step must work on SQLite and on PostgreSQL, and
on a database that is in use.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from core.db import make_engine

HERE = Path(__file__).parent

LOCK = 0x7475726E
"""The PostgreSQL advisory lock that a migrating process holds ("turn" in ASCII)."""


def upgrade(url: str) -> None:
    """Bring the database up to date; does nothing if it is. Leaves no connection open.

    Several processes may start this at once: the first one works, the others wait and find it done. All steps are one
    transaction, so that a failure leaves the database as it was.
    """
    engine = make_engine(url)
    try:
        # On SQLite the writer's lock, taken at the start of the transaction, is the lock.
        with engine.execution_options(sqlite_immediate=True).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def is_current(engine: Engine) -> bool:
    """Whether the database has exactly the schema this release was written for."""
    heads = ScriptDirectory.from_config(_config()).get_heads()
    with engine.connect() as connection:
        return set(MigrationContext.configure(connection).get_current_heads()) == set(heads)


def _config() -> Config:
    config = Config()
    # Alembic reads `%` as the start of a placeholder.
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
