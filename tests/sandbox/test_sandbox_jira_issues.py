"""Creating, editing, transitions, comments, properties, links, people."""

import re

import pytest

from sandbox.jira import JiraError, adf


def doc(text: str) -> dict:
    return {
        "type": "doc",
        "version": 1,
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}],
    }


def test_a_new_issue_has_an_id_a_key_and_the_first_status(api):
    made = api.create(labels=["scrums-tsk-26-018841"], priority={"id": "2"})
    assert made == {
        "id": "10001",
        "key": "APEX-1001",
        "self": "http://jira.sandbox/rest/api/3/issue/10001",
    }
    fields = api.get("/issue/10001").json()["fields"]
    assert fields["status"]["statusCategory"]["key"] == "new"
    assert fields["priority"]["name"] == "High"
    assert fields["reporter"]["displayName"] == "Sync Service"


def test_properties_in_the_create_body_are_kept(api):
    body = {
        "fields": {"project": {"id": "10000"}, "issuetype": {"id": "10002"}, "summary": "x"},
        "properties": [{"key": "scrums.task", "value": {"task_id": "TSK-26-018841"}}],
    }
    key = api.post("/issue", json=body).json()["key"]
    answer = api.get(f"/issue/{key}", params={"properties": "scrums.task", "fields": "summary"}).json()
    assert answer["properties"] == {"scrums.task": {"task_id": "TSK-26-018841"}}


@pytest.mark.parametrize(
    ("fields", "where", "text"),
    [
        ({"summary": "a\nb"}, "summary", "newline"),
        ({"summary": "x" * 256}, "summary", "255"),
        ({"summary": ""}, "summary", "must specify"),
        ({"description": "text"}, "description", "Operation value must be an Atlassian Document"),
        ({"labels": ["two words"]}, "labels", "spaces"),
        ({"assignee": {"name": "ann"}}, "assignee", "accountId"),
        ({"assignee": {"accountId": "nobody"}}, "assignee", "does not exist"),
        ({"assignee": {"accountId": "5b10ac8d82e05b22cc7d4e04"}}, "assignee", "cannot be assigned"),
        ({"duedate": "tomorrow"}, "duedate", "date"),
        ({"issuetype": {"id": "1"}}, "issuetype", "valid issue type"),
        ({"issuetype": {"id": "10003"}}, "issuetype", "sub-task"),
        ({"project": {"key": "NOPE"}}, "project", "project"),
        ({"status": {"id": "3"}}, "status", "cannot be set"),
        ({"customfield_1": 1}, "customfield_1", "Field 'customfield_1' cannot be set. It is not on the"),
    ],
)
def test_a_bad_field_is_refused_by_name_and_creates_nothing(api, jira, fields, where, text):
    given = {"project": {"key": "APEX"}, "issuetype": {"id": "10002"}, "summary": "x", **fields}
    answer = api.post("/issue", json={"fields": given})
    assert answer.status_code == 400
    assert text in answer.json()["errors"][where]
    assert not jira.site.issues


def test_a_field_off_the_projects_screen_is_refused(api):
    fields = {
        "project": {"key": "OPS"},
        "issuetype": {"id": "10002"},
        "summary": "x",
        "priority": {"id": "1"},
    }
    assert "appropriate screen" in api.post("/issue", json={"fields": fields}).json()["errors"]["priority"]


def test_unknown_keys_beside_fields_are_refused(api):
    assert api.post("/issue", json={"fields": {}, "status": "Done"}).status_code == 400


def test_an_edit_answers_204_and_moves_updated(api):
    key = api.create()["key"]
    before = api.field(key, "updated")
    answer = api.put(f"/issue/{key}", json={"fields": {"summary": "New", "description": doc("Hi")}})
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.field(key, "updated") > before
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}", before)


def test_an_edit_can_answer_the_issue(api):
    key = api.create()["key"]
    answer = api.put(f"/issue/{key}?returnIssue=true", json={"fields": {"summary": "New"}})
    assert (answer.status_code, answer.json()["fields"]["summary"]) == (200, "New")


def test_an_edit_that_changes_nothing_moves_nothing(api, jira):
    key = api.create()["key"]
    before = api.field(key, "updated")
    assert api.put(f"/issue/{key}", json={"fields": {"summary": "Made"}, "update": {}}).status_code == 204
    assert api.field(key, "updated") == before


def test_labels_are_added_and_removed_one_by_one(api):
    key = api.create(labels=["a", "b"])["key"]
    update = {"labels": [{"add": "c"}, {"remove": "a"}, {"add": "b"}]}
    assert api.put(f"/issue/{key}", json={"update": update}).status_code == 204
    assert api.field(key, "labels") == ["b", "c"]


def test_silencing_notifications_needs_an_admin(api):
    key = api.create()["key"]
    assert api.put(f"/issue/{key}?notifyUsers=false", json={"fields": {"summary": "N"}}).status_code == 403


def test_assigning_takes_an_account_null_or_the_default(api, jira):
    key, ann = api.create()["key"], jira.site.user("ann@example.com").account_id
    assert api.put(f"/issue/{key}/assignee", json={"accountId": ann}).status_code == 204
    assert api.field(key, "assignee")["emailAddress"] == "ann@example.com"
    for value in ("-1", None):
        assert api.put(f"/issue/{key}/assignee", json={"accountId": value}).status_code == 204
        assert api.field(key, "assignee") is None


def test_a_description_comes_back_normalised(api):
    content = [
        {"type": "paragraph", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "Hi"}]},
        {"type": "rule"},
    ]
    key = api.create(description={"type": "doc", "version": 1, "content": content})["key"]
    paragraph, rule = api.field(key, "description")["content"]
    assert paragraph["content"] == [{"type": "text", "text": "Hi"}]
    assert paragraph["attrs"]["localId"]
    assert rule == {"type": "rule"}


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "loose"}],
        [{"type": "paragraph", "content": [{"type": "wobble"}]}],
        [{"type": "heading", "attrs": {"level": 7}}],
        [{"type": "paragraph", "content": [{"type": "text", "text": "x", "marks": [{"type": "blink"}]}]}],
    ],
)
def test_a_malformed_document_is_invalid_input(api, content):
    key = api.create()["key"]
    body = {"fields": {"description": {"type": "doc", "version": 1, "content": content}}}
    assert api.put(f"/issue/{key}", json=body).json()["errors"] == {"description": "INVALID_INPUT"}


def test_webhook_text_is_wiki_markup():
    item = {
        "type": "listItem",
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": "one"}]}],
    }
    bold = {"type": "text", "text": "b", "marks": [{"type": "strong"}]}
    value = {
        "type": "doc",
        "version": 1,
        "content": [
            {"type": "heading", "attrs": {"level": 2}, "content": [{"type": "text", "text": "Title"}]},
            {"type": "paragraph", "content": [bold, {"type": "mention", "attrs": {"id": "7", "text": "@A"}}]},
            {"type": "bulletList", "content": [item]},
            {
                "type": "codeBlock",
                "attrs": {"language": "python"},
                "content": [{"type": "text", "text": "x = 1"}],
            },
        ],
    }
    expected = "h2. Title\n\n*b*[~accountid:7]\n\n* one\n\n{code:python}\nx = 1\n{code}"
    assert adf.to_wiki(value) == expected


def transitions(api, key: str) -> dict:
    rows = api.get(f"/issue/{key}/transitions", params={"expand": "transitions.fields"}).json()["transitions"]
    return {row["to"]["name"]: row for row in rows}


def test_transitions_depend_on_the_status(api):
    key = api.create("OPS")["key"]
    assert set(transitions(api, key)) == {"In Progress"}
    way = transitions(api, key)["In Progress"]["id"]
    assert api.post(f"/issue/{key}/transitions", json={"transition": {"id": way}}).status_code == 204
    assert set(transitions(api, key)) == {"In QA", "Done"}
    answer = api.post(f"/issue/{key}/transitions", json={"transition": {"id": way}})
    assert answer.status_code == 400
    assert answer.json()["errorMessages"] == [f"Transition id '{way}' is not valid for this issue."]


def test_a_transition_can_require_a_resolution(api):
    key = api.create("OPS")["key"]
    api.post(f"/issue/{key}/transitions", json={"transition": {"id": "111"}})
    close = transitions(api, key)["Done"]
    assert close["hasScreen"]
    assert close["fields"]["resolution"]["required"]
    refused = api.post(f"/issue/{key}/transitions", json={"transition": {"id": close["id"]}})
    assert refused.json()["errors"] == {"resolution": "Resolution is required."}
    body = {"transition": {"id": close["id"]}, "fields": {"resolution": {"name": "Duplicate"}}}
    assert api.post(f"/issue/{key}/transitions", json=body).status_code == 204
    assert api.field(key, "resolution")["name"] == "Duplicate"
    assert api.field(key, "resolutiondate")
    api.post(f"/issue/{key}/transitions", json={"transition": {"id": "151"}})
    assert api.field(key, "resolution") is None


def test_a_transition_id_may_be_a_number(api):
    key = api.create()["key"]
    assert api.post(f"/issue/{key}/transitions", json={"transition": {"id": 31}}).status_code == 204
    assert api.field(key, "status")["name"] == "In Review"


def test_a_transition_can_be_made_to_collide(api, jira):
    key = api.create()["key"]
    jira.faults.add("error", operation="doTransition", status=409)
    answers = [api.post(f"/issue/{key}/transitions", json={"transition": {"id": "31"}}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [409, 204]


def test_comments_are_adf_and_move_updated(api):
    key = api.create()["key"]
    before = api.field(key, "updated")
    assert api.post(f"/issue/{key}/comment", json={"body": "text"}).status_code == 400
    made = api.post(f"/issue/{key}/comment", json={"body": doc("Hello")})
    assert made.status_code == 201
    assert api.field(key, "updated") > before
    listed = api.get(f"/issue/{key}/comment", params={"orderBy": "created"}).json()
    assert (listed["total"], listed["comments"][0]["id"]) == (1, made.json()["id"])
    url = f"/issue/{key}/comment/{made.json()['id']}"
    assert api.put(url, json={"body": doc("Edited")}).status_code == 200
    assert api.delete(url).status_code == 204
    assert api.get(url).status_code == 404


def test_a_property_is_201_new_and_200_old_and_leaves_updated_alone(api):
    key = api.create()["key"]
    before = api.field(key, "updated")
    url = f"/issue/{key}/properties/scrums.task"
    assert [api.put(url, json={"n": n}).status_code for n in (1, 2)] == [201, 200]
    assert api.get(url).json() == {"key": "scrums.task", "value": {"n": 2}}
    assert api.field(key, "updated") == before
    assert api.put(url, json="x" * 32_768).status_code == 400
    assert api.delete(url).status_code == 204
    assert api.get(url).status_code == 404


def test_a_remote_link_with_a_global_id_is_replaced(api):
    key = api.create()["key"]
    body = {"globalId": "tsk=1", "object": {"url": "https://example.com/1", "title": "One"}}
    made = [api.post(f"/issue/{key}/remotelink", json=body) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 200]
    assert made[0].json()["id"] == made[1].json()["id"]
    assert len(api.get(f"/issue/{key}/remotelink").json()) == 1
    assert api.delete(f"/issue/{key}/remotelink", params={"globalId": "tsk=1"}).status_code == 204


def test_a_moved_issue_keeps_its_id_and_its_old_key_resolves(api, jira):
    made = api.create()
    jira.person("Ann Archer").move(made["key"], "OPS")
    answer = api.get(f"/issue/{made['key']}").json()
    assert (answer["id"], answer["key"]) == (made["id"], "OPS-1")
    assert answer["fields"]["project"]["key"] == "OPS"
    items = api.get(f"/issue/{made['id']}/changelog").json()["values"][-1]["items"]
    assert {"Key", "project"} <= {item["field"] for item in items}
    assert "fieldId" not in next(item for item in items if item["field"] == "Key")


def test_a_deleted_issue_is_gone_and_subtasks_must_be_asked_for(api, jira):
    parent = api.create()
    api.create(issuetype={"id": "10003"}, parent={"id": parent["id"]})
    assert api.delete(f"/issue/{parent['key']}").status_code == 400
    assert api.delete(f"/issue/{parent['key']}?deleteSubtasks=true").status_code == 204
    gone = api.get(f"/issue/{parent['key']}")
    assert gone.status_code == 404
    assert gone.json()["errorMessages"] == ["Issue does not exist or you do not have permission to see it."]
    assert not jira.site.issues


def test_the_changelog_is_oldest_first_and_comes_in_bulk_too(api):
    made = api.create()
    for title in ("One", "Two"):
        api.put(f"/issue/{made['key']}", json={"fields": {"summary": title}})
    api.post(f"/issue/{made['key']}/transitions", json={"transition": {"id": "31"}})
    values = api.get(f"/issue/{made['key']}/changelog").json()["values"]
    assert [v["items"][0]["toString"] for v in values] == ["One", "Two", "In Review"]
    body = {"issueIdsOrKeys": [made["id"]], "fieldIds": ["status"]}
    log = api.post("/changelog/bulkfetch", json=body).json()["issueChangeLogs"][0]
    assert log["issueId"] == made["id"]
    assert [h["items"][0]["fieldId"] for h in log["changeHistories"]] == ["status"]


def test_people_keep_their_address_private(api):
    found = api.get("/user/search", params={"query": "cleo"}).json()
    assert "emailAddress" not in found[0]
    assert api.get("/user/search", params={"query": "cleo@"}).json() == []
    assert [u["displayName"] for u in api.get("/user/search", params={"query": "ann@"}).json()] == ["Ann Archer"]


def test_only_active_people_can_be_assigned(api):
    for where in ({"project": "APEX"}, {"issueKey": api.create()["key"]}):
        names = {u["displayName"] for u in api.get("/user/assignable/search", params=where).json()}
        assert names == {"Sync Service", "Ann Archer", "Bob Baker", "Cleo Carter"}


def test_project_statuses_come_per_issue_type(api):
    kinds = api.get("/project/OPS/statuses").json()
    assert [s["name"] for s in kinds[0]["statuses"]] == ["To Do", "In Progress", "In QA", "Done"]
    assert kinds[0]["statuses"][0]["statusCategory"] == {
        "self": "http://jira.sandbox/rest/api/3/statuscategory/2",
        "id": 2,
        "key": "new",
        "colorName": "blue-gray",
        "name": "To Do",
    }


def test_create_meta_tells_the_screen(api):
    fields = api.get("/issue/createmeta/OPS/issuetypes/10002").json()["fields"]
    assert "priority" not in {f["fieldId"] for f in fields}
    assert {f["fieldId"] for f in fields if f["required"]} == {"project", "issuetype", "summary"}


def test_a_person_is_bound_by_the_workflow(jira):
    ann = jira.person("ann@example.com")
    issue = ann.create("OPS", "Do it", description="First\nSecond", assignee="Bob Baker")
    assert adf.plain(issue.description) == "First\nSecond"
    assert ann.reachable(issue.key) == ["In Progress"]
    with pytest.raises(JiraError, match="No transition"):
        ann.transition(issue.key, "Done")
    ann.transition(issue.key, "In Progress")
    done = ann.transition(issue.key, "Done")
    assert jira.site.resolutions[done.resolution or ""].name == "Done"


def test_updated_moves_with_every_change_even_within_a_millisecond(jira):
    ann = jira.person("Ann Archer")
    issue = ann.create("APEX", "Busy")
    seen = [issue.updated] + [ann.edit(issue.key, summary=f"Busy {n}").updated for n in range(5)]
    assert seen == sorted(set(seen))
