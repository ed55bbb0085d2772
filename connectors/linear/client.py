"""Linear's GraphQL API: one method for each document of operations.graphql, no decisions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any

import msgspec

from connectors import contract as c
from connectors.graphql import GraphQL, Operation, Page, Problem, documents, problems
from connectors.limits import says_limited
from connectors.linear.config import ApiKeyCredentials, OAuthCredentials
from connectors.linear.mapping import INPUTS, Issue, Team, User
from connectors.response import Response
from connectors.writes import FieldsRefused

DOCUMENTS = documents(files(__package__).joinpath("operations.graphql").read_text("utf-8"))

TEAM_PAGE = 10
"""Each team counts 600 points with room for 250 states, and a query may have 10,000."""

PAGE = 250
"""The most rows of a page; for rows of a few fields."""

ERRORS: dict[str, type[c.ConnectorError]] = {
    "authentication error": c.AuthFailed,
    "forbidden": c.Forbidden,
    "feature not accessible": c.Forbidden,
    "invalid input": c.Rejected,
    "input error": c.Rejected,
    "user error": c.Rejected,
    "graphql error": c.Rejected,
    "graphql validation failed": c.Rejected,
    "usage limit exceeded": c.Rejected,
}
"""`extensions.type` or `.code`, folded -> the contract's error; all others (lock timeout, internal error) may pass."""

ENTITIES = {"User": "assignee", "WorkflowState": "status"}
"""What was not found -> our field that named it."""

_ENTITY = re.compile(r"Entity not found: (\w+)")


class Named(msgspec.Struct):
    """Something of which only this was asked for: an issue's id, and whether it was thrown away; a Linear workspace."""

    id: str
    name: str = ""
    trashed: bool | None = None


class Viewer(msgspec.Struct):
    """Who the credentials speak for, and where."""

    viewer: User
    organization: Named


class Webhook(msgspec.Struct):
    """A registered webhook; one an app has for itself names no address."""

    id: str
    enabled: bool
    url: str | None = None
    team: Team | None = None


class _Held(msgspec.Struct):
    issue: Issue


class _Updated(msgspec.Struct):
    after: _Held
    before: _Held | None = None


def told(problem: Problem) -> c.ConnectorError:
    """What an error of Linear's is in the contract's terms, with our field where it names one."""
    text = problem.extension("userPresentableMessage") or problem.message or "no explanation"
    kinds = [problem.extension(name).replace("_", " ").casefold() for name in ("type", "code")]
    kind = next((ERRORS[kind] for kind in kinds if kind in ERRORS), c.Transient)
    missing = _ENTITY.search(problem.message)
    if missing and missing[1] not in ENTITIES:
        return c.NotFound(f"Linear: {problem.message}")
    if kind is not c.Rejected:
        return kind(f"Linear: {text}")
    said = re.findall(r"\w+", f"{problem.message} {text}")
    named = (name for name, theirs in INPUTS.items() if theirs in said)
    ours = ENTITIES[missing[1]] if missing else next(named, None)
    if ours is None:
        return c.Rejected(f"Linear: {text}")
    return FieldsRefused(f"Linear: {text}", {INPUTS[ours]: f"Linear: {text}"}, ours)


def limited(response: Response) -> bool:
    """Linear says "too many" with a 400 whose error has the code RATELIMITED."""
    said = response.status in (200, 400) and b"RATELIMITED" in response.content.upper()
    codes = (problem.extension("code").upper() for problem in problems(response)) if said else ()
    return says_limited(response) or "RATELIMITED" in codes


class LinearClient(GraphQL):
    """Speaks for one credential. Raises the contract's errors."""

    def __init__(self, context: c.Context) -> None:
        credentials: OAuthCredentials | ApiKeyCredentials = context.credentials
        context.http.limited = limited
        url = context.endpoints["api"].rstrip("/") + "/graphql"
        super().__init__(context.http, url, DOCUMENTS, lambda: {"Authorization": credentials.authorization()}, told)

    viewer = Operation("Viewer", Viewer)

    issues = Operation("Changed", Page[Issue], "issues")
    """A page, the last changed first; those in the archive and the trash, too."""

    issue = Operation("Issue", Issue, "issue")
    issue_with_states = Operation("IssueWithStates", Issue, "issue")
    people = Operation("People", list[User], "users.nodes")
    create = Operation("Create", Issue, "issueCreate.issue")

    create_webhook = Operation("CreateWebhook", Named, "webhookCreate.webhook")
    update_webhook = Operation("UpdateWebhook", dict[str, Any])

    def ids(self, filter_: dict[str, Any]) -> Iterator[Page[Named]]:
        """The ids of all issues, the youngest first."""
        return self.pages("Ids", Named, PAGE, filter=filter_)

    def teams(self, keys: Sequence[str]) -> Iterator[Team]:
        """The teams with these keys that can be seen, with their states."""
        return self.rows("Teams", Team, TEAM_PAGE, filter={"key": {"in": list(keys)}})

    def update(self, issue_id: str, fields: dict[str, Any]) -> tuple[Issue, Issue]:
        """Change an issue: what it was just before, and what it is now. A Linear that refuses the update of nothing
        which tells us that is asked before."""
        try:
            done = self.run("Update", _Updated, id=issue_id, input=fields)
            return (done.before or done.after).issue, done.after.issue
        except c.Rejected as error:
            if error.field is not None:
                raise
        before = self.issue(id=issue_id)
        if before.trashed:
            raise c.NotFound(f"{before.identifier} is in Linear's trash.")
        return before, self.run("UpdateOnly", Issue, "after.issue", id=issue_id, input=fields)

    def webhooks(self) -> Iterator[Webhook]:
        """The workspace's webhooks. Raises Forbidden for who is no administrator."""
        return self.rows("Webhooks", Webhook, PAGE)

    def delete_webhook(self, hook_id: str) -> None:
        """Remove a webhook; one already gone is fine."""
        with suppress(c.NotFound):
            self.run("DeleteWebhook", dict[str, Any], id=hook_id)
