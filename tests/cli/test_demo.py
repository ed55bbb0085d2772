"""The demo is a promise: it runs anywhere, ends by itself, and both ends are equal."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from cli.demo.comparing import Comparison, Difference, Held, lost_edits
from cli.demo.ending import summarize
from cli.demo.people import Edit
from cli.demo.watching import Numbers


def test_a_short_demo_ends_equal_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "demo", "--for", "5", "--all"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "curl -H" in done.stdout
    assert re.search(r"edits made +[1-9]", done.stdout)
    assert re.search(r"calls made +[1-9]", done.stdout)
    assert re.search(r"equal +all [1-9]\d* tasks and items", done.stdout)
    assert re.search(r"equal +GitHub: .*[1-9]\d* merged changes", done.stdout)
    assert "a person was told" not in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_difference_is_shown_field_by_field(capsys) -> None:
    numbers = Numbers(1, 2, 3, 4, 5, 6, 7, None)
    comparison = Comparison(9, [Difference("APEX-1", "title", "a", "b"), Difference("APEX-1", "status", "c", "d")])
    summarize(numbers, comparison, ["APEX-2 title: 'x' was set here"], Console())
    shown = capsys.readouterr().out
    assert "1 of 9 items differ" in shown
    assert "APEX-1 title: here 'a', there 'b'" in shown
    assert "APEX-2 title: 'x' was set here" in shown


def test_the_last_edit_of_a_field_must_stay_unless_both_sides_edited_at_once() -> None:
    at = datetime(2026, 4, 15, tzinfo=UTC)
    later = at + timedelta(minutes=1)

    def lost(*edits: Edit, title: str) -> list[str]:
        held = Held("TSK-26-000001", "APEX-1", {"title": title})
        return list(lost_edits(edits, [held]))

    here, there = (
        Edit(True, "Jira", "TSK-26-000001", {"title": "a"}, at),
        Edit(False, "Jira", "APEX-1", {"title": "b"}, at),
    )
    assert lost(here, there, title="a") == lost(here, there, title="b") == []
    assert len(lost(here, there, title="c")) == 1
    last = Edit(True, "Jira", "APEX-1", {"title": "d"}, later)
    assert len(lost(here, there, last, title="a")) == 1
    assert lost(here, there, last, title="d") == []
    assert len(lost(Edit(True, "Jira", "TSK-26-000009", {"title": "e"}, at), title="a")) == 1
