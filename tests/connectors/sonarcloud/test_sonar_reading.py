"""Against the sandbox: both ways tell one story, histories, cursors, errors, and the webhook's life."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import AuthFailed, Forbidden, GateStatus, Ignored, MeasurePage, NotFound, RateLimited, Rejected
from sandbox.vendor import WRONG_TOKEN
from tests.connectors.sonarcloud.conftest import API, SECRET, URL, WORKER, Bench, gates, points


def analysed(sonar: Bench, **values: Any) -> None:
    """A minute later, another analysis."""
    sonar.clock.advance(60)
    sonar.act("analyse", project=API, **values)


# --- both ways ----------------------------------------------------------------------------------------


def test_webhook_and_poll_tell_one_story_of_a_gate(sonar: Bench) -> None:
    sonar.subscribe()
    cursor: Any = None
    for values in ({}, {"uncovered_lines": 400.0}, {"report": False}, {"bugs": 2.0}, {}):
        analysed(sonar, **values)
        [heard] = sonar.told()
        pages = sonar.read(cursor)
        assert gates(pages)[-1] == heard
        cursor = pages[-1].cursor
    assert [gate.status.value for gate in gates(sonar.read())] == ["passed", "failed", "passed", "failed", "passed"]


def test_webhook_and_poll_tell_of_one_failed_analysis(sonar: Bench) -> None:
    sonar.subscribe()
    analysed(sonar)
    cursor = sonar.read()[-1].cursor
    sonar.heard()
    for status in ("FAILED", "CANCELED"):
        sonar.clock.advance(60)
        sonar.act("fail", project=API, status=status)
        [heard] = sonar.told()
        [page] = sonar.read(cursor)
        assert page.gates == [heard]
        assert (heard.analysis, list(page.measured)) == (False, [])
        cursor = page.cursor
    assert sonar.read(cursor) == []


def test_a_gate_that_an_accepted_issue_moved_is_found_by_either_way(sonar: Bench) -> None:
    sonar.subscribe()
    analysed(sonar, bugs=3.0)
    cursor = sonar.read()[-1].cursor
    sonar.heard()
    sonar.clock.advance(600)
    sonar.act("accept", project=API)
    [heard] = sonar.told()
    [page] = sonar.read(cursor)
    [seen] = page.gates
    assert heard == seen
    assert (heard.status, heard.at) == (GateStatus.PASSED, sonar.clock.now())
    assert sonar.read(page.cursor) == []


def test_an_analysis_that_two_hooks_tell_of_has_one_key(sonar: Bench) -> None:
    sonar.subscribe()
    sonar.connector(projects=[API]).subscribe(URL, SecretStr(SECRET))
    analysed(sonar)
    sonar.sandbox.deliver()
    bodies = [body for _, _, body in sonar.inbox.received]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]


def test_pull_requests_and_other_branches_are_not_the_projects(sonar: Bench) -> None:
    sonar.subscribe()
    sonar.act("add_branch", project=API, branch="topic/1", type="SHORT")
    sonar.act("analyse", project=API, branch="topic/1")
    sonar.act("analyse_pull", project=API, number="42")
    assert [signal.code for signal in sonar.heard() if isinstance(signal, Ignored)] == ["other_branch", "pull_request"]
    assert sonar.read() == []
    assert {name[1] for name in points(sonar.read(branches=["topic/*"]))} == {"topic/1"}


# --- reading ------------------------------------------------------------------------------------------


def test_measures_are_told_under_our_names_with_the_counters_of_coverage(sonar: Bench) -> None:
    analysed(sonar)
    found = {metric: next(iter(told.values())) for (_, _, metric), told in points(sonar.read()).items()}
    covered = sum(found[name] or 0 for name in ("lines_to_cover", "conditions_to_cover"))
    missed = sum(found[name] or 0 for name in ("uncovered_lines", "uncovered_conditions"))
    assert found["test_coverage"] == round(100 * (covered - missed) / covered, 1)
    assert (found["technical_debt"], found["security_rating"], found["new_coverage"]) == (28_800.0, 2.0, 91.5)


@pytest.mark.parametrize("old", [False, True])
def test_values_of_new_code_are_read_in_either_form(sonar: Bench, old: bool) -> None:
    sonar.sandbox.settings.old_periods = old
    analysed(sonar, new_coverage=64.0)
    assert list(points(sonar.read())[API, "main", "new_coverage"].values()) == [64.0]


def test_without_a_report_there_is_no_coverage(sonar: Bench) -> None:
    analysed(sonar)
    analysed(sonar, report=False)
    found = points(sonar.read())
    assert len(found[API, "main", "bugs"]) == 2
    assert len(found[API, "main", "test_coverage"]) == 1
    assert 0 not in found[API, "main", "test_coverage"].values()


def test_a_history_is_read_whole_and_carried_on_from_any_page(sonar: Bench) -> None:
    sonar.sandbox.plant(2500)
    pages = sonar.read()
    whole = points(pages)
    assert len(whole[API, "main", "test_coverage"]) == 2500
    seen = set(gates(pages))
    assert len({gate.at for gate in seen}) == len(seen) == 2500
    assert sonar.calls()["getHistory"] == 3
    for number, page in enumerate(pages):
        rest = sonar.read(json.loads(json.dumps(page.cursor)))
        assert points([*pages[: number + 1], *rest]) == whole
        assert set(gates([*pages[: number + 1], *rest])) == seen


def test_history_may_be_cut_short(sonar: Bench) -> None:
    sonar.sandbox.plant(100)
    assert len(points(sonar.read(history_days=7))[API, "main", "bugs"]) == 8


def test_polls_of_what_did_not_change_cost_two_calls_a_project(sonar: Bench) -> None:
    analysed(sonar)
    cursor = sonar.read()[-1].cursor
    sonar.sandbox.calls.reset()
    assert sonar.read(cursor) == []
    assert sonar.calls() == {"searchProjects": 1, "listBranches": 2, "getTask": 2}


def test_several_analyses_between_two_polls_are_all_told_and_none_twice(sonar: Bench) -> None:
    analysed(sonar)
    cursor = sonar.read()[-1].cursor
    for bugs in (1.0, 0.0, 2.0):
        analysed(sonar, bugs=bugs)
    pages = sonar.read(cursor)
    assert [gate.status.value for gate in gates(pages)] == ["failed", "passed", "failed"]
    assert list(points(pages)[API, "main", "bugs"].values()) == [0.0, 1.0, 0.0, 2.0]
    assert [bool(gate.conditions) for gate in gates(pages)] == [False, False, True]


def test_what_a_hint_names_is_read_freshly(sonar: Bench) -> None:
    for bugs in (0.0, 5.0):
        analysed(sonar, bugs=bugs)
    [page] = sonar.connector().measure([API])
    assert list(points([page])[API, "main", "bugs"].values()) == [5.0]
    assert [gate.status for gate in page.gates] == [GateStatus.FAILED]
    assert list(sonar.connector().measure([WORKER])) == []


def test_all_projects_are_listed_in_pages(sonar: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.sonarcloud.client.PAGE", 500)
    for number in range(1000):
        sonar.sandbox.add_project(f"apex_{number}")
    listed = [len(batch) for batch in sonar.connector()._client.projects()]
    assert listed == [500, 500, 2]


def test_a_metric_that_is_in_no_table_has_the_unit_of_its_type(sonar: Bench) -> None:
    analysed(sonar)
    metrics = ["software_quality_maintainability_issues", "quality_profiles", "bugs"]
    pages = sonar.read(metrics=metrics)
    assert {name[2] for name in points(pages)} == {"software_quality_maintainability_issues", "bugs"}
    said = "quality_profiles is no number, or SonarCloud does not know it: it is left out"
    assert [list(page.cut) for page in pages] == [[said], []]
    assert sonar.calls()["searchMetrics"] == 1


def test_a_server_has_no_organizations_and_lists_in_a_way_of_its_own(sonar: Bench) -> None:
    sonar.sandbox.settings.flavor = "server"
    analysed(sonar)
    server = {"organization": None, "flavor": "server", "url": "https://sonar.apex.example/sonar"}
    sonar.sandbox.hooks.register(URL, "somebody", extra={"name": "Theirs"})
    connector = sonar.connector(**server)
    # In-process a host is only a name; the path before the API's belongs to the server.
    connector._client._base = connector._client._base.removesuffix("/sonar")
    assert connector.check().name == "sonar.apex.example at sonar.apex.example"
    assert points(connector.measures(None))
    assert connector.subscribe(URL, SecretStr(SECRET)).external_ids == ("1",)
    assert sonar.calls()["searchComponents"] == 2


# --- what goes wrong ----------------------------------------------------------------------------------


def test_check_tells_the_organization(sonar: Bench) -> None:
    account = sonar.connector().check()
    assert (account.id, account.name) == ("apex-digital", "apex-digital at sonarcloud.sandbox")


def test_a_token_nobody_knows_is_refused_though_nobody_is_valid_without_one(sonar: Bench) -> None:
    assert sonar.connector()._client.http.request("GET", f"{sonar.url}/api/authentication/validate").json()["valid"]
    with pytest.raises(AuthFailed, match="does not know the token"):
        sonar.connector(WRONG_TOKEN).check()
    with pytest.raises(AuthFailed):
        sonar.connector(WRONG_TOKEN).measures(None).__next__()


def test_an_organization_there_is_not_is_said(sonar: Bench) -> None:
    with pytest.raises(NotFound, match="No organization with key 'elsewhere'"):
        sonar.connector(organization="elsewhere").check()


@pytest.mark.parametrize("lost", ["rename", "delete", "hide"])
def test_a_project_that_is_not_there_is_said_after_the_others_were_read_and_its_cursor_kept(
    sonar: Bench, lost: str
) -> None:
    analysed(sonar)
    cursor = sonar.read(projects=[API, WORKER])[-1].cursor
    arguments = {"key": "apex_payments"} if lost == "rename" else {}
    sonar.act(lost, project=API, **arguments)
    sonar.act("analyse", project=WORKER)
    pages: list[MeasurePage] = []
    with pytest.raises(NotFound, match=f"does not have the project '{API}'.*was its key changed"):
        pages.extend(sonar.connector(projects=[API, WORKER]).measures(cursor))
    assert {name[0] for name in points(pages)} == {WORKER}
    assert pages[-1].cursor["projects"][API] == cursor["projects"][API]


def test_too_many_calls_wait_though_nobody_says_how_long(sonar: Bench) -> None:
    sonar.sandbox.faults.add("rate_limit", operation="listBranches")
    analysed(sonar)
    with pytest.raises(RateLimited) as limited:
        sonar.read()
    assert limited.value.until == sonar.clock.now() + timedelta(seconds=60)


def test_who_may_not_ask_after_tasks_reads_all_else(sonar: Bench) -> None:
    analysed(sonar)
    sonar.sandbox.faults.add("error", operation="getTask", status=403, count=None)
    assert points(sonar.read())


# --- the webhook --------------------------------------------------------------------------------------


def test_one_webhook_is_the_organizations_or_one_is_each_named_projects(sonar: Bench) -> None:
    made = sonar.subscribe()
    assert sonar.subscribe() == made
    [hook] = sonar.sandbox.hooks.live()
    assert (hook.url, hook.secret, hook.container) == (URL, SECRET, None)
    assert sonar.connector().renew(made, URL) == made
    sonar.connector().unsubscribe(made)
    sonar.subscribe(projects=[API, WORKER])
    assert {hook.container for hook in sonar.sandbox.hooks.live()} == {API, WORKER}


def test_a_webhook_somebody_deleted_or_made_unsigned_is_registered_anew(sonar: Bench) -> None:
    made = sonar.subscribe()
    sonar.sandbox.hooks.change(made.external_ids[0], secret="")
    assert sonar.connector().renew(made, URL) is None
    assert sonar.subscribe() == made
    assert sonar.sandbox.hooks.get(made.external_ids[0]).secret == SECRET
    sonar.sandbox.hooks.remove(made.external_ids[0])
    assert sonar.connector().renew(made, URL) is None


def test_a_blank_secret_would_take_the_old_one_away_and_is_never_sent(sonar: Bench) -> None:
    sonar.subscribe()
    for secret in ("", "  "):
        with pytest.raises(Rejected, match="blank secret"):
            sonar.connector().subscribe(URL, SecretStr(secret))
    with pytest.raises(Rejected, match="512 characters"):
        sonar.connector().subscribe("https://" + "x" * 512, SecretStr(SECRET))
    [hook] = sonar.sandbox.hooks.live()
    assert hook.secret == SECRET


def test_nothing_is_left_behind(sonar: Bench) -> None:
    made = sonar.subscribe(projects=[API, WORKER])
    for _ in range(2):
        sonar.connector().unsubscribe(made)
    analysed(sonar)
    assert sonar.heard() == []


def test_who_is_no_administrator_is_told_what_is_needed(sonar: Bench) -> None:
    sonar.sandbox.settings.administers = False
    with pytest.raises(Forbidden, match=r"who administers the organization.*SonarCloud said:.*Insufficient"):
        sonar.subscribe()
    assert sonar.connector().check().id == "apex-digital"
