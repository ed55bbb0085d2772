"""The benchmark of code runs and gives its rows. Nothing here says how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main


@pytest.mark.service
def test_a_small_history_is_read_in_every_way_to_its_last_event(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    main(["code", "--pulls", "12,24", "--turns", "1", "--json", str(out)])
    measured = json.loads(out.read_text())["benchmarks"]["code"]
    ratios, ways, memory = (table["rows"] for table in measured["tables"])
    assert [(row["pull requests"], row["beside"]) for row in ratios] == [
        *((12, "fetch"), (12, "read")),
        *((24, "fetch"), (24, "read")),
    ]
    # That every way came to all events of the history is checked by the benchmark itself.
    runs = [run for run in measured["runs"] if run["pulls"] == 24]
    assert {run["way"] for run in runs} == {"fetch", "read", "ours"}
    assert len({run["events"] for run in runs}) == 1
    [history] = [run for run in runs if run["way"] == "ours" and run["phase"] == "backfill"]
    assert history["counts"]["events_new"] == history["events"]
    assert 0 < history["writes"] <= history["commits"]
    assert len({run["calls"] for run in runs}) == 1, "all ways ask for the same"
    assert {row["way"] for row in ways} == {"fetch", "read", "ours", "facts"}
    assert [row[""] for row in memory] == ["backfill", "facts"]
