"""What is said of events, and of many at once. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.contract import Conflict, NotificationKind, RateLimited, Rejected, Severity, Transient
from sync.failures import MAX_ATTEMPTS, Fault
from sync.notifications.digest import MOST_LINES, Member, digest
from sync.notifications.policy import FAULT_TRIES, FLAP, Unclear, continues, judge
from sync.notifications.words import TEXT, TITLE, Draft, Happened, Known, as_body, at_least, draft, notification

AT = datetime(2026, 4, 15, 10, tzinfo=UTC)
HOME = "https://app.apex.test/"


def said(type_: str, subject: str = "TSK-26-000001", known: Known | None = None, /, **data: Any) -> Draft:
    return draft(Happened(type_, subject, "USR-26-000001", data, AT, known or Known()), HOME)


def facts(made: Draft) -> dict[str, str]:
    return {line.name: line.value for line in made.facts}


# --- events -------------------------------------------------------------------------------------------


def test_a_task_is_named_with_its_title_and_leads_to_its_page() -> None:
    made = said(
        "task.status_changed", "TSK-26-000001", Known("Fix the leak", "high"), **{"from": "in_review", "to": "done"}
    )
    assert made.title == "TSK-26-000001 Fix the leak: in review → done"
    assert (made.kind, made.severity, made.over) == (NotificationKind.TASK, Severity.MEDIUM, False)
    assert (made.url, made.thread_key) == ("https://app.apex.test/tasks/TSK-26-000001", "task:TSK-26-000001")


@pytest.mark.parametrize(
    ("priority", "severity"),
    [("critical", "high"), ("high", "medium"), ("medium", "low"), ("low", "info"), ("", "info")],
)
def test_a_task_is_as_bad_as_its_priority_and_no_worse_than_high(priority: str, severity: str) -> None:
    assert said("task.created", "TSK-26-000001", Known("x", priority), status="backlog").severity == severity


@pytest.mark.parametrize(("to", "severity"), [("degraded", "medium"), ("failed", "high")])
def test_an_integrations_failure_says_why(to: str, severity: str) -> None:
    happened = {"from": "healthy", "to": to, "code": "transient", "text": "Jira did not answer."}
    made = said("integration.sync_status_changed", "INT-26-000001", Known("Jira"), **happened)
    assert (made.title, made.text, made.severity, made.over) == (
        f"Jira is {to}",
        "Jira did not answer.",
        severity,
        False,
    )
    assert made.thread_key == "integration:INT-26-000001"


def test_a_recovery_is_as_important_as_what_it_recovers_from() -> None:
    made = said("integration.sync_status_changed", "INT-26-000001", **{"from": "failed", "to": "healthy", "text": None})
    assert (made.over, made.severity) == (True, Severity.HIGH)


@pytest.mark.parametrize(
    ("what", "begins", "over"),
    [
        ("opened", "Payments", False),
        ("updated", "Payments", False),
        ("acknowledged", "Acknowledged: ", False),
        ("resolved", "Resolved: ", True),
        ("reopened", "Again: ", False),
    ],
)
def test_an_incident_says_where_it_stands(what: str, begins: str, over: bool) -> None:
    told = {
        "title": "Payments are slow",
        "severity": "critical",
        "integration": {"name": "Datadog"},
        "opened_at": "10:00",
    }
    made = said(f"incident.{what}", "INC-26-000007", **told)
    assert made.title.startswith(begins)
    assert (made.kind, made.severity, made.over) == (NotificationKind.INCIDENT, Severity.CRITICAL, over)
    assert facts(made)["Source"] == "Datadog"
    assert made.thread_key == "incident:INC-26-000007"


def test_a_severity_nobody_knows_is_taken_for_the_usual_one() -> None:
    assert said("incident.opened", "INC-26-000007", title="x", severity="sev0").severity is Severity.HIGH


def test_a_gate_says_which_condition_failed_and_is_over_when_it_passes() -> None:
    conditions = [
        {"metric": "coverage", "passed": False, "value": "71.2", "threshold": "80"},
        {"metric": "bugs", "passed": True, "value": "0", "threshold": "0"},
    ]
    made = said("quality.gate_failed", "RPO-26-000001", name="payments", branch="main", conditions=conditions)
    assert (made.title, facts(made)) == ("payments fails its quality gate", {"Branch": "main", "coverage": "71.2 (80)"})
    passed = said("quality.gate_passed", "RPO-26-000001", name="payments", branch="main")
    assert (passed.over, passed.thread_key) == (True, made.thread_key)


def test_the_main_branches_of_two_projects_are_two_threads_and_two_integrations_are_more() -> None:
    def thread(integration: str, project: str, branch: str = "main") -> str | None:
        data = {"subject": project, "name": "Payments", "branch": branch}
        return said("quality.gate_failed", integration, **data).thread_key

    one = thread("INT-26-000001", "apex_payments-api")
    others = [
        thread("INT-26-000001", "apex_payments-worker"),
        thread("INT-26-000002", "apex_payments-api"),
        thread("INT-26-000001", "apex_payments-api", "release/2"),
    ]
    assert one is not None
    assert len({one, *others}) == 4


def test_an_event_nobody_has_words_for_is_told_in_its_own() -> None:
    made = said("agent.run_failed", "AGT-26-000001", run_id="RUN-26-000009", reason="out of budget", nested={"a": 1})
    assert made.title == "AGT-26-000001: run failed"
    assert facts(made) == {"Reason": "out of budget", "Run id": "RUN-26-000009"}
    assert said("agent.approval_requested", "AGT-26-000001").kind is NotificationKind.APPROVAL


def test_without_a_platform_to_lead_to_the_vendors_page_is_the_link() -> None:
    happened = Happened(
        "incident.opened", "INC-26-000001", "INT-26-000001", {"title": "x", "url": "https://dd.test/1"}, AT
    )
    assert draft(happened, "").url == "https://dd.test/1"
    assert draft(happened, HOME).url == "https://app.apex.test/incidents/INC-26-000001"


@pytest.mark.parametrize("url", ["http://dd.test/1", "javascript:alert(1)", ""])
def test_only_https_is_ever_a_link(url: str) -> None:
    happened = Happened("incident.opened", "INC-26-000001", "INT-26-000001", {"title": "x", "url": url}, AT)
    assert draft(happened, "").url == ""
    assert draft(happened, "http://localhost").url == ""


def test_long_words_are_shortened() -> None:
    made = said("incident.opened", "INC-26-000001", title="x" * 9999, text="y" * 9999)
    assert (len(made.title), len(made.text)) == (TITLE, TEXT)
    assert made.title.endswith("…")


def test_what_is_kept_of_a_notification_is_all_of_it() -> None:
    made = said("incident.resolved", "INC-26-000001", title="x", severity="low")
    told = notification("NTF-26-000001", made.kind, made.severity, made.title, as_body(made), AT)
    assert (told.facts, told.over, told.severity) == (made.facts, True, Severity.LOW)
    assert told.link is not None
    assert told.link.url == made.url


def test_the_worst_severity_passes_every_filter() -> None:
    assert [at_least(Severity.CRITICAL, least) for least in Severity] == [True] * 5
    assert [at_least(severity, Severity.MEDIUM) for severity in Severity] == [True, True, True, False, False]


# --- digests ------------------------------------------------------------------------------------------


def member(number: int, key: str | None = None, severity: Severity = Severity.INFO, over: bool = False) -> Member:
    return Member("task.created", severity, f"thing {number}", key, over, AT + timedelta(minutes=number))


def test_a_digest_says_of_each_thing_the_last_and_how_often() -> None:
    made = digest([member(1, "a"), member(2, "b"), member(3, "a", Severity.HIGH)])
    assert made.text.splitlines() == ["• thing 2", "• thing 3 (2×)"]
    assert made.title == "3 things happened from 10:01 to 10:03 UTC"
    assert (made.severity, facts(made)) == (Severity.HIGH, {"task.created": "3"})


def test_a_digest_of_very_many_things_names_the_last_and_counts_the_others() -> None:
    made = digest([Member("a.b", Severity.LOW, "t" * 500, None, False, AT)] * 500)
    assert made.text.splitlines()[0] == f"… and {500 - MOST_LINES} more before these"
    assert len(made.text) <= TEXT


def test_a_digest_is_good_news_when_all_of_it_is() -> None:
    assert digest([member(1, over=True), member(2, over=True)]).over
    assert not digest([member(1, over=True), member(2)]).over


# --- what a failure means -----------------------------------------------------------------------------


LOST = Transient("The connection was cut.", maybe_done=True)
TASK, INCIDENT = NotificationKind.TASK, NotificationKind.INCIDENT


@pytest.mark.parametrize(
    ("error", "kind", "tries", "said", "find", "state"),
    [
        (LOST, TASK, 1, True, False, "unknown"),
        (LOST, NotificationKind.DIGEST, 1, True, False, "unknown"),
        (LOST, TASK, 1, True, True, "pending"),
        (LOST, INCIDENT, 1, True, False, "pending"),
        (LOST, NotificationKind.APPROVAL, 1, True, False, "pending"),
        (LOST, NotificationKind.INTEGRATION, 1, True, False, "pending"),
        (LOST, INCIDENT, MAX_ATTEMPTS, True, True, "unknown"),
        (Transient("down", maybe_done=False), TASK, 1, False, False, "pending"),
        (Transient("down", maybe_done=False), TASK, MAX_ATTEMPTS, False, False, "failed"),
        (RateLimited("slow", AT + timedelta(seconds=30)), TASK, MAX_ATTEMPTS + 9, False, False, "pending"),
        (Conflict("busy"), TASK, FAULT_TRIES - 1, False, True, "pending"),
        (Fault(ValueError()), INCIDENT, FAULT_TRIES, False, True, "failed"),
        (Rejected("too long"), INCIDENT, 1, False, True, "failed"),
        (Unclear("who knows"), TASK, 2, True, True, "unknown"),
    ],
)
def test_what_becomes_of_a_message_that_could_not_be_said(
    error: Any, kind: NotificationKind, tries: int, said: bool, find: bool, state: str
) -> None:
    verdict = judge(error, "NTF-26-000001", kind, tries, AT, said=said, find=find)
    assert verdict.state == state
    assert verdict.at > AT or state != "pending"


def test_the_vendors_own_time_is_waited_for_and_not_all_come_back_in_one_moment() -> None:
    until = AT + timedelta(minutes=10)
    waits = {judge(RateLimited("x", until), f"NTF-{n}", TASK, 1, AT, said=False, find=True).at for n in range(20)}
    assert min(waits) >= until
    assert len(waits) > 10


def test_what_begins_again_soon_belongs_to_the_same_thread() -> None:
    assert continues("integration:INT-1", AT, AT + FLAP - timedelta(seconds=1))
    assert not continues("integration:INT-1", AT, AT + FLAP)
    assert continues("incident:INC-1", AT, AT + timedelta(days=3)), "which incident it is was decided elsewhere"
    assert continues("integration:INT-1", None, AT + timedelta(days=3)), "it was never over"
