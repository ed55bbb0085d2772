"""Pages hold every row once, whatever is added meanwhile; a cursor that does not fit is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient

from api import paging
from api.paging import Window
from core import ids, tasks
from core.models import IdCounter, Task
from core.tasks import NewTask
from sync.runtime import Runtime
from tests.api.conftest import Tenant, connect, error_of, new_task


def add(rt: Runtime, tenant: Tenant, count: int) -> None:
    with rt.db.write() as session:
        for _ in range(count):
            new = NewTask(tenant.workspace.id, "t", service_line_id=tenant.line_id)
            tasks.create(session, new, actor=tenant.ann_id, now=rt.clock())


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(limit=st.integers(1, 7), inserts=st.lists(st.integers(0, 3), max_size=8))
def test_every_row_of_the_start_is_seen_once_in_order_while_others_are_added(
    limit: int, inserts: list[int], rt: Runtime, tenant: Tenant
) -> None:
    add(rt, tenant, 5)
    with rt.db.read() as session:
        at_start = list(session.scalars(select(Task.id).order_by(Task.id.desc())))
    seen: list[str] = []
    cursor, more = None, True
    while more:
        with rt.db.read() as session:
            page = paging.fetch(session, select(Task), Task.id, Window(cursor=cursor, limit=limit))
        assert len(page.rows) <= limit
        assert (page.meta.cursor is not None) == page.meta.has_more
        seen += [task.id for task in page.rows]
        cursor, more = page.meta.cursor, page.meta.has_more
        add(rt, tenant, inserts.pop() if inserts else 0)
    assert seen == at_start


def test_a_list_is_walked_to_its_end_through_the_api(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    add(rt, tenant, 60)
    params: dict[str, Any] = {"workspace_id": tenant.workspace.id}
    sizes, ids = [], []
    while True:
        body = api.get("/v1/tasks", params=params).json()
        sizes.append(len(body["data"]))
        ids += [task["id"] for task in body["data"]]
        if not body["meta"]["has_more"]:
            break
        params["cursor"] = body["meta"]["cursor"]
    assert sizes == [25, 25, 10]
    assert body["meta"] == {"cursor": None, "has_more": False}
    assert ids == sorted(set(ids), reverse=True)


def test_a_page_that_is_just_full_is_the_last(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    add(rt, tenant, 3)
    body = api.get("/v1/tasks", params={"workspace_id": tenant.workspace.id, "limit": 3}).json()
    assert (len(body["data"]), body["meta"]["has_more"]) == (3, False)


def test_integrations_are_listed_oldest_first(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    made = [connect(rt, tenant, config=_toy(tenant, f"P{number}")).id for number in range(3)]
    first = api.get("/v1/integrations", params={"workspace_id": tenant.workspace.id, "limit": 2}).json()
    cursor = first["meta"]["cursor"]
    params = {"workspace_id": tenant.workspace.id, "limit": 2, "cursor": cursor}
    second = api.get("/v1/integrations", params=params).json()
    assert [row["id"] for row in first["data"] + second["data"]] == made


def _toy(tenant: Tenant, container: str) -> dict[str, Any]:
    return {"projects": [{"external": container, "service_line_id": tenant.line_id}]}


def _cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["", "!", "abc", "ä", "AAAA", _cursor(None), _cursor([]), _cursor({}), _cursor({"id": 1}), _cursor({"id": "\0"})],
)
def test_a_cursor_that_is_not_ours_is_a_bad_request(cursor: str, api: TestClient, tenant: Tenant) -> None:
    params = {"workspace_id": tenant.workspace.id, "cursor": cursor}
    assert error_of(api.get("/v1/tasks", params=params))["code"] == "bad_request"


def test_a_cursor_of_other_filters_is_a_bad_request(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    add(rt, tenant, 2)
    params = {"workspace_id": tenant.workspace.id, "limit": "1"}
    cursor = api.get("/v1/tasks", params=params).json()["meta"]["cursor"]
    assert api.get("/v1/tasks", params=params | {"cursor": cursor, "limit": "7"}).status_code == 200
    other = params | {"cursor": cursor, "status": "backlog"}
    assert error_of(api.get("/v1/tasks", params=other))["code"] == "bad_request"


@pytest.mark.parametrize("limit", ["0", "-1", "101", "ten", "1.5", ""])
def test_a_limit_out_of_range_is_unprocessable(limit: str, api: TestClient, tenant: Tenant) -> None:
    refused = error_of(api.get("/v1/tasks", params={"workspace_id": tenant.workspace.id, "limit": limit}))
    assert refused["code"] == "unprocessable"
    assert refused["message"].startswith("limit: ")


def test_a_page_costs_the_same_however_deep(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    new_task(api, tenant)
    deep = paging.encode("TSK-26-000900", {"workspace_id": tenant.workspace.id})
    statement = select(Task).where(Task.workspace_id == tenant.workspace.id, Task.id < "TSK-26-000900")
    with rt.db.read() as session:
        text = statement.order_by(Task.id.desc()).limit(26).compile(compile_kwargs={"literal_binds": True})
        plan = " ".join(str(row) for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
    assert "SEARCH" in plan
    assert "USE TEMP B-TREE" not in plan
    params = {"workspace_id": tenant.workspace.id, "cursor": deep}
    assert len(api.get("/v1/tasks", params=params).json()["data"]) == 1


@given(st.lists(st.integers(1, 2_000_000) | st.integers(1, 1_000_000_000), min_size=2))
def test_ids_sort_as_their_numbers_do_beyond_a_million(numbers: list[int]) -> None:
    texts = [ids._serial(number) for number in numbers]
    assert [text for _, text in sorted(zip(numbers, texts, strict=True))] == sorted(texts)
    assert {len(text) for text in texts} == {6}


def test_a_list_goes_on_beyond_the_millionth(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    with rt.db.write() as session:
        session.get_one(IdCounter, "TSK").last = 999_997
    made = [new_task(api, tenant)["id"] for _ in range(5)]
    assert made[1:3] == ["TSK-26-999999", "TSK-26-A00000"]
    params: dict[str, Any] = {"workspace_id": tenant.workspace.id, "limit": 2}
    seen: list[str] = []
    for _ in range(3):
        body = api.get("/v1/tasks", params=params).json()
        seen += [task["id"] for task in body["data"]]
        params["cursor"] = body["meta"]["cursor"]
    assert seen == made[::-1]
