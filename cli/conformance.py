"""`turnbuckle connectors check`: how good a connector is, found out by running it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli.output import Json, note, print_json, print_table
from connectors import tiers
from connectors.kit.report import Report
from connectors.kit.rule import Tier
from connectors.kit.targets import NoConnector, Target, target
from connectors.registry import Registry
from core.clock import utc_now
from core.settings import Settings


class Required(StrEnum):
    """The tiers, as they are written on the command line."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    PLATINUM = "platinum"


def check(
    connector: Annotated[str, typer.Argument(help="A type (jira), a folder (./plank) or a package (plank_connector).")],
    require: Annotated[Required, typer.Option(help="The tier it has to reach for exit code 0.")] = Required.BRONZE,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the tier, for the list of connectors to show.")] = False,
    as_json: Json = False,
) -> None:
    """Run a connector through every rule of the quality scale and compute its tier.

    Each rule runs the connector against its fake vendor on the real engine, in memory. The exit code is 1 when the tier
    is lower than required, and 2 when there is no such connector.
    """
    from simulation.bench import trial_of  # the engine takes a moment to load

    found = _found(connector)
    report = trial_of(found.connector, found.sandbox).report()
    if as_json:
        print_json(report.as_json())
    else:
        print_table(("RULE", "TIER", "RESULT"), report.rows(), empty="There are no rules.")
        note(f"{report.type}: {report.tier.label if report.tier else 'not even bronze'}")
    if keep:
        _keep(found, report)
    raise typer.Exit(0 if report.reaches(Tier[require.name]) else 1)


def _found(name: str) -> Target:
    """What a target names. Exits with 2 where it names nothing."""
    try:
        return target(name, Registry.load())
    except NoConnector as error:
        note(str(error))
        raise typer.Exit(2) from None


def _keep(found: Target, report: Report) -> None:
    if report.type in tiers.SHIPPED:
        note(f"{report.type} is built-in: its tier is shipped with it.")
        return
    path = Settings().tiers_file
    tier = report.tier.label if report.tier else None
    tiers.keep(path, report.type, tier, tiers.folder_of(found.connector), utc_now())
    note(f"kept in {path}; servers show it from their next start on")
