"""What is written to Jira: creating once, editing, and changing the status along the workflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog

from connectors.contract import (
    Conflict,
    ConnectorError,
    Expected,
    Priority,
    Refusal,
    Rejected,
    RemoteTask,
    RemoteUser,
    RemoteValue,
    Status,
    TaskChanges,
    TaskDraft,
    TaskWritten,
    Transient,
)
from connectors.jira import jql
from connectors.jira.client import ErrorBody, JiraClient
from connectors.jira.config import JiraConfig
from connectors.jira.history import SENT_AS, overwritten
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
from connectors.texts import is_lossy, one_line, rich
from connectors.words import names

log = structlog.get_logger(__name__)

MAX_RACES = 3
"""How often a status change is decided anew because somebody else was quicker."""

MAX_HOPS = 3
"""Transitions taken at most to reach one status, where that is allowed at all."""

SEARCH_PAGE = 100
"""Issues asked for at once when looking for what we created: there is one, or there are few."""

MAX_PLACES = 10_000
"""Issues whose project and type are remembered (about 2 MB), so that their next status change asks for less."""

OPTIONAL = frozenset({"description", "priority", "assignee", "labels"})
"""Jira's fields an issue can be created without. All but the labels have the same name here."""

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
class _Outcome:
    """What one write came to so far; `set_status` are the ids of the statuses it put the issue in, in order."""

    sent: dict[str, str | None] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    set_status: list[str] = field(default_factory=list)

    def refuse(self, name: str, code: str, text: str) -> None:
        self.sent.pop(name, None)
        self.refused[name] = Refusal(code, text)

    def took(self, way: Way) -> None:
        self.set_status.append(way.transition.to.id)
        self.sent["status"] = way.lands.there

    def written(self, remote: RemoteTask, overwrote: Mapping[str, RemoteValue] | None = None) -> TaskWritten:
        return TaskWritten(remote, self.sent, self.refused, overwrote or {})


class Writer:
    """Writes under one configuration with one client. Remembers what makes the next status change cheaper: where
    issues live, and the ways out of a status there."""

    def __init__(self, config: JiraConfig, client: JiraClient, reader: Reader, mine: str) -> None:
        self._config = config
        self._client = client
        self._reader = reader
        self._mine = mine
        self._places: dict[str, Place] = {}
        self._ways: dict[tuple[Place, str], Sequence[Transition]] = {}
        self._statuses: dict[str, VendorStatus] = {}

    def seen(self, issues: Iterable[Issue]) -> None:
        """Remember where these issues live and what statuses there are."""
        for issue in issues:
            fields = issue.fields
            self._places[issue.id] = Place(fields.project.key, fields.issuetype.id)
            self._statuses[fields.status.id] = fields.status
        while len(self._places) > MAX_PLACES:
            del self._places[next(iter(self._places))]

    def place(self, issue_id: str) -> Place | None:
        """Where the issue was when it was last seen here."""
        return self._places.get(issue_id)

    # --- create -------------------------------------------------------------------------------------

    def create(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        """Create an issue with the key in it, read it back, and bring it to the draft's status."""
        outcome = _Outcome()
        fields = {
            "project": {"key": draft.container},
            "issuetype": named(self._config.issue_type),
            "labels": [create_key],
            **self._edits(_drafted(draft), outcome),
        }
        issue_id = self._post(fields, create_key, outcome)
        try:
            issue = self._client.issue(issue_id)
            self.seen([issue])
            if self._status_of(issue).here != draft.status:
                self._move_new(issue, draft.status, outcome)
                issue = self._client.issue(issue_id)
            else:
                outcome.sent["status"] = self._status_of(issue).there
        except ConnectorError as error:
            raise Transient(f"Jira created the issue {issue_id}, but reading it back failed: {error.text}") from None
        self._note_priority(draft.priority, fields, issue, outcome)
        return outcome.written(self._reader.task(issue))

    def _post(self, fields: dict[str, Any], create_key: str, outcome: _Outcome) -> str:
        """The id of the created issue. Optional fields Jira refuses are left out once: a 400 has created nothing."""
        body = {"fields": fields, "properties": [{"key": PROPERTY, "value": {"create_key": create_key}}]}
        answer = self._client.create(body)
        if isinstance(answer, ErrorBody) and answer.errors and answer.errors.keys() <= OPTIONAL & fields.keys():
            for name, text in answer.errors.items():
                del fields[name]
                if name == "labels":  # no field of a task: nobody but the operator can be told
                    log.warning("jira.weak_marker", project=fields["project"]["key"], answer=text, hint=LABELS_HINT)
                else:
                    outcome.refuse(name, "field_refused", f"{text} {HINTS[name]}")
            answer = self._client.create(body)
        if isinstance(answer, ErrorBody):
            raise _rejected("create the issue", answer)
        return answer.id

    def _move_new(self, issue: Issue, target: Status, outcome: _Outcome) -> None:
        """The issue exists, whatever happens here: what stops this now will show when the status is written again."""
        try:
            self._move(issue.id, target, self._status_of(issue).there, outcome)
        except ConnectorError:
            outcome.sent.pop("status", None)

    def find_created(self, create_key: str) -> list[Issue]:
        """The issues with the key, the lowest id first: by label, or else by property among what we made lately
        (properties can't be searched for)."""
        found = self._all(jql.labelled(create_key))
        if not found:
            wanted = {"create_key": create_key}
            lately = self._all(jql.made_lately(self._mine))
            found = [issue for issue in lately if (issue.properties or {}).get(PROPERTY) == wanted]
        return sorted(found, key=lambda issue: int(issue.id))

    def _all(self, search: str) -> list[Issue]:
        page = self._client.search(search, SEARCH_PAGE)
        found = page.issues
        while page.next_page_token is not None:
            page = self._client.search(search, SEARCH_PAGE, page.next_page_token)
            found += page.issues
        return found

    # --- update -------------------------------------------------------------------------------------

    def update(self, issue_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        """Change the status by a transition and the rest by one edit, whose answer is the issue."""
        outcome = _Outcome()
        if "status" in changes:
            self._move(issue_id, Status(str(changes["status"])), expected.there.get("status"), outcome)
        left = {
            name: value for name, value in changes.items() if not self._kept(issue_id, name, value, expected, outcome)
        }
        fields = self._edits(left, outcome)
        issue = self._edit(issue_id, fields, outcome) if fields else None
        issue = issue or self._client.issue(issue_id, expand="changelog")
        self.seen([issue])
        self._note_priority(changes.get("priority"), fields, issue, outcome)
        replaced = overwritten(issue, outcome.sent, expected, outcome.set_status, self._reader, self._statuses)
        return outcome.written(self._reader.task(issue), replaced)

    def _kept(self, issue_id: str, name: str, value: Any, expected: Expected, outcome: _Outcome) -> bool:
        """Whether the vendor's value says it already and says more: Lowest is low, a panel is text."""
        there = expected.there.get(name)
        if name == "priority" and there is not None and there.endswith(f":{value}"):
            outcome.sent[name] = there
            return True
        if name == "description" and is_lossy(there):
            held = self._reader.task(self._client.issue(issue_id)).values[name]
            if held.here == canonical(value).text:
                outcome.sent[name] = held.there
                return True
        return False

    def _edits(self, changes: TaskChanges, outcome: _Outcome) -> dict[str, Any]:
        """Jira's fields for these changes; what they will read back as is noted."""
        fields: dict[str, Any] = {}
        for name, value in changes.items():
            if name == "title":
                fields["summary"] = outcome.sent[name] = one_line(str(value), SUMMARY_LIMIT)
            elif name == "description":
                outcome.sent[name] = rich(canonical(str(value))).there
                fields[name] = from_markdown(str(value)) if outcome.sent[name] else None
            elif name == "priority":
                fields[name] = named(self._priority_name(Priority(str(value))))
            elif name == "assignee":
                outcome.sent[name] = value.id if isinstance(value, RemoteUser) else None
                fields[name] = {"accountId": value.id} if isinstance(value, RemoteUser) else None
        return fields

    def _edit(self, issue_id: str, fields: dict[str, Any], outcome: _Outcome) -> Issue | None:
        """The issue after the edit; None when nothing was left to set, or Jira did not give it back whole. Fields Jira
        refuses are left out: a 400 has set nothing."""
        answer = self._client.edit(issue_id, fields)
        if isinstance(answer, Issue) or answer is None:
            return answer
        wrong = {ours: name for ours, name in SENT_AS.items() if name in fields and name in answer.errors}
        if not wrong:
            raise _rejected("edit the issue", answer)
        for ours, name in wrong.items():
            del fields[name]
            outcome.refuse(ours, "field_refused", f"{answer.errors[name]} {HINTS[ours]}")
        return self._edit(issue_id, fields, outcome) if fields else None

    def _priority_name(self, priority: Priority) -> str:
        return self._config.priority_out.get(priority, PRIORITY_NAMES[priority])

    def _note_priority(self, value: Any, fields: Mapping[str, Any], issue: Issue, outcome: _Outcome) -> None:
        """What a sent priority reads back as. It may have been sent by name: its id shows in the issue."""
        if "priority" in fields:
            name = self._priority_name(Priority(str(value)))
            held = issue.fields.priority
            same = held is not None and names(name, held.id, held.name)
            outcome.sent["priority"] = self._reader.priority(held if same else Named(name, name)).there

    def _status_of(self, issue: Issue) -> RemoteValue:
        return self._reader.status_of(issue.fields)

    # --- status -------------------------------------------------------------------------------------

    def _move(self, issue_id: str, target: Status, there: str | None, outcome: _Outcome) -> None:
        """Take the transition that leads to the target: at once if the ways out of the status we believe in are
        remembered, else after a look. When the status was changed meanwhile, look and decide again."""
        if self._move_blindly(issue_id, target, there, outcome):
            return
        failed, words = "", ""
        for _ in range(MAX_RACES):
            issue, ways = self._look(issue_id)
            held = self._status_of(issue)
            if held.here == target:
                outcome.sent["status"] = held.there
                return
            way = best_way(ways, target, self._reader, self._config)
            if way is None:
                self._walk(issue, ways, target, outcome)
                return
            if way.transition.id == failed:  # it is still there and can't be taken: no race, a rule of the workflow
                outcome.refuse("status", "needs_human", f"Jira refuses {way.transition.name!r}: {words}")
                return
            problem = self._take(issue_id, way, outcome)
            if problem is None:
                return
            failed, words = way.transition.id, problem.words()
        raise Conflict(f"The status of issue {issue_id} changed {MAX_RACES} times while it was being set.")

    def _move_blindly(self, issue_id: str, target: Status, there: str | None, outcome: _Outcome) -> bool:
        """Whether a remembered transition could be taken. One that can't be is forgotten."""
        place = self._places.get(issue_id)
        key = (place, there.partition(":")[0]) if place and there else None
        way = best_way(self._ways.get(key, ()), target, self._reader, self._config) if key else None
        if key is None or way is None or way.missing:
            return False
        if self._client.transition(issue_id, way.transition.id, way.fields) is not None:
            del self._ways[key]
            return False
        outcome.took(way)
        return True

    def _look(self, issue_id: str) -> tuple[Issue, Sequence[Transition]]:
        """The issue now, and the ways out of its status with the fields they ask for."""
        issue = self._client.issue(issue_id, expand="transitions")
        ways: Sequence[Transition] = issue.transitions or ()
        if any(way.has_screen and way.fields is None for way in ways):
            ways = self._client.transitions(issue_id)
        self.seen([issue])
        self._ways[self._places[issue_id], issue.fields.status.id] = ways
        self._statuses.update((way.to.id, way.to) for way in ways)
        return issue, ways

    def _take(self, issue_id: str, way: Way, outcome: _Outcome) -> ErrorBody | None:
        """Take a transition; None when that is settled, done or refused for good, else what Jira said."""
        name = way.transition.name
        if way.missing:
            text = f"The transition {name!r} asks for {', '.join(way.missing)}: do it in Jira."
            outcome.refuse("status", "needs_human", text)
            return None
        problem = self._client.transition(issue_id, way.transition.id, way.fields)
        if problem is not None and problem.errors:
            outcome.refuse("status", "needs_human", f"Jira refuses {name!r}: {problem.words()}")
            return None
        if problem is None:
            outcome.took(way)
        return problem

    def _walk(self, issue: Issue, ways: Sequence[Transition], target: Status, outcome: _Outcome) -> None:
        """No single transition leads to the target: take several if that is allowed, or say so."""
        at = issue.fields.status
        visited = {at.id}
        while self._config.allow_multi_hop and len(visited) <= MAX_HOPS:
            way = best_way(ways, target, self._reader, self._config)
            way = way or next_hop(ways, target, self._reader, self._config, visited)
            if way is None:
                break
            problem = self._take(issue.id, way, outcome)
            if problem is not None:
                raise Conflict(f"Jira refuses {way.transition.name!r}: {problem.words()}")
            if way.lands.here == target or "status" in outcome.refused:
                return
            at, ways = way.transition.to, self._client.transitions(issue.id)
            visited.add(at.id)
        there_are = ", ".join(f"{way.name} (to {way.to.name})" for way in ways) or "none"
        text = f"No transition leads from {at.name!r} to a status that means {target}; there are: {there_are}."
        outcome.refuse("status", "no_path", f"{text} {NO_PATH_HINT}")


def _drafted(draft: TaskDraft) -> dict[str, str | RemoteUser | None]:
    """What a draft sets. Nothing is sent for what is empty: the field may not be on the create screen."""
    changes: dict[str, str | RemoteUser | None] = {"title": draft.title, "priority": draft.priority}
    if draft.description.strip():
        changes["description"] = draft.description
    if draft.assignee is not None:
        changes["assignee"] = draft.assignee
    return changes


def _rejected(what: str, answer: ErrorBody) -> Rejected:
    """What Jira said no to, with our field where it is one."""
    fields = {theirs: ours for ours, theirs in SENT_AS.items()}
    ours = next((fields[name] for name in answer.errors if name in fields), None)
    return Rejected(f"Jira did not {what}: {answer.words()}", ours)
