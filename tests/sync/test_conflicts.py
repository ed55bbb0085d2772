"""Conflicts as rows: both values, who and when; and a person's decision the other way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event

from core import conflicts
from core.errors import Conflict, NotFound
from core.models import AuditRecord, Event, FieldConflict, Integration, TaskHistory
from sync.reasons import SENTENCES
from sync.reconcile import Reason
from tests.sync.conftest import connect, make_tenant, toy_config
from tests.sync.engine import Both


def both_of(rt, vendor, **rules):
    tenant = make_tenant(rt)
    integration = connect(rt, tenant, config=toy_config(tenant, conflict=rules))
    return Both(rt, vendor, tenant, integration)


def disagree(both, field="title", here="Ours", there="Theirs", **start):
    """One item that both sides change; the poll that finds it is over."""
    item = both.vendor.add(**({"title": "Start"} | start))
    both.poll()
    both.rt.clock.advance(minutes=1)
    both.change(both.task().id, **{field: here})
    both.rt.clock.advance(minutes=1)
    both.vendor.edit(item.id, **{field: there})
    both.rt.clock.advance(minutes=1)
    both.poll()
    return item


def resolve(both, keep, conflict=None, actor=None):
    found = conflict or both.rows(FieldConflict)[-1]
    with both.rt.db.write() as session:
        by = actor or both.tenant.bob_id
        return conflicts.resolve(session, both.id, found.id, keep, actor=by, token_id=None, now=both.rt.clock())


def test_a_lost_platform_value_is_kept_with_who_set_it_and_when(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    item = disagree(both)
    (found,) = both.rows(FieldConflict)
    assert found.id.startswith("CNF-26-")
    assert (found.field, found.rule, found.winner) == ("title", Reason.CONFLICT_LATEST, "external")
    assert (found.here, found.here_by, found.there) == ("Ours", both.tenant.ann_id, "Theirs")
    assert found.here_at == both.rt.clock() - timedelta(minutes=2)
    assert found.there_at == vendor.items[item.id].changed_at
    assert found.source.startswith("SYNC-")
    assert (found.integration_id, found.task_id) == (both.id, both.task().id)
    assert found.resolved_at is None


def test_a_lost_vendor_value_is_kept_too(any_runtime, vendor):
    both = both_of(any_runtime, vendor, title="platform")
    disagree(both)
    (found,) = both.rows(FieldConflict)
    assert (found.rule, found.winner, found.here, found.there) == (
        Reason.CONFLICT_PLATFORM,
        "platform",
        "Ours",
        "Theirs",
    )


def test_a_value_overwritten_unseen_is_a_conflict_of_the_push(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    item = vendor.add(title="Start")
    both.poll()
    vendor.edit(item.id, title="Theirs")
    both.change(both.task().id, title="Ours")
    both.push()
    (found,) = both.rows(FieldConflict)
    assert (found.winner, found.here, found.there, found.source) == ("platform", "Ours", "Theirs", "push")
    assert (found.here_by, found.there_at) == (both.tenant.ann_id, None)


def test_a_long_description_is_kept_whole(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    mine, theirs = "mine " * 2000, "theirs " * 2000
    disagree(both, "description", mine, theirs.strip())
    (found,) = both.rows(FieldConflict)
    assert (found.here, found.there) == (mine, theirs.strip())


def test_one_edit_on_one_side_is_no_conflict(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    item = vendor.add(title="Start")
    both.poll()
    vendor.edit(item.id, title="Theirs")
    both.poll()
    assert both.rows(FieldConflict) == []


def test_the_number_of_statements_does_not_depend_on_the_number_of_conflicts(any_runtime, vendor):
    counts = []
    both = both_of(any_runtime, vendor)
    for size in (2, 12):
        items = [vendor.add(title=f"Item {size}.{n}") for n in range(size)]
        both.poll()
        for item in items:
            task = both.task(item.title)
            both.change(task.id, title=f"Ours {item.id}", status="done")
            vendor.edit(item.id, title=f"Theirs {item.id}", state="doing")
        seen = []

        def count(_connection, _cursor, statement, *_rest, seen=seen):
            seen.append(statement)

        event.listen(both.rt.db.engine, "before_cursor_execute", count)
        both.poll()
        event.remove(both.rt.db.engine, "before_cursor_execute", count)
        counts.append(len(seen))
    assert len(both.rows(FieldConflict)) == 2 * (2 + 12)
    assert counts[0] == counts[1]


def test_a_conflict_is_written_once_however_often_the_item_is_seen(any_runtime, vendor):
    both = both_of(any_runtime, vendor, title="platform")
    disagree(both)
    both.poll()
    both.push()
    both.poll()
    assert len(both.rows(FieldConflict)) == 1


# --- settling them ------------------------------------------------------------------------------------


def test_keeping_the_losing_platform_value_gives_it_back_and_to_the_vendor(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    item = disagree(both)
    settled = resolve(both, "platform")
    assert settled.owed == {both.id}
    assert both.task().title == "Ours"
    both.push()
    assert vendor.items[item.id].title == "Ours"
    both.assert_equal()
    assert (both.history()[-1].by, both.history()[-1].new) == (both.tenant.bob_id, "Ours")
    (found,) = both.rows(FieldConflict)
    assert (found.resolved_how, found.resolved_by, found.resolved_at) == (
        "platform",
        both.tenant.bob_id,
        both.rt.clock(),
    )


@pytest.mark.parametrize("pushed", [False, True])
def test_keeping_the_losing_vendor_value_brings_it_here(any_runtime, vendor, pushed):
    both = both_of(any_runtime, vendor, title="platform")
    item = disagree(both)
    if pushed:
        both.push()
        assert vendor.items[item.id].title == "Ours"
    resolve(both, "external")
    both.push()
    assert vendor.items[item.id].title == both.task().title == "Theirs"
    both.assert_equal()


def test_keeping_the_winner_changes_no_task_but_is_remembered(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    disagree(both)
    version = both.task().version
    assert resolve(both, "external").owed == set()
    assert both.task().version == version
    assert both.rows(FieldConflict)[0].resolved_how == "external"


def test_settling_twice_the_same_way_changes_nothing(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    disagree(both)
    resolve(both, "platform")
    both.rt.clock.advance(minutes=1)
    before = (both.task().version, len(both.rows(TaskHistory)), both.rows(FieldConflict)[0].resolved_at)
    assert resolve(both, "platform", actor=both.tenant.ann_id).owed == set()
    assert (both.task().version, len(both.rows(TaskHistory)), both.rows(FieldConflict)[0].resolved_at) == before


def test_settling_it_the_other_way_afterwards_is_refused(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    disagree(both)
    resolve(both, "platform")
    with pytest.raises(Conflict, match="was resolved by"):
        resolve(both, "external")


def test_a_field_that_was_changed_since_is_left_alone(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    disagree(both)
    both.change(both.task().id, title="Something else")
    with pytest.raises(Conflict, match="changed since"):
        resolve(both, "platform")
    assert both.task().title == "Something else"
    assert both.rows(FieldConflict)[0].resolved_at is None


def test_an_assignee_is_settled_by_the_user_here(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    vendor.person("v-ann", "ann@apex.test")
    vendor.person("v-bob", "bob@apex.test")
    item = vendor.add(title="Start")
    both.poll()
    both.change(both.task().id, assignee_id=both.tenant.ann_id)
    both.rt.clock.advance(minutes=1)
    vendor.edit(item.id, assignee="v-bob")
    both.poll()
    (found,) = both.rows(FieldConflict)
    assert (found.field, found.here, found.there) == ("assignee", both.tenant.ann_id, both.tenant.bob_id)
    resolve(both, "platform")
    both.push()
    assert vendor.items[item.id].assignee == "v-ann"


def test_a_decision_is_audited_and_told(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    disagree(both)
    resolve(both, "platform")
    (found,) = both.rows(FieldConflict)
    (record,) = both.rows(AuditRecord, AuditRecord.action == "conflict.resolved")
    assert (record.actor, record.subject_id) == (both.tenant.bob_id, found.id)
    assert record.data == {"task_id": found.task_id, "field": "title", "keep": "platform"}
    (told,) = both.rows(Event, Event.type == "task.conflict_resolved")
    assert (told.subject_id, told.data["conflict_id"]) == (found.task_id, found.id)


def test_a_conflict_of_another_integration_is_not_found(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    disagree(both)
    (found,) = both.rows(FieldConflict)
    with both.rt.db.write() as session, pytest.raises(NotFound, match=found.id):
        conflicts.resolve(
            session, "INT-26-999999", found.id, "platform", actor="USR", token_id=None, now=both.rt.clock()
        )


def test_the_conflicts_of_an_integration_go_with_it(any_runtime, vendor):
    both = both_of(any_runtime, vendor)
    disagree(both)
    with both.rt.db.write() as session:
        session.delete(session.get_one(Integration, both.id))
    assert both.rows(FieldConflict) == []


def test_every_reason_has_a_sentence():
    assert set(SENTENCES) == set(Reason)
