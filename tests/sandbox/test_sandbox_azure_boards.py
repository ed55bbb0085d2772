"""The fake Azure DevOps organization, as a stranger to our connector would meet it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.azure_boards import API_TOKEN, ORGANIZATION, AzureBoardsSandbox
from sandbox.clock import ManualClock
from sandbox.inprocess import InProcessTransport
from tests.sandbox.callers import Inbox

PATCH = "application/json-patch+json"


class Caller:
    """Somebody with a token."""

    def __init__(self, sandbox: AzureBoardsSandbox) -> None:
        base = f"{sandbox.url}/{ORGANIZATION}"
        self.http = httpx.Client(transport=InProcessTransport(sandbox.app), base_url=base, auth=("", API_TOKEN))

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        params = {"api-version": "7.1", **more.pop("params", {})}
        return self.http.request(method, path, params=params, **more)

    def patch(self, path: str, *ops: tuple[str, str, Any], method: str = "PATCH") -> httpx.Response:
        document = [{"op": op, "path": place, "value": value} for op, place, value in ops]
        return self.call(method, path, content=json.dumps(document), headers={"Content-Type": PATCH})

    def query(self, where: str, precise: bool = True, **params: Any) -> httpx.Response:
        given = {**({"timePrecision": "true"} if precise else {}), **params}
        query = f"SELECT [System.Id] FROM WorkItems WHERE {where}"
        return self.call("POST", "/_apis/wit/wiql", params=given, json={"query": query})

    def found(self, where: str, **more: Any) -> list[int]:
        return [item["id"] for item in self.query(where, **more).json()["workItems"]]


@pytest.fixture
def organization(clock: ManualClock, inbox: Inbox) -> AzureBoardsSandbox:
    return AzureBoardsSandbox(clock=clock, sender=inbox)


@pytest.fixture
def caller(organization: AzureBoardsSandbox) -> Iterator[Caller]:
    made = Caller(organization)
    yield made
    made.http.close()


# --- access ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [203, 302, 401])
def test_bad_credentials_get_a_page_or_a_plain_401(organization, caller, status):
    organization.settings.sign_in_status = status
    answer = caller.http.get("/_apis/connectionData?api-version=7.1-preview", auth=("", "wrong"))
    assert answer.status_code == status
    assert ("html" in answer.headers["content-type"]) == (status != 401)


def test_a_call_without_a_version_is_refused(caller):
    answer = caller.http.get("/_apis/connectionData")
    assert (answer.status_code, answer.json()["typeKey"]) == (400, "VssVersionNotSpecifiedException")


def test_limits_are_told_near_the_end_also_by_a_success(organization, caller):
    organization.settings.enforce_limits, organization.settings.limits_scale = True, 0.01
    answers = [caller.call("GET", "/_apis/projects/Web") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert ["retry-after" in answer.headers for answer in answers] == [False] * 7 + [True] * 4
    assert answers[-1].json()["message"].startswith("TF400733")


# --- work items -----------------------------------------------------------------------------------------


def test_a_work_item_is_made_by_a_patch_document_in_the_first_state_of_its_type(caller):
    answer = caller.patch(
        "/Web/_apis/wit/workitems/$Bug",
        ("add", "/fields/System.Title", "Broken"),
        ("add", "/fields/Microsoft.VSTS.TCM.ReproSteps", "<p onclick='x()'>Click</p><script>x</script>"),
        ("add", "/fields/System.Tags", "b; a;B"),
        method="POST",
    )
    fields = answer.json()["fields"]
    assert (answer.status_code, answer.json()["rev"]) == (200, 1)
    assert (fields["System.State"], fields["System.Tags"]) == ("New", "b; a")
    assert fields["Microsoft.VSTS.TCM.ReproSteps"] == "<div><p>Click</p></div>"
    assert "System.AssignedTo" not in fields


def test_another_content_type_is_refused(caller):
    answer = caller.call("POST", "/Web/_apis/wit/workitems/$Task", json=[])
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("System.State", "Resolved", "Rule Error for field State"),
        ("System.Title", "x" * 256, "InvalidTooLong"),
        ("System.Title", "", "field Title"),
        ("Microsoft.VSTS.Common.Priority", 5, "Priority"),
        ("System.AssignedTo", "eve@elsewhere.example", "unknown identity"),
        ("System.AreaPath", "Ops", "TF401347"),
        ("System.Rev", 7, "TF401326"),
        ("System.Nonsense", 7, "TF51535"),
    ],
)
def test_what_the_process_does_not_allow_is_refused_and_changes_nothing(organization, caller, name, value, message):
    item = organization.person("Ann Archer").create("Web", "Kept", extra={"type": "Task"})
    answer = caller.patch(
        f"/_apis/wit/workitems/{item.id}",
        ("add", "/fields/System.Description", "changed"),
        ("add", f"/fields/{name}", value),
    )
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert organization.tracker.items[item.id] == item


def test_rules_are_told_in_data_or_in_words_only(organization, caller):
    item = organization.person("Ann Archer").create("Web", "Kept", extra={"type": "Task"})
    wrong = ("add", "/fields/System.State", "Resolved")
    answer = caller.patch(f"/_apis/wit/workitems/{item.id}", wrong).json()
    assert answer["customProperties"]["FieldReferenceName"] == "System.State"
    organization.settings.plain_rules = True
    assert "customProperties" not in caller.patch(f"/_apis/wit/workitems/{item.id}", wrong).json()


def test_a_test_of_the_revision_keeps_a_stale_write_out(organization, caller):
    item = organization.person("Ann Archer").create("Web", "First")
    organization.person("Bob Baker").edit(item.id, title="Second")
    title = ("add", "/fields/System.Title", "Third")
    stale = caller.patch(f"/_apis/wit/workitems/{item.id}", ("test", "/rev", 1), title)
    assert (stale.status_code, stale.json()["typeKey"]) == (412, "TestPatchOperationFailedException")
    fresh = caller.patch(f"/_apis/wit/workitems/{item.id}", ("test", "/rev", 2), title)
    assert (fresh.status_code, fresh.json()["rev"]) == (200, 3)


def test_what_changes_nothing_makes_no_revision(organization, caller):
    item = organization.person("Ann Archer").create("Web", "Same")
    answer = caller.patch(f"/_apis/wit/workitems/{item.id}", ("add", "/fields/System.Title", "Same"))
    assert answer.json()["rev"] == 1


def test_deleted_work_items_are_in_the_recycle_bin_until_they_are_restored(organization, caller):
    item = organization.person("Ann Archer").create("Web", "Binned")
    place, bin_ = f"/_apis/wit/workitems/{item.id}", f"/_apis/wit/recyclebin/{item.id}"
    assert caller.call("GET", bin_).status_code == 404
    assert caller.call("DELETE", place).status_code == 200
    assert caller.call("GET", place).json()["message"].startswith("TF401232")
    assert caller.call("GET", bin_).json()["name"] == "Binned"
    assert caller.call("PATCH", bin_, json={"isDeleted": False}).status_code == 200
    assert caller.call("GET", place).json()["rev"] > 1
    assert caller.call("DELETE", place, params={"destroy": "true"}).status_code == 200
    assert caller.call("GET", bin_).status_code == 404


def test_a_batch_has_null_for_what_is_missing_and_fails_if_that_is_asked_for(organization, caller):
    item = organization.person("Ann Archer").create("Web", "There")
    body = {"ids": [int(item.id), 99], "fields": ["System.Title", "System.AssignedTo"]}
    answer = caller.call("POST", "/_apis/wit/workitemsbatch", json={**body, "errorPolicy": "omit"}).json()
    assert answer["count"] == 2
    assert [one and one["fields"] for one in answer["value"]] == [{"System.Title": "There"}, None]
    assert caller.call("POST", "/_apis/wit/workitemsbatch", json=body).status_code == 404


@pytest.mark.parametrize("body", [{"ids": list(range(201))}, {"ids": [1], "fields": ["System.Id"], "$expand": "all"}])
def test_a_batch_has_its_limits(caller, body):
    assert caller.call("POST", "/_apis/wit/workitemsbatch", json=body).status_code == 400


# --- queries --------------------------------------------------------------------------------------------


@pytest.fixture
def planted(organization: AzureBoardsSandbox) -> AzureBoardsSandbox:
    """Four work items: two in a team's area, one elsewhere, one in another project."""
    ann = organization.person("Ann Archer")
    for title, extra in (("One", {"area": "Web\\Team A", "tags": "x; urgent"}), ("Two", {"area": "Web\\Team A"})):
        ann.create("Web", title, extra=extra)
        organization.clock.advance(60)
    ann.create("Web", "It's three", assignee="Bob Baker")
    organization.clock.advance(60)
    ann.create("Ops", "Four", extra={"type": "Bug"})
    return organization


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("[System.Id] > 1 AND [System.Id] <= 3", [2, 3]),
        ("[System.AreaPath] UNDER 'Web\\Team A'", [1, 2]),
        ("[System.AreaPath] UNDER 'web' AND NOT [System.AreaPath] UNDER 'Web\\Team A'", [3]),
        ("([System.Id] = 1 OR [System.Id] = 4) AND [System.WorkItemType] IN ('Bug', 'Task')", [4]),
        ("[System.Title] = 'It''s three'", [3]),
        ("[System.Tags] CONTAINS 'urgent'", [1]),
        ("[System.Tags] CONTAINS 'urg'", []),
        ("[System.ChangedDate] >= '2026-05-04T09:02:00Z'", [3, 4]),
        ("[System.ChangedDate] >= '2026-05-04T09:02:00.900Z'", [3, 4]),
        ("[System.TeamProject] <> 'Web' ORDER BY [System.Id] DESC", [4]),
        ("[System.Id] > 0 ORDER BY [System.ChangedDate] DESC, [System.Id] ASC", [4, 3, 2, 1]),
    ],
)
def test_queries_find_ids_in_their_order(planted, caller, where, ids):
    assert caller.found(where) == ids


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("[System.Nonsense] = 1", "TF51005"),
        ("[System.Id] >", "TF51006"),
        ("[System.Id] ~ 1", "TF51006"),
        ("[System.Id] = 1 [System.Id] = 2", "TF51006"),
        ("[System.AreaPath] UNDER 'Nowhere'", "TF51011"),
        ("[System.ChangedDate] >= 'yesterday'", "TF51006"),
    ],
)
def test_wrong_queries_are_told_what_is_wrong(planted, caller, where, message):
    answer = caller.query(where)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


def test_a_time_needs_its_parameter_in_the_address(planted, caller):
    answer = caller.query("[System.ChangedDate] >= '2026-05-04T09:02:00Z'", precise=False)
    assert "date precision" in answer.json()["message"]
    assert caller.query("[System.ChangedDate] >= '2026-05-04'", precise=False).status_code == 200


def test_too_many_are_refused_and_a_top_is_heeded(planted, caller):
    planted.settings.wiql_limit = 3
    assert "VS402337" in caller.query("[System.Id] > 0").json()["message"]
    assert caller.found("[System.Id] > 0", **{"$top": "2"}) == [1, 2]


# --- service hooks --------------------------------------------------------------------------------------


def subscription(event: str = "workitem.updated", **more: Any) -> dict[str, Any]:
    inputs = {"url": "https://receiver.example/", "basicAuthUsername": "me", "basicAuthPassword": "pass", **more}
    return {
        "publisherId": "tfs",
        "eventType": event,
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "publisherInputs": {"projectId": "0a0b0c0d-0000-4000-8000-000000000001"},
        "consumerInputs": inputs,
    }


def test_passwords_are_masked_and_sent(organization, caller, inbox):
    made = caller.call("POST", "/_apis/hooks/subscriptions", json=subscription(httpHeaders="X-Key:abc")).json()
    assert made["consumerInputs"]["basicAuthPassword"] == "********"
    item = organization.person("Ann Archer").create("Web", "Unheard")
    organization.person("Ann Archer").edit(item.id, title="Heard")
    organization.person("Ann Archer").create("Ops", "Elsewhere")
    organization.deliver()
    [(_, headers, raw)] = inbox.received
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:pass").decode()
    assert headers["X-Key"] == "abc"
    body = json.loads(raw)
    assert (body["subscriptionId"], body["notificationId"]) == (made["id"], 1)
    assert (body["resource"]["workItemId"], body["resource"]["id"]) == (int(item.id), 2)
    assert body["resource"]["fields"]["System.Title"] == {"oldValue": "Unheard", "newValue": "Heard"}
    assert body["resource"]["revision"]["fields"]["System.CreatedBy"] == "Ann Archer <ann@example.com>"


@pytest.mark.parametrize("more", [{"httpHeaders": "Authorization:Bearer x"}, {"url": "nowhere"}])
def test_inputs_are_checked(caller, more):
    assert caller.call("POST", "/_apis/hooks/subscriptions", json=subscription(**more)).status_code == 400


@pytest.mark.parametrize(("answer", "status"), [(500, "onProbation"), (410, "disabledBySystem"), (503, "enabled")])
def test_an_answer_azure_does_not_like_costs_the_subscription(organization, caller, inbox, answer, status):
    made = caller.call("POST", "/_apis/hooks/subscriptions", json=subscription("workitem.created")).json()
    inbox.answers = [answer]
    organization.person("Ann Archer").create("Web", "Told")
    organization.deliver()
    [shown] = caller.call("GET", "/_apis/hooks/subscriptions").json()["value"]
    assert shown["status"] == status
    organization.clock.advance(1)
    organization.person("Ann Archer").create("Web", "Told?")
    organization.deliver()
    assert len(inbox.received) == (3 if status == "enabled" else 1)
    again = caller.call("PUT", f"/_apis/hooks/subscriptions/{made['id']}", json={**made, "status": "enabled"})
    assert again.json()["status"] == "enabled"
    failed = caller.call("POST", "/_apis/hooks/notificationsquery", json={"resultType": "failed"}).json()["results"]
    assert len(failed) == (0 if status == "enabled" else 1)
    inbox.received.clear()
    organization.person("Ann Archer").create("Web", "Told again")
    organization.deliver()
    assert inbox.received[0][1]["Authorization"] == "Basic " + base64.b64encode(b"me:pass").decode()
