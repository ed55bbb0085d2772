"""The benchmarks run and give their rows. Nothing here says how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main


@pytest.mark.service
def test_a_small_pull_is_measured_in_every_way(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    main(["pull", "--items", "60", "--latency", "0,5", "--pages", "20,60", "--runs", "1", "--json", str(out)])
    measured = json.loads(out.read_text())["benchmarks"]["pull"]
    ratios, ways = (table["rows"] for table in measured["tables"])
    settings = {(row["ms"], row["page"]) for row in ratios}
    assert settings == {(0, 20), (5, 20), (0, 60)}
    assert {row["pull"] for row in ratios} == {"first", "again"}
    assert {row["beside"] for row in ratios} == {"limit", "limit + markdown"}
    assert {row["way"] for row in ways} == {"ours", "limit", "limit + markdown", "usual"}
    assert all(run["seconds"] > 0 and run["rss"] > 0 for run in measured["runs"])
    first = _ours(measured["runs"], "first")
    assert [run["counts"]["created"] for run in first] == [60, 60, 60]
    # However many items a page has, storing it takes as many statements.
    assert len({run["statements_max"] for run in _ours(measured["runs"], "again")}) == 1
    assert [run["calls"] for run in first] == [2 + 3, 2 + 3, 2 + 1]  # myself and the count, then the pages
    assert measured["calibration"]["before"] > 0


def _ours(runs: list[dict[str, Any]], phase: str) -> list[dict[str, Any]]:
    return [run for run in runs if run["way"] == "ours" and run["phase"] == phase]
