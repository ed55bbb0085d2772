"""What is written to Jira: creating once, editing, and changing the status along the workflow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import structlog

from connectors import contract as c
from connectors.changelog import overwritten
from connectors.jira import jql
from connectors.jira.client import JiraClient, Page
from connectors.jira.config import JiraConfig
from connectors.jira.history import log_of
from connectors.jira.mapping import (
    PRIORITY_NAMES,
    PROPERTY,
    SUMMARY_LIMIT,
    Issue,
    Named,
    Reader,
    named,
)
from connectors.jira.workflow import Steps
from connectors.markup.adf import from_markdown
from connectors.markup.markdown import canonical
from connectors.reading import pages
from connectors.texts import is_lossy, one_line, rich
from connectors.transitions import Mover
from connectors.words import names
from connectors.writes import FieldsRefused, Write, created, drafted, taken

log = structlog.get_logger(__name__)

MAX_HOPS = 3
"""Transitions taken at most to reach one status, where that is allowed at all."""

SEARCH_PAGE = 100
"""Issues asked for at once when looking for what we created: there is one, or there are few."""

HINTS = {
    "title": "Shorten the title, or make the field editable in Jira.",
    "description": "Shorten the text, or put the field on the project's screens in Jira.",
    "priority": "Put the field on the project's screens in Jira, or name this site's priorities in priority_out.",
    "assignee": "The person must be assignable in the project, and the field on its screens.",
}
"""Our field -> what an operator can do when Jira refuses it."""

LABELS_HINT = "Put labels on the project's create screen: without one a create whose answer is lost is harder to find."
NO_PATH_HINT = "Add one to the workflow, name a reachable status in status_out, or set allow_multi_hop."


class Writer:
    """The connector's TaskSink."""

    def __init__(self, context: c.Context) -> None:
        self._config: JiraConfig = context.config
        self._client, self._reader = JiraClient(context), Reader(context.config)
        self._projects = self._config.containers
        self._mine = jql.in_projects(self._projects)
        self._steps = Steps(self._client, self._reader, self._config)
        self._mover = Mover("Jira", self._steps, MAX_HOPS if self._config.allow_multi_hop else 0)

    def _tasks(self, issues: Sequence[Issue]) -> list[c.RemoteTask]:
        self._steps.see(issues)
        return [self._reader.task(issue) for issue in issues]

    # --- create -------------------------------------------------------------------------------------

    def create_task(self, draft: c.TaskDraft, create_key: str) -> c.TaskWritten:
        """One POST that leaves the key as a label and as an issue property; then the issue is read back, and brought to
        the draft's status."""
        fixed = {"project": {"key": draft.container}, "issuetype": named(self._config.issue_type)}
        write = Write({**fixed, "labels": [create_key]})
        self._put(drafted(draft), write)
        issue_id = created(lambda body: self._post(body, create_key), write, HINTS)
        try:
            issue = self._client.issue(issue_id)
            self._steps.see([issue])
            if self._reader.status_of(issue).here != draft.status:
                self._move_new(issue, draft.status, write)
                issue = self._client.issue(issue_id)
            else:
                write.sent["status"] = self._reader.status_of(issue).there
        except c.ConnectorError as error:
            raise c.Transient(f"Jira created the issue {issue_id}, but reading it back failed: {error.text}") from None
        self._note_priority(draft.priority, issue, write)
        return write.done(self._reader.task(issue))

    def _post(self, fields: dict[str, Any], create_key: str) -> str:
        """The id of the created issue. Labels that Jira refuses are no field of a task: nobody but the operator can be
        told, and the property is left."""
        body = {"fields": fields, "properties": [{"key": PROPERTY, "value": {"create_key": create_key}}]}
        try:
            return self._client.create(body)
        except FieldsRefused as error:
            if "labels" not in error.fields or fields.pop("labels", None) is None:
                raise
            said = {"project": fields["project"]["key"], "answer": error.fields["labels"], "hint": LABELS_HINT}
            log.warning("jira.weak_marker", **said)
            if len(error.fields) > 1:
                raise
        return self._client.create(body)

    def _move_new(self, issue: Issue, target: c.Status, write: Write) -> None:
        """The issue exists, whatever happens here: what stops this now will show when the status is written again."""
        try:
            self._move(issue.id, target, self._reader.status_of(issue).there, write)
        except c.ConnectorError:
            write.sent.pop("status", None)

    def find_created(self, create_key: str) -> Sequence[c.RemoteTask]:
        """The issues that carry the key, the oldest first: by label, or else by property among what we made lately
        (properties can't be searched for)."""
        found = self._all(jql.labelled(create_key))
        if not found:
            wanted = {"create_key": create_key}
            lately = self._all(jql.made_lately(self._mine))
            found = [issue for issue in lately if (issue.properties or {}).get(PROPERTY) == wanted]
        return self._tasks(sorted(found, key=lambda issue: int(issue.id)))

    def _all(self, search: str) -> list[Issue]:
        ask = partial(self._client.search, search, SEARCH_PAGE)
        return [issue for page in pages(ask, None, Page.after) for issue in page.issues]

    # --- update -------------------------------------------------------------------------------------

    def update_task(self, external_id: str, changes: c.TaskChanges, expected: c.Expected) -> c.TaskWritten:
        """A transition for the status, and one PUT for the rest, whose answer is the issue."""
        write = Write()
        passed: Sequence[str] = ()
        if "status" in changes:
            passed = self._move(external_id, c.Status(str(changes["status"])), expected.there.get("status"), write)
        kept = {name for name, value in changes.items() if self._kept(external_id, name, value, expected, write)}
        self._put({name: value for name, value in changes.items() if name not in kept}, write)
        issue = taken(partial(self._client.edit, external_id), write, HINTS)
        issue = issue or self._client.issue(external_id, expand="changelog")
        self._steps.see([issue])
        self._note_priority(changes.get("priority"), issue, write)
        log = log_of(issue, expected.version, self._reader, self._steps.statuses)
        return write.done(self._reader.task(issue), overwritten(log, _made(write, passed), expected))

    def _kept(self, issue_id: str, name: str, value: Any, expected: c.Expected, write: Write) -> bool:
        """Whether the vendor's value says it already and says more: Lowest is low, a panel is text."""
        there = expected.there.get(name)
        if name == "priority":
            return write.keep(name, value, there)
        if name == "description" and is_lossy(there):
            held = self._reader.task(self._client.issue(issue_id)).values[name]
            if held.here == canonical(value).text:
                write.sent[name] = held.there
                return True
        return False

    def _put(self, changes: c.TaskChanges, write: Write) -> None:
        """Jira's fields for these changes but the status. What a priority reads back as is noted later."""
        for name, value in changes.items():
            if name == "title":
                title = one_line(str(value), SUMMARY_LIMIT)
                write.send(name, title, {"summary": title})
            elif name == "description":
                there = rich(canonical(str(value))).there
                write.send(name, there, {name: from_markdown(str(value)) if there else None})
            elif name == "priority":
                write.send(name, None, {name: named(self._priority_name(c.Priority(str(value))))})
            elif name == "assignee":
                person = value.id if isinstance(value, c.RemoteUser) else None
                write.send(name, person, {name: {"accountId": person} if person else None})

    def _priority_name(self, priority: c.Priority) -> str:
        return self._config.priority_out.get(priority, PRIORITY_NAMES[priority])

    def _note_priority(self, value: Any, issue: Issue, write: Write) -> None:
        """What a sent priority reads back as. It may have been sent by name: its id shows in the issue."""
        if "priority" in write.body:
            name = self._priority_name(c.Priority(str(value)))
            held = issue.fields.priority
            same = held is not None and names(name, held.id, held.name)
            write.sent["priority"] = self._reader.priority(held if same else Named(name, name)).there

    def _move(self, issue_id: str, target: c.Status, there: str | None, write: Write) -> Sequence[str]:
        """Bring an issue to a status; the ids of those it was put in, in order."""
        moved = self._mover.move(issue_id, self._steps.places.get(issue_id), target, there)
        if moved.no_way:
            write.refuse("status", "no_path", f"{moved.no_way} {NO_PATH_HINT}")
        elif moved.blocked:
            write.refuse("status", "needs_human", moved.blocked)
        else:
            write.sent["status"] = moved.there
        return moved.passed


def _made(write: Write, passed: Sequence[str]) -> dict[str, Sequence[str | None] | None]:
    """What we changed, in the words of the changelog: `passed` are the statuses we put the issue in."""
    made: dict[str, Sequence[str | None] | None] = {name: [there] for name, there in write.sent.items()}
    priority = write.sent.get("priority")
    ours = {"description": None, "status": passed, "priority": [priority and priority.partition(":")[0]]}
    return made | {name: values for name, values in ours.items() if name in made}
