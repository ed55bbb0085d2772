"""The command line: runs the benchmarks, prints tables, and writes everything measured as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Console

from benchmarks import machine
from benchmarks.code import benchmark as code
from benchmarks.front_door import benchmark as front_door
from benchmarks.pull import benchmark as pull
from benchmarks.report import Report


class Benchmark(Protocol):
    """What a benchmark's module offers. `say` takes a line about what is going on."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, options: argparse.Namespace, say: Callable[[str], None]) -> Report: ...


BENCHMARKS: dict[str, Benchmark] = {"pull": pull, "code": code, "front_door": front_door}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks named, or all."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    about = machine.facts()
    for name, value in about.items():
        console.print(f"{name}: {value}", highlight=False)
    measured = {}
    for name in options.names or BENCHMARKS:
        before = machine.calibrate()
        report = BENCHMARKS[name].run(options, lambda line: console.print(f"[dim]{line}[/dim]", highlight=False))
        after = machine.calibrate()
        report.facts["json.loads of a fixed text, per s, before and after"] = f"{before:,.0f} and {after:,.0f}"
        report.show(console)
        measured[name] = report.as_json() | {"calibration": {"before": before, "after": after}}
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": about, "benchmarks": measured}, indent=2) + "\n")
        console.print(f"Everything measured is in {options.json}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the hot paths side by side.")
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there")
    for benchmark in BENCHMARKS.values():
        benchmark.add_arguments(parser)
    return parser


if __name__ == "__main__":
    main()
