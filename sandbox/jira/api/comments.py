"""Comments and remote links of an issue."""

from typing import Any

from sandbox.http import Reply
from sandbox.jira.api.ask import Access, Ask, Row, done
from sandbox.jira.fields import FieldError, comment_body
from sandbox.jira.model import JiraError, Json, RemoteLink


def list_comments(ask: Ask) -> Reply:
    """GET /issue/{idOrKey}/comment: `orderBy` created, -created or +created."""
    issue = ask.issue()
    comments = sorted(ask.site.extras[issue.id].comments, key=lambda comment: comment.id)
    if ask.call.query.get("orderBy", "").startswith("-"):
        comments.reverse()
    start, size = ask.whole("startAt", 0), ask.whole("maxResults", 5000)
    return Reply(200, ask.render.comments(issue, comments, start, size))


def get_comment(ask: Ask) -> Reply:
    """GET /issue/{idOrKey}/comment/{id}."""
    issue = ask.issue()
    return Reply(200, ask.render.comment(issue, ask.site.comment(issue, ask.call.params["id"])))


def add_comment(ask: Ask) -> Reply:
    """POST /issue/{idOrKey}/comment: the body is ADF."""
    issue = ask.issue()
    comment = ask.site.add_comment(ask.actor, issue, _body(ask))
    return Reply(201, ask.render.comment(issue, comment))


def update_comment(ask: Ask) -> Reply:
    """PUT /issue/{idOrKey}/comment/{id}."""
    issue = ask.issue()
    comment = ask.site.comment(issue, ask.call.params["id"])
    return Reply(200, ask.render.comment(issue, ask.site.edit_comment(ask.actor, issue, comment, _body(ask))))


def delete_comment(ask: Ask) -> Reply:
    """DELETE /issue/{idOrKey}/comment/{id}."""
    issue = ask.issue()
    ask.site.delete_comment(ask.actor, issue, ask.site.comment(issue, ask.call.params["id"]))
    return done()


def _body(ask: Ask) -> Json:
    given = ask.body({"body": object, "visibility": dict, "properties": list})
    try:
        return comment_body(ask.site, given.get("body"))
    except FieldError as bad:
        raise JiraError(400, errors={"comment": str(bad)}) from bad


def list_links(ask: Ask) -> Reply:
    """GET /issue/{idOrKey}/remotelink: all, or the one with `globalId` (404 if none)."""
    issue, render = ask.issue(), ask.render
    links, wanted = ask.site.extras[issue.id].links, ask.call.query.get("globalId")
    if wanted is None:
        return Reply(200, [render.link(issue, link) for link in links])
    for link in links:
        if link.global_id == wanted:
            return Reply(200, render.link(issue, link))
    raise JiraError(404, "No remote link with that globalId exists on the issue.")


def put_link(ask: Ask) -> Reply:
    """POST /issue/{idOrKey}/remotelink: `globalId` makes it an upsert, 201 new and 200 replaced."""
    issue = ask.issue()
    body = ask.body({"globalId": str, "object": dict, "relationship": str, "application": dict})
    given: dict[str, Any] = body.get("object", {})
    missing = {name: f"'{name}' is required." for name in ("url", "title") if not given.get(name)}
    if missing:
        raise JiraError(400, errors=missing)
    link = RemoteLink(0, body.get("globalId"), given, body.get("relationship"), body.get("application", {}))
    new = ask.site.put_link(ask.actor, issue, link)
    links = ask.site.extras[issue.id].links
    made = links[-1] if link.global_id is None else next(x for x in links if x.global_id == link.global_id)
    self_url = f"{ask.base}/rest/api/3/issue/{issue.key}/remotelink/{made.id}"
    return Reply(201 if new else 200, {"id": made.id, "self": self_url})


def delete_link(ask: Ask) -> Reply:
    """DELETE /issue/{idOrKey}/remotelink?globalId=…"""
    ask.site.delete_link(ask.actor, ask.issue(), ask.call.query.get("globalId", ""))
    return done()


_COMMENT = "/issue/{issueIdOrKey}/comment"
_LINK = "/issue/{issueIdOrKey}/remotelink"
ROWS: tuple[Row, ...] = (
    ("getComments", "GET", _COMMENT, Access.BROWSE, list_comments),
    ("getComment", "GET", _COMMENT + "/{id}", Access.BROWSE, get_comment),
    ("addComment", "POST", _COMMENT, Access.WRITE, add_comment),
    ("updateComment", "PUT", _COMMENT + "/{id}", Access.WRITE, update_comment),
    ("deleteComment", "DELETE", _COMMENT + "/{id}", Access.WRITE, delete_comment),
    ("getRemoteIssueLinks", "GET", _LINK, Access.BROWSE, list_links),
    ("createOrUpdateRemoteIssueLink", "POST", _LINK, Access.WRITE, put_link),
    ("deleteRemoteIssueLinkByGlobalId", "DELETE", _LINK, Access.WRITE, delete_link),
)
