"""Connecting, pulling, refetching and finding people, against the fake organization."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.azure import CREDENTIALS, READ_TIMEOUT, OAuthCredentials, PatCredentials, ServicePrincipal
from connectors.azure_boards import AzureBoardsConnector
from connectors.contract import (
    AuthFailed,
    BadPayload,
    ConsentPending,
    Credentials,
    Gone,
    GoneReason,
    NotFound,
    RateLimited,
    Rejected,
    RemoteTask,
    Transient,
    capabilities,
)
from connectors.http import WireRequest, WireResponse
from connectors.registry import problems
from sandbox.azure_boards import CLIENT_ID, CLIENT_SECRET, ORGANIZATION
from sandbox.faults import FaultKind
from tests.connectors.azure_boards.conftest import KEY, Bench
from tests.connectors.bench import everything


class Answered:
    """A transport that gives one answer, whatever is asked, and keeps the requests."""

    def __init__(self, status: int, **answer: Any) -> None:
        self.answer, self.requests = (status, answer), list[WireRequest]()

    def handle_request(self, request: WireRequest) -> WireResponse:
        self.requests.append(request)
        return WireResponse(self.answer[0], **self.answer[1])


def test_it_is_a_sound_connector_with_every_capability():
    assert problems(AzureBoardsConnector) == []
    assert capabilities(AzureBoardsConnector) == (
        "task_source",
        "task_sink",
        "users",
        "vocabulary",
        "webhooks",
        "webhook_subscriptions",
        "delivery_log",
    )


# --- credentials ----------------------------------------------------------------------------------------


def test_the_account_is_a_person_in_an_organization(boards: Bench):
    account = boards.connector().check()
    assert account.id == f"{ORGANIZATION}/{boards.sandbox.robot.id}"
    assert account.name == "Sync Robot"
    assert boards.connector(boards.oauth()).check() == account


@pytest.mark.parametrize("status", [203, 302, 401])
def test_bad_credentials_are_told_however_azure_answers_them(boards: Bench, status):
    boards.sandbox.settings.sign_in_status = status
    with pytest.raises(AuthFailed):
        boards.connector(PatCredentials(personal_access_token="wrong")).check()


@pytest.mark.parametrize("status", [200, 202])
def test_a_page_where_json_was_asked_for_is_a_page_to_sign_in(still: Bench, status):
    still.transport = Answered(status, html="<html><title>Sign In</title></html>")
    with pytest.raises(AuthFailed, match="sign-in page"):
        list(still.connector().changed_tasks(None))


def test_every_call_names_a_version_follows_no_page_to_sign_in_and_waits_as_long_as_azure_slows_it_down(still: Bench):
    still.transport = Answered(200, json={"authenticatedUser": {"id": "x"}})
    assert still.connector().check().name == "x"
    [request] = still.transport.requests
    assert request.url.params["api-version"] == "7.1-preview"
    assert request.headers["x-tfs-fedauthredirect"] == "Suppress"
    assert request.extensions["timeout"]["read"] == READ_TIMEOUT >= 60


def principal(**more: str) -> ServicePrincipal:
    given = {"tenant_id": "acme.example", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **more}
    return ServicePrincipal.model_validate(given)


def test_an_app_asks_for_a_token_of_its_own_once(boards: Bench):
    connector = boards.connector(principal())
    assert connector.check() == boards.connector().check()
    everything(connector)
    assert boards.count("oauth.token") == 1


def test_an_app_that_gets_no_token_is_told_why_without_its_secret(boards: Bench):
    with pytest.raises(AuthFailed, match="client credentials are wrong") as raised:
        boards.connector(principal(client_secret="not-the-secret")).check()
    assert "not-the-secret" not in raised.value.text


def test_credentials_are_told_apart_by_what_is_in_them():
    app = {"client_id": "a", "client_secret": "b"}
    given = {"pat": {"personal_access_token": "x"}, "service_principal": {"tenant_id": "t", **app}, "oauth2": app}
    for mode, values in given.items():
        fitting = [name for name, model in CREDENTIALS.items() if fits(model, values)]
        assert fitting == [mode]


def fits(model: type[Credentials], values: dict[str, str]) -> bool:
    try:
        return bool(model.model_validate(values))
    except ValidationError:
        return False


def test_before_a_consent_nothing_is_called(still: Bench):
    with pytest.raises(ConsentPending):
        still.connector(OAuthCredentials()).check()
    assert still.counts() == {}


def test_another_organization_is_not_found(boards: Bench):
    with pytest.raises(NotFound, match="TF400813"):
        boards.connector(organization="elsewhere").check()


# --- limits ---------------------------------------------------------------------------------------------


class Noting:
    """A budget that remembers being parked."""

    def __init__(self) -> None:
        self.parked: list[Any] = []

    def take(self, cost: float) -> None: ...
    def note(self, remaining: float, reset_at: Any) -> None: ...
    def park(self, until: Any, text: str) -> None:
        self.parked.append(until)


def test_a_success_that_asks_for_a_pause_gets_it(still: Bench):
    still.budget = Noting()
    still.sandbox.settings.enforce_limits, still.sandbox.settings.limits_scale = True, 0.005
    connector = still.connector()
    for _ in range(5):
        connector.check()
    assert still.budget.parked[0] == still.clock.now() + timedelta(seconds=1)


def test_one_call_too_many_is_rate_limited_until_azure_says(still: Bench):
    still.sandbox.faults.add(FaultKind.RATE_LIMIT, retry_after=17)
    with pytest.raises(RateLimited, match="TF400733") as raised:
        still.connector().check()
    assert raised.value.until == still.clock.now() + timedelta(seconds=17)


# --- pulling --------------------------------------------------------------------------------------------


def test_the_first_run_brings_all_of_the_mapped_paths(boards: Bench):
    boards.sandbox.plant(450, "Web")
    boards.sandbox.plant(3, "Ops")
    boards.sandbox.plant(2, "Lab")
    found, last = everything(boards.connector())
    assert len(found) == 453
    assert last.cursor == {"since": last.cursor["since"], "projects": ["Ops", "Web"]}
    assert boards.counts() == {"queryByWiql": 1, "getBatch": 3}


def test_a_poll_without_changes_is_one_call(still: Bench):
    still.sandbox.plant(5, "Web")
    still.clock.advance(600)
    _, last = everything(still.connector())
    still.clock.advance(3600)
    still.counts()
    found, last = everything(still.connector(), last.cursor)
    assert (found, still.counts()) == ({}, {"queryByWiql": 1})


def test_a_poll_brings_what_changed_since_the_one_before_began(still: Bench):
    still.sandbox.plant(5, "Web")
    still.clock.advance(600)
    _, last = everything(still.connector())
    still.clock.advance(3600)
    still.ann.edit("3", title="Changed")
    found, _ = everything(still.connector(), last.cursor)
    assert [task.values["title"].here for task in found.values()] == ["Changed"]


def test_what_the_query_does_not_know_yet_is_found_by_the_next_poll(still: Bench):
    still.sandbox.settings.search_lag_seconds = 60
    still.sandbox.plant(1, "Web")
    still.clock.advance(3600)
    still.ann.edit("1", title="Too new for the index")
    made = still.ann.create("Web", "Not listed at all")
    still.clock.advance(50)
    found, last = everything(still.connector())
    assert found["1"].values["title"].here == "Too new for the index"  # what is listed is read as it is now
    assert made.id not in found
    still.clock.advance(120)
    found, _ = everything(still.connector(), last.cursor)
    assert made.id in found


def test_what_changes_while_pages_are_read_is_not_missed(still: Bench):
    still.sandbox.plant(450, "Web")
    pages = still.connector().changed_tasks(None)
    next(pages)
    still.clock.advance(1)
    still.ann.edit("7", title="Read already, then changed")
    still.ann.edit("449", title="Changed before it is read")
    still.ann.delete("448")
    late = still.ann.create("Web", "Made meanwhile").id
    rest = list(pages)
    assert {t.external_id: t.values["title"].here for p in rest for t in p.tasks}["449"] == "Changed before it is read"
    found, _ = everything(still.connector(), rest[-1].cursor)
    assert {"7", late} <= set(found)


def test_an_interrupted_run_carries_on_where_it_was(still: Bench):
    still.sandbox.plant(450, "Web")
    began = still.clock.now()
    pages = still.connector().changed_tasks(None)
    first = next(pages)
    pages.close()
    still.clock.advance(600)
    found, last = everything(still.connector(), first.cursor)
    assert len(found) == 250
    assert last.cursor["since"].startswith(f"{began:%Y-%m-%dT%H:%M:%S}")  # not where it was resumed


def test_more_than_a_query_may_find_is_asked_for_in_stretches(still: Bench, monkeypatch):
    monkeypatch.setattr("connectors.byid.SPAN", 64)
    still.sandbox.settings.wiql_limit = 20
    still.sandbox.plant(55, "Web")
    still.sandbox.plant(300, "Lab")  # ids that are not ours: stretches without any
    still.sandbox.plant(30, "Ops")
    found, _ = everything(still.connector())
    assert len(found) == 85
    assert sorted(map(int, found)) == [*range(1, 56), *range(356, 386)]
    assert [len(batch) for batch in still.connector().all_ids()][-1] <= 20


def test_stretches_without_work_items_of_ours_are_passed_in_growing_steps(still: Bench, monkeypatch):
    monkeypatch.setattr("connectors.byid.SPAN", 16)
    still.sandbox.settings.wiql_limit = 20
    still.sandbox.plant(2000, "Lab")
    still.sandbox.plant(30, "Web")
    assert len(everything(still.connector())[0]) == 30
    assert still.count("queryByWiql") < 50  # of 250 in steps of one size


def test_azure_that_finds_a_single_work_item_too_much_is_not_asked_for_ever(still: Bench, monkeypatch):
    monkeypatch.setattr("connectors.byid.SPAN", 4)
    still.sandbox.settings.wiql_limit = -1
    with pytest.raises(BadPayload):
        everything(still.connector())


def test_a_new_path_or_type_in_the_config_makes_the_next_run_read_everything(still: Bench):
    still.sandbox.plant(2, "Web")
    still.sandbox.plant(2, "Lab")
    still.clock.advance(600)
    _, last = everything(still.connector())
    still.clock.advance(3600)
    more = [{"external": "Web"}, {"external": "Lab"}]
    assert len(everything(still.connector(projects=more), last.cursor)[0]) == 4
    assert len(everything(still.connector(work_item_types=["User Story"]), last.cursor)[0]) == 2


def test_only_the_types_that_are_synced_are_listed(still: Bench):
    still.ann.create("Web", "Story")
    bug = still.ann.create("Web", "Bug", extra={"type": "Bug"})
    found, _ = everything(still.connector(work_item_types=["Bug"]))
    assert list(found) == [bug.id]
    assert still.read("1", work_item_types=["Bug"]).container == "Web (User Story)"


def test_a_path_with_an_apostrophe_is_quoted(still: Bench):
    inside = still.ann.create("Ops", "Inside", extra={"area": "Ops\\Night's Watch"})
    still.ann.create("Ops", "Outside")
    found, _ = everything(still.connector(projects=[{"external": "Ops\\Night's Watch"}]))
    assert list(found) == [inside.id]


def test_a_path_that_does_not_exist_is_told(still: Bench):
    with pytest.raises(Rejected, match="TF51011"):
        everything(still.connector(projects=[{"external": "Web\\Nowhere"}]))


def test_all_ids_are_those_of_the_mapped_paths(still: Bench):
    still.sandbox.plant(3, "Web")
    still.sandbox.plant(2, "Lab")
    assert [id_ for batch in still.connector().all_ids() for id_ in batch] == ["1", "2", "3"]


def test_an_outage_is_transient(still: Bench):
    still.sandbox.faults.add(FaultKind.ERROR, status=503)
    with pytest.raises(Transient):
        everything(still.connector())


# --- refetching -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("nulls", [True, False])
def test_deleted_is_proven_by_the_recycle_bin_and_anything_else_is_only_unreachable(boards: Bench, nulls):
    boards.sandbox.settings.batch_nulls = nulls
    kept, binned, destroyed, hidden = (boards.ann.create("Web", title) for title in ("a", "b", "c", "d"))
    boards.ann.delete(binned.id)
    boards.ann.delete(destroyed.id, forever=True)
    lab = boards.sandbox.tracker.container("Lab")
    boards.ann.move(hidden.id, "Lab")
    boards.sandbox.tracker.containers[lab.id] = type(lab)(
        lab.id, lab.key, lab.name, lab.statuses, frozenset({boards.ann.id})
    )
    ids = [kept.id, binned.id, destroyed.id, hidden.id, "999999"]
    found = boards.connector().fetch_tasks(ids)
    assert list(found) == ids
    assert isinstance(found[kept.id], RemoteTask)
    assert [gone.reason for gone in list(found.values())[1:] if isinstance(gone, Gone)] == [
        GoneReason.DELETED,
        *[GoneReason.UNREACHABLE] * 3,
    ]


def test_a_restored_work_item_is_there_again(still: Bench):
    item = still.ann.create("Web", "Back")
    still.ann.delete(item.id)
    still.ann.restore(item.id)
    assert still.read(item.id).version > 1


def test_many_are_read_200_at_a_time(still: Bench):
    still.sandbox.plant(401, "Web")
    still.connector().fetch_tasks([str(number) for number in range(1, 402)])
    assert still.counts() == {"getBatch": 3}


def test_a_work_item_keeps_its_id_when_it_moves(still: Bench):
    item = still.ann.create("Web", "Moves")
    before = still.read(item.id)
    still.ann.move(item.id, "Ops")
    after = still.read(item.id)
    assert (after.external_id, after.key, after.container) == (item.id, item.id, "Ops")
    assert after.version > before.version


def test_another_type_reads_the_same_state_by_its_own_category(still: Bench):
    item = still.ann.create("Lab", "Typed", status="In Test")
    lab = {"projects": [{"external": "Lab"}]}
    assert still.read(item.id, **lab).values["status"] == ("in_review", "In Test:in_review")
    still.ann.edit(item.id, extra={"type": "Task"})  # whose states do not include it
    assert still.read(item.id, **lab).values["status"].here == "backlog"


def test_a_type_that_was_taken_away_does_not_keep_others_from_being_read(still: Bench):
    still.ann.create("Lab", "Left over", status="In Test", extra={"type": "Saga"})
    still.ann.create("Lab", "Usual")
    found, _ = everything(still.connector(projects=[{"external": "Lab"}]))
    assert [task.values["status"].here for task in found.values()] == ["backlog", "backlog"]


# --- words and people -----------------------------------------------------------------------------------


def test_the_words_of_a_path_are_the_states_of_its_types(boards: Bench):
    config = {"projects": [{"external": "Web\\Team A"}, {"external": "Lab"}], "status_map": {"Approved": "in_progress"}}
    lab, web = boards.connector(**config).vocabularies()
    assert (lab.container, web.container) == ("Lab", "Web\\Team A")
    assert {value.name: value.here for value in web.statuses} == {
        "New": "backlog",
        "Active": "in_progress",
        "Resolved": "in_review",
        "Closed": "done",
        "Removed": "cancelled",
    }
    there = {value.name: value.here for value in lab.statuses}
    assert (there["Approved"], there["In Test"], there["To Do"]) == ("in_progress", "in_review", "backlog")
    assert {value.name: value.here for value in lab.priorities} == {
        "1": "critical",
        "2": "high",
        "3": "medium",
        "4": "low",
    }


def test_only_the_states_of_synced_types_are_words(still: Bench):
    [basic] = still.connector(projects=[{"external": "Home"}], work_item_types=["task"]).vocabularies()
    assert [value.name for value in basic.statuses] == ["Doing", "Done", "To Do"]


def test_a_project_that_is_not_there_has_no_words(still: Bench):
    with pytest.raises(NotFound, match="TF200016"):
        list(still.connector(projects=[{"external": "Nowhere"}]).vocabularies())


def test_a_person_is_found_by_the_address_they_sign_in_with(boards: Bench):
    found = boards.connector().find_user("ANN@example.com", "Web\\Team A")
    assert found is not None
    assert (found.id, found.name, found.email) == (boards.ann.id, "Ann Archer", "ann@example.com")
    assert boards.connector().find_user("nobody@example.com", "Web") is None


def test_members_are_read_to_the_last_page(still: Bench, monkeypatch):
    monkeypatch.setattr("connectors.azure_boards.client.PEOPLE", 2)
    assert still.connector().find_user("robot@example.com", "Web") is not None
    assert still.count("listMembers") == 2


def test_a_marked_work_item_is_found_by_its_tag_wherever_it_is(boards: Bench):
    boards.ann.create("Lab", "Ours, moved", extra={"tags": f"urgent; {KEY}"})
    boards.ann.create("Web", "Almost", extra={"tags": f"{KEY}-not"})
    boards.ann.create("Web", "Ours, too", extra={"tags": KEY})
    found = boards.connector().find_created(KEY)
    assert [task.values["title"].here for task in found] == ["Ours, moved", "Ours, too"]
    assert boards.connector().find_created("scrums-tsk-26-999999-000000") == []


def test_a_query_that_finds_more_than_was_asked_for_makes_nothing_ours(still: Bench, monkeypatch):
    monkeypatch.setattr("connectors.azure_boards.wiql.tagged", lambda tag: "[System.Id] > 0")
    still.ann.create("Web", "Almost", extra={"tags": f"{KEY}-not"})
    ours = still.ann.create("Web", "Ours", extra={"tags": KEY})
    assert [task.external_id for task in still.connector().find_created(KEY)] == [ours.id]
