"""The fake ClickUp: its listings, formats, errors, limits, OAuth and webhooks, as one caller sees them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.clickup import LISTS, MARKER_FIELD, WORKSPACE, ClickUpSandbox
from sandbox.clock import ManualClock
from sandbox.faults import FaultKind
from sandbox.inprocess import InProcessTransport
from sandbox.vendor import API_TOKEN, CLIENT_ID, CLIENT_SECRET
from tests.sandbox.callers import Inbox

URL = "http://clickup.sandbox/api/v2"
PLATFORM, _, OPERATIONS = (home.id for home in LISTS)
TEAM = f"/team/{WORKSPACE}"
ALL = {"include_closed": "true", "subtasks": "true"}


@pytest.fixture
def clickup(clock: ManualClock, inbox: Inbox) -> ClickUpSandbox:
    return ClickUpSandbox(clock=clock, sender=inbox)


def caller(clickup: ClickUpSandbox, authorization: str = API_TOKEN) -> httpx.Client:
    headers = {"Authorization": authorization}
    return httpx.Client(transport=InProcessTransport(clickup.app), base_url=URL, headers=headers)


@pytest.fixture
def api(clickup: ClickUpSandbox) -> Iterator[httpx.Client]:
    with caller(clickup) as made:
        yield made


def create(api: httpx.Client, list_id: str = PLATFORM, **body: Any) -> dict[str, Any]:
    answer = api.post(f"/list/{list_id}/task", json={"name": "Made", **body})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def names(answer: httpx.Response) -> list[str]:
    return [task["name"] for task in answer.json()["tasks"]]


# --- access ---------------------------------------------------------------------------------------------


def test_a_personal_token_is_sent_bare_and_an_apps_as_bearer(clickup, api):
    me = api.get("/user").json()["user"]
    assert (me["id"], me["username"]) == (186, "Sync Robot")
    with caller(clickup, f"Bearer {clickup.grant()['access_token']}") as app:
        assert app.get("/team").json()["teams"][0]["id"] == WORKSPACE
    with caller(clickup, "pk_wrong") as stranger:
        refused = stranger.get("/user")
    assert (refused.status_code, refused.json()["ECODE"]) == (401, "OAUTH_025")


def test_an_app_exchanges_the_code_alone_and_gets_a_token_that_does_not_end(clickup, api, clock):
    query = {"client_id": CLIENT_ID, "redirect_uri": "https://t.example/cb", "state": "s", "response_type": "code"}
    back = httpx.Client(transport=InProcessTransport(clickup.app)).get("http://clickup.sandbox/api", params=query)
    [code] = parse_qs(urlsplit(back.headers["location"]).query)["code"]
    form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "code": code}
    answer = api.post("/oauth/token", json=form).json()
    assert set(answer) == {"access_token"}
    clock.advance(365 * 86_400)
    with caller(clickup, f"Bearer {answer['access_token']}") as app:
        assert app.get("/user").status_code == 200
    assert api.post("/oauth/token", json=form).status_code == 400


@pytest.mark.parametrize("answer", [401, 403])
def test_what_somebody_may_not_see_is_answered_as_not_theirs(clickup, api, answer):
    made = clickup.person("Ann Archer").create(PLATFORM, "Hidden")
    containers = clickup.tracker.containers
    containers[PLATFORM] = replace(containers[PLATFORM], members=frozenset({"183"}))
    clickup.settings.hidden_status = answer
    for path in (f"/task/{made.id}", f"/list/{PLATFORM}", "/team/7/task"):
        refused = api.get(path)
        assert (refused.status_code, refused.json()) == (
            answer,
            {"err": "Team not authorized", "ECODE": "OAUTH_027"},
        )
    assert names(api.get(f"{TEAM}/task", params=ALL)) == []
    assert api.get("/task/nowhere").json()["err"] == "Task not found, deleted"


def test_a_hundred_calls_a_minute_are_counted_and_the_reset_is_an_epoch_in_seconds(clickup, api, clock):
    clickup.settings.enforce_limits = True
    answers = [api.get("/user") for _ in range(101)]
    assert [answer.status_code for answer in answers[-2:]] == [200, 429]
    headers = answers[-1].headers
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("100", "0")
    assert int(headers["X-RateLimit-Reset"]) == int(clock.now().timestamp()) + 60
    assert "retry-after" not in headers
    clock.advance(60)
    assert api.get("/user").status_code == 200


# --- listings -------------------------------------------------------------------------------------------


def test_closed_tasks_and_subtasks_are_left_out_unless_asked_for(api):
    parent = create(api, name="Parent")
    create(api, name="Child", parent=parent["id"])
    create(api, name="Closed", status="complete")
    assert names(api.get(f"{TEAM}/task")) == ["Parent"]
    assert set(names(api.get(f"{TEAM}/task", params=ALL))) == {"Parent", "Child", "Closed"}


def test_pages_count_from_zero_hold_a_hundred_and_say_which_is_the_last(clickup, api):
    clickup.plant(150)
    pages = [api.get(f"{TEAM}/task", params={**ALL, "page": number}).json() for number in range(3)]
    assert [(len(page["tasks"]), page["last_page"]) for page in pages] == [(100, False), (50, True), (0, True)]
    clickup.settings.tells_last_page = False
    assert set(api.get(f"{TEAM}/task").json()) == {"tasks"}


@pytest.mark.parametrize(("switch", "reverse"), [("true", "true"), ("false", "false")])
def test_which_way_reverse_turns_the_order_is_a_switch(clickup, api, switch, reverse):
    clickup.plant(5)
    clickup.settings.oldest_first = switch
    query = {**ALL, "order_by": "updated", "reverse": reverse}
    times = [int(task["date_updated"]) for task in api.get(f"{TEAM}/task", params=query).json()["tasks"]]
    assert times == sorted(times)


def test_the_filters_of_time_lists_tags_and_custom_fields(clickup, api, clock):
    first = create(api, name="First", tags=["Scrums-X"], custom_fields=[{"id": MARKER_FIELD, "value": "k"}])
    clock.advance(1)
    create(api, OPERATIONS, name="Second", custom_fields=[{"id": MARKER_FIELD, "value": "k"}])
    changed = int(first["date_updated"])

    def found(**query: Any) -> set[str]:
        return set(names(api.get(f"{TEAM}/task", params=query)))

    assert found(date_updated_gt=changed) == {"Second"}
    assert found(date_updated_gt=changed - 1, date_updated_lt=changed + 1) == {"First"}
    assert found(**{"list_ids[]": [PLATFORM]}) == {"First"}
    assert found(**{"list_ids[]": [PLATFORM, OPERATIONS]}) == {"First", "Second"}
    assert found(**{"tags[]": "scrums-x"}) == {"First"}  # ClickUp keeps tags in lower case
    wanted = json.dumps([{"field_id": MARKER_FIELD, "operator": "=", "value": "k"}])
    assert found(custom_fields=wanted) == {"First"}  # the other List does not have the field
    assert api.get(f"{TEAM}/task", params={"custom_fields": "{"}).status_code == 400


def test_archived_tasks_are_only_in_their_lists_own_listing(api):
    task = create(api, name="Old")
    assert api.put(f"/task/{task['id']}", json={"archived": True}).json()["archived"] is True
    assert names(api.get(f"{TEAM}/task", params=ALL)) == []
    assert names(api.get(f"/list/{PLATFORM}/task", params=ALL)) == []
    assert names(api.get(f"/list/{PLATFORM}/task", params={**ALL, "archived": "true"})) == ["Old"]


def test_listings_may_be_behind_and_single_tasks_never_are(clickup, api, clock):
    clickup.settings.search_lag_seconds = 60
    made = create(api)
    assert names(api.get(f"{TEAM}/task")) == []
    assert api.get(f"/task/{made['id']}").status_code == 200
    clock.advance(61)
    assert names(api.get(f"{TEAM}/task")) == ["Made"]


# --- tasks ----------------------------------------------------------------------------------------------


def test_a_task_has_the_formats_of_clickup(clickup, api, clock):
    text = "- **bold**\n- plain"
    made = create(api, markdown_content=text, status="In Progress", priority=2, assignees=[184, 183], tags=["T"])
    assert "markdown_description" not in made
    task = api.get(f"/task/{made['id']}", params={"include_markdown_description": "true"}).json()
    assert task["markdown_description"] == "* **bold**\n* plain\n"
    assert task["description"] == "- bold\n- plain"
    assert task["date_created"] == str(int(clock.now().timestamp() * 1000))
    assert (task["status"]["status"], task["status"]["type"]) == ("in progress", "custom")
    assert (task["priority"]["id"], task["priority"]["priority"]) == ("2", "high")
    assert [person["id"] for person in task["assignees"]] == [183, 184]
    assert (task["list"]["id"], task["team_id"], task["custom_id"]) == (PLATFORM, WORKSPACE, "PLA-1")
    clickup.settings.custom_ids = False
    assert api.get(f"/task/{made['id']}").json()["custom_id"] is None


def test_a_custom_id_needs_its_workspace(api):
    made = create(api)
    assert api.get("/task/PLA-1").status_code == 404
    assert api.get("/task/PLA-1", params={"custom_task_ids": "true"}).status_code == 400
    found = api.get("/task/PLA-1", params={"custom_task_ids": "true", "team_id": WORKSPACE})
    assert found.json()["id"] == made["id"]


def test_an_update_changes_what_it_names_and_a_blank_clears_the_description(api):
    made = create(api, markdown_content="Text", assignees=[183], priority=1)
    path = f"/task/{made['id']}"
    changed = api.put(path, json={"name": "New", "assignees": {"add": [184], "rem": [183]}}).json()
    assert (changed["name"], [p["id"] for p in changed["assignees"]]) == ("New", [184])
    assert changed["description"] == "Text"
    assert api.put(path, json={"markdown_content": ""}).json()["description"] == "Text"
    assert api.put(path, json={"markdown_content": " ", "priority": None}).json()["description"] == ""
    assert api.get(path).json()["priority"] is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"status": "nowhere"}, "Status not found"),
        ({"assignees": [183]}, "add and rem"),
        ({"assignees": {"add": [183]}}, "add and rem"),
        ({"name": " "}, "title"),
        ({"priority": 9}, "priority"),
    ],
)
def test_an_update_that_can_not_be_is_a_400_and_changes_nothing(api, body, words):
    made = create(api)
    refused = api.put(f"/task/{made['id']}", json={"name": "New", **body})
    assert refused.status_code == 400
    assert words in refused.json()["err"]
    assert api.get(f"/task/{made['id']}").json()["name"] == "Made"


def test_a_deleted_task_is_gone_and_can_come_back_from_the_trash(clickup, api):
    made = create(api)
    assert api.delete(f"/task/{made['id']}").status_code == 204
    assert api.get(f"/task/{made['id']}").status_code == 404
    clickup.person("Ann Archer").restore(made["id"])
    assert api.get(f"/task/{made['id']}").status_code == 200


def test_tags_come_and_go_by_calls_of_their_own(api):
    path = f"/task/{create(api)['id']}"
    api.post(f"{path}/tag/New%20Tag")
    assert [tag["name"] for tag in api.get(path).json()["tags"]] == ["new tag"]
    api.delete(f"{path}/tag/new%20tag")
    assert api.get(path).json()["tags"] == []


def test_a_space_tells_the_statuses_that_its_lists_take_over(api):
    space = api.get(f"/list/{PLATFORM}").json()["space"]["id"]
    assert api.get(f"/space/{space}").json()["statuses"][0]["status"] == "to do"
    assert api.get("/space/7").status_code == 404


# --- webhooks -------------------------------------------------------------------------------------------


def register(api: httpx.Client, *events: str, **more: Any) -> dict[str, Any]:
    body = {"endpoint": "https://t.example/hook", "events": list(events or ("*",)), **more}
    answer = api.post(f"{TEAM}/webhook", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["webhook"])


def told(clickup: ClickUpSandbox, inbox: Inbox) -> list[dict[str, Any]]:
    clickup.deliver()
    bodies = [json.loads(body) for _, _, body in inbox.received]
    inbox.received.clear()
    return bodies


def test_a_delivery_is_signed_over_its_bytes_with_the_webhooks_own_secret(clickup, api, inbox):
    hook = register(api, "taskCreated")
    clickup.person("Ann Archer").create(PLATFORM, "Täsk")
    clickup.deliver()
    [(_, headers, body)] = inbox.received
    assert headers["X-Signature"] == hmac.new(hook["secret"].encode(), body, hashlib.sha256).hexdigest()


def test_a_creation_and_a_change_are_told_twice_each_with_the_same_history(clickup, api, inbox):
    register(api)
    ann = clickup.person("Ann Archer")
    made = ann.create(PLATFORM, "New")
    created, status = told(clickup, inbox)
    assert (created["event"], status["event"]) == ("taskCreated", "taskStatusUpdated")
    assert [item["field"] for item in created["history_items"]] == ["status", "task_creation"]
    assert created["history_items"][0]["before"]["type"] == "removed"
    ann.transition(made.id, "in progress")
    specific, updated = told(clickup, inbox)
    assert (specific["event"], updated["event"]) == ("taskStatusUpdated", "taskUpdated")
    [item] = updated["history_items"]
    assert specific["history_items"] == [item]
    assert int(item["id"]) > 2**53
    assert (item["parent_id"], item["before"]["status"], item["after"]["status"]) == (PLATFORM, "to do", "in progress")


def test_people_tags_moves_and_deletions_are_told_as_clickup_does(clickup, api, inbox):
    ann = clickup.person("Ann Archer")
    made = ann.create(PLATFORM, "New", assignee="Bob Baker")
    register(api)
    ann.assign(made.id, "Cleo Carter")
    added, _, removed, _ = told(clickup, inbox)
    assert "before" not in added["history_items"][0]
    assert (added["history_items"][0]["field"], removed["history_items"][0]["field"]) == (
        "assignee_add",
        "assignee_rem",
    )
    ann.edit(made.id, extra={"tags": ("t",)})
    assert [body["event"] for body in told(clickup, inbox)] == ["taskTagUpdated", "taskUpdated"]
    ann.move(made.id, OPERATIONS)
    moved = told(clickup, inbox)
    assert [body["event"] for body in moved][:2] == ["taskMoved", "taskUpdated"]
    assert moved[0]["history_items"][0]["after"] == {"id": OPERATIONS}
    ann.delete(made.id)
    [deleted] = told(clickup, inbox)
    assert deleted == {"event": "taskDeleted", "task_id": made.id, "webhook_id": deleted["webhook_id"]}


def test_a_webhook_of_one_list_hears_of_no_other_and_only_its_owner_sees_it(clickup, api, inbox):
    hook = register(api, "taskCreated", list_id=int(PLATFORM))
    ann = clickup.person("Ann Archer")
    ann.create(OPERATIONS, "Elsewhere")
    ann.create(PLATFORM, "Here")
    assert len(told(clickup, inbox)) == 1
    assert [known["id"] for known in api.get(f"{TEAM}/webhook").json()["webhooks"]] == [hook["id"]]
    with caller(clickup, f"Bearer {clickup.grant('Ann Archer')['access_token']}") as other:
        assert other.get(f"{TEAM}/webhook").json()["webhooks"] == []
        assert other.delete(f"/webhook/{hook['id']}").status_code == 404
    assert api.delete(f"/webhook/{hook['id']}").status_code == 200
    assert api.delete(f"/webhook/{hook['id']}").status_code == 404


def health(api: httpx.Client) -> tuple[str, int]:
    [hook] = api.get(f"{TEAM}/webhook").json()["webhooks"]
    return hook["health"]["status"], hook["health"]["fail_count"]


def test_an_event_is_tried_five_times_and_then_counted_until_one_gets_through(clickup, api, inbox, clock):
    register(api, "taskCreated")
    inbox.answers = [500] * 5
    clickup.person("Ann Archer").create(PLATFORM, "Lost")
    for _ in range(8):
        clickup.deliver()
        clock.advance(30)
    assert len(inbox.received) == 5
    assert health(api) == ("failing", 1)
    clickup.person("Ann Archer").create(PLATFORM, "Heard")
    clickup.deliver()
    assert health(api) == ("active", 0)


@pytest.mark.parametrize("answer", [401, 410])
def test_the_wrong_answer_suspends_at_once_until_somebody_sets_it_going(clickup, api, inbox, answer):
    hook = register(api, "taskCreated")
    inbox.answers = [answer]
    ann = clickup.person("Ann Archer")
    ann.create(PLATFORM, "Refused")
    clickup.deliver()
    assert health(api)[0] == "suspended"
    ann.create(PLATFORM, "Told to nobody")
    assert len(told(clickup, inbox)) == 1
    body = {"endpoint": hook["endpoint"], "events": "*", "status": "active"}
    assert api.put(f"/webhook/{hook['id']}", json=body).json()["webhook"]["health"]["status"] == "active"
    ann.create(PLATFORM, "Told again")
    assert [body["event"] for body in told(clickup, inbox)] == ["taskCreated", "taskStatusUpdated"]


def test_a_hundred_lost_events_suspend_it(clickup, api, inbox, clock):
    register(api, "taskCreated")
    inbox.answers = [500] * 500
    for number in range(100):
        clickup.person("Ann Archer").create(PLATFORM, f"Lost {number}")
    for _ in range(6):
        clickup.deliver()
        clock.advance(31)
    assert health(api) == ("suspended", 100)


# --- the kit around it ----------------------------------------------------------------------------------


def test_people_act_and_faults_strike_through_the_control_endpoint(clickup, api):
    control = httpx.Client(transport=InProcessTransport(clickup.app), base_url="http://clickup.sandbox/_control")
    act = {"as": "ann@example.com", "do": "create", "container": PLATFORM, "title": "By hand"}
    made = control.post("/act", json=act).json()
    assert (made["title"], made["status"]) == ("By hand", "to do")
    control.post("/faults", json={"kind": "rate_limit", "retry_after": 30})
    assert api.get("/user").status_code == 429
    clickup.faults.add(FaultKind.ERROR, status=500)
    assert api.get("/user").json()["err"] == "The sandbox was told to fail here."
    state = control.get("/state").json()
    assert [item["title"] for item in state["items"]] == ["By hand"]
    assert API_TOKEN not in json.dumps(state)


def test_the_token_exchange_is_one_clickup_describes(tmp_path, checker):
    clickup = ClickUpSandbox(clock=ManualClock(), record=tmp_path / "exchanges.jsonl")
    assert clickup.oauth is not None
    query = {"client_id": CLIENT_ID, "redirect_uri": "https://t.example/cb", "response_type": "code"}
    [code] = parse_qs(urlsplit(clickup.oauth.consent(query, "186")).query)["code"]
    with caller(clickup) as api:
        api.post("/oauth/token", json={"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "code": code})
        register(api, "taskCreated", "taskUpdated")
        api.delete(f"/task/{create(api)['id']}")
        api.get("/space/90159811234")
    text = (tmp_path / "exchanges.jsonl").read_text()
    findings = checker.check([json.loads(line) for line in text.splitlines()])
    assert [f"{f.code} {f.operation}: {f.message}" for f in findings if f.level == "error"] == []
    assert CLIENT_SECRET not in text
    assert API_TOKEN not in text
