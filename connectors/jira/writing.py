"""What is written to Jira: creating once, editing, and changing the status along the workflow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import structlog

from connectors import contract as c
from connectors.jira import jql
from connectors.jira.client import ErrorBody, JiraClient, Page
from connectors.jira.config import JiraConfig
from connectors.jira.history import overwritten
from connectors.jira.mapping import (
    PRIORITY_NAMES,
    PROPERTY,
    SUMMARY_LIMIT,
    Issue,
    Named,
    Reader,
    Transition,
    VendorStatus,
    named,
)
from connectors.jira.workflow import Way, best_way, next_hop
from connectors.markup.adf import from_markdown
from connectors.markup.markdown import canonical
from connectors.reading import pages
from connectors.texts import is_lossy, one_line, rich
from connectors.words import names
from connectors.writes import FieldsRefused, Write, created, drafted, taken

log = structlog.get_logger(__name__)

MAX_RACES = 3
"""How often a status change is decided anew because somebody else was quicker."""

MAX_HOPS = 3
"""Transitions taken at most to reach one status, where that is allowed at all."""

SEARCH_PAGE = 100
"""Issues asked for at once when looking for what we created: there is one, or there are few."""

MAX_PLACES = 10_000
"""Issues whose project and type are remembered (about 2 MB), so that their next status change asks for less."""

HINTS = {
    "title": "Shorten the title, or make the field editable in Jira.",
    "description": "Shorten the text, or put the field on the project's screens in Jira.",
    "priority": "Put the field on the project's screens in Jira, or name this site's priorities in priority_out.",
    "assignee": "The person must be assignable in the project, and the field on its screens.",
}
"""Our field -> what an operator can do when Jira refuses it."""

LABELS_HINT = "Put labels on the project's create screen: without one a create whose answer is lost is harder to find."
NO_PATH_HINT = "Add one to the workflow, name a reachable status in status_out, or set allow_multi_hop."


class Place(NamedTuple):
    """What decides an issue's workflow."""

    project: str
    issue_type: str


@dataclass
class _Moves(Write):
    """A write that may move the issue, too; `set_status` are the ids of the statuses it put it in, in order."""

    set_status: list[str] = field(default_factory=list)

    def took(self, way: Way) -> None:
        self.set_status.append(way.transition.to.id)
        self.sent["status"] = way.lands.there


class Writer:
    """The connector's TaskSink. Remembers what makes the next status change cheaper: where issues live, and the ways
    out of a status there."""

    def __init__(self, context: c.Context) -> None:
        self._config: JiraConfig = context.config
        self._client, self._reader = JiraClient(context), Reader(context.config)
        self._projects = self._config.containers
        self._mine = jql.in_projects(self._projects)
        self._places: dict[str, Place] = {}
        self._ways: dict[tuple[Place, str], Sequence[Transition]] = {}
        self._statuses: dict[str, VendorStatus] = {}

    def _tasks(self, issues: Sequence[Issue]) -> list[c.RemoteTask]:
        self._see(issues)
        return [self._reader.task(issue) for issue in issues]

    def _see(self, issues: Iterable[Issue]) -> None:
        """Remember where these issues live and what statuses there are."""
        for issue in issues:
            fields = issue.fields
            self._places[issue.id] = Place(fields.project.key, fields.issuetype.id)
            self._statuses[fields.status.id] = fields.status
        while len(self._places) > MAX_PLACES:
            del self._places[next(iter(self._places))]

    # --- create -------------------------------------------------------------------------------------

    def create_task(self, draft: c.TaskDraft, create_key: str) -> c.TaskWritten:
        """One POST that leaves the key as a label and as an issue property; then the issue is read back, and brought to
        the draft's status."""
        fixed = {"project": {"key": draft.container}, "issuetype": named(self._config.issue_type)}
        write = _Moves({**fixed, "labels": [create_key]})
        self._put(drafted(draft), write)
        issue_id = created(lambda body: self._post(body, create_key), write, HINTS)
        try:
            issue = self._client.issue(issue_id)
            self._see([issue])
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

    def _move_new(self, issue: Issue, target: c.Status, write: _Moves) -> None:
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
        write = _Moves()
        if "status" in changes:
            self._move(external_id, c.Status(str(changes["status"])), expected.there.get("status"), write)
        kept = {name for name, value in changes.items() if self._kept(external_id, name, value, expected, write)}
        self._put({name: value for name, value in changes.items() if name not in kept}, write)
        issue = taken(partial(self._client.edit, external_id), write, HINTS)
        issue = issue or self._client.issue(external_id, expand="changelog")
        self._see([issue])
        self._note_priority(changes.get("priority"), issue, write)
        replaced = overwritten(issue, write.sent, expected, write.set_status, self._reader, self._statuses)
        return write.done(self._reader.task(issue), replaced)

    def _kept(self, issue_id: str, name: str, value: Any, expected: c.Expected, write: _Moves) -> bool:
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

    # --- status -------------------------------------------------------------------------------------

    def _move(self, issue_id: str, target: c.Status, there: str | None, write: _Moves) -> None:
        """Take the transition that leads to the target: at once if the ways out of the status we believe in are
        remembered, else after a look. When the status was changed meanwhile, look and decide again."""
        if self._move_blindly(issue_id, target, there, write):
            return
        failed, words = "", ""
        for _ in range(MAX_RACES):
            issue, ways = self._look(issue_id)
            held = self._reader.status_of(issue)
            if held.here == target:
                write.sent["status"] = held.there
                return
            way = best_way(ways, target, self._reader, self._config)
            if way is None:
                self._walk(issue, ways, target, write)
                return
            if way.transition.id == failed:  # it is still there and can't be taken: no race, a rule of the workflow
                write.refuse("status", "needs_human", f"Jira refuses {way.transition.name!r}: {words}")
                return
            problem = self._take(issue_id, way, write)
            if problem is None:
                return
            failed, words = way.transition.id, problem.words()
        raise c.Conflict(f"The status of issue {issue_id} changed {MAX_RACES} times while it was being set.")

    def _move_blindly(self, issue_id: str, target: c.Status, there: str | None, write: _Moves) -> bool:
        """Whether a remembered transition could be taken. One that can't be is forgotten."""
        place = self._places.get(issue_id)
        key = (place, there.partition(":")[0]) if place and there else None
        way = best_way(self._ways.get(key, ()), target, self._reader, self._config) if key else None
        if key is None or way is None or way.missing:
            return False
        if self._client.transition(issue_id, way.transition.id, way.fields) is not None:
            del self._ways[key]
            return False
        write.took(way)
        return True

    def _look(self, issue_id: str) -> tuple[Issue, Sequence[Transition]]:
        """The issue now, and the ways out of its status with the fields they ask for."""
        issue = self._client.issue(issue_id, expand="transitions")
        ways: Sequence[Transition] = issue.transitions or ()
        if any(way.has_screen and way.fields is None for way in ways):
            ways = self._client.transitions(issue_id)
        self._see([issue])
        self._ways[self._places[issue_id], issue.fields.status.id] = ways
        self._statuses.update((way.to.id, way.to) for way in ways)
        return issue, ways

    def _take(self, issue_id: str, way: Way, write: _Moves) -> ErrorBody | None:
        """Take a transition; None when that is settled, done or refused for good, else what Jira said."""
        name = way.transition.name
        if way.missing:
            text = f"The transition {name!r} asks for {', '.join(way.missing)}: do it in Jira."
            write.refuse("status", "needs_human", text)
            return None
        problem = self._client.transition(issue_id, way.transition.id, way.fields)
        if problem is not None and problem.errors:
            write.refuse("status", "needs_human", f"Jira refuses {name!r}: {problem.words()}")
            return None
        if problem is None:
            write.took(way)
        return problem

    def _walk(self, issue: Issue, ways: Sequence[Transition], target: c.Status, write: _Moves) -> None:
        """No single transition leads to the target: take several if that is allowed, or say so."""
        at = issue.fields.status
        visited = {at.id}
        while self._config.allow_multi_hop and len(visited) <= MAX_HOPS:
            way = best_way(ways, target, self._reader, self._config)
            way = way or next_hop(ways, target, self._reader, self._config, visited)
            if way is None:
                break
            problem = self._take(issue.id, way, write)
            if problem is not None:
                raise c.Conflict(f"Jira refuses {way.transition.name!r}: {problem.words()}")
            if way.lands.here == target or "status" in write.refused:
                return
            at, ways = way.transition.to, self._client.transitions(issue.id)
            visited.add(at.id)
        there_are = ", ".join(f"{way.name} (to {way.to.name})" for way in ways) or "none"
        text = f"No transition leads from {at.name!r} to a status that means {target}; there are: {there_are}."
        write.refuse("status", "no_path", f"{text} {NO_PATH_HINT}")
