"""The site around the issues: people, projects, workflows, fields."""

from typing import Any

from sandbox.http import Reply
from sandbox.jira.api.ask import Access, Ask, Row, page
from sandbox.jira.fields import ALWAYS_ON_SCREEN
from sandbox.jira.model import JiraError, Json, Project, User
from sandbox.jira.render import FIELD_NAMES, FIELD_TYPES

REQUIRED_ON_CREATE = frozenset({"project", "issuetype", "summary"})


def myself(ask: Ask) -> Reply:
    """GET /myself."""
    ask.identities += 1
    return Reply(200, ask.render.user(ask.actor))


def server_info(ask: Ask) -> Reply:
    """GET /serverInfo: needs no credentials."""
    return Reply(
        200,
        {
            "baseUrl": ask.site.url,
            "version": "1001.0.0-SNAPSHOT",
            "versionNumbers": [1001, 0, 0],
            "deploymentType": "Cloud",
            "buildNumber": 100286,
            "buildDate": "2026-04-01T00:00:00.000+0200",
            "serverTime": ask.site.stamp(ask.site.clock.now()),
            "scmInfo": "sandbox",
            "serverTitle": "Jira",
        },
    )


def get_user(ask: Ask) -> Reply:
    """GET /user?accountId=…"""
    account_id = ask.call.query.get("accountId", "")
    if account_id not in ask.site.users:
        raise JiraError(404, "Specified user does not exist or you do not have required permissions")
    ask.identities += 1
    return Reply(200, ask.render.user(account_id))


def find_users(ask: Ask) -> Reply:
    """GET /user/search?query=…: by the start of a word of the name, or of the visible address."""
    if not set(ask.call.query) & {"query", "accountId"}:
        raise JiraError(400, "The query parameter 'query' or 'accountId' is required.")
    return _users(ask, list(ask.site.users.values()))


def find_assignable(ask: Ask) -> Reply:
    """GET /user/assignable/search?project=…|issueKey=…"""
    if "issueKey" in ask.call.query:
        project = ask.site.projects[ask.site.issue(ask.call.query["issueKey"], ask.account_id).project]
    else:
        project = _visible_project(ask, ask.call.query.get("project", ""))
    return _users(ask, ask.site.assignable(project))


def all_users(ask: Ask) -> Reply:
    """GET /users/search."""
    return _users(ask, list(ask.site.users.values()))


def _users(ask: Ask, users: list[User]) -> Reply:
    query = ask.call.query
    found = [u for u in users if _matches(u, query.get("query", ""))]
    if "accountId" in query:
        found = [u for u in found if u.account_id == query["accountId"]]
    start, size = ask.whole("startAt", 0), ask.whole("maxResults", 50)
    part = found[start : start + size]
    ask.identities += len(part)
    return Reply(200, [ask.render.user(user.account_id) for user in part])


def _matches(user: User, query: str) -> bool:
    query = query.lower()
    words = user.display_name.lower().split()
    names = [user.display_name.lower(), *words] + ([user.email.lower()] if user.email_visible else [])
    return any(name.startswith(query) for name in names)


def users_by_id(ask: Ask) -> Reply:
    """GET /user/bulk?accountId=…&accountId=…"""
    wanted = ask.call.queries.get("accountId", [])
    found = [ask.render.user(i) for i in wanted if i in ask.site.users]
    ask.identities += len(found)
    return Reply(200, page(ask, found, default_size=10))


def _visible_project(ask: Ask, id_or_key: str) -> Project:
    project = ask.site.project(id_or_key)
    if not project.admits(ask.account_id):
        raise JiraError(404, f"No project could be found with key '{id_or_key}'.")
    return project


def find_projects(ask: Ask) -> Reply:
    """GET /project/search?query=…&keys=…&id=…"""
    query, render = ask.call.query.get("query", "").lower(), ask.render
    keys, ids = ask.call.queries.get("keys", []), ask.call.queries.get("id", [])
    found = [
        render.project(p)
        for p in sorted(ask.site.projects.values(), key=lambda p: p.key)
        if p.admits(ask.account_id)
        and (query in p.key.lower() or query in p.name.lower())
        and (not keys or p.key in keys)
        and (not ids or p.id in ids)
    ]
    return Reply(200, page(ask, found))


def get_project(ask: Ask) -> Reply:
    """GET /project/{idOrKey}."""
    project, render = _visible_project(ask, ask.call.params["projectIdOrKey"]), ask.render
    return Reply(
        200,
        render.project(project)
        | {
            "lead": render.user(project.lead),
            "issueTypes": [render.issue_type(t) for t in project.issue_types],
        },
    )


def project_statuses(ask: Ask) -> Reply:
    """GET /project/{idOrKey}/statuses: per issue type."""
    project, render = _visible_project(ask, ask.call.params["projectIdOrKey"]), ask.render
    statuses = [render.status(status) for status in project.workflow.statuses]
    types = [ask.site.issue_types[type_id] for type_id in project.issue_types]
    return Reply(
        200,
        [
            {
                "self": f"{render.api}/issuetype/{kind.id}",
                "id": kind.id,
                "name": kind.name,
                "subtask": kind.subtask,
                "statuses": statuses,
            }
            for kind in types
        ],
    )


def create_meta_types(ask: Ask) -> Reply:
    """GET /issue/createmeta/{project}/issuetypes."""
    project, render = _visible_project(ask, ask.call.params["projectIdOrKey"]), ask.render
    types = [render.issue_type(type_id) for type_id in project.issue_types]
    return Reply(200, _meta_page(ask, types, "issueTypes"))


def create_meta_fields(ask: Ask) -> Reply:
    """GET /issue/createmeta/{project}/issuetypes/{issueTypeId}: the create screen."""
    project, render = _visible_project(ask, ask.call.params["projectIdOrKey"]), ask.render
    if ask.call.params["issueTypeId"] not in project.issue_types:
        raise JiraError(404, "Issue type does not exist or is not associated to this project.")
    names = sorted(ALWAYS_ON_SCREEN | project.screen)
    fields = [render.field_meta(name, name in REQUIRED_ON_CREATE) | {"fieldId": name} for name in names]
    return Reply(200, _meta_page(ask, fields, "fields"))


def _meta_page(ask: Ask, rows: list[Any], key: str) -> Json:
    start, size = ask.whole("startAt", 0), ask.whole("maxResults", 50)
    return {"startAt": start, "maxResults": size, "total": len(rows), key: rows[start : start + size]}


def find_priorities(ask: Ask) -> Reply:
    """GET /priority/search."""
    default = ask.site.default_priority
    rows = [(ask.render.priority(i) or {}) | {"isDefault": i == default} for i in ask.site.priorities]
    return Reply(200, page(ask, rows))


def priorities(ask: Ask) -> Reply:
    """GET /priority."""
    return Reply(200, [ask.render.priority(i) for i in ask.site.priorities])


def find_resolutions(ask: Ask) -> Reply:
    """GET /resolution/search."""
    return Reply(200, page(ask, [ask.render.resolution(i) for i in ask.site.resolutions]))


def statuses(ask: Ask) -> Reply:
    """GET /status."""
    return Reply(200, [ask.render.status(i) for i in ask.site.statuses])


def issue_types(ask: Ask) -> Reply:
    """GET /issuetype."""
    return Reply(200, [ask.render.issue_type(i) for i in ask.site.issue_types])


def labels(ask: Ask) -> Reply:
    """GET /label."""
    return Reply(200, page(ask, sorted({x for i in ask.site.issues.values() for x in i.labels}), 1000))


def all_fields(ask: Ask) -> Reply:
    """GET /field."""
    return Reply(
        200,
        [
            {
                "id": name,
                "key": name,
                "name": shown,
                "custom": False,
                "orderable": True,
                "navigable": True,
                "searchable": True,
                "clauseNames": [name],
                "schema": {"type": FIELD_TYPES[name], "system": name},
            }
            for name, shown in FIELD_NAMES.items()
        ],
    )


def my_permissions(ask: Ask) -> Reply:
    """GET /mypermissions?permissions=A,B: everyone has everything but administration."""
    admin = ask.site.users[ask.actor].admin
    names = [name for name in ask.call.query.get("permissions", "").split(",") if name]
    if not names:
        raise JiraError(400, "The 'permissions' query parameter is required.")
    permissions = {
        name: {
            "id": name,
            "key": name,
            "name": name,
            "havePermission": admin or not name.startswith("ADMINISTER"),
        }
        for name in names
    }
    return Reply(200, {"permissions": permissions})


_CREATE_META = "/issue/createmeta/{projectIdOrKey}/issuetypes"
ROWS: tuple[Row, ...] = (
    ("getCurrentUser", "GET", "/myself", Access.USER, myself),
    ("getServerInfo", "GET", "/serverInfo", Access.PUBLIC, server_info),
    ("getUser", "GET", "/user", Access.USER, get_user),
    ("findUsers", "GET", "/user/search", Access.USER, find_users),
    ("findAssignableUsers", "GET", "/user/assignable/search", Access.USER, find_assignable),
    ("bulkGetUsers", "GET", "/user/bulk", Access.USER, users_by_id),
    ("getAllUsers", "GET", "/users/search", Access.USER, all_users),
    ("searchProjects", "GET", "/project/search", Access.BROWSE, find_projects),
    ("getProject", "GET", "/project/{projectIdOrKey}", Access.BROWSE, get_project),
    ("getAllStatuses", "GET", "/project/{projectIdOrKey}/statuses", Access.BROWSE, project_statuses),
    ("getCreateIssueMetaIssueTypes", "GET", _CREATE_META, Access.READ, create_meta_types),
    (
        "getCreateIssueMetaIssueTypeId",
        "GET",
        _CREATE_META + "/{issueTypeId}",
        Access.READ,
        create_meta_fields,
    ),
    ("searchPriorities", "GET", "/priority/search", Access.READ, find_priorities),
    ("getPriorities", "GET", "/priority", Access.READ, priorities),
    ("searchResolutions", "GET", "/resolution/search", Access.READ, find_resolutions),
    ("getStatuses", "GET", "/status", Access.READ, statuses),
    ("getIssueAllTypes", "GET", "/issuetype", Access.READ, issue_types),
    ("getAllLabels", "GET", "/label", Access.READ, labels),
    ("getFields", "GET", "/field", Access.READ, all_fields),
    ("getMyPermissions", "GET", "/mypermissions", Access.READ, my_permissions),
)
