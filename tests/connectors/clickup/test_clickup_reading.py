"""Pulling, refetching and finding people, against the sandbox."""

from __future__ import annotations

import json

import pytest

from connectors.clickup import ClickUpConnector
from connectors.contract import (
    AuthFailed,
    ConsentPending,
    Forbidden,
    Gone,
    GoneReason,
    NotFound,
    RateLimited,
    RemoteTask,
    Transient,
    capabilities,
)
from connectors.credentials import ApiToken, OAuthTokens
from connectors.registry import problems
from sandbox.clickup import WORKSPACE
from sandbox.faults import FaultKind
from tests.connectors.bench import everything
from tests.connectors.clickup.conftest import MOBILE, OPERATIONS, PLATFORM, Bench


def test_it_is_a_sound_connector_with_every_capability():
    assert problems(ClickUpConnector) == []
    assert {"task_source", "task_sink", "users", "vocabulary", "webhooks", "webhook_subscriptions"} <= {
        *capabilities(ClickUpConnector)
    }


# --- check, words, people -------------------------------------------------------------------------------


def test_a_token_proves_itself_and_that_it_is_good_for_the_workspace(clickup: Bench):
    account = clickup.connector().check()
    assert (account.id, account.name) == (WORKSPACE, "Sync Robot in Apex")
    assert clickup.connector(clickup.oauth()).check() == account
    with pytest.raises(Forbidden, match=rf"Workspace 77, but for: {WORKSPACE} \(Apex\)"):
        clickup.connector(workspace_id="77").check()


def test_wrong_credentials_and_missing_consent_are_told_apart(clickup: Bench):
    with pytest.raises(AuthFailed):
        clickup.connector(ApiToken(api_token="pk_wrong")).check()
    with pytest.raises(ConsentPending):
        clickup.connector(OAuthTokens()).check()


def test_the_words_of_each_list_are_told_as_the_mapping_reads_them(clickup: Bench):
    platform, operations = clickup.connector(status_map={"in review": "in_progress"}).vocabularies()
    assert (platform.container, operations.container) == (PLATFORM, OPERATIONS)
    assert {value.name: value.here for value in platform.statuses}["in review"] == "in_progress"
    assert [value.name for value in operations.statuses] == ["Open", "In QA", "Closed"]
    assert [value.name for value in platform.priorities] == ["urgent", "high", "normal", "low", "none"]
    assert clickup.called() == {"getList": 2}


def test_a_list_without_statuses_of_its_own_has_those_of_its_space(clickup: Bench):
    clickup.sandbox.settings.lists_tell_statuses = False
    platform, _ = clickup.connector().vocabularies()
    assert [value.name for value in platform.statuses][:2] == ["to do", "in progress"]
    assert clickup.called() == {"getList": 2, "getSpace": 2}


def test_a_list_that_is_not_there_or_hidden_is_told(clickup: Bench):
    with pytest.raises(NotFound, match="List not found"):
        list(clickup.connector(projects=[{"external": "404"}]).vocabularies())
    clickup.hide(PLATFORM)
    with pytest.raises(Forbidden, match=r"Team not authorized.*OAUTH_027"):
        list(clickup.connector().vocabularies())


def test_people_are_found_by_their_exact_address(clickup: Bench):
    found = clickup.connector().find_user("ANN@example.com", PLATFORM)
    assert found is not None
    assert (found.id, found.name, found.email) == ("183", "Ann Archer", "ann@example.com")
    assert clickup.connector().find_user("an@example.com", PLATFORM) is None


# --- changed_tasks --------------------------------------------------------------------------------------


def test_a_first_run_brings_closed_tasks_and_subtasks_of_the_mapped_lists_only(clickup: Bench):
    parent = clickup.ann.create(PLATFORM, "Parent", status="complete")
    child = clickup.ann.create(PLATFORM, "Child", extra={"parent": parent.id})
    clickup.ann.create(MOBILE, "Elsewhere")
    found, page = everything(clickup.connector())
    assert found.keys() == {parent.id, child.id}
    assert page.cursor == {"since": found[child.id].version, "containers": [PLATFORM, OPERATIONS]}


def test_a_later_run_costs_one_call_and_overlaps(clickup: Bench):
    clickup.sandbox.plant(30)
    _, page = everything(clickup.connector())
    edited = clickup.ann.create(PLATFORM, "New")
    clickup.called()
    found, _ = everything(clickup.connector(), json.loads(json.dumps(page.cursor)))
    assert edited.id in found
    assert clickup.called() == {"getTeamTasks": 1}


def test_an_empty_workspace_is_asked_for_everything_again(clickup: Bench):
    found, page = everything(clickup.connector())
    assert (found, page.cursor["since"]) == ({}, None)
    clickup.ann.create(PLATFORM, "First")
    assert len(everything(clickup.connector(), page.cursor)[0]) == 1


@pytest.mark.parametrize("order", ["true", "false", "never"])
@pytest.mark.parametrize("told", [True, False])
def test_every_task_comes_whichever_way_clickup_sorts_and_whether_or_not_it_names_the_last_page(clickup, order, told):
    clickup.sandbox.settings.oldest_first = order
    clickup.sandbox.settings.tells_last_page = told
    ids = {item.id for item in clickup.sandbox.plant(350)}
    pages = list(clickup.connector().changed_tasks(None))
    assert {task.external_id for page in pages for task in page.tasks} == ids
    versions = [task.version for page in pages for task in page.tasks]
    repeated = len(versions) - len(ids)
    assert repeated <= 3  # the last of a page is the first of the next
    assert [page.cursor["since"] for page in pages] == sorted(page.cursor["since"] for page in pages)


def test_the_right_order_costs_a_call_a_page_and_the_other_one_more(clickup: Bench):
    clickup.sandbox.plant(300)
    everything(clickup.connector())
    assert clickup.called() == {"getTeamTasks": 4}
    clickup.sandbox.settings.oldest_first = "false"
    everything(clickup.connector())
    assert clickup.called() == {"getTeamTasks": 5}


@pytest.mark.parametrize("order", ["true", "false", "never"])
def test_tasks_that_change_while_they_are_paged_hide_no_other(clickup: Bench, order):
    clickup.sandbox.settings.oldest_first = order
    planted = clickup.sandbox.plant(320)
    found: set[str] = set()
    for number, page in enumerate(clickup.connector().changed_tasks(None)):
        found |= {task.external_id for task in page.tasks}
        for item in planted[number * 20 : number * 20 + 20]:
            clickup.ann.edit(item.id, title=f"Changed on page {number}")
    assert found == {item.id for item in planted}


def test_a_killed_run_carries_on_from_its_page(clickup: Bench):
    ids = {item.id for item in clickup.sandbox.plant(700)}  # a second apart: more than the overlap
    first = next(clickup.connector().changed_tasks(None))
    rest, _ = everything(clickup.connector(overlap_minutes=1), first.cursor)
    assert {task.external_id for task in first.tasks} | rest.keys() == ids
    assert len(rest) < 700


def test_a_list_that_is_new_in_the_config_is_read_from_the_beginning(clickup: Bench):
    clickup.sandbox.plant(20)
    old = clickup.sandbox.plant(1, MOBILE)[0]
    clickup.ann.create(PLATFORM, "Now")
    _, page = everything(clickup.connector())
    both = [{"external": PLATFORM}, {"external": OPERATIONS}, {"external": MOBILE}]
    assert old.id in everything(clickup.connector(projects=both), page.cursor)[0]


def test_a_task_changed_within_the_index_lag_is_found_by_the_next_poll(still: Bench):
    still.sandbox.settings.search_lag_seconds = 60
    late = still.ann.create(PLATFORM, "Late")
    still.clock.advance(30)
    still.ann.create(PLATFORM, "Later")
    still.clock.advance(40)
    found, page = everything(still.connector())
    assert found.keys() == {late.id}
    still.clock.advance(60)
    assert len(everything(still.connector(), page.cursor)[0]) == 2


def test_a_429_waits_for_the_reset_that_clickup_names(clickup: Bench):
    clickup.sandbox.faults.add(FaultKind.RATE_LIMIT, retry_after=40)
    with pytest.raises(RateLimited) as limited:
        everything(clickup.connector())
    assert 35 < (limited.value.until - clickup.clock.now()).total_seconds() < 45


def test_the_limit_of_100_calls_a_minute_is_kept_in_mind(still: Bench):
    still.sandbox.settings.enforce_limits = True
    connector = still.connector()
    for _ in range(50):
        connector.check()
    with pytest.raises(RateLimited):
        connector.check()
    still.clock.advance(61)
    connector.check()


# --- fetch_tasks, all_ids -------------------------------------------------------------------------------


def test_a_task_is_fetched_fresh_by_one_call_or_by_its_custom_id(clickup: Bench):
    clickup.sandbox.settings.search_lag_seconds = 60
    made = clickup.ann.create(PLATFORM, "Fresh", description="- one")
    task = clickup.read(made.id)
    assert (task.values["title"].here, task.values["description"].here) == ("Fresh", "* one")
    assert clickup.called() == {"getTask": 1}
    assert clickup.read(made.key).external_id == made.id


def test_a_deleted_task_is_proven_deleted_while_every_list_can_be_seen(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Doomed")
    clickup.ann.delete(made.id)
    assert clickup.connector().fetch_tasks([made.id])[made.id] == Gone(
        made.id,
        GoneReason.DELETED,
        "GET 127.0.0.1/api/v2/task/86c900001 answered 404: Task not found, deleted ITEM_013",
    )
    clickup.hide(OPERATIONS)
    gone = clickup.connector().fetch_tasks([made.id])[made.id]
    assert isinstance(gone, Gone)
    assert gone.reason is GoneReason.UNREACHABLE
    assert OPERATIONS in gone.detail


@pytest.mark.parametrize("answer", [401, 403])
def test_a_task_of_a_space_we_lost_is_unreachable_and_its_neighbours_are_read(clickup: Bench, answer):
    clickup.sandbox.settings.hidden_status = answer
    hidden, seen = clickup.ann.create(PLATFORM, "Hidden"), clickup.ann.create(OPERATIONS, "Seen")
    clickup.hide(PLATFORM)
    found = clickup.connector().fetch_tasks([hidden.id, seen.id])
    gone = found[hidden.id]
    assert isinstance(gone, Gone)
    assert gone.reason is GoneReason.UNREACHABLE
    assert isinstance(found[seen.id], RemoteTask)


def test_a_dead_token_is_no_proof_of_anything(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "There")
    with pytest.raises(AuthFailed):
        clickup.connector(ApiToken(api_token="pk_wrong")).fetch_tasks([made.id])


def test_a_401_that_was_a_mistake_is_asked_again(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "There")
    clickup.sandbox.faults.add(FaultKind.ERROR, operation="getTask", status=401)
    assert clickup.read(made.id).external_id == made.id
    assert clickup.called() == {"getTask": 2, "getUser": 1}


def test_a_moved_task_keeps_its_id_and_gets_its_new_list_and_key(clickup: Bench):
    made = clickup.ann.create(PLATFORM, "Wanders")
    clickup.ann.move(made.id, OPERATIONS)
    task = clickup.read(made.id)
    assert (task.external_id, task.container, task.key) == (made.id, OPERATIONS, "OPE-1")
    assert task.values["status"].here == "backlog"


def test_all_ids_has_the_archived_tasks_which_polls_do_not_see(clickup: Bench):
    ids = {item.id for item in clickup.sandbox.plant(120)}
    archived = clickup.ann.create(PLATFORM, "Kept", extra={"archived": True})
    listed = [id_ for batch in clickup.connector().all_ids() for id_ in batch]
    assert set(listed) == ids | {archived.id}
    assert archived.id not in everything(clickup.connector())[0]
    assert clickup.read(archived.id).external_id == archived.id


def test_an_outage_is_transient(clickup: Bench):
    clickup.sandbox.faults.add(FaultKind.ERROR, status=502, count=None)
    with pytest.raises(Transient):
        clickup.connector().fetch_tasks(["86c900001"])
