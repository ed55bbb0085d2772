"""The entry point `turnbuckle`: all commands, one module per group."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from cli import (
    connectors,
    database,
    deliveries,
    facts,
    incidents,
    integrations,
    keys,
    notifications,
    tokens,
    webhooks,
    workspaces,
)
from cli.demo.command import demo
from cli.errors import Group
from cli.explain import explain
from cli.plan import plan
from cli.serve import serve
from cli.simulate import simulate
from cli.up import up

app = typer.Typer(
    cls=Group,
    name="turnbuckle",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Keeps a delivery platform's tasks and the tools its teams already use saying the same thing.",
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(version("turnbuckle"))
        raise typer.Exit


@app.callback()
def _main(
    show: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Settings come from the environment: TURNBUCKLE_DATABASE_URL and its like."""


app.command()(up)
app.command()(demo)
app.command()(serve)
app.add_typer(database.app, name="db")
app.add_typer(workspaces.app, name="workspace")
app.add_typer(tokens.app, name="token")
app.add_typer(connectors.app, name="connectors")
app.add_typer(integrations.app, name="integration")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(notifications.app, name="notifications")
app.add_typer(incidents.app, name="incidents")
app.add_typer(facts.app, name="facts")
app.add_typer(keys.app, name="keys")
app.command()(plan)
app.command()(explain)
app.command()(simulate)
