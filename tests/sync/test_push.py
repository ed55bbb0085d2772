"""Writing back: once, only what differs, and nothing that anybody changed meanwhile is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.contract import Refusal, RemoteUser, Transient
from core.models import Binding, Integration, Task
from sync.failures import backoff
from sync.push import TRIPS_AT, push
from sync.runtime import Lane
from tests.sync.conftest import connect, toy_config
from tests.sync.engine import Both


@pytest.fixture
def both(runtime, vendor, tenant, integration):
    from sync.subscriptions import keep_subscription

    keep_subscription(runtime, integration.id)
    return Both(runtime, vendor, tenant, integration)


def item_of(both, **fields):
    """One item, already tied to its task."""
    item = both.vendor.add(title="Start", **fields)
    both.deliver()
    both.vendor.calls.clear()
    return item


# --- edits --------------------------------------------------------------------------------------------


def test_a_status_change_reaches_the_vendor_in_one_call_and_its_echo_does_nothing(both, vendor):
    item = item_of(both)
    both.change(both.task().id, status="done")
    assert both.push() == 1
    assert vendor.items[item.id].state == "closed"
    assert both.calls("update_task") == 1
    version = both.task().version
    both.deliver()
    assert both.push() == 0
    assert both.calls("update_task", "fetch_tasks") == 1
    assert both.task().version == version
    both.assert_equal()


def test_only_the_fields_that_differ_are_sent(both, vendor, monkeypatch):
    item_of(both, state="qa")
    sent = []
    real = type(vendor).edit
    monkeypatch.setattr(type(vendor), "edit", lambda self, id_, **f: (sent.append(f), real(self, id_, **f))[1])
    both.change(both.task().id, title="Renamed")
    both.push()
    assert sent == [{"title": "Renamed"}]
    assert vendor.items[both.binding().external_id].state == "qa"


def test_two_people_editing_two_fields_at_once_both_keep_their_edit(both, vendor):
    item = item_of(both)
    both.change(both.task().id, title="Ours")
    vendor.edit(item.id, priority="p1")
    both.deliver()
    both.push()
    assert (vendor.items[item.id].title, vendor.items[item.id].priority) == ("Ours", "p1")
    assert (both.task().title, both.task().priority) == ("Ours", "critical")
    both.assert_equal()


def test_both_edits_survive_when_the_vendors_was_not_seen_before_the_write(both, vendor):
    item = item_of(both)
    vendor.edit(item.id, priority="p1")
    both.change(both.task().id, title="Ours")
    both.push()
    both.deliver()
    both.assert_equal()
    assert both.task().priority == "critical"


def test_a_value_overwritten_unseen_is_in_the_history_as_the_loser(both, vendor):
    item = item_of(both)
    vendor.edit(item.id, title="Theirs")
    vendor.outbox.clear()
    both.change(both.task().id, title="Ours")
    both.push()
    (lost,) = both.history("lost")
    assert (lost.change, lost.old, lost.new, lost.rule) == ("title", "Theirs", "Ours", "conflict_latest")
    assert vendor.items[item.id].title == "Ours"
    both.assert_equal()


def test_a_value_overwritten_unseen_comes_back_where_the_vendor_has_the_last_word(runtime, vendor, tenant):
    config = toy_config(tenant, conflict={"title": "external"})
    both = Both(runtime, vendor, tenant, connect(runtime, tenant, config=config))
    item = vendor.add(title="Start")
    both.poll()
    vendor.edit(item.id, title="Theirs")
    both.change(both.task().id, title="Ours")
    both.push()
    both.push()
    assert vendor.items[item.id].title == both.task().title == "Theirs"
    assert [(h.old, h.new, h.rule) for h in both.history()] == [
        ("Start", "Ours", None),
        ("Ours", "Theirs", "conflict_external"),
    ]
    both.assert_equal()


def test_an_edit_made_during_the_write_stays_owed_and_is_sent_next(both, vendor, monkeypatch):
    item = item_of(both)
    task_id = both.task().id
    both.change(task_id, title="First")
    real = type(vendor).edit

    def edited_meanwhile(self, id_, **fields):
        if fields.get("title") == "First":
            both.change(task_id, title="Second")
        return real(self, id_, **fields)

    monkeypatch.setattr(type(vendor), "edit", edited_meanwhile)
    both.push()
    assert vendor.items[item.id].title == "Second"
    both.assert_equal()


def test_an_assignee_is_found_by_address_once_and_unassigned_as_nobody(both, vendor):
    vendor.person("u2", "bob@apex.test")
    item = item_of(both)
    both.change(both.task().id, assignee_id=both.tenant.bob_id)
    both.push()
    assert vendor.items[item.id].assignee == "u2"
    both.change(both.task().id, assignee_id=None)
    both.push()
    both.change(both.task().id, assignee_id=both.tenant.bob_id)
    both.push()
    assert vendor.items[item.id].assignee == "u2"
    assert both.calls("find_user") == 1


def test_an_assignee_unknown_to_the_vendor_is_refused_with_a_sentence_and_not_tried_forever(both, vendor):
    item_of(both)
    both.change(both.task().id, assignee_id=both.tenant.bob_id, title="With Bob")
    both.push()
    binding = both.binding()
    assert binding.refused["assignee"]["code"] == "no_vendor_user"
    assert not binding.owed
    assert vendor.items[binding.external_id].title == "With Bob"
    both.deliver()
    assert both.push() == 0
    assert both.task().assignee_id == both.tenant.bob_id


def test_a_field_the_vendor_refuses_is_remembered_and_tried_again_when_it_changes(both, vendor):
    item_of(both)
    vendor.refuses["status"] = Refusal("needs_human", "There is no way to that status.")
    both.change(both.task().id, status="done")
    both.push()
    assert both.binding().refused["status"]["code"] == "needs_human"
    assert both.push() == 0
    vendor.refuses.clear()
    both.change(both.task().id, status="in_progress")
    both.push()
    assert vendor.items[both.binding().external_id].state == "doing"
    both.assert_equal()


def test_a_manual_sync_tries_again_what_was_refused_or_given_up(both, vendor, runtime, rings):
    from sync import integrations

    item_of(both)
    both.change(both.task().id, assignee_id=both.tenant.bob_id)
    both.push()
    assert both.binding().refused
    vendor.person("u2", "bob@apex.test")
    integrations.request_sync(runtime, both.id, actor=both.tenant.ann_id)
    assert (Lane.PUSH, both.id) in rings
    both.push()
    assert vendor.items[both.binding().external_id].assignee == "u2"
    assert both.binding().refused == {}
    both.assert_equal()


def test_a_version_conflict_is_settled_by_looking_again(both, vendor):
    vendor.checks_versions = True
    item = item_of(both)
    vendor.edit(item.id, priority="p1")
    vendor.outbox.clear()
    both.change(both.task().id, title="Ours")
    both.push()
    both.rt.clock.advance(seconds=10)
    both.push()
    both.assert_equal()
    assert both.task().priority == "critical"


def test_writing_to_an_item_deleted_meanwhile_ends_its_binding(both, vendor):
    item = item_of(both)
    vendor.delete(item.id)
    vendor.outbox.clear()
    both.change(both.task().id, title="Too late")
    both.push()
    assert both.binding().state == "ended"
    assert (both.task().title, both.task().status) == ("Too late", "cancelled")


def test_a_lost_answer_is_repeated_harmlessly(both, vendor, clock):
    item = item_of(both)
    both.change(both.task().id, title="Ours")
    vendor.fail("update_task", None)
    assert both.push() == 0
    assert both.binding().reason_code == "transient"
    clock.advance(seconds=6)
    assert both.push() == 1
    assert vendor.items[item.id].title == "Ours"
    both.assert_equal()


def test_one_item_the_vendor_rejects_does_not_hold_up_its_neighbours_and_waits_for_a_hand(both, vendor):
    first, second = vendor.add(title="One"), vendor.add(title="Two")
    both.deliver()
    vendor.fail("update_task", 400)
    for task in both.rows(Task):
        both.change(task.id, title=task.title + "!")
    both.push()
    assert {vendor.items[first.id].title, vendor.items[second.id].title} == {"One", "Two!"}
    failed = next(b for b in both.rows(Binding) if b.failed_at)
    assert failed.reason_code == "rejected"
    integration = both.rows(Integration)[0]
    assert (integration.sync_status, integration.sync_code) == ("degraded", "write_failed")
    both.change(failed.task_id, title="One again")
    both.push()
    both.assert_equal()
    assert both.rows(Integration)[0].sync_status == "healthy"


def test_a_rate_limit_of_the_account_stops_the_lane_until_its_time(both, vendor, clock, runtime):
    item_of(both)
    both.change(both.task().id, title="Ours")
    vendor.fail("update_task", 429, headers={"Retry-After": "90"})
    both.push()
    assert both.rows(Integration)[0].next_push_at == clock() + timedelta(seconds=90)
    calls = len(vendor.calls)
    clock.advance(seconds=60)
    assert push(runtime, both.id) == 0
    assert len(vendor.calls) == calls
    clock.advance(seconds=31)
    assert both.push() == 1


def test_an_edit_is_not_undone_by_the_echo_of_the_one_before_it(both, vendor, monkeypatch):
    item = item_of(both)
    task_id = both.task().id
    both.change(task_id, title="First")
    real = type(vendor).edit

    def overtaken(self, id_, **fields):
        both.change(task_id, title="Second")
        both.rt.clock.advance(seconds=1)
        written = real(self, id_, **fields)
        monkeypatch.undo()
        both.deliver()
        return written

    monkeypatch.setattr(type(vendor), "edit", overtaken)
    both.push()
    both.push()
    assert vendor.items[item.id].title == both.task().title == "Second"
    assert both.history("lost") == []
    both.assert_equal()


def test_a_write_repeated_after_a_lost_answer_is_no_conflict_with_itself(both, vendor, clock):
    item_of(both)
    both.change(both.task().id, title="Ours")
    vendor.fail("update_task", None)
    both.push()
    clock.advance(seconds=6)
    both.push()
    assert both.history("lost") == []
    assert both.binding().base["title"] == ["Ours", "Ours"]


def test_an_answer_older_than_what_was_heard_meanwhile_does_not_move_the_base_back(both, vendor, monkeypatch):
    item = item_of(both)
    both.change(both.task().id, title="Ours")
    real = type(vendor).edit

    def changed_again(self, id_, **fields):
        written = real(self, id_, **fields)
        monkeypatch.undo()
        vendor.edit(item.id, title="Theirs, later")
        both.deliver()
        return written

    monkeypatch.setattr(type(vendor), "edit", changed_again)
    both.push()
    assert both.binding().base["title"] == ["Theirs, later", "Theirs, later"]
    assert both.task().title == "Theirs, later"


def test_a_token_that_can_not_be_renewed_now_lets_the_lane_wait_without_failing(runtime, vendor, tenant, clock):
    tokens = vendor.auth.issue()
    ends = (clock() + timedelta(hours=1)).isoformat()
    credentials = {"access_token": tokens["access_token"], "refresh_token": tokens["refresh_token"], "expires_at": ends}
    both = Both(runtime, vendor, tenant, connect(runtime, tenant, credentials=credentials))
    both.create("Waits")
    clock.advance(hours=2)
    vendor.auth.failures = [(503, {})]
    assert both.push() == 0
    assert both.rows(Integration)[0].next_push_at == clock() + timedelta(seconds=30)
    clock.advance(seconds=30)
    assert both.push() == 1


# --- creation -----------------------------------------------------------------------------------------


def test_a_new_task_becomes_one_item_with_our_marker(both, vendor):
    task_id = both.create("Fresh", priority="high", description="words")
    assert both.binding().state == "creating"
    assert both.push() == 1
    (item,) = vendor.items.values()
    assert (item.title, item.priority) == ("Fresh", "p2")
    assert item.create_key.startswith(f"scrums-{task_id.lower()}-")
    assert both.task().external_id == item.key
    both.deliver()
    assert len(both.rows(Task)) == 1
    both.assert_equal()


def test_a_webhook_that_overtakes_the_answer_adopts_the_item(both, vendor, monkeypatch):
    both.create("Overtaken")
    real = type(vendor).add

    def told_first(self, *args, **fields):
        item = real(self, *args, **fields)
        both.deliver()
        return item

    monkeypatch.setattr(type(vendor), "add", told_first)
    assert both.push() == 1
    assert len(both.rows(Task)) == 1
    both.assert_equal()


def test_a_webhook_of_the_items_first_state_does_not_undo_the_status_it_was_created_with(both, vendor, monkeypatch):
    both.create("In progress from birth", status="in_progress")
    real = type(vendor).add

    def in_two_steps(self, container, *, state, **fields):
        item = real(self, container, **fields)
        both.deliver()
        return self.edit(item.id, state=state)

    monkeypatch.setattr(type(vendor), "add", in_two_steps)
    both.push()
    both.deliver()
    both.push()
    assert both.task().status == "in_progress"
    assert both.calls("update_task") == 0
    both.assert_equal()


def test_a_value_refused_at_creation_stays_ours_and_says_why(both, vendor):
    vendor.refuses["priority"] = Refusal("field_refused", "Not on the screen.")
    both.create("Urgent", priority="critical")
    both.push()
    both.deliver()
    assert both.task().priority == "critical"
    assert both.binding().refused["priority"]["code"] == "field_refused"
    assert not both.binding().owed


@pytest.mark.parametrize("healed_by", ["search", "webhook", "poll"])
def test_an_item_whose_creation_was_cut_off_is_adopted_never_made_twice(both, vendor, clock, healed_by):
    vendor.index_lag = timedelta(seconds=20)
    both.create("Once")
    vendor.fail("create_task", None)
    assert both.push() == 0
    assert both.binding().state == "creating"
    if healed_by == "webhook":
        both.deliver()
    elif healed_by == "poll":
        both.poll()
    for _ in range(8):
        clock.advance(seconds=20)
        both.push()
    assert both.calls("create_task") == 1
    assert len(vendor.items) == 1
    both.deliver()
    both.assert_equal()


def test_a_creation_that_never_arrived_is_sent_again_only_after_the_marker_was_looked_for_in_vain(both, vendor, clock):
    both.create("Lost on the way")
    vendor.fail("create_task", 500)
    both.push()
    clock.advance(seconds=6)
    both.push()
    assert vendor.items == {}
    assert both.binding().reason_code == "create_unclear"
    for _ in range(5):
        clock.advance(seconds=30)
        both.push()
    assert both.calls("find_created") >= 2
    assert len(vendor.items) == 1
    both.assert_equal()


def test_a_worker_killed_between_the_call_and_the_commit_leaves_one_item(both, vendor, clock, monkeypatch):
    from sync.writes import Writer

    class Killed(BaseException):
        pass

    def killed(*_args):
        raise Killed

    both.create("Survivor")
    monkeypatch.setattr(Writer, "settle", killed)
    with pytest.raises(Killed):
        both.push()
    monkeypatch.undo()
    for _ in range(8):
        clock.advance(seconds=40)
        both.push()
    assert len(vendor.items) == 1
    assert both.calls("create_task") == 1
    both.assert_equal()


def test_an_item_deleted_before_its_creation_was_confirmed_ends_its_task_and_is_not_made_again(both, vendor, clock):
    both.create("Short-lived")
    vendor.fail("create_task", None)
    both.push()
    vendor.delete(next(iter(vendor.items)))
    both.deliver()
    for _ in range(8):
        clock.advance(seconds=40)
        both.push()
    assert vendor.items == {}
    assert both.calls("create_task") == 1
    assert (both.binding().state, both.binding().reason_code) == ("ended", "deleted_there")
    assert both.task("Short-lived").status == "cancelled"


def test_an_item_deleted_while_the_answer_to_its_creation_was_under_way_ends_its_task(both, vendor, monkeypatch):
    """The news of it came before anybody here knew the item."""
    both.create("Short-lived")
    add = vendor.add

    def created_and_deleted(*args, **fields):
        item = add(*args, **fields)
        vendor.delete(item.id)
        both.deliver()
        return item

    monkeypatch.setattr(vendor, "add", created_and_deleted)
    both.push()
    assert (both.binding().state, both.binding().reason_code) == ("ended", "deleted_there")
    assert both.task("Short-lived").status == "cancelled"


def test_a_deleted_copy_of_an_item_does_not_end_the_creation_that_was_cut_off(both, vendor, clock):
    both.create("Copied")
    vendor.fail("create_task", None)
    both.push()
    (original,) = vendor.items.values()
    copy = vendor.add(original.container, title="Copied", create_key=original.create_key)
    vendor.delete(copy.id)
    vendor.outbox[:] = [sent for sent in vendor.outbox if copy.id.encode() in sent[1].body]
    both.deliver()
    for _ in range(3):
        clock.advance(seconds=40)
        both.push()
    assert list(vendor.items) == [original.id]
    both.assert_equal()


def test_an_edit_made_before_the_cut_off_item_was_adopted_is_sent_afterwards(both, vendor, clock):
    task_id = both.create("Draft")
    vendor.fail("create_task", None)
    both.push()
    both.change(task_id, title="Final")
    clock.advance(seconds=6)
    both.push()
    both.push()
    (item,) = vendor.items.values()
    assert item.title == "Final"
    both.assert_equal()


def test_a_refused_connection_is_no_unclear_creation(both, vendor, clock):
    both.create("Plain retry")
    vendor.fail("create_task", 429, headers={"Retry-After": "5"})
    both.push()
    assert both.binding().called_at is None
    clock.advance(seconds=6)
    both.push()
    assert both.calls("find_created") == 0
    both.assert_equal()


def test_a_copy_of_an_item_made_by_a_person_becomes_a_task_of_its_own_although_it_carries_our_marker(both, vendor):
    both.create("Original")
    both.push()
    (item,) = vendor.items.values()
    vendor.add(title="Copy", create_key=item.create_key)
    both.deliver()
    assert {task.title for task in both.rows(Task)} == {"Original", "Copy"}
    both.assert_equal()


def test_of_two_integrations_the_mapping_decides_which_one_gets_the_item(runtime, vendor, tenant):
    first = connect(
        runtime,
        tenant,
        name="General",
        config=toy_config(tenant) | {"projects": [{"external": "TOY", "service_line_id": tenant.line_id}]},
    )
    second = connect(runtime, tenant, name="Line", config=toy_config(tenant, "LINE"))
    both = Both(runtime, vendor, tenant, second)
    both.create("For the line")
    assert [b.integration_id for b in both.rows(Binding)] == [second.id]
    assert first.id != second.id


def test_the_assignee_of_a_new_task_goes_with_it(both, vendor):
    vendor.people["u2"] = RemoteUser("u2", "Bob", "bob@apex.test")
    both.create("Assigned", assignee_id=both.tenant.bob_id)
    both.push()
    (item,) = vendor.items.values()
    assert item.assignee == "u2"
    both.deliver()
    both.assert_equal()


# --- an outage ----------------------------------------------------------------------------------------


@pytest.fixture
def owing(both: Both) -> Both:
    """Ten tasks wait to be written."""
    for number in range(10):
        both.create(f"Owed {number}")
    return both


def test_three_failures_in_a_row_close_the_lane_and_cost_the_others_no_attempt(owing: Both, vendor, clock):
    vendor.fail("create_task", 503, times=99)
    owing.push()
    assert owing.calls("create_task") == TRIPS_AT
    rows = owing.rows(Binding)
    assert [row.attempts for row in rows] == [1] * TRIPS_AT + [0] * (10 - TRIPS_AT)
    assert [row.reason_code for row in rows] == ["transient"] * TRIPS_AT + [None] * (10 - TRIPS_AT)
    owing.push()
    assert owing.calls("create_task") == TRIPS_AT
    assert owing.rows(Integration)[0].next_push_at > clock()


def test_a_closed_lane_tries_again_by_itself_and_pays_everything(owing: Both, vendor, clock):
    vendor.fail("create_task", 503, times=TRIPS_AT)
    owing.push()
    for _ in range(3):  # what may have been created after all is looked for twice before it is created again
        clock.advance(minutes=10)
        owing.push()
    owing.assert_equal()


def test_the_lane_stays_closed_the_longer_the_more_pulls_have_failed(owing: Both, vendor, clock):
    vendor.fail("create_task", 503, times=TRIPS_AT)
    with owing.rt.db.write() as session:
        session.get_one(Integration, owing.id).pull_failures = 5
    owing.push()
    assert owing.rows(Integration)[0].next_push_at == clock() + backoff(5)


def test_single_failures_among_successes_do_not_close_the_lane(owing: Both, vendor):
    refused = {"Owed 1", "Owed 2", "Owed 4", "Owed 6"}
    real = vendor.add

    def add(container, **fields):
        if fields["title"] in refused:
            raise Transient("not now", maybe_done=False)
        return real(container, **fields)

    vendor.add = add
    owing.push()
    assert len(vendor.items) == 10 - len(refused)
