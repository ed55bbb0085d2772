"""Set-based statements do the same on both databases, with every type of column and any number of rows."""

from __future__ import annotations

import pytest
from sqlalchemy import event, select

from core import ids
from core.bulk import among, insert_missing, insert_rows, update_rows
from core.models import Delivery, Integration, Lease, TaskHistory
from tests.core.conftest import NOW
from tests.core.test_tasks import integrate, make


def delivery(integration_id: str, number: int, **fields):
    return {
        "integration_id": integration_id,
        "dedupe_key": f"{integration_id}:{number}",
        "event": "e",
        "headers": {"número": [number, None, {"deep": "ü\n\"'\\"}]},
        "body": bytes(range(256)),
        "received_at": NOW,
        "state": "pending",
        "attempts": number,
        "next_attempt_at": NOW,
        **fields,
    }


def test_rows_of_every_type_come_back_as_they_went_in(db, tenant):
    integration_id = integrate(db, tenant)
    with db.write() as session:
        insert_rows(session, Delivery.__table__, [delivery(integration_id, n) for n in range(3)])
    with db.read() as session:
        stored = session.scalars(select(Delivery).order_by(Delivery.id)).all()
    assert [d.attempts for d in stored] == [0, 1, 2]
    assert stored[2].headers == delivery(integration_id, 2)["headers"]
    assert stored[2].body == bytes(range(256))
    assert stored[2].received_at == NOW
    assert stored[2].outcome is None


def test_updates_touch_exactly_the_rows_named_and_can_set_null(db, tenant):
    integration_id = integrate(db, tenant)
    with db.write() as session:
        insert_rows(session, Delivery.__table__, [delivery(integration_id, n, error_code="x") for n in range(3)])
        first, _, last = session.scalars(select(Delivery.id).order_by(Delivery.id)).all()
        changed = [{"id": id_, "state": f"s{id_}", "outcome": {"n": id_}, "error_code": None} for id_ in (first, last)]
        update_rows(session, Delivery.__table__, changed, key="id")
    with db.read() as session:
        stored = {d.id: (d.state, d.outcome, d.error_code) for d in session.scalars(select(Delivery))}
    assert stored[first] == (f"s{first}", {"n": first}, None)
    assert stored[last] == (f"s{last}", {"n": last}, None)
    assert ("pending", None, "x") in stored.values()


def test_among_finds_texts_and_numbers_and_nothing_in_an_empty_list(db, tenant):
    task = make(db, tenant)
    line = {"at": NOW, "kind": "change", "change": "title", "old": None, "new": "n", "by": "x", "rule": None}
    with db.write() as session:
        insert_rows(session, TaskHistory.__table__, [{**line, "task_id": task.id, "source": str(n)} for n in range(5)])
        history = session.scalars(select(TaskHistory.id).order_by(TaskHistory.id)).all()
        found = session.scalars(select(TaskHistory.id).where(among(session, TaskHistory.id, history[1:3]))).all()
        assert sorted(found) == list(history[1:3])
        by_text = select(TaskHistory.source).where(among(session, TaskHistory.source, ["0", "4", "it's"]))
        assert sorted(session.scalars(by_text)) == ["0", "4"]
        assert session.scalars(select(TaskHistory.id).where(among(session, TaskHistory.id, []))).all() == []


@pytest.mark.parametrize("work", ["insert", "update", "among"])
def test_one_statement_whatever_the_number_of_rows(db, tenant, work):
    integration_id = integrate(db, tenant)
    with db.write() as session:
        insert_rows(session, Delivery.__table__, [delivery(integration_id, n) for n in range(500)])
        known = session.scalars(select(Delivery.id)).all()
        seen = []
        event.listen(db.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
        if work == "insert":
            insert_rows(session, Delivery.__table__, [delivery(integration_id, n) for n in range(500, 1000)])
        elif work == "update":
            update_rows(session, Delivery.__table__, [{"id": id_, "state": "done"} for id_ in known], key="id")
        else:
            assert len(session.scalars(select(Delivery.id).where(among(session, Delivery.id, known))).all()) == 500
    assert len(seen) == 1


def test_a_row_that_is_there_already_is_left_as_it_is(db, tenant):
    row = {"name": "pull:x", "holder": None, "fence": 1, "expires_at": NOW}
    with db.write() as session:
        insert_missing(session, Lease.__table__, row)
        insert_missing(session, Lease.__table__, row | {"fence": 9})
    with db.read() as session:
        assert session.get_one(Lease, "pull:x").fence == 1


def test_ids_count_up_per_kind_and_many_cost_one_statement(db):
    with db.write() as session:
        assert ids.take(session, "TSK", NOW, 3) == ["TSK-26-000001", "TSK-26-000002", "TSK-26-000003"]
        assert ids.take_one(session, "TSK", NOW.replace(year=2027)) == "TSK-27-000004"
        assert ids.take_one(session, "EVT", NOW) == "EVT-26-000001"
        assert ids.take(session, "EVT", NOW, 0) == []


def test_times_come_back_aware_and_naive_ones_are_refused(db, tenant):
    integrate(db, tenant)
    with db.read() as session:
        stored = session.scalars(select(Integration)).one()
    assert stored.created_at == NOW
    assert stored.created_at.tzinfo is not None
    with pytest.raises(Exception, match="naive time"), db.write() as session:
        session.scalars(select(Integration)).one().updated_at = NOW.replace(tzinfo=None)
