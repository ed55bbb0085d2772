"""`turnbuckle connectors check`: how good a connector is, found out by running it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli.output import Json, note, print_json, print_table
from connectors.kit.report import Report
from connectors.kit.rule import Tier
from connectors.kit.targets import NoConnector, target
from connectors.registry import Registry


class Required(StrEnum):
    """The tiers, as they are written on the command line."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    PLATINUM = "platinum"


def check(
    connector: Annotated[str, typer.Argument(help="A type (jira), a folder (./plank) or a package (plank_connector).")],
    require: Annotated[Required, typer.Option(help="The tier it has to reach for exit code 0.")] = Required.BRONZE,
    as_json: Json = False,
) -> None:
    """Run a connector through every rule of the quality scale and compute its tier.

    Each rule runs the connector against its fake vendor on the real engine, in memory. The exit code is 1 when the tier
    is lower than required.
    """
    report = examined(connector)
    if as_json:
        print_json(report.as_json())
    else:
        print_table(("RULE", "TIER", "RESULT"), report.rows(), empty="There are no rules.")
        note(f"{report.type}: {report.tier.label if report.tier else 'not even bronze'}")
    raise typer.Exit(0 if report.reaches(Tier[require.name]) else 1)


def examined(name: str) -> Report:
    """The report on what a target names. Exits with 2 where it names nothing."""
    from simulation.bench import trial_of  # the engine takes a moment to load

    try:
        found = target(name, Registry.load())
    except NoConnector as error:
        note(str(error))
        raise typer.Exit(2) from None
    return trial_of(found.connector, found.sandbox).report()
