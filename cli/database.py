"""`turnbuckle db`: the schema."""

from __future__ import annotations

import typer
from sqlalchemy.engine import make_url

from core import logs
from core.migrations import upgrade as migrate
from core.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The database's schema.")


@app.callback()
def _group() -> None:
    """Makes `upgrade` a subcommand although it is the only one."""


@app.command()
def upgrade() -> None:
    """Bring the database up to date. Safe to run any time, also by several processes at once."""
    settings = Settings()
    logs.set_up(as_json=settings.log_json, level="WARNING")
    migrate(settings.database_url)
    typer.echo(f"{make_url(settings.database_url).render_as_string(hide_password=True)} is up to date")
