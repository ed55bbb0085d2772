"""Deliveries can be listed, looked at and replayed, and an integration says how it does."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update
from starlette.testclient import TestClient

from core.models import AuditRecord, Delivery, Integration, SyncCause, Task
from simulation.toy import ToyVendor, deliver
from sync.health import Cause, Trouble, raise_cause
from sync.inbound import drain
from sync.replay import MOST
from sync.runtime import Lane, Runtime
from sync.subscriptions import keep_subscription
from tests.api.conftest import delivered, error_of, rows, stored
from tests.sync.conftest import ManualClock, Tenant
from tests.sync.engine import Both


@pytest.fixture
def path(integration: Integration) -> str:
    return f"/v1/integrations/{integration.id}/deliveries"


@pytest.fixture
def both(rt: Runtime, vendor: ToyVendor, tenant: Tenant, integration: Integration) -> Both:
    keep_subscription(rt, integration.id)
    return Both(rt, vendor, tenant, integration)


def listed(api: TestClient, path: str, query: str = "") -> list[int]:
    response = api.get(path + query)
    assert response.status_code == 200, response.text
    return [row["id"] for row in response.json()["data"]]


def bad(both: Both, key: str = "bad") -> None:
    """A delivery nobody can read."""
    hook = next(iter(both.vendor.hooks.values()))
    both.vendor.outbox.append((hook.url, deliver(b"[1, 2]", hook.secret, key, both.vendor.clock())))
    both.deliver()


# --- looking ----------------------------------------------------------------------------------------------


def test_deliveries_are_listed_newest_first_page_by_page(
    api: TestClient, rt: Runtime, integration: Integration, path: str
) -> None:
    made = [delivered(rt, integration.id) for _ in range(5)]
    seen: list[int] = []
    cursor = ""
    while True:
        page = api.get(f"{path}?limit=2{cursor}").json()
        seen += [row["id"] for row in page["data"]]
        delivered(rt, integration.id)  # what comes meanwhile shifts nothing
        if not page["meta"]["has_more"]:
            break
        cursor = f"&cursor={page['meta']['cursor']}"
    assert seen == made[::-1]


def test_deliveries_are_filtered_by_state_event_and_time(
    api: TestClient, rt: Runtime, integration: Integration, path: str, clock: ManualClock
) -> None:
    day = timedelta(days=1)
    old = delivered(rt, integration.id, state="dead", event="item.deleted", received_at=clock.now - day)
    new = delivered(rt, integration.id, event="a b")
    assert listed(api, path) == [new, old]
    assert listed(api, path, "?state=dead") == listed(api, path, "?event=item.deleted,x") == [old]
    assert listed(api, path, "?state=dead,pending") == [new, old]
    assert listed(api, path, "?from=2026-04-15") == listed(api, path, "?event=a%20b") == [new]
    assert listed(api, path, "?to=2026-04-14") == [old]
    assert error_of(api.get(f"{path}?state=gone"))["code"] == "unprocessable"
    assert error_of(api.get(f"{path}?stat=dead"))["code"] == "unprocessable"


@pytest.mark.parametrize("last", ["x", "-1", "1" * 19, "9" * 300, "", "١"])
def test_a_cursor_that_is_no_number_is_refused(api: TestClient, path: str, last: str) -> None:
    from api.paging import encode

    assert error_of(api.get(f"{path}?cursor={encode(last, {})}"))["code"] == "bad_request"


def test_a_list_reads_no_bodies(api: TestClient, rt: Runtime, integration: Integration, path: str) -> None:
    delivered(rt, integration.id, body=b"x" * 1000)
    statements: list[str] = []
    event.listen(rt.db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    [row] = api.get(path).json()["data"]
    assert row["size"] == 1000
    asked = [text for text in statements if "FROM delivery" in text]
    assert not any("delivery.body," in text.replace("length(delivery.body)", "") for text in asked)
    assert len(asked) == 2


def test_one_delivery_is_shown_as_it_came_with_what_came_of_it(api: TestClient, both: Both, path: str) -> None:
    item = both.vendor.add(title="Seen")
    both.deliver()
    bad(both)
    done, dead = (api.get(f"{path}/{row.id}").json()["data"] for row in both.rows(Delivery))
    assert done["items"] == [{"external_id": item.id, "outcome": "created"}]
    assert (done["state"], done["attempts"], done["error"], done["body_encoding"]) == ("done", 1, None, "text")
    assert '"Seen"' in done["body"]
    assert set(done["headers"]) >= {"x-toy-delivery"}
    assert (dead["state"], dead["error"]["code"]) == ("dead", "bad_payload")
    assert (dead["items"], dead["ignored"]) == ([], [])


def test_a_body_that_is_no_text_is_shown_in_base64(
    api: TestClient, rt: Runtime, integration: Integration, path: str
) -> None:
    id_ = delivered(rt, integration.id, body=b"\xff\x00")
    shown = api.get(f"{path}/{id_}").json()["data"]
    assert (base64.b64decode(shown["body"]), shown["body_encoding"]) == (b"\xff\x00", "base64")


@pytest.mark.parametrize("number", ["999", "0", "-1", "x", str(2**70)])
def test_a_delivery_that_is_not_there_is_not_found(api: TestClient, path: str, number: str) -> None:
    assert error_of(api.get(f"{path}/{number}"))["status"] in (404, 422)


# --- once more --------------------------------------------------------------------------------------------


def mended(rt: Runtime) -> None:
    """The connector can read what it could not."""
    real = rt.registry.get("toy").parse  # type: ignore[attr-defined]

    def parse(delivery: Any, config: Any) -> Any:
        return [] if delivery.body == b"[1, 2]" else real(delivery, config)

    rt.registry.get("toy").parse = staticmethod(parse)  # type: ignore[attr-defined]


def test_dead_deliveries_are_replayed_once_the_cause_was_mended_and_it_is_recorded_by_whom(
    api: TestClient, both: Both, rt: Runtime, path: str, rings: list[tuple[Lane, str]]
) -> None:
    bad(both)
    mended(rt)
    rings.clear()
    response = api.post(f"{path}/replay", json={"dead": True})
    assert (response.status_code, response.json()["data"]) == (202, {"replayed": 1, "pending": 0})
    assert rings == [(Lane.INBOX, both.id)]
    (row,) = both.rows(Delivery)
    assert (row.state, row.attempts, row.error_code, row.finished_at) == ("pending", 0, None, None)
    assert drain(rt, both.id) == 1
    assert both.rows(Delivery)[0].state == "ignored"
    [record] = [row for row in rows(rt, AuditRecord) if row.action == "integration.deliveries_replayed"]
    assert (record.actor, record.data) == (both.tenant.ann_id, {"dead": True, "replayed": 1})


def test_a_replay_of_old_news_changes_nothing(api: TestClient, both: Both, rt: Runtime, path: str) -> None:
    item = both.vendor.add(title="first")
    both.deliver()
    both.vendor.edit(item.id, title="second")
    both.deliver()
    assert api.post(f"{path}/replay", json={"to": "2026-04-15"}).json()["data"]["replayed"] == 2
    assert drain(rt, both.id) == 2
    assert both.task().title == "second"
    assert len(both.history()) == 1


def test_some_are_replayed_by_number_and_those_that_wait_are_only_counted(
    api: TestClient, rt: Runtime, integration: Integration, path: str
) -> None:
    done, waiting, other = (delivered(rt, integration.id, state=state) for state in ("done", "pending", "done"))
    answered = api.post(f"{path}/replay", json={"ids": [done, waiting, done]}).json()["data"]
    assert answered == {"replayed": 1, "pending": 1}
    assert {row.id: row.state for row in rows(rt, Delivery)} == {done: "pending", waiting: "pending", other: "done"}


def test_a_replay_costs_the_same_statements_for_one_and_for_a_thousand(
    api: TestClient, rt: Runtime, integration: Integration, path: str
) -> None:
    made = [delivered(rt, integration.id, state="done") for _ in range(60)]

    def statements(ids: list[int]) -> int:
        counted: list[str] = []

        def count(*args: Any) -> None:
            counted.append(args[2])

        event.listen(rt.db.engine, "before_cursor_execute", count)
        assert api.post(f"{path}/replay", json={"ids": ids}).json()["data"]["replayed"] == len(ids)
        event.remove(rt.db.engine, "before_cursor_execute", count)
        return len(counted)

    assert statements(made[:1]) == statements(made[1:])


def test_a_number_that_is_anothers_stops_the_whole_replay(
    api: TestClient, rt: Runtime, integration: Integration, path: str
) -> None:
    mine = delivered(rt, integration.id, state="done")
    error = error_of(api.post(f"{path}/replay", json={"ids": [mine, 999]}))
    assert (error["code"], f"delivery {mine}" in error["message"]) == ("not_found", False)
    assert "delivery 999;" in error["message"]
    assert rows(rt, Delivery)[0].state == "done"


@pytest.mark.parametrize(
    "body",
    [{}, {"dead": False}, {"dead": True, "ids": [1]}, {"ids": []}, {"ids": [0]}, {"from": "x"}, {"ids": [2**70]}],
)
def test_a_replay_must_say_which(api: TestClient, path: str, body: dict[str, Any]) -> None:
    assert error_of(api.post(f"{path}/replay", json=body))["code"] == "unprocessable"


def test_nothing_is_replayed_while_the_integration_does_not_work(
    api: TestClient, rt: Runtime, integration: Integration, path: str
) -> None:
    delivered(rt, integration.id, state="dead")
    with rt.db.write() as session:
        session.execute(update(Integration).values(status="error", status_text="Give consent again."))
    for query in ("", "?dry_run=true"):
        assert error_of(api.post(f"{path}/replay{query}", json={"dead": True}))["code"] == "conflict"
    assert rows(rt, Delivery)[0].state == "dead"


def test_a_dry_run_tells_what_would_be_decided_and_writes_nothing(
    api: TestClient, both: Both, rt: Runtime, path: str
) -> None:
    item = both.vendor.add(title="first")
    both.deliver()
    both.vendor.snapshots = False
    both.vendor.edit(item.id, title="second")
    both.deliver()
    with rt.db.write() as session:  # as if it had never been heard
        session.execute(update(Task).values(title="first"))
    both.vendor.edit(item.id, title="third")
    both.vendor.outbox.clear()
    bad(both)
    before = stored(rt), [row.state for row in both.rows(Delivery)]
    planned = api.post(f"{path}/replay?dry_run=true", json={"to": "2026-04-15"})
    assert planned.status_code == 200, planned.text
    plan = planned.json()["data"]
    assert [each["state"] for each in plan["deliveries"]] == ["done", "done", "dead"]
    assert plan["deliveries"][2]["error_code"] == "bad_payload"
    [shown] = plan["items"]
    assert (shown["decision"], shown["task_id"]) == ("updated", both.task().id)
    assert {field["field"]: field["there"] for field in shown["fields"]}["title"] == "third"
    assert (plan["complete"], plan["counts"]) == (True, {"updated": 1})
    assert (stored(rt), [row.state for row in both.rows(Delivery)]) == before


def test_a_dry_run_looks_at_so_many_and_says_that_there_are_more(
    api: TestClient, rt: Runtime, integration: Integration, path: str
) -> None:
    for _ in range(MOST + 1):
        delivered(rt, integration.id, body=b'{"event": "party"}')
    plan = api.post(f"{path}/replay?dry_run=true", json={"from": "2026-04-01"}).json()["data"]
    assert (len(plan["deliveries"]), plan["complete"]) == (MOST, False)
    assert plan["deliveries"][0]["ignored"] == [{"code": "unsupported", "text": "party"}]


def test_a_replay_can_be_repeated_with_its_key(
    api: TestClient, rt: Runtime, integration: Integration, path: str
) -> None:
    delivered(rt, integration.id, state="dead")
    answers = [
        api.post(f"{path}/replay", json={"dead": True}, headers={"Idempotency-Key": "k"}).json() for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert answers[0]["data"]["replayed"] == 1


# --- health -----------------------------------------------------------------------------------------------


def test_health_tells_all_that_is_wrong_and_what_came(api: TestClient, both: Both, clock: ManualClock) -> None:
    bad(both)
    delivered(both.rt, both.id)
    with both.rt.db.write() as session:
        row = session.get_one(Integration, both.id)
        raise_cause(session, row, Cause.PULL, Trouble("transient", "No answer.", "failed"), clock.now)
        raise_cause(session, row, Cause.DEAD, Trouble("deliveries_dead", "1 delivery …"), clock.now)
    clock.advance(seconds=90)
    health = api.get(f"/v1/integrations/{both.id}/health").json()["data"]
    assert (health["sync_status"], health["sync_reason"]["code"]) == ("failed", "transient")
    assert [(cause["code"], cause["severity"]) for cause in health["causes"]] == [
        ("transient", "failed"),
        ("deliveries_dead", "degraded"),
    ]
    inbox = health["inbox"]
    assert (inbox["pending"], inbox["lag_seconds"], inbox["dead"]) == (1, 90, 1)
    assert health["last_delivery_at"] == "2026-04-15T10:00:00Z"
    assert health["webhooks"]["window_hours"] == 24
    subscription = health["subscription"]
    assert (subscription["state"], subscription["reason"]) == ("active", None)
    assert subscription["next_look_at"] == "2026-04-16T10:00:00Z"
    assert {row.cause for row in both.rows(SyncCause)} == {"pull", "dead"}


def test_an_integration_without_webhooks_is_healthy_all_the_same(api: TestClient, integration: Integration) -> None:
    health = api.get(f"/v1/integrations/{integration.id}/health").json()["data"]
    assert (health["causes"], health["last_delivery_at"], health["subscription"]) == ([], None, None)
    assert health["inbox"] == {"pending": 0, "oldest_pending_at": None, "lag_seconds": 0, "dead": 0}
