"""GitLab's issues as tasks: what one says, and what is written to it.

An issue is open or closed; everything finer is in its labels. So the vendor's words for a status are `opened`, `closed`
and the labels that stand for one; those for a priority are labels, or `none`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from connectors import bytime
from connectors.bytime import Answer, Window
from connectors.contract import (
    Conflict,
    Cursor,
    Expected,
    Forbidden,
    Gone,
    GoneReason,
    NotFound,
    Priority,
    Rejected,
    RemoteTask,
    RemoteUser,
    Status,
    TaskChanges,
    TaskDraft,
    TaskPage,
    TaskWritten,
    Vocabulary,
)
from connectors.gitlab.client import GitLabClient
from connectors.gitlab.config import GitLabConfig
from connectors.gitlab.reading import ISSUES, OVERLAP, listed
from connectors.gitlab.shapes import Issue, User
from connectors.http import Params
from connectors.texts import described, titled
from connectors.times import moment
from connectors.words import Words, folded
from connectors.writes import Write, differing

STATUSES = {
    "opened": Status.BACKLOG,
    "workflow::in progress": Status.IN_PROGRESS,
    "workflow::in review": Status.IN_REVIEW,
    "closed": Status.DONE,
    "cancelled": Status.CANCELLED,
}
PRIORITIES = {
    "priority::1": Priority.CRITICAL,
    "priority::2": Priority.HIGH,
    "priority::3": Priority.MEDIUM,
    "priority::4": Priority.LOW,
    "none": Priority.MEDIUM,
}
STATES = frozenset({"opened", "closed", "none"})
"""Words that are no labels."""

ENDED = frozenset({Status.DONE, Status.CANCELLED})

MARK = re.compile(r"\s*<!-- (scrums-[a-z0-9-]+) -->\s*$")
"""The key of a task created here: at the end of the description, where nobody sees it."""

T = TypeVar("T", Status, Priority)


class Issues:
    """The issues of the mapped projects."""

    def __init__(self, client: GitLabClient, config: GitLabConfig) -> None:
        self._client, self._config = client, config
        self._statuses = Words(STATUSES, Status.BACKLOG, config.status_map, config.status_out)
        self._priorities = Words(PRIORITIES, Priority.MEDIUM, config.priority_map, config.priority_out)
        self._status_labels = _labels(STATUSES, config.status_map, config.status_out)
        self._priority_labels = _labels(PRIORITIES, config.priority_map, config.priority_out)
        self._ids: dict[str, str] = {}

    def _projects(self) -> dict[str, str]:
        """Container -> the project's id. Raises NotFound, Forbidden."""
        for mapping in self._config.projects:
            if mapping.external not in self._ids:
                self._ids[mapping.external] = str(self._client.project(self._config.path(mapping.external)).id)
        return self._ids

    # --- reading ------------------------------------------------------------------------------------

    def changed(self, cursor: Cursor | None) -> Iterator[TaskPage]:
        """Project after project, by the time of the last change. A project new to the cursor is read whole."""
        known: dict[str, int] = dict((cursor or {}).get("since", {}))
        for project in self._projects().values():
            since = known.get(project)
            start = 0 if since is None else since - int(OVERLAP.total_seconds() * 1000)

            def ask(window: Window, project: str = project) -> Answer[Issue]:
                page = listed(self._client, project, ISSUES, window)
                return Answer(page.rows, page.last)

            for rows in bytime.oldest_first(ask, start):
                times = [known.get(project, 0), *(row.changed for row in rows)]
                known = {**known, project: max(times)}
                yield TaskPage([self.task(row) for row in rows if row.moved_to_id is None], {"since": known})

    def fetch(self, ids: Sequence[str]) -> Mapping[str, RemoteTask | Gone]:
        """A call each. One that was moved goes on under another id, as another issue: here it is gone."""
        return {id_: self._fetch(id_) for id_ in ids}

    def _fetch(self, id_: str) -> RemoteTask | Gone:
        project, _, iid = id_.partition("#")
        try:
            issue = self._client.issue(project, iid)
        except NotFound as error:
            return Gone(id_, self._why_gone(project), error.text)
        except Forbidden as error:
            return Gone(id_, GoneReason.UNREACHABLE, error.text)
        if issue.moved_to_id is not None:
            return Gone(id_, GoneReason.DELETED, f"It was moved to another project, as the issue {issue.moved_to_id}.")
        return self.task(issue)

    def _why_gone(self, project: str) -> GoneReason:
        """Not found proves a deletion only where the project's issues can still be listed."""
        try:
            listed(self._client, project, ISSUES, Window(0), size=1)
        except (Forbidden, NotFound):
            return GoneReason.UNREACHABLE
        return GoneReason.DELETED

    def all_ids(self) -> Iterator[Sequence[str]]:
        """In the order of birth, which nothing changes."""
        order: Params = {"scope": "all", "state": "all", "order_by": "created_at", "sort": "asc"}
        for project in self._projects().values():
            for rows in self._client.pages(f"/projects/{project}/issues", Issue, order):
                yield [issue.key for issue in rows if issue.moved_to_id is None]

    def find_created(self, create_key: str) -> list[RemoteTask]:
        """Those with the mark in their description, the oldest first."""
        wanted: Params = {"scope": "all", "state": "all", "search": create_key, "in": "description"}
        found = [
            self.task(issue)
            for project in self._projects().values()
            for issue in self._client.rows(f"/projects/{project}/issues", Issue, {**wanted, "sort": "asc"})
        ]
        return [task for task in found if task.create_key == create_key]

    def task(self, issue: Issue) -> RemoteTask:
        """An issue as the engine wants it."""
        container = self._container(issue)
        text, mark = _unmarked(issue.description or "")
        person = _first(issue.assignees)
        return RemoteTask(
            external_id=issue.key,
            key=f"{container}#{issue.iid}",
            url=issue.web_url,
            container=container,
            version=issue.changed,
            updated_at=moment(issue.updated_at),
            values={
                "title": titled(issue.title),
                "description": described(text),
                "status": self._statuses.read(self._status_word(issue)),
                "priority": self._priorities.read(_one(issue.labels, self._priority_labels) or "none"),
            },
            assignee=RemoteUser(str(person.id), person.name) if person else None,
            create_key=mark,
        )

    def _container(self, issue: Issue) -> str:
        """The mapped project an issue is in, as the config calls it, else its id. The issue's address names it, without
        a call, unless the config has an older path."""
        path = urlsplit(issue.web_url).path.partition("/-/")[0].casefold()  # a server may live below a path of its own
        for mapping in self._config.projects:
            if path.endswith(f"/{self._config.path(mapping.external)}".casefold()):
                return mapping.external
        project = str(issue.project_id)
        return next((name for name, id_ in self._projects().items() if id_ == project), project)

    def _status_word(self, issue: Issue) -> str:
        """A label that fits the state: one left over on a closed issue does not open it again."""
        ended = issue.state == "closed"
        fitting = [word for word in self._status_labels if (self._statuses.here(word) in ENDED) is ended]
        return _one(issue.labels, fitting) or ("closed" if ended else "opened")

    def vocabularies(self) -> Iterator[Vocabulary]:
        """The same words in each project: GitLab makes a label when it is first used."""
        for container in self._projects():
            yield Vocabulary(container, self._statuses.values(), self._priorities.values())

    def find_user(self, email: str, container: str) -> RemoteUser | None:
        """GitLab shows no addresses, but finds a project's member by one."""
        found = self._client.members(self._projects()[container], email)
        return RemoteUser(str(found[0].id), found[0].name, email) if len(found) == 1 else None

    # --- writing ------------------------------------------------------------------------------------

    def create(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        """One POST with the mark in the description; a second call only closes what is to be closed."""
        write, project = Write(), self._projects()[draft.container]
        blank = Issue(updated_at="", iid=0, project_id=int(project), title="", state="opened", web_url="")
        for name, value in draft.changes().items():
            self._set(name, value, blank, write)
        closing = write.body.pop("state_event", None)
        write.body.pop("remove_labels", None)
        write.body["labels"] = write.body.pop("add_labels", "")
        write.body["description"] = _marked(str(write.body.get("description", "")), create_key)
        issue = self._client.create_issue(project, write.body)
        if closing is not None:
            issue = self._client.update_issue(project, str(issue.iid), {"state_event": closing})
        return write.done(self.task(issue))

    def update(self, external_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        """A look, and one PUT of what differs: GitLab checks no versions. Raises Conflict."""
        project, _, iid = external_id.partition("#")
        held, write = self._client.issue(project, iid), Write()
        if held.moved_to_id is not None:
            raise Conflict(f"{external_id} was moved to another project meanwhile.")
        for name, value in differing(self.task(held), changes, expected, write):
            self._set(name, value, held, write)
        issue = self._client.update_issue(project, iid, write.body) if write.body else held
        return write.done(self.task(issue))

    def _set(self, name: str, value: str | RemoteUser | None, held: Issue, write: Write) -> None:
        match name:
            case "title":
                write.send(name, titled(str(value)).there, {"title": titled(str(value)).here})
            case "description":
                _, mark = _unmarked(held.description or "")
                text = described(str(value or ""))
                write.send(name, text.there, {"description": _marked(text.here or "", mark)})
            case "assignee":
                self._assign(value if isinstance(value, RemoteUser) else None, held, write)
            case "status":
                word = _word(self._statuses, name, str(value))
                state = "closed" if Status(str(value)) in ENDED else "opened"
                turn = {"closed": "close", "opened": "reopen"}[state]
                self._label(word, held, self._status_labels, write)
                write.send(name, self._statuses.read(word).there, {} if held.state == state else {"state_event": turn})
            case _:
                word = _word(self._priorities, name, str(value))
                self._label(word, held, self._priority_labels, write)
                write.send(name, self._priorities.read(word).there, {})

    def _label(self, word: str, held: Issue, labels: Sequence[str], write: Write) -> None:
        """Put one label in the place of the others of its kind; labels of other kinds are not touched."""
        others = [
            label for label in held.labels if folded(label) in map(folded, labels) and folded(label) != folded(word)
        ]
        _more(write, "remove_labels", others)
        _more(write, "add_labels", [] if word in STATES else [word])

    def _assign(self, person: RemoteUser | None, held: Issue, write: Write) -> None:
        """Exchange the one who is the assignee here, who is the first; others stay."""
        bound = _first(held.assignees)
        others = sorted(user.id for user in held.assignees if user is not bound)
        if person is not None and others and others[0] < int(person.id):
            write.refuse(
                "assignee", "needs_human", "Others are assigned in GitLab, too, and come first: unassign them."
            )
            return
        ids = ([int(person.id)] if person else []) + others
        write.send("assignee", person.id if person else None, {"assignee_ids": ids})


def _labels(usual: Mapping[str, T], read: Mapping[str, T], written: Mapping[T, str]) -> list[str]:
    """The labels that stand for something, the ones furthest on first: who reviews has not stopped working."""
    words = dict.fromkeys([*read, *written.values(), *reversed(list(usual))])
    return [word for word in words if word not in STATES]


def _one(labels: Sequence[str], known: Sequence[str]) -> str | None:
    there = set(map(folded, labels))
    return next((word for word in known if folded(word) in there), None)


def _word(words: Words[T], name: str, value: str) -> str:
    word = words.there(value)
    if word is None:
        raise Rejected(f"No {name} there means {value}: name the label to write in {name}_out.", name)
    return word


def _more(write: Write, field: str, labels: Sequence[str]) -> None:
    """Status and priority share the fields in which labels are written."""
    if labels:
        write.body[field] = ",".join([*filter(None, [write.body.get(field, "")]), *labels])


def _first(users: Sequence[User]) -> User | None:
    return min(users, key=lambda user: user.id, default=None)


def _marked(text: str, mark: str | None) -> str:
    return f"{text}\n\n<!-- {mark} -->" if mark else text


def _unmarked(text: str) -> tuple[str, str | None]:
    found = MARK.search(text)
    return (text[: found.start()], found[1]) if found else (text, None)
