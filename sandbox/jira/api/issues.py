"""Reading, making and changing issues."""

from typing import Any

from sandbox.http import Reply
from sandbox.jira import fields as reading
from sandbox.jira.api.ask import INVALID_PAYLOAD, Access, Ask, Row, done, page
from sandbox.jira.api.search import pick_properties
from sandbox.jira.fields import ALWAYS_ON_SCREEN, FieldError, edit_screen, read_edit
from sandbox.jira.model import Issue, JiraError, Json, Project, Transition
from sandbox.jira.render import Chosen

# Jira Cloud REST v3: an issue property's key and its value as JSON text.
PROPERTY_KEY_LIMIT = 255
PROPERTY_VALUE_LIMIT = 32_768
BULK_CREATE = 50

_EDIT_KEYS: dict[str, type | tuple[type, ...]] = {
    "fields": dict,
    "update": dict,
    "properties": list,
    "historyMetadata": dict,
    "transition": dict,
}


def get(ask: Ask) -> Reply:
    """GET /issue/{idOrKey}: always fresh."""
    issue = ask.issue()
    asked = [part for value in ask.call.queries.get("fields", []) for part in value.split(",")]
    bean = _expanded(ask, issue, ask.render.issue(issue, Chosen.of(asked, "*all")))
    keys = [part for value in ask.call.queries.get("properties", []) for part in value.split(",") if part]
    if keys:
        bean["properties"] = pick_properties(ask, issue, keys)
    return Reply(200, bean)


def _expanded(ask: Ask, issue: Issue, bean: Json) -> Json:
    """The issue with what `expand` asks for."""
    expand = ask.call.query.get("expand", "").split(",")
    if "changelog" in expand:
        histories = [ask.render.change(c) for c in reversed(ask.site.extras[issue.id].changes)]
        count = len(histories)
        bean["changelog"] = {"startAt": 0, "maxResults": count, "total": count, "histories": histories}
    if "transitions" in expand:
        bean["transitions"] = [ask.render.transition(t, False) for t in ask.site.transitions(issue)]
    return bean


def create(ask: Ask) -> Reply:
    """POST /issue."""
    return Reply(201, _create(ask, ask.body(_EDIT_KEYS)))


def create_many(ask: Ask) -> Reply:
    """POST /issue/bulk: each for itself."""
    updates = ask.body({"issueUpdates": list}).get("issueUpdates", [])
    if not 0 < len(updates) <= BULK_CREATE:
        raise JiraError(400, f"Between 1 and {BULK_CREATE} issues must be given.")
    issues, errors = [], []
    for number, body in enumerate(updates):
        try:
            issues.append(_create(ask, body))
        except JiraError as bad:
            elements = {"errorMessages": bad.messages, "errors": bad.errors}
            errors.append({"status": bad.status, "elementErrors": elements, "failedElementNumber": number})
    return Reply(201 if issues else 400, {"issues": issues, "errors": errors})


def _create(ask: Ask, body: Json) -> Json:
    actor, given = ask.actor, body.get("fields", {})
    project = _project(ask, given)
    missing = {}
    if "issuetype" not in given:
        missing["issuetype"] = "Specify an issue type"
    if "summary" not in given and "summary" not in body.get("update", {}):
        missing["summary"] = "You must specify a summary of the issue."
    if missing:
        raise JiraError(400, errors=missing)
    screen = ALWAYS_ON_SCREEN | project.screen
    edit = read_edit(ask.site, project, given, body.get("update", {}), screen=screen)
    _check_parent(ask, edit.values)
    properties = _properties(body)
    issue = ask.site.create(actor, {"project": project.id, **edit.values}, properties)
    for comment in edit.comments:
        ask.site.add_comment(actor, ask.site.issues[issue.id], comment)
    return {"id": str(issue.id), "key": issue.key, "self": f"{ask.base}/rest/api/3/issue/{issue.id}"}


def _project(ask: Ask, given: Json) -> Project:
    wanted = given.get("project")
    if not isinstance(wanted, dict):
        raise JiraError(400, errors={"project": "Specify a valid project ID or key"})
    try:
        project = ask.site.project(str(wanted.get("id") or wanted.get("key") or ""))
    except JiraError as unknown:
        raise JiraError(400, errors={"project": "valid project is required"}) from unknown
    if not project.admits(ask.account_id):
        raise JiraError(400, errors={"project": "valid project is required"})
    return project


def _check_parent(ask: Ask, values: Json) -> None:
    subtask = ask.site.issue_types[values["issuetype"]].subtask
    if subtask and values.get("parent") is None:
        raise JiraError(400, errors={"issuetype": "Issue type is a sub-task but parent issue key or id not specified."})


def _properties(body: Json) -> Json:
    """The `properties` list of a create or edit body."""
    properties: Json = {}
    for entry in body.get("properties", []):
        if not isinstance(entry, dict) or set(entry) != {"key", "value"}:
            raise JiraError(400, INVALID_PAYLOAD)
        properties[entry["key"]] = entry["value"]
    return properties


def edit(ask: Ask) -> Reply:
    """PUT /issue/{idOrKey}: fields only, never the status."""
    issue, body = ask.issue(), ask.body(_EDIT_KEYS)
    if ask.call.query.get("notifyUsers") == "false" and not ask.site.users[ask.actor].admin:
        text = "To discard the user notification either admin or project admin permissions are required."
        raise JiraError(403, text)
    change_fields(ask, issue, body)
    if ask.flag("returnIssue"):
        edited = ask.site.issues[issue.id]
        return Reply(200, _expanded(ask, edited, ask.render.issue(edited, Chosen.of([], "*all"))))
    return done()


def change_fields(ask: Ask, issue: Issue, body: Json) -> None:
    """Apply an edit body to an issue as the caller."""
    project = ask.site.projects[issue.project]
    edit = read_edit(
        ask.site,
        project,
        body.get("fields", {}),
        body.get("update", {}),
        screen=edit_screen(project),
        labels=issue.labels,
    )
    properties = _properties(body)
    changed = ask.site.update(ask.actor, issue, edit.values)
    for comment in edit.comments:
        ask.site.add_comment(ask.actor, ask.site.issues[issue.id], comment)
    for key, value in properties.items():
        ask.site.set_property(ask.actor, changed, key, value)


def assign(ask: Ask) -> Reply:
    """PUT /issue/{idOrKey}/assignee: null unassigns, "-1" is the project's default."""
    issue, body = ask.issue(), ask.json()
    if not isinstance(body, dict) or "accountId" not in body:
        raise JiraError(400, "'accountId' must be the only user identifying query parameter in GDPR strict mode.")
    project = ask.site.projects[issue.project]
    try:
        account_id = reading.assignee(ask.site, project, {"accountId": body["accountId"]})
    except FieldError as bad:
        raise JiraError(400, errors={"assignee": str(bad)}) from bad
    ask.site.update(ask.actor, issue, {"assignee": account_id})
    return done()


def delete(ask: Ask) -> Reply:
    """DELETE /issue/{idOrKey}."""
    issue = ask.issue()
    if ask.site.subtasks(issue) and not ask.flag("deleteSubtasks"):
        text = f"The issue '{issue.key}' has subtasks. Specify 'deleteSubtasks' to delete them too."
        raise JiraError(400, text)
    ask.site.delete(ask.actor, issue)
    return done()


def list_transitions(ask: Ask) -> Reply:
    """GET /issue/{idOrKey}/transitions: depends on the status right now."""
    issue, with_fields = ask.issue(), "transitions.fields" in ask.call.query.get("expand", "")
    wanted = ask.call.query.get("transitionId")
    rows = [t for t in ask.site.transitions(issue) if wanted in (None, t.id)]
    if ask.account_id is None:
        rows = []
    return Reply(200, {"expand": "transitions", "transitions": [ask.render.transition(t, with_fields) for t in rows]})


def do_transition(ask: Ask) -> Reply:
    """POST /issue/{idOrKey}/transitions: 400 when the status moved on or a required field is missing."""
    issue, body = ask.issue(), ask.body(_EDIT_KEYS)
    transition = _transition(ask, issue, body.get("transition", {}).get("id"))
    project = ask.site.projects[issue.project]
    edit = read_edit(
        ask.site,
        project,
        body.get("fields", {}),
        body.get("update", {}),
        screen=frozenset(transition.requires),
        labels=issue.labels,
    )
    missing = {n: f"{n.capitalize()} is required." for n in transition.requires if not edit.values.get(n)}
    if missing:
        raise JiraError(400, errors=missing)
    ask.site.transition(ask.actor, issue, transition, edit.values)
    for comment in edit.comments:
        ask.site.add_comment(ask.actor, ask.site.issues[issue.id], comment)
    return done()


def _transition(ask: Ask, issue: Issue, wanted: Any) -> Transition:
    """By id, as text or number: some clients send a number."""
    if isinstance(wanted, bool) or not isinstance(wanted, str | int):
        raise JiraError(400, "Missing 'transition' identifier")
    for transition in ask.site.transitions(issue):
        if transition.id == str(wanted):
            return transition
    raise JiraError(400, f"Transition id '{wanted}' is not valid for this issue.")


def changelog(ask: Ask) -> Reply:
    """GET /issue/{idOrKey}/changelog: oldest first, pages of at most 100."""
    issue, render = ask.issue(), ask.render
    changes = [render.change(change) for change in ask.site.extras[issue.id].changes]
    return Reply(200, page(ask, changes, default_size=100))


def edit_meta(ask: Ask) -> Reply:
    """GET /issue/{idOrKey}/editmeta."""
    issue, render = ask.issue(), ask.render
    names = sorted(edit_screen(ask.site.projects[issue.project]))
    return Reply(200, {"fields": {name: render.field_meta(name, name == "summary") for name in names}})


def list_properties(ask: Ask) -> Reply:
    """GET /issue/{idOrKey}/properties."""
    issue = ask.issue()
    base = f"{ask.base}/rest/api/3/issue/{issue.id}/properties"
    keys = [{"self": f"{base}/{key}", "key": key} for key in ask.site.extras[issue.id].properties]
    return Reply(200, {"keys": keys})


def get_property(ask: Ask) -> Reply:
    """GET /issue/{idOrKey}/properties/{key}."""
    issue, key = ask.issue(), ask.call.params["propertyKey"]
    properties = ask.site.extras[issue.id].properties
    if key not in properties:
        raise JiraError(404, f"The property with key '{key}' does not exist.")
    return Reply(200, {"key": key, "value": properties[key]})


def put_property(ask: Ask) -> Reply:
    """PUT /issue/{idOrKey}/properties/{key}: 201 new, 200 old; `updated` stays."""
    issue, key, value = ask.issue(), ask.call.params["propertyKey"], ask.json()
    if len(key) > PROPERTY_KEY_LIMIT or len(ask.call.body) > PROPERTY_VALUE_LIMIT:
        raise JiraError(400, "The property key or value is too long.")
    return done(201 if ask.site.set_property(ask.actor, issue, key, value) else 200)


def delete_property(ask: Ask) -> Reply:
    """DELETE /issue/{idOrKey}/properties/{key}."""
    ask.site.delete_property(ask.actor, ask.issue(), ask.call.params["propertyKey"])
    return done()


_ISSUE = "/issue/{issueIdOrKey}"
_PROPERTY = _ISSUE + "/properties/{propertyKey}"
ROWS: tuple[Row, ...] = (
    ("getIssue", "GET", _ISSUE, Access.BROWSE, get),
    ("createIssue", "POST", "/issue", Access.WRITE, create),
    ("createIssues", "POST", "/issue/bulk", Access.WRITE, create_many),
    ("editIssue", "PUT", _ISSUE, Access.WRITE, edit),
    ("deleteIssue", "DELETE", _ISSUE, Access.WRITE, delete),
    ("assignIssue", "PUT", _ISSUE + "/assignee", Access.WRITE, assign),
    ("getTransitions", "GET", _ISSUE + "/transitions", Access.BROWSE, list_transitions),
    ("doTransition", "POST", _ISSUE + "/transitions", Access.WRITE, do_transition),
    ("getChangeLogs", "GET", _ISSUE + "/changelog", Access.BROWSE, changelog),
    ("getEditIssueMeta", "GET", _ISSUE + "/editmeta", Access.READ, edit_meta),
    ("getIssuePropertyKeys", "GET", _ISSUE + "/properties", Access.BROWSE, list_properties),
    ("getIssueProperty", "GET", _PROPERTY, Access.BROWSE, get_property),
    ("setIssueProperty", "PUT", _PROPERTY, Access.WRITE, put_property),
    ("deleteIssueProperty", "DELETE", _PROPERTY, Access.WRITE, delete_property),
)
