"""The fake Linear: documents, pages, the trash, webhooks, who may do what."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from sandbox.clock import ManualClock
from sandbox.faults import FaultKind
from sandbox.inprocess import InProcessTransport
from sandbox.linear import LinearSandbox
from sandbox.linear.schema import points
from sandbox.oauth import OAuthError
from sandbox.vendor import API_TOKEN, CLIENT_ID, CLIENT_SECRET
from sandbox.webhooks import DeliveryState
from tests.sandbox.callers import Inbox

UUID = "9d3f1b7a-2c4e-4d6f-8a1b-3c5d7e9f1a2b"
CREATE = "mutation($input: IssueCreateInput!) { issueCreate(input: $input) { success issue { id identifier title } } }"
UPDATE = "mutation($id: String!, $input: IssueUpdateInput!) { issueUpdate(id: $id, input: $input) { issue { title } } }"
LIST = """query List($first: Int, $after: String, $filter: IssueFilter, $archived: Boolean) {
  issues(first: $first, after: $after, filter: $filter, includeArchived: $archived, orderBy: updatedAt) {
    nodes { id identifier trashed archivedAt } pageInfo { hasNextPage endCursor }
  }
}"""
HOOK = "mutation($input: WebhookCreateInput!) { webhookCreate(input: $input) { webhook { id enabled team { key } } } }"


class Linear:
    """A sandbox, and somebody who sends documents to it."""

    def __init__(self, **options: Any) -> None:
        self.clock, self.inbox = ManualClock(), Inbox()
        self.sandbox = LinearSandbox(clock=self.clock, sender=self.inbox, **options)
        self.http = httpx.Client(transport=InProcessTransport(self.sandbox.app), base_url="http://linear.sandbox")
        self.ann = self.sandbox.person("Ann Archer")
        self.eng = self.sandbox.tracker.container("ENG")

    def send(self, query: str, key: str = API_TOKEN, **variables: Any) -> httpx.Response:
        body = {"query": query, "variables": variables}
        return self.http.post("/graphql", json=body, headers={"Authorization": key})

    def data(self, query: str, **variables: Any) -> Any:
        answer = self.send(query, **variables)
        assert answer.status_code == 200, answer.text
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]

    def error(self, query: str, status: int = 200, **variables: Any) -> dict[str, Any]:
        answer = self.send(query, **variables)
        assert answer.status_code == status, answer.text
        [error] = answer.json()["errors"]
        return error  # type: ignore[no-any-return]

    def listed(self, **variables: Any) -> list[str]:
        return [node["identifier"] for node in self.data(LIST, **variables)["issues"]["nodes"]]

    def hook(self, **more: Any) -> Any:
        fields = {"url": "https://receiver.example/", "resourceTypes": ["Issue"], "secret": "s", **more}
        team = {} if "allPublicTeams" in more else {"teamId": self.eng.id}
        return self.data(HOOK, input={**team, **fields})["webhookCreate"]["webhook"]

    def told(self) -> list[dict[str, Any]]:
        self.sandbox.deliver()
        return [json.loads(body) for _, _, body in self.inbox.received]


@pytest.fixture
def linear() -> Iterator[Linear]:
    made = Linear()
    yield made
    made.http.close()


# --- documents --------------------------------------------------------------------------------------------


def test_only_what_was_asked_for_is_answered(linear: Linear):
    assert linear.data("{ viewer { name } organization { urlKey } }") == {
        "viewer": {"name": "Sync Robot"},
        "organization": {"urlKey": "acme"},
    }


@pytest.mark.parametrize("query", ["{ viewer { nick } }", "{ viewer", "query($id: Int) { issue(id: $id) { id } }"])
def test_a_document_that_does_not_fit_the_schema_is_refused_with_a_400(linear: Linear, query):
    assert linear.error(query, 400)["extensions"]["type"] == "graphql error"


def test_a_variable_of_another_type_is_an_error(linear: Linear):
    assert "non-integer value" in linear.error(CREATE, input={"teamId": linear.eng.id, "priority": "high"})["message"]


def test_what_is_not_there_is_an_error_and_not_null(linear: Linear):
    error = linear.error("query($id: String!) { issue(id: $id) { id } }", id=UUID)
    assert error["message"].startswith("Entity not found: Issue")
    assert (error["path"], error["extensions"]["type"]) == (["issue"], "invalid input")


def test_a_query_that_costs_more_than_ten_thousand_points_is_refused(linear: Linear):
    nested = "{ teams(first: 250) { nodes { id states(first: 250) { nodes { id } } } } }"
    assert "too complex" in linear.error(nested, 400)["message"]
    assert int(linear.send("{ viewer { id name } }").headers["X-Complexity"]) == 2


def test_a_connection_without_a_size_counts_fifty_rows():
    from graphql import parse

    assert points(parse("{ issues { nodes { id } } }"), None, {}) == 105
    assert points(parse("{ issues { nodes { ... on Issue { id } } } }"), None, {}) == 105
    assert points(parse("query A($n: Int) { issues(first: $n) { nodes { id } } }"), "A", {"n": 2}) == 5


def test_calls_and_faults_go_by_the_operations_name(linear: Linear):
    linear.sandbox.faults.add(FaultKind.ERROR, operation="Second")
    for name, status in (("First", 200), ("Second", 503)):
        body = {"query": f"query {name} {{ viewer {{ id }} }}", "operationName": name}
        answer = linear.http.post("/graphql", json=body, headers={"Authorization": API_TOKEN})
        assert answer.status_code == status
    assert linear.http.post("/graphql", content=b"{").status_code == 401
    assert linear.sandbox.calls.counts() == {"First": 1, "Second": 1, "graphql": 1}


# --- who may --------------------------------------------------------------------------------------------


def test_a_key_goes_bare_a_token_as_bearer_and_nothing_else_is_let_in(linear: Linear):
    token = linear.sandbox.grant()["access_token"]
    asked = "{ viewer { id } }"
    statuses = [linear.send(asked, key).status_code for key in (API_TOKEN, f"Bearer {token}", f"Bearer {API_TOKEN}")]
    statuses += [linear.send(asked, key).status_code for key in (token, "wrong", "")]
    assert statuses == [200, 200, 401, 401, 401, 401]


def test_scopes_bound_what_a_token_may_do(linear: Linear):
    reads = "Bearer " + linear.sandbox.grant(scopes=("read",))["access_token"]
    for query, variables in ((CREATE, {"input": {"teamId": linear.eng.id, "title": "T"}}), (HOOK, {"input": {}})):
        if query is HOOK:
            variables = {"input": {"url": "https://x.example/", "resourceTypes": ["Issue"], "teamId": linear.eng.id}}
        [error] = linear.send(query, reads, **variables).json()["errors"]
        assert error["extensions"]["type"] == "forbidden"
    assert len(linear.sandbox.tracker.items) == 0


def test_only_administrators_register_webhooks(linear: Linear):
    token = linear.sandbox.grant(who="Bob Baker")["access_token"]
    fields = {"url": "https://x.example/", "resourceTypes": ["Issue"], "teamId": linear.eng.id}
    [error] = linear.send(HOOK, f"Bearer {token}", input=fields).json()["errors"]
    assert "administrator" in error["message"]


def test_scopes_are_separated_by_commas_and_refresh_tokens_used_once(linear: Linear):
    asked = {
        "client_id": CLIENT_ID,
        "redirect_uri": "https://app.example/back",
        "response_type": "code",
        "scope": "read,write",
    }
    back = linear.http.get("/oauth/authorize", params=asked).headers["location"]
    app = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    code = {
        "grant_type": "authorization_code",
        "code": back.partition("code=")[2],
        "redirect_uri": asked["redirect_uri"],
    }
    tokens = linear.http.post("/oauth/token", data={**code, **app}).json()
    assert (tokens["scope"], tokens["expires_in"]) == ("read write", 86_399)
    again = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **app}
    assert linear.http.post("/oauth/token", data=again).status_code == 200
    assert linear.http.post("/oauth/token", data=again).json()["error"] == "invalid_grant"
    with pytest.raises(OAuthError):
        linear.sandbox.oauth.token(again)  # type: ignore[union-attr]


def test_too_many_calls_are_a_400_that_says_until_when_in_milliseconds(linear: Linear):
    linear.sandbox.settings.enforce_limits = True
    linear.sandbox.settings.limits_scale = 0.0004
    first = linear.send("{ viewer { id } }")
    assert first.headers["X-RateLimit-Requests-Remaining"] == "0"
    refused = linear.send("{ viewer { id } }")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["extensions"]["code"] == "RATELIMITED"
    reset = int(refused.headers["X-RateLimit-Requests-Reset"])
    assert reset == int(linear.clock.now().timestamp() * 1000) + 3_600_000


# --- reading --------------------------------------------------------------------------------------------


def test_the_last_changed_issue_is_listed_first_and_pages_go_on_from_there(linear: Linear):
    for number in range(5):
        linear.clock.advance(1)
        linear.ann.create("ENG", f"Issue {number}")
    page = linear.data(LIST, first=2)["issues"]
    assert [node["identifier"] for node in page["nodes"]] == ["ENG-5", "ENG-4"]
    linear.clock.advance(1)
    linear.ann.edit("ENG-2", title="To the front")
    assert linear.listed(first=5, after=page["pageInfo"]["endCursor"]) == ["ENG-3", "ENG-1"]
    assert linear.listed(first=1) == ["ENG-2"]


def test_filters_take_ids_teams_and_times(linear: Linear):
    first = linear.ann.create("ENG", "A")
    linear.clock.advance(10)
    linear.ann.create("OPS", "B")
    since = linear.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert linear.listed(filter={"team": {"key": {"in": ["OPS"]}}}) == ["OPS-1"]
    assert linear.listed(filter={"team": {"id": {"eq": linear.eng.id}}}) == ["ENG-1"]
    assert linear.listed(filter={"updatedAt": {"gte": since}}) == ["OPS-1"]
    assert linear.listed(filter={"id": {"in": [first.id, UUID]}}) == ["ENG-1"]
    assert (
        "not a time"
        in linear.error(LIST, filter={"updatedAt": {"gte": "soon"}})["extensions"]["userPresentableMessage"]
    )


def test_pages_of_more_than_250_are_refused(linear: Linear):
    assert "250" in linear.error(LIST, first=251)["extensions"]["userPresentableMessage"]


def test_trash_and_archive_are_listed_only_on_demand(linear: Linear):
    linear.ann.create("ENG", "Alive")
    linear.ann.edit(linear.ann.create("ENG", "Archived").id, extra={"archived_at": "2026-05-01T00:00:00.000Z"})
    linear.ann.delete(linear.ann.create("ENG", "Trashed").id)
    assert linear.listed() == ["ENG-1"]
    nodes = {node["identifier"]: node for node in linear.data(LIST, archived=True)["issues"]["nodes"]}
    assert [nodes[key]["trashed"] for key in ("ENG-1", "ENG-2", "ENG-3")] == [None, None, True]
    assert nodes["ENG-3"]["archivedAt"].startswith("2026-05-04T09:00:00.")


def test_a_list_may_be_behind_but_not_for_issues_named_by_id(linear: Linear):
    linear.sandbox.settings.search_lag_seconds = 30
    issue = linear.ann.create("ENG", "New")
    assert linear.listed() == []
    assert linear.listed(filter={"id": {"in": [issue.id]}}) == ["ENG-1"]
    linear.clock.advance(31)
    assert linear.listed() == ["ENG-1"]


def test_an_issue_is_known_by_the_identifiers_it_had_before_it_moved(linear: Linear):
    issue = linear.ann.create("ENG", "Mover")
    linear.ann.move(issue.id, "OPS")
    query = "query($id: String!) { issue(id: $id) { id identifier previousIdentifiers } }"
    for name in ("ENG-1", "OPS-1", issue.id):
        assert linear.data(query, id=name)["issue"] == {
            "id": issue.id,
            "identifier": "OPS-1",
            "previousIdentifiers": ["ENG-1"],
        }


def test_private_teams_are_hidden_with_all_that_is_in_them(linear: Linear):
    issue = linear.ann.create("ENG", "Secret")
    linear.sandbox.tracker.containers[linear.eng.id] = replace(linear.eng, members=frozenset({linear.ann.id}))
    assert linear.listed() == linear.listed(filter={"id": {"in": [issue.id]}}) == []
    assert [team["key"] for team in linear.data("{ teams { nodes { key } } }")["teams"]["nodes"]] == ["OPS"]
    assert "Issue" in linear.error("query($id: String!) { issue(id: $id) { id } }", id=issue.id)["message"]
    assert "Team" in linear.error(CREATE, input={"teamId": linear.eng.id, "title": "T"})["message"]


# --- writing --------------------------------------------------------------------------------------------


def test_an_issue_is_made_with_the_id_the_client_chose_once(linear: Linear):
    fields = {"id": UUID, "teamId": linear.eng.id, "title": "Mine"}
    assert linear.data(CREATE, input=fields)["issueCreate"]["issue"]["id"] == UUID
    linear.error(CREATE, input=fields)
    linear.ann.delete(UUID)
    linear.error(CREATE, input=fields)
    assert linear.listed() == []
    assert "UUID" in linear.error(CREATE, input={**fields, "id": "mine"})["extensions"]["userPresentableMessage"]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("assigneeId", "nobody", "User"),
        ("stateId", "nowhere", "WorkflowState"),
        ("title", "", "title"),
        ("priority", 9, "p"),
    ],
)
def test_what_an_issue_can_not_have_is_named(linear: Linear, field, value, named):
    error = linear.error(CREATE, input={"teamId": linear.eng.id, "title": "T", field: value})
    assert named in error["message"] + error["extensions"]["userPresentableMessage"]


def test_an_issue_needs_a_title_and_a_team_that_is_there(linear: Linear):
    assert "title" in linear.error(CREATE, input={"teamId": linear.eng.id})["extensions"]["userPresentableMessage"]
    assert "Team" in linear.error(CREATE, input={"teamId": UUID, "title": "T"})["message"]
    assert (
        "Team"
        in linear.error(HOOK, input={"teamId": UUID, "url": "https://x.example/", "resourceTypes": []})["message"]
    )


def test_a_fault_of_the_fake_itself_is_not_told_as_linears(linear: Linear):
    linear.sandbox.tracker.users.clear()
    with pytest.raises(KeyError):
        linear.send("{ viewer { id } }")


def test_a_state_of_another_team_is_refused(linear: Linear):
    theirs = linear.sandbox.tracker.status("Done", linear.sandbox.tracker.container("OPS").id).id
    linear.ann.create("ENG", "T")
    assert "WorkflowState" in linear.error(UPDATE, id="ENG-1", input={"stateId": theirs})["message"]


def test_only_what_is_named_changes_and_null_empties(linear: Linear):
    issue = linear.ann.create("ENG", "T", assignee="Ann Archer", description="D")
    linear.data(UPDATE, id=issue.id, input={"assigneeId": None, "description": "- a \r\n- b\n"})
    held = linear.sandbox.tracker.item(issue.id)
    assert (held.title, held.assignee, held.description) == ("T", None, "* a\n* b")


def test_fields_of_one_mutation_are_executed_one_after_the_other(linear: Linear):
    issue = linear.ann.create("ENG", "Old")
    query = """mutation($id: String!) {
      before: issueUpdate(id: $id, input: {}) { issue { title } }
      after: issueUpdate(id: $id, input: {title: "New"}) { issue { title } }
    }"""
    done = linear.data(query, id=issue.id)
    assert [done[name]["issue"]["title"] for name in ("before", "after")] == ["Old", "New"]
    linear.sandbox.settings.refuses_nothing = True
    linear.error(query, id=issue.id)
    assert len(linear.sandbox.tracker.journal) == 2


# --- webhooks -------------------------------------------------------------------------------------------


def test_a_change_is_told_in_linears_envelope_and_signed(linear: Linear):
    hook = linear.hook()
    issue = linear.ann.create("ENG", "Old", assignee="Bob Baker")
    linear.ann.edit(issue.id, title="New", status="Done")
    created, updated = linear.told()
    assert (created["action"], created["type"], created["webhookId"]) == ("create", "Issue", hook["id"])
    assert created["organizationId"] == linear.sandbox.organization["id"]
    assert "description" not in created["data"]
    assert (updated["action"], updated["actor"]["name"]) == ("update", "Ann Archer")
    assert updated["updatedFrom"] == {"title": "Old", "updatedAt": "2026-05-04T09:00:00.000Z"}
    assert (updated["data"]["state"]["type"], updated["data"]["team"]["key"]) == ("completed", "ENG")
    _, headers, body = linear.inbox.received[1]
    assert headers["Linear-Signature"] == hmac.new(b"s", body, hashlib.sha256).hexdigest()
    assert headers["Linear-Event"] == "Issue"
    assert headers["Linear-Timestamp"] == str(updated["webhookTimestamp"])


def test_a_webhook_of_a_team_hears_of_that_team_and_one_of_all_teams_of_all(linear: Linear):
    linear.hook()
    linear.hook(allPublicTeams=True, url="https://all.example/")
    linear.ann.create("ENG", "A")
    linear.ann.create("OPS", "B")
    linear.told()
    assert sorted(url for url, _, _ in linear.inbox.received) == [
        "https://all.example/",
        "https://all.example/",
        "https://receiver.example/",
    ]
    assert (
        "either"
        in linear.error(HOOK, input={"url": "https://x.example/", "resourceTypes": []})["extensions"][
            "userPresentableMessage"
        ]
    )


@pytest.mark.parametrize(("trash_as", "trashed"), [("remove", True), ("update", True)])
def test_the_trash_is_told_as_either_and_deletion_for_ever_as_a_removal(linear: Linear, trash_as, trashed):
    linear.sandbox.settings.trash_as = trash_as
    linear.hook()
    first, second = linear.ann.create("ENG", "A"), linear.ann.create("ENG", "B")
    linear.clock.advance(60)
    linear.ann.delete(first.id)
    linear.ann.delete(second.id, forever=True)
    *_, into_trash, for_ever = linear.told()
    assert (into_trash["action"], into_trash["data"]["trashed"]) == (trash_as, trashed)
    assert (for_ever["action"], for_ever["data"].get("trashed")) == ("remove", None)
    # the last change is older than the removal, of which only the archive knows
    assert for_ever["data"]["updatedAt"] == "2026-05-04T09:00:00.000Z"
    assert for_ever["data"]["archivedAt"] == "2026-05-04T09:01:00.000Z"


def test_only_a_200_is_success_retries_keep_their_id_and_the_fourth_failure_turns_the_webhook_off(linear: Linear):
    linear.inbox.answers = [202, 202, 202, 202]
    hook = linear.hook()
    linear.ann.create("ENG", "A")
    for seconds in (0, 60, 3600, 21_600):
        linear.clock.advance(seconds)
        linear.sandbox.deliver()
    assert len({headers["Linear-Delivery"] for _, headers, _ in linear.inbox.received}) == 1
    assert len({body for _, _, body in linear.inbox.received}) == 1
    assert len(linear.inbox.received) == 4
    assert [d.state for d in linear.sandbox.deliveries.log()] == [DeliveryState.FAILED]
    assert linear.sandbox.hooks.get(hook["id"]).enabled is False
    linear.ann.create("ENG", "B")
    assert len(linear.told()) == 4


def test_webhooks_stay_on_when_linear_is_told_to_leave_them(linear: Linear):
    linear.sandbox.settings.disables_hooks = False
    linear.inbox.answers = [500, 500, 500, 500]
    hook = linear.hook()
    linear.ann.create("ENG", "A")
    for _ in range(4):
        linear.sandbox.deliveries.flush()
    assert linear.sandbox.hooks.get(hook["id"]).enabled is True


def test_a_webhook_can_be_changed_turned_on_and_removed(linear: Linear):
    hook = linear.hook(enabled=False)
    assert (hook["enabled"], hook["team"]["key"]) == (False, "ENG")
    change = "mutation($id: String!, $input: WebhookUpdateInput!) { webhookUpdate(id: $id, input: $input) { success } }"
    linear.data(change, id=hook["id"], input={"enabled": True, "secret": "new", "resourceTypes": ["Issue", "Comment"]})
    assert linear.data("{ webhooks { nodes { enabled secret resourceTypes } } }")["webhooks"]["nodes"] == [
        {"enabled": True, "secret": "new", "resourceTypes": ["Comment", "Issue"]}
    ]
    remove = "mutation($id: String!) { webhookDelete(id: $id) { success entityId } }"
    assert linear.data(remove, id=hook["id"])["webhookDelete"] == {"success": True, "entityId": hook["id"]}
    assert "Webhook" in linear.error(remove, id=hook["id"])["message"]
    assert linear.data("{ webhooks { nodes { id } } }")["webhooks"]["nodes"] == []


# --- served ---------------------------------------------------------------------------------------------


def test_it_is_served_and_controlled_like_every_other():
    sandbox = LinearSandbox()
    with sandbox.serve() as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        act = {"as": "Ann Archer", "do": "create", "container": "ENG", "title": "By control", "status": "Done"}
        made = client.post("/_control/act", json=act).json()
        assert (made["key"], made["status"]) == ("ENG-1", "Done")
        asked = {"query": "{ issues { nodes { identifier url } } }"}
        [node] = client.post("/graphql", json=asked, headers={"Authorization": API_TOKEN}).json()["data"]["issues"][
            "nodes"
        ]
        assert node == {"identifier": "ENG-1", "url": f"{server.url}/acme/issue/ENG-1"}
        assert client.get("/_control/state").json()["items"][0]["title"] == "By control"
        assert client.patch("/_control/settings", json={"trash_as": "update"}).json()["trash_as"] == "update"
