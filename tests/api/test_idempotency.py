"""A POST that is sent again is done once: replayed, refused for another body, held while the first is at work."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.idempotency import KEPT, TAKE_OVER, Claim, Idempotent
from core import tasks
from core.errors import Conflict
from core.models import ApiToken, IdempotencyKey, Integration, Task
from sync.runtime import Lane, Runtime
from tests.api.conftest import Caller, Tenant, client, error_of, make_tenant, rows, token
from tests.sync.conftest import ManualClock

KEY = {"Idempotency-Key": "order-66"}


@pytest.fixture
def body(tenant: Tenant) -> dict[str, Any]:
    return {"service_line_id": tenant.line_id, "title": "Once"}


def test_the_answer_is_given_again(api: TestClient, rt: Runtime, body: dict[str, Any]) -> None:
    first = api.post("/v1/tasks", json=body, headers=KEY)
    again = api.post("/v1/tasks", json=body, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(rows(rt, Task)) == 1


def test_without_a_key_every_post_counts(api: TestClient, rt: Runtime, body: dict[str, Any]) -> None:
    for _ in range(2):
        api.post("/v1/tasks", json=body)
    assert len(rows(rt, Task)) == 2


def test_another_body_is_refused(api: TestClient, rt: Runtime, body: dict[str, Any]) -> None:
    api.post("/v1/tasks", json=body, headers=KEY)
    assert error_of(api.post("/v1/tasks", json=body | {"title": "Twice"}, headers=KEY))["code"] == "unprocessable"
    assert len(rows(rt, Task)) == 1


def test_another_route_is_another_request(api: TestClient, integration: Integration, body: dict[str, Any]) -> None:
    api.post("/v1/tasks", json=body, headers=KEY)
    refused = api.post(f"/v1/integrations/{integration.id}/sync", headers=KEY)
    assert error_of(refused)["code"] == "unprocessable"


def test_keys_belong_to_a_token(caller: Caller, rt: Runtime, body: dict[str, Any]) -> None:
    for each in (caller(), caller()):
        assert each.post("/v1/tasks", json=body, headers=KEY).status_code == 201
    assert len(rows(rt, Task)) == 2


def test_a_refusal_of_the_request_is_given_again(api: TestClient, rt: Runtime, body: dict[str, Any]) -> None:
    wrong = body | {"assignee_id": "USR-26-999999"}
    first, again = (api.post("/v1/tasks", json=wrong, headers=KEY) for _ in range(2))
    assert error_of(again) == error_of(first)
    assert first.status_code == 422
    assert again.headers["idempotency-replayed"] == "true"


def test_a_refusal_of_the_moment_gives_the_key_back(api: TestClient, rt: Runtime, integration: Integration) -> None:
    with rt.db.write() as session:
        session.get_one(Integration, integration.id).status = "pending_auth"
    path = f"/v1/integrations/{integration.id}/sync"
    assert error_of(api.post(path, headers=KEY))["code"] == "conflict"
    with rt.db.write() as session:
        session.get_one(Integration, integration.id).status = "active"
    assert api.post(path, headers=KEY).status_code == 202


def test_a_bug_gives_the_key_back(
    api: TestClient, rt: Runtime, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("secret of the house")

    with monkeypatch.context() as patched:
        patched.setattr(tasks, "create", explode)
        failed = api.post("/v1/tasks", json=body, headers=KEY)
        assert error_of(failed)["code"] == "server_error"
        assert "secret of the house" not in failed.text
    assert rows(rt, IdempotencyKey) == []
    assert api.post("/v1/tasks", json=body, headers=KEY).status_code == 201


def test_the_task_and_its_answer_are_stored_together(
    api: TestClient, rt: Runtime, tenant: Tenant, integration: Integration, body: dict[str, Any]
) -> None:
    """A crash right after the commit: nobody was answered, yet the repetition finds the answer and makes no task."""

    def killed(_lane: Lane, _integration_id: str) -> None:
        raise RuntimeError("killed")

    headers = KEY | {"Authorization": api.headers["Authorization"]}
    body["project_id"] = tenant.project_id  # as the integration's mapping wants it
    dying = TestClient(create_app(replace(rt, ring=killed)), raise_server_exceptions=False)
    assert dying.post("/v1/tasks", json=body, headers=headers).status_code == 500
    [task] = rows(rt, Task)
    again = api.post("/v1/tasks", json=body, headers=KEY)
    assert (again.status_code, again.json()["data"]["id"]) == (201, task.id)
    assert len(rows(rt, Task)) == 1


def test_a_second_one_meanwhile_is_told_to_wait_and_then_gets_the_answer(rt: Runtime, tenant: Tenant) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def work(_keep: object) -> dict[str, Any]:
        at_work.set()
        assert go_on.wait(10)
        return {"data": {"id": "made"}}

    token(rt, organization_id=tenant.organization_id, name="x")
    [key] = rows(rt, ApiToken)
    once = Idempotent(rt, key.id, "k", "fingerprint")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(once.run, 201, work)
        assert at_work.wait(10)
        with pytest.raises(Conflict):
            once.run(201, work)
        go_on.set()
        answer = first.result(10)
    again = once.run(201, work)
    assert again.body == answer.body
    assert again.headers["idempotency-replayed"] == "true"


def test_many_at_once_make_one_task(any_runtime: Runtime) -> None:
    tenant = make_tenant(any_runtime)
    plain = token(any_runtime, organization_id=tenant.organization_id, name="x")
    app = create_app(any_runtime)

    def send(_number: int) -> Any:
        sent = {"service_line_id": tenant.line_id, "title": "Once"}
        return client(app, plain).post("/v1/tasks", json=sent, headers=KEY)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["data"]["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(rows(any_runtime, Task)) == 1


def test_a_request_overtaken_by_its_repetition_undoes_its_work(
    rt: Runtime, api: TestClient, body: dict[str, Any], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_create = tasks.create
    repeated: list[bool] = []

    def slow(*args: Any, **kwargs: Any) -> Any:
        outcome = really_create(*args, **kwargs)
        if not repeated:
            repeated.append(True)
            # Somebody thought this process dead and took the key.
            args[0].query(IdempotencyKey).update({"created_at": clock.advance(seconds=1)})
        return outcome

    monkeypatch.setattr(tasks, "create", slow)
    assert error_of(api.post("/v1/tasks", json=body, headers=KEY))["code"] == "conflict"
    assert rows(rt, Task) == []


def test_two_claims_on_one_key_after_a_crash_are_one_claim(any_runtime: Runtime) -> None:
    tenant = make_tenant(any_runtime)
    token(any_runtime, organization_id=tenant.organization_id, name="x")
    [key] = rows(any_runtime, ApiToken)
    first = Idempotent(any_runtime, key.id, "k", "f")
    assert isinstance(first._claim("k"), Claim)
    later = replace(any_runtime, clock=lambda: any_runtime.clock() + TAKE_OVER)
    claims: list[object] = []
    for _ in range(2):
        try:
            claims.append(Idempotent(later, key.id, "k", "f")._claim("k"))
        except Conflict:
            claims.append(None)
    assert isinstance(claims[0], Claim)
    assert claims[1] is None


def test_a_key_in_work_is_a_conflict(api: TestClient, rt: Runtime, body: dict[str, Any], clock: ManualClock) -> None:
    api.post("/v1/tasks", json=body, headers=KEY)
    with rt.db.write() as session:
        session.query(IdempotencyKey).update({"status": None, "body": None})
    assert error_of(api.post("/v1/tasks", json=body, headers=KEY))["code"] == "conflict"
    clock.now += TAKE_OVER
    assert api.post("/v1/tasks", json=body, headers=KEY).status_code == 201
    assert len(rows(rt, Task)) == 2


def test_keys_are_forgotten_after_a_day(api: TestClient, rt: Runtime, body: dict[str, Any], clock: ManualClock) -> None:
    first = api.post("/v1/tasks", json=body, headers=KEY).json()
    clock.now += KEPT
    assert api.post("/v1/tasks", json=body, headers=KEY).json() == first
    clock.advance(seconds=1)
    assert api.post("/v1/tasks", json=body, headers=KEY).json() != first
    assert len(rows(rt, IdempotencyKey)) == 1


@pytest.mark.parametrize("key", ["", " ", "with space", "x" * 256])
def test_a_key_has_a_form(key: str, api: TestClient, rt: Runtime, body: dict[str, Any]) -> None:
    refused = error_of(api.post("/v1/tasks", json=body, headers={"Idempotency-Key": key}))
    assert refused["code"] == "unprocessable"
    assert rows(rt, Task) == []
