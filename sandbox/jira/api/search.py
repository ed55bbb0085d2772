"""Search, count and bulk reads."""

from typing import Any

from sandbox.faults import PAGE_FAULTS, FaultKind
from sandbox.http import Reply
from sandbox.jira.api.ask import INVALID_PAYLOAD, Access, Ask, Row, strings, whole
from sandbox.jira.model import Change, Issue, JiraError, Json
from sandbox.jira.render import FIELD_NAMES, FIELD_TYPES, Chosen

# Jira Cloud REST v3: at most this many results when only ids are asked for.
ID_PAGE_LIMIT = 5000
DEFAULT_PAGE = 50
RECONCILE_LIMIT = 50
PROPERTIES_LIMIT = 5
BULK_ISSUES = 100
BULK_HISTORIES = 1000
BULK_FIELDS = 10

_SEARCH_KEYS: dict[str, type | tuple[type, ...]] = {
    "jql": str,
    "fields": list,
    "fieldsByKeys": bool,
    "maxResults": int,
    "nextPageToken": str,
    "expand": str,
    "properties": list,
    "reconcileIssues": list,
}


def search(ask: Ask) -> Reply:
    """POST /search/jql."""
    return _search(ask, ask.body(_SEARCH_KEYS))


def search_by_get(ask: Ask) -> Reply:
    """GET /search/jql: the same by query parameters, lists separated by commas."""
    queries = ask.call.queries
    body: Json = {name: queries[name][-1] for name in ("jql", "nextPageToken", "expand") if name in queries}
    for name in ("fields", "properties", "reconcileIssues"):
        if name in queries:
            body[name] = [part for value in queries[name] for part in value.split(",") if part]
    if "reconcileIssues" in body:
        body["reconcileIssues"] = [whole(part, "reconcileIssues") for part in body["reconcileIssues"]]
    if "maxResults" in queries:
        body["maxResults"] = whole(queries["maxResults"][-1], "maxResults")
    return _search(ask, body)


def _search(ask: Ask, body: Json) -> Reply:
    if ask.account_id is None:
        return Reply(200, {"issues": [], "isLast": True})
    fields = strings(body.get("fields", []))
    properties = strings(body.get("properties", []))
    reconcile = body.get("reconcileIssues", [])
    if len(properties) > PROPERTIES_LIMIT or len(reconcile) > RECONCILE_LIMIT:
        raise JiraError(400, INVALID_PAYLOAD)
    if not all(isinstance(i, int) for i in reconcile):
        raise JiraError(400, INVALID_PAYLOAD)
    return _answer(ask, body, fields, properties, frozenset(reconcile))


def _answer(ask: Ask, body: Json, fields: list[str], properties: list[str], reconcile: frozenset[int]) -> Reply:
    index, jql, token = ask.on.index, body.get("jql", ""), body.get("nextPageToken")
    only_ids = set(fields) <= {"id", "key"}
    limit = ID_PAGE_LIMIT if only_ids else ask.on.settings.search_page_cap
    size = min(body.get("maxResults", DEFAULT_PAGE), limit, ask.on.settings.page_limit or limit)
    if size < 1:
        raise JiraError(400, "The value of maxResults must be positive.")
    bent = {f.kind for f in ask.on.faults.take(PAGE_FAULTS, ask.call.operation, ask.call.method, ask.call.path)}
    if FaultKind.SHORT_PAGE in bent:
        size = max(1, size // 2)
    page = index.page(ask.searcher(), jql, size, token, reconcile)
    if FaultKind.EMPTY_PAGE in bent:
        return Reply(200, {"issues": [], "nextPageToken": index.place_of(jql, token)})
    ask.objects += len(page.issues)
    answer: Json = {"issues": _rendered(ask, page.issues, fields, properties, only_ids)}
    if page.next_token is None:
        answer["isLast"] = True
    else:
        answer["nextPageToken"] = page.next_token
    return Reply(200, answer | _expanded(body.get("expand", ""), fields))


def _rendered(ask: Ask, issues: list[Issue], fields: list[str], properties: list[str], only_ids: bool) -> list[Json]:
    if only_ids and "key" not in fields and not properties:
        return [{"id": str(issue.id)} for issue in issues]
    render, chosen = ask.render, Chosen.of(fields, "id")
    beans = []
    for issue in issues:
        bean = render.issue(issue, chosen)
        if properties:
            bean["properties"] = pick_properties(ask, issue, properties)
        beans.append(bean)
    return beans


def pick_properties(ask: Ask, issue: Issue, keys: list[str]) -> Json:
    """The asked issue properties that exist."""
    extras = ask.site.extras.get(issue.id)
    held = extras.properties if extras else {}
    return {key: held[key] for key in keys if key in held}


def _expanded(expand: str, fields: list[str]) -> Json:
    wanted = {part.strip() for part in expand.split(",")}
    names = Chosen.of(fields, "*navigable").names
    more: Json = {}
    if "names" in wanted:
        more["names"] = {name: FIELD_NAMES[name] for name in names}
    if "schema" in wanted:
        more["schema"] = {name: {"type": FIELD_TYPES[name], "system": name} for name in names}
    return more


def count(ask: Ask) -> Reply:
    """POST /search/approximate-count."""
    body = ask.body({"jql": str})
    if ask.account_id is None:
        return Reply(200, {"count": 0})
    return Reply(200, {"count": ask.on.index.count(ask.searcher(), body.get("jql", ""))})


def bulk_fetch(ask: Ask) -> Reply:
    """POST /issue/bulkfetch: ascending ids; what is unknown or unreadable is just missing."""
    body = ask.body(
        {
            "issueIdsOrKeys": list,
            "fields": list,
            "fieldsByKeys": bool,
            "expand": list,
            "properties": list,
        }
    )
    wanted = strings(body.get("issueIdsOrKeys"))
    if not wanted or len(wanted) > BULK_ISSUES:
        raise JiraError(400, f"Between 1 and {BULK_ISSUES} issue ids or keys must be given.")
    properties = strings(body.get("properties", []))
    chosen, render = Chosen.of(strings(body.get("fields", [])), "*navigable"), ask.render
    issues = []
    for issue in _readable(ask, wanted):
        bean = render.issue(issue, chosen)
        if properties:
            bean["properties"] = pick_properties(ask, issue, properties)
        issues.append(bean)
    ask.objects += len(issues)
    return Reply(200, {"issues": issues, "issueErrors": []})


def _readable(ask: Ask, wanted: list[str]) -> list[Issue]:
    found = {issue.id: issue for issue in map(ask.site.find, wanted) if issue is not None}
    return [found[i] for i in sorted(found) if ask.site.visible(found[i], ask.account_id)]


def bulk_histories(ask: Ask) -> Reply:
    """POST /changelog/bulkfetch: changes of many issues, oldest first, in pages."""
    body = ask.body({"issueIdsOrKeys": list, "fieldIds": list, "maxResults": int, "nextPageToken": str})
    wanted, field_ids = strings(body.get("issueIdsOrKeys")), strings(body.get("fieldIds", []))
    if not wanted or len(wanted) > BULK_HISTORIES or len(field_ids) > BULK_FIELDS:
        raise JiraError(400, INVALID_PAYLOAD)
    entries = [
        (issue, change)
        for issue in _readable(ask, wanted)
        for change in ask.site.extras[issue.id].changes
        if not field_ids or any(item.field_id in field_ids for item in change.items)
    ]
    start = whole(body.get("nextPageToken", "0"), "nextPageToken")
    end = start + max(1, body.get("maxResults", 1000))
    answer: Json = {"issueChangeLogs": _grouped(ask, entries[start:end])}
    if end < len(entries):
        answer["nextPageToken"] = str(end)
    return Reply(200, answer)


def _grouped(ask: Ask, entries: list[tuple[Issue, Change]]) -> list[Json]:
    """Changes by issue, in the order of the issues."""
    render = ask.render
    logs: dict[int, Any] = {}
    for issue, change in entries:
        log = logs.setdefault(issue.id, {"issueId": str(issue.id), "changeHistories": []})
        log["changeHistories"].append(render.change(change))
    ask.objects += len(entries)
    return list(logs.values())


def removed(_: Ask) -> Reply:
    """The old search: gone."""
    raise JiraError(
        410,
        "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. "
        "A full migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046",
    )


ROWS: tuple[Row, ...] = (
    ("searchJql", "POST", "/search/jql", Access.BROWSE, search),
    ("searchJqlGet", "GET", "/search/jql", Access.BROWSE, search_by_get),
    ("countIssues", "POST", "/search/approximate-count", Access.BROWSE, count),
    ("bulkFetchIssues", "POST", "/issue/bulkfetch", Access.BROWSE, bulk_fetch),
    ("getBulkChangelogs", "POST", "/changelog/bulkfetch", Access.BROWSE, bulk_histories),
    ("removedSearch", "GET", "/search", Access.PUBLIC, removed),
    ("removedSearchPost", "POST", "/search", Access.PUBLIC, removed),
)
