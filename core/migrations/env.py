"""Alembic's entry point: runs the steps on the connection `upgrade()` gives, or one of its own for developers."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from core.db import BigKey, JsonType, UtcDateTime, make_engine
from core.models import Task
from core.settings import Settings

# A step must mean the same for ever, so it names plain types, not ours, which may change.
FROZEN_TYPES = (
    (UtcDateTime, "sa.DateTime(timezone=True)"),
    (type(JsonType), 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'),
)


def main() -> None:
    """Run what the command asks for."""
    connection = context.config.attributes.get("connection")
    if connection is not None:
        run(connection)
        return
    engine = make_engine(Settings().database_url)
    with engine.execution_options(sqlite_immediate=True).begin() as own:
        run(own)
    engine.dispose()


def run(connection: Connection) -> None:
    """Run it on this connection, inside the transaction that is open on it."""
    context.configure(connection=connection, target_metadata=Task.metadata, render_item=render_item)
    with context.begin_transaction():
        context.run_migrations()


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """How a type is written into a new step."""
    if kind != "type":
        return False
    if item == BigKey:
        return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
    for type_, rendered in FROZEN_TYPES:
        if type(item) is type_:
            if "postgresql." in rendered:
                autogen.imports.add("from sqlalchemy.dialects import postgresql")
            return rendered
    return False


main()
