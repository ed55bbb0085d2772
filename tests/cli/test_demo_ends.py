"""What the demo compares at its end: equal ends are content, and any planted difference shows and is no success."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from cli.demo import incidents, quality, spoken
from cli.demo.cast import USUAL, VENDORS
from cli.demo.channel import ChannelTool, Said, SlackTool, TeamsTool, channels
from cli.demo.comparing import Comparison, Difference
from cli.demo.datadog import DatadogTool, Wrong
from cli.demo.ending import conclude
from cli.demo.kinds import KINDS
from cli.demo.outcome import Outcome
from cli.demo.sonarcloud import SonarCloudTool, Standing
from cli.demo.view import LiveView
from cli.demo.watching import Numbers
from sandbox.microsoft_teams.sandbox import APP_ID

ENDED = datetime(2026, 4, 15, 10, tzinfo=UTC)
FIRING = Wrong(1001, "service:payments", "Payments are slow", "high", True, None)
OVER = replace(FIRING, fires=False, ended=ENDED)
NUMBERS = Numbers(1, 2, 3, 4, 5, 6, 7, None)


def incident(**changed: Any) -> dict[str, Any]:
    usual = {
        "id": "INC-26-000001",
        "monitor": "1001",
        "scope": "service:payments",
        "title": "Payments are slow",
        "severity": "high",
        "status": "open",
        "resolved_at": None,
    }
    return usual | changed


# --- incidents ----------------------------------------------------------------------------------------


def told_of(listed: Sequence[dict[str, Any]], state: Wrong) -> list[str]:
    return list(incidents.differences(listed, {(state.monitor, state.scope): state}))


def test_an_incident_that_is_going_on_is_a_monitor_that_fires() -> None:
    assert told_of([incident()], FIRING) == []
    assert told_of([incident(status="acknowledged")], FIRING) == []
    assert told_of([incident(status="resolved", resolved_at="2026-04-15T10:00:00Z")], OVER) == []
    assert (
        told_of([incident(status="resolved", resolved_at="2026-04-15T10:00:00Z"), incident(id="INC-26-2")], FIRING)
        == []
    )


@pytest.mark.parametrize(
    ("listed", "state", "said"),
    [
        ([], FIRING, "there it was wrong, here is no incident"),
        ([incident()], OVER, "there it is well, here INC-26-000001 is going on"),
        ([incident(status="resolved", resolved_at="2026-04-15T10:00:00Z")], FIRING, "there it fires, here nothing"),
        ([incident(), incident(id="INC-26-000002")], FIRING, "here INC-26-000001, INC-26-000002 is going on"),
        (
            [incident(status="resolved", resolved_at="2026-04-15T10:00:09Z")],
            OVER,
            "resolved_at: here 2026-04-15T10:00:09Z",
        ),
        ([incident(title="Other")], FIRING, "title: here 'Other', there 'Payments are slow'"),
        ([incident(severity="low")], FIRING, "severity: here 'low', there 'high'"),
        ([incident(), incident(monitor="7")], FIRING, "monitor 7 of service:payments was never wrong there"),
    ],
)
def test_an_incident_that_is_not_as_its_monitor_is_told(listed: Sequence[Any], state: Wrong, said: str) -> None:
    [told] = told_of(listed, state)
    assert said in told


def test_a_monitors_state_is_what_its_groups_say() -> None:
    tool = DatadogTool(1, 0)
    monitor = next(one for one in tool.sandbox.monitors.values() if one.name == "Queue is long")
    tool.sandbox.trigger(monitor.id, "queue:mail")
    assert [(one.scope, one.severity, one.fires) for one in tool.wrong().values()] == [("queue:mail", "critical", True)]
    tool.sandbox.recover(monitor.id, "queue:mail")
    [over] = tool.wrong().values()
    assert (over.fires, over.ended is not None) == (False, True)


# --- quality ------------------------------------------------------------------------------------------


def test_gates_and_coverage_are_what_sonar_says() -> None:
    there = {"api": Standing("failed", 71.2), "worker": Standing("passed", None)}
    assert list(quality.differences({"api": "failed", "worker": "passed"}, {"api": 71.2}, there)) == []
    assert list(quality.differences({"api": "failed", "worker": "none"}, {"api": 71.2}, {"api": there["api"]})) == []
    told = list(quality.differences({"api": "passed", "other": "failed"}, {"api": 71.3}, there))
    assert told == [
        "api gate: here passed, there failed",
        "api coverage: here 71.3, there 71.2",
        "other gate: here failed, there none",
        "worker gate: here none, there passed",
    ]


def test_a_project_stands_as_its_newest_analysis_says_and_as_people_have_accepted() -> None:
    tool = SonarCloudTool(1, 0)
    project = next(iter(tool.sandbox.projects))
    tool.sandbox.analyse(project, uncovered_lines=150.0, bugs=1.0)
    assert tool.standings()[project] == Standing("failed", 85.0)
    tool.sandbox.accept(project)
    assert tool.standings()[project].gate == "passed"


# --- notifications ------------------------------------------------------------------------------------


class Channels(SlackTool):
    """With these messages."""

    def __init__(self, *said: Said) -> None:
        super().__init__(1, 0)
        self._said = said

    def said(self) -> Sequence[Said]:
        return self._said


ROOT = Said("incidents", "C1", "1.1", None, "Again: slow", "NTF-26-000001", 2)
REPLY = Said("incidents", "C1", "1.2", "1.1", "Over: slow", "NTF-26-000002", 0)
OTHER = Said("delivery", "C2", "1.3", None, "New tasks", "NTF-26-000003", 0)


def sent(number: int, channel: str, id_: str) -> dict[str, Any]:
    place = {"channel": channel, "id": id_}
    return {"id": f"NTF-26-{number:06d}", "title": "x", "state": "sent", "error": None, "message": place}


SENT = [sent(1, "C1", "1.1"), sent(2, "C1", "1.2"), sent(3, "C2", "1.3")]


def unlike(listed: Sequence[dict[str, Any]], *said: Said) -> list[str]:
    return list(spoken.differences(listed, said, Channels(*said)))


def test_every_notification_that_was_sent_is_one_message() -> None:
    waits = SENT[2] | {"state": "gathering", "message": None}
    assert unlike([*SENT, waits], ROOT, REPLY, OTHER) == []


def test_a_message_too_few_too_many_or_that_bears_another_id_is_told() -> None:
    assert unlike(SENT, ROOT, REPLY) == ["NTF-26-000003 was sent 1 times, and is no such message in C2 (1.3)"]
    [twice] = unlike(SENT, ROOT, REPLY, OTHER, replace(OTHER, id="1.4"))
    assert "a message in C2 (1.4) is none that was sent: it bears NTF-26-000003" in twice
    assert len(unlike(SENT, ROOT, replace(REPLY, bears="NTF-26-000001"), OTHER)) == 2
    assert len(unlike([*SENT, SENT[0]], ROOT, REPLY, OTHER)) == 1


@pytest.mark.parametrize("state", ["pending", "failed", "unknown"])
def test_a_notification_that_did_not_arrive_is_told(state: str) -> None:
    [told] = unlike([SENT[0] | {"state": state, "error": {"code": "not_found", "text": "gone"}}])
    assert told == f"NTF-26-000001 (x) is {state}: {{'code': 'not_found', 'text': 'gone'}}"


def test_what_was_said_is_shown_channel_by_channel_with_its_threads() -> None:
    shown = list(channels(Channels(ROOT, OTHER, REPLY), 5))
    assert shown == [
        ["Slack #incidents", "  Again: slow  (changed 2 times)", "    └ Over: slow"],
        ["Slack #delivery", "  New tasks"],
    ]
    later = replace(ROOT, id="1.0", text="Something else")
    [lines] = channels(Channels(later, ROOT, replace(REPLY, root="1.0")), 1)
    assert lines == ["Slack #incidents (1 threads before)", "  Something else  (changed 2 times)", "    └ Over: slow"]
    older = [replace(OTHER, id=f"{number}.0", text=f"Digest {number}") for number in range(4)]
    [lines] = channels(Channels(*older), 2)
    assert lines == ["Slack #delivery (2 threads before)", "  Digest 2", "  Digest 3"]


def test_a_message_of_either_tool_is_read_with_its_thread_and_the_id_it_bears() -> None:
    slack, teams = SlackTool(1, 0), TeamsTool(1, 0)
    workspace, tenant = slack.sandbox.workspace, teams.sandbox.tenant
    room, home = workspace.channels["C08INCIDENTS"], next(iter(tenant.conversations.values()))
    context = {"type": "context", "elements": [{"type": "mrkdwn", "text": "now · NTF-26-000007"}]}
    text = {"text": "Slow\nvery", "blocks": [context]}
    root = workspace.say(room, slack.sandbox.robot.id, text)
    workspace.say(room, slack.sandbox.robot.id, text | {"thread_ts": root.ts})
    told = [(one.channel, one.root, one.text, one.bears) for one in slack.said()]
    assert told == [("incidents", None, "Slow", "NTF-26-000007"), ("incidents", root.ts, "Slow", "NTF-26-000007")]
    body = [{"type": "TextBlock", "text": "Slow"}, {"type": "TextBlock", "text": "now · NTF-26-000008"}]
    message = {"type": "message", "attachments": [{"content": {"body": body}}]}
    post = tenant.post(home, APP_ID, message)
    tenant.post(home, APP_ID, message, post.id)
    tenant.post(home, "ann", {"text": "Who is on call?"})
    told = [(one.channel, one.root, one.text, one.bears) for one in teams.said()]
    assert told == [("delivery", None, "Slow", "NTF-26-000008"), ("delivery", post.id, "Slow", "NTF-26-000008")]
    assert teams.thread(f"{home.id};messageid={post.id}") == home.id


def test_the_living_view_shows_the_last_thread_of_each_channel_and_not_all_of_a_long_one() -> None:
    replies = [replace(REPLY, id=f"2.{number}", text=f"Answer {number}") for number in range(9)]
    console = Console(record=True, width=100, height=60, force_terminal=True)
    live: Any = SimpleNamespace(update=lambda shown, refresh: console.print(shown))
    LiveView(live, [Channels(ROOT, *replies, OTHER)]).show([], NUMBERS, Comparison(0, []))
    text = console.export_text()
    assert "Slack #incidents" in text
    assert "Again: slow" in text
    assert "Answer 8" in text
    assert "Answer 2" not in text
    assert "New tasks" in text


# --- the end ------------------------------------------------------------------------------------------


class Told:
    """A world of two integrations, as far as the end asks for it."""

    def __init__(self, sync_status: str = "healthy") -> None:
        self.connected = [
            SimpleNamespace(vendor=make(1, 1), integration_id=make.type) for make in (DatadogTool, SlackTool)
        ]
        self.channels = [one for one in self.connected if isinstance(one.vendor, ChannelTool)]
        self._status = sync_status

    def shown(self, one: Any) -> dict[str, Any]:
        reason = None if self._status == "healthy" else {"code": "x", "text": "It is down."}
        return {"sync_status": self._status, "sync_reason": reason}


FINE = {"datadog": Outcome("3 incidents", "3 groups", []), "slack": Outcome("9 said", "9 messages", [])}


def end(
    world: Told, outcomes: dict[str, Outcome], comparison: Comparison | None = None, lost: Sequence[str] = ()
) -> bool:
    given: Any = world
    return conclude(given, NUMBERS, 4, comparison or Comparison(9, []), lost, outcomes, [], Console(width=200))


def test_the_end_is_a_table_of_all_integrations_and_is_content_if_all_is_equal_and_healthy(capsys) -> None:
    assert end(Told(), FINE)
    shown = capsys.readouterr().out
    assert "equal             Datadog: 3 groups" in shown
    assert "equal             Slack: 9 messages" in shown
    lines = shown[shown.index("sync_status") :].splitlines()[1:]
    assert [line.split() for line in lines] == [
        ["datadog", "3", "incidents", "0", "healthy"],
        ["slack", "9", "said", "0", "healthy"],
    ]


def test_any_difference_shows_and_is_no_success(capsys) -> None:
    assert not end(Told(), FINE | {"slack": Outcome("9 said", "8 messages", ["NTF-26-000003 was sent once too often"])})
    shown = capsys.readouterr().out
    assert "NOT EQUAL         Slack:\n  NTF-26-000003 was sent once too often" in shown
    assert "equal             Datadog" in shown
    assert not end(Told(), FINE, Comparison(9, [Difference("APEX-1", "title", "a", "b")]))
    assert not end(Told(), FINE, lost=["APEX-2 title: 'x' was set here"])


def test_an_integration_that_is_not_well_is_no_success_and_says_why(capsys) -> None:
    assert not end(Told("degraded"), FINE)
    assert "degraded: It is down." in capsys.readouterr().out


def test_every_vendor_is_of_a_kind_and_the_usual_ones_are_few() -> None:
    assert {make.kind for make in VENDORS} == set(KINDS)
    assert [make.type for make in USUAL] == ["jira", "linear", "github"]
