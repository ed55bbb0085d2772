"""`turnbuckle simulate`: proof by simulation that two-way sync loses no edit, makes no duplicate and comes to rest."""

from __future__ import annotations

import logging
from concurrent.futures import ProcessPoolExecutor
from typing import Annotated

import structlog
import typer

from cli.output import Json, note, print_json
from simulation.report import Report
from simulation.run import replay, run_many, seeds_of
from simulation.sides import names


def simulate(
    schedules: Annotated[int, typer.Option(min=1, help="How many schedules to play.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Which ones: each seed has its own million.")] = 1,
    vendor: Annotated[
        str, typer.Option(help="Who is on the other side: toy, a built-in vendor, or a plugin's.")
    ] = "toy",
    schedule: Annotated[int | None, typer.Option(help="Play this one schedule and tell its story.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to play them in.")] = 1,
    as_json: Json = False,
) -> None:
    """Play schedules of edits on both sides, with failures of every kind, and look for lost edits and duplicates.

    Everything follows from the seed. A schedule that ends badly is made small and its story is told; the exit code is
    then 1.
    """
    if vendor not in names():
        raise typer.BadParameter(f"{vendor!r} is none of {', '.join(names())}.", param_hint="--vendor")
    _be_quiet()
    if schedule is not None:
        report = replay(vendor, schedule)
    else:
        report = _played(vendor, seeds_of(seed, schedules), jobs)
    if as_json:
        print_json(report.as_json())
    else:
        typer.echo("\n".join(report.as_lines()))
    raise typer.Exit(1 if report.failures else 0)


def _played(vendor: str, seeds: range, jobs: int) -> Report:
    if jobs == 1:
        return run_many(vendor, seeds)
    note(f"{len(seeds)} schedules in {jobs} processes")
    share = -(-len(seeds) // jobs)
    shares = [seeds[start : start + share] for start in range(0, len(seeds), share)]
    with ProcessPoolExecutor(len(shares), initializer=_be_quiet) as pool:
        return Report.joined(list(pool.map(run_many, [vendor] * len(shares), shares)))


def _be_quiet() -> None:
    """The engine's warnings are about failures that are made on purpose."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
