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

PLANTED = """
from cli.demo import course
from cli.demo.channel import SlackTool
from cli.demo.command import demo
from cli.demo.datadog import DatadogTool
from cli.demo.jira import JiraTool

heard = SlackTool.said
SlackTool.said = lambda tool: heard(tool)[1:]
course.VENDORS, course.QUIET_SECONDS = (JiraTool, DatadogTool, SlackTool), 3.0
demo(for_=6.0, everything=True, seed=1, items=3)
"""
"""A demo of three vendors in which Slack has lost the first message."""

TYPES = (
    *("jira", "linear", "clickup", "azure_boards", "github", "gitlab", "bitbucket", "azure_devops"),
    *("datadog", "sonarcloud", "slack", "microsoft_teams"),
)


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(tmp_path),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "COLUMNS": "160",
        },
        cwd=tmp_path,
    )


def test_a_short_demo_of_all_types_ends_equal_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "cli", "demo", "--for", "8", "--all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "curl -H" in done.stdout
    assert re.search(r"edits made +[1-9]", done.stdout)
    assert re.search(r"calls made +[1-9]", done.stdout)
    assert re.search(r"equal +all [1-9]\d* tasks and items", done.stdout)
    for host in ("GitHub", "GitLab", "Bitbucket", "Azure DevOps"):
        assert re.search(rf"equal +{host}: .*[1-9]\d* merged changes", done.stdout)
    for tool in ("Slack", "Microsoft Teams"):
        assert re.search(rf"equal +{tool}: [1-9]\d* messages in [1-9]\d* threads", done.stdout)
        assert re.search(rf"^{tool} #incidents$", done.stdout, re.MULTILINE)
    table = done.stdout[done.stdout.index(" integration ") :].splitlines()[1:]
    assert [line.split()[0] for line in table] == list(TYPES)
    assert {line.split()[-1] for line in table} == {"healthy"}
    assert re.search(r"[1-9]\d* incidents \(.*\), [1-9]\d* series", table[TYPES.index("datadog")])
    assert "a person was told" not in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_difference_that_stays_is_shown_and_exits_1(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", PLANTED)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"NOT EQUAL +Slack:\n  NTF-\d+-\d+ was sent 1 times, and is no such message in C08", done.stdout)
    assert re.search(r"equal +Datadog: ", done.stdout)


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
