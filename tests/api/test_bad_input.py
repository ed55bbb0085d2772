"""What does not fit is refused in the platform's envelope, names what is wrong, repeats nothing and stores nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.middleware import MAX_BODY
from core.tasks import MAX_DESCRIPTION, MAX_TITLE
from sync.runtime import Runtime
from tests.api.conftest import Caller, Tenant, error_of, new_task, stored

TASKS = "/v1/tasks"
INTEGRATIONS = "/v1/integrations"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Bad:
    """A request, the status it must get, and words its message must have. `body` is bytes, or JSON to be filled in."""

    method: str
    path: str
    status: int
    words: str = ""
    body: Any = None
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))


def task(**changed: Any) -> dict[str, Any]:
    return {"service_line_id": "{line}", "title": "A task"} | changed


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def toy(**changed: Any) -> dict[str, Any]:
    return {"workspace_id": "{workspace}", "type": "toy", "name": "x"} | changed


CASES = {
    "malformed JSON": Bad("POST", TASKS, 400, "not valid JSON", b'{"title": '),
    "no JSON at all": Bad("POST", TASKS, 400, "not valid JSON", b"title=x"),
    "not UTF-8": Bad("POST", TASKS, 400, "UTF-8", b'{"title": "\xff"}'),
    "UTF-16": Bad("POST", TASKS, 400, "UTF-8", '{"title": "x"}'.encode("utf-16-le")),
    "a number too long to read": Bad("POST", TASKS, 400, "", b'{"title": ' + b"9" * 5000 + b"}"),
    "nesting that never ends": Bad("POST", TASKS, 400, "", b"[" * 200_000),
    "a form": Bad("POST", TASKS, 400, "not valid JSON", b"title=x", FORM),
    "no body": Bad("POST", TASKS, 422, "body: is required", b""),
    "a list": Bad("POST", TASKS, 422, "body: ", []),
    "null": Bad("POST", TASKS, 422, "body: ", b"null"),
    "too large": Bad("POST", TASKS, 413, str(MAX_BODY), b'"' + b"x" * MAX_BODY + b'"'),
    "no title": Bad("POST", TASKS, 422, "title: is required", {"service_line_id": "{line}"}),
    "an empty title": Bad("POST", TASKS, 422, "title: ", task(title="")),
    "a blank title": Bad("POST", TASKS, 422, "title: ", task(title=" \t ")),
    "a null title": Bad("POST", TASKS, 422, "title: ", task(title=None)),
    "a title that is a number": Bad("POST", TASKS, 422, "title: ", task(title=7)),
    "a title of several lines": Bad("POST", TASKS, 422, "title: must be a single line", task(title="a\nb")),
    "a title with a line separator": Bad("POST", TASKS, 422, "title: must be a single line", task(title="a\u2028b")),
    "a title too long": Bad("POST", TASKS, 422, "title: ", task(title="x" * (MAX_TITLE + 1))),
    "a title with NUL": Bad("POST", TASKS, 422, "NUL", task(title="a\0b")),
    "half a character": Bad("POST", TASKS, 422, "Unicode", b'{"title": "\\ud800", "service_line_id": "x"}'),
    "a description too long": Bad("POST", TASKS, 422, "description: ", task(description="x" * (MAX_DESCRIPTION + 1))),
    "a description that is an object": Bad("POST", TASKS, 422, "description: ", task(description={})),
    "an unknown status": Bad("POST", TASKS, 422, "status: input should be 'backlog', ", task(status="open")),
    "an unknown priority": Bad("POST", TASKS, 422, "priority: ", task(priority="urgent")),
    "a null status": Bad("POST", TASKS, 422, "status: ", task(status=None)),
    "an unknown field": Bad("POST", TASKS, 422, "colour: is not a known field", task(colour="red")),
    "a field only we set": Bad("POST", TASKS, 422, "external_id: is not a known field", task(external_id="X-1")),
    "several things": Bad("POST", TASKS, 422, "title: is required; status: ", {"status": "open"}),
    "neither workspace nor service line": Bad("POST", TASKS, 422, "service_line_id: ", {"title": "x"}),
    "an unknown workspace": Bad("POST", TASKS, 404, "WS-26-999999", task(workspace_id="WS-26-999999")),
    "an unknown service line": Bad("POST", TASKS, 404, "LIN-26-999999", task(service_line_id="LIN-26-999999")),
    "an unknown project": Bad("POST", TASKS, 422, "project_id: ", task(project_id="PROJ-26-999999")),
    "an unknown assignee": Bad("POST", TASKS, 422, "assignee_id: ", task(assignee_id="USR-26-999999")),
    "a patch of an unknown field": Bad("PATCH", "/v1/tasks/{task}", 422, "colour", {"colour": "red"}),
    "a patch of the workspace": Bad("PATCH", "/v1/tasks/{task}", 422, "workspace_id", {"workspace_id": "{workspace}"}),
    "a patch with a null title": Bad("PATCH", "/v1/tasks/{task}", 422, "title", {"title": None}),
    "a patch of an unknown task": Bad("PATCH", "/v1/tasks/TSK-26-999999", 404, "TSK-26-999999", {"title": "x"}),
    "a patch with another's service line": Bad(
        "PATCH", "/v1/tasks/{task}", 422, "service_line_id", {"service_line_id": "LIN-26-999999"}
    ),
    "a list without a workspace": Bad("GET", TASKS, 400, "workspace_id or service_line_id"),
    "an unknown parameter": Bad("GET", f"{TASKS}?workspace_id={{workspace}}&statuss=done", 422, "a known parameter"),
    "an empty status filter": Bad("GET", f"{TASKS}?workspace_id={{workspace}}&status=", 422, "status: must be one of"),
    "a wrong priority filter": Bad("GET", f"{TASKS}?workspace_id={{workspace}}&priority=low,", 422, "low, medium"),
    "a limit too large": Bad("GET", f"{TASKS}?workspace_id={{workspace}}&limit=101", 422, "limit: "),
    "a bad cursor": Bad("GET", f"{TASKS}?workspace_id={{workspace}}&cursor=abc", 400, "cursor"),
    "a list of an unknown workspace": Bad("GET", f"{TASKS}?workspace_id=WS-26-999999", 404, "WS-26-999999"),
    "NUL in a path": Bad("GET", "/v1/tasks/%00", 400, "NUL"),
    "NUL in a query": Bad("GET", f"{TASKS}?workspace_id=%00", 400, "NUL"),
    "an id of any length": Bad("POST", TASKS, 422, "service_line_id: ", task(service_line_id="L" * 5000)),
    "an unknown task": Bad("GET", "/v1/tasks/TSK-26-999999", 404, "Task TSK-26-999999 not found."),
    "an unknown integration": Bad("GET", "/v1/integrations/INT-1", 404, "Integration INT-1 not found."),
    "an unknown route": Bad("GET", "/v1/taskz", 404, "There is no GET /v1/taskz."),
    "a trailing slash": Bad("GET", "/v1/tasks/", 404, "/v1/tasks/"),
    "an unknown method": Bad("PUT", TASKS, 405, "takes GET, POST, not PUT"),
    "a delete of a task": Bad("DELETE", "/v1/tasks/{task}", 405, "GET, PATCH"),
    "an unknown connector": Bad(
        "POST", INTEGRATIONS, 422, "toy", {"workspace_id": "{workspace}", "type": "trello", "name": "x"}
    ),
    "an integration without a name": Bad(
        "POST", INTEGRATIONS, 422, "name: is required", {"workspace_id": "{workspace}", "type": "toy"}
    ),
    "a config nested too deeply": Bad(
        "POST",
        INTEGRATIONS,
        422,
        "deep",
        toy(config=nested(40)),
    ),
    "a config with NUL": Bad(
        "POST",
        INTEGRATIONS,
        422,
        "NUL",
        toy(config={"\0": 1}),
    ),
    "a config that is not a number": Bad(
        "POST", INTEGRATIONS, 422, "finite", b'{"workspace_id": "x", "type": "toy", "name": "x", "config": {"a": NaN}}'
    ),
}

CODES = {400: "bad_request", 404: "not_found", 405: "bad_request", 413: "bad_request", 422: "unprocessable"}


@pytest.mark.parametrize("name", CASES)
def test_is_refused(name: str, api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    bad = CASES[name]
    words = {"line": tenant.line_id, "workspace": tenant.workspace.id, "task": new_task(api, tenant)["id"]}
    before = stored(rt)
    content = None
    if bad.body is not None:
        content = bad.body if isinstance(bad.body, bytes) else json.dumps(filled(bad.body, words)).encode()
    response = api.request(bad.method, filled(bad.path, words), content=content, headers=bad.headers)
    error = error_of(response)
    assert (error["status"], error["code"]) == (bad.status, CODES[bad.status])
    assert bad.words in error["message"]
    assert len(error["message"]) < 1000
    assert stored(rt) == before


def filled(value: Any, words: dict[str, str]) -> Any:
    """The value with `{line}` and its like replaced in every text."""
    if isinstance(value, str):
        for name, word in words.items():
            value = value.replace(f"{{{name}}}", word)
        return value
    if isinstance(value, dict):
        return {name: filled(inner, words) for name, inner in value.items()}
    return value


def test_what_was_sent_is_not_repeated(api: TestClient, tenant: Tenant) -> None:
    body = {
        "service_line_id": tenant.line_id,
        "title": {"password": "canary"},
        "status": "canary",
        "priority": ["canary"],
    }
    assert "canary" not in api.post(TASKS, json=body).text


def test_a_task_as_large_as_allowed_is_taken(api: TestClient, tenant: Tenant) -> None:
    title, description = "\N{GRINNING FACE}" * MAX_TITLE, "\N{GRINNING FACE}" * MAX_DESCRIPTION
    task = new_task(api, tenant, title=title, description=description)
    assert (task["title"], task["description"]) == (title, description)


@pytest.mark.parametrize("headers", [FORM, {}, {"Content-Type": ""}, {"Content-Type": "text/plain; charset=latin-1"}])
def test_a_body_is_json_whatever_its_content_type(headers: dict[str, str], api: TestClient, tenant: Tenant) -> None:
    content = json.dumps(filled(task(), {"line": tenant.line_id}))
    assert api.post(TASKS, content=content, headers=headers).status_code == 201


def test_a_body_without_a_token_is_not_looked_at(anyone: TestClient) -> None:
    refused = anyone.post(TASKS, json={"title": None})
    assert error_of(refused)["code"] == "unauthorized"


def test_a_method_that_is_not_there_names_those_that_are(api: TestClient) -> None:
    assert api.put(TASKS, json={}).headers["allow"] == "GET, POST"


def test_text_of_a_tenants_tools_is_kept_as_it_is(api: TestClient, caller: Caller, tenant: Tenant) -> None:
    odd = "Robert'); DROP TABLE task;-- <b>%s</b> {x} \\u0000 \N{RIGHT-TO-LEFT OVERRIDE}"
    assert new_task(api, tenant, title=odd)["title"] == odd
