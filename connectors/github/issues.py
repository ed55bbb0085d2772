"""GitHub's issues as tasks: an issue is open or closed, for a reason; all else that a task says, labels do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from connectors import contract as c
from connectors.github import shapes as s
from connectors.github.client import GitHubClient, every
from connectors.github.config import GitHubConfig
from connectors.github.reading import iso
from connectors.texts import described, titled
from connectors.times import epoch_ms, moment
from connectors.words import Words, folded
from connectors.writes import Write, differing

STATES = {
    "open": c.Status.BACKLOG,
    "completed": c.Status.DONE,
    "not_planned": c.Status.CANCELLED,
    "duplicate": c.Status.CANCELLED,
}
"""An issue that is open, or why it is closed."""

STATUSES = {**STATES, "status:in-progress": c.Status.IN_PROGRESS, "status:in-review": c.Status.IN_REVIEW}
"""The same, and labels that tell more of an open one."""

PRIORITIES = {
    "none": c.Priority.MEDIUM,
    "priority:critical": c.Priority.CRITICAL,
    "priority:high": c.Priority.HIGH,
    "priority:medium": c.Priority.MEDIUM,
    "priority:low": c.Priority.LOW,
}
""""none" is our word for an issue without such a label."""

MARKER = re.compile(r"\n*<!-- turnbuckle: (\S+) -->\s*\Z")
"""How the text of an issue ends that we made: people do not see it."""

OVERLAP = timedelta(minutes=10)
"""How far a poll looks back before the last change it knows."""

MOST_SEARCHED = 10
"""Pages of a repository's newest issues among which one of ours is looked for."""


class Issues:
    """The issues of the mapped repositories."""

    def __init__(self, client: GitHubClient, config: GitHubConfig) -> None:
        self._client, self._config = client, config
        self._projects = [project.external for project in config.projects]
        self._statuses = Words(STATUSES, c.Status.BACKLOG, config.status_map, config.status_out)
        self._priorities = Words(PRIORITIES, c.Priority.MEDIUM, config.priority_map, config.priority_out)
        self._status_words = _all(STATUSES, config.status_map, config.status_out.values())
        self._priority_words = _all(PRIORITIES, config.priority_map, config.priority_out.values())
        self._numbers: dict[str, str] = {}

    def _number(self, project: str) -> str:
        """A mapped repository's number. Raises NotFound, Forbidden."""
        if project not in self._numbers:
            self._numbers[project] = str(self._client.repository(self._config.organization, project).id)
        return self._numbers[project]

    def _project(self, issue: s.Issue, repo: str) -> str:
        """The mapped repository an issue is in, as the config calls it; "" for another one. The issue names it, without
        a call, unless the config has an older name."""
        name = issue.repository_url.rpartition("/")[2].casefold()
        named = (project for project in self._projects if project.casefold() == name)
        numbered = (project for project in self._projects if self._number(project) == repo)
        return next(named, None) or next(numbered, "")

    def vocabularies(self) -> Iterator[c.Vocabulary]:
        """The same words everywhere: what an issue can be, and every label that means something."""
        for project in self._projects:
            self._number(project)
            statuses = [c.VendorValue(word, word, self._statuses.here(word)) for word in self._status_words]
            priorities = [c.VendorValue(word, word, self._priorities.here(word)) for word in self._priority_words]
            yield c.Vocabulary(project, statuses, priorities)

    # --- reading ------------------------------------------------------------------------------------

    def changed_tasks(self, cursor: c.Cursor | None) -> Iterator[c.TaskPage]:
        """By the time of their last change, one repository after another. Pages are not counted, for they shift: the
        next one begins at the last change of the one before, which only counts on where all were of one moment."""
        known: dict[str, str] = dict((cursor or {}).get("since", {}))
        for project in self._projects:
            mark, page = _back(known.get(project)), 1
            while True:
                since = {"since": mark} if mark else {}
                rows = self._client.listed(
                    s.Issue, self._number(project), page, sort="updated", direction="asc", **since
                )
                last = rows.rows[-1].updated_at if rows.rows else mark
                known |= {project: max(known.get(project, ""), last)}
                yield c.TaskPage([self._task(row, project) for row in _issues(rows.rows)], {"since": dict(known)})
                if rows.next is None:
                    break
                mark, page = (last, 1) if last > mark else (mark, page + 1)

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, c.RemoteTask | c.Gone]:
        """Each by a call. GitHub says 410 of one that was deleted; what is nowhere may only be hidden."""
        found: dict[str, c.RemoteTask | c.Gone] = {}
        for id_ in ids:
            repo, _, number = id_.partition("#")
            issue = self._client.issue(repo, number)
            if isinstance(issue, s.Issue):
                found[id_] = self._task(issue, self._project(issue, repo), repo)
            else:
                reason = c.GoneReason.DELETED if issue == 410 else c.GoneReason.UNREACHABLE
                found[id_] = c.Gone(id_, reason, f"GitHub answers {issue}")
        return found

    def all_ids(self) -> Iterator[Sequence[str]]:
        """In the order of their birth, which nothing disturbs."""
        for project in self._projects:
            repo = self._number(project)
            ask = partial(self._client.listed, s.Issue, repo, sort="created", direction="asc")
            for rows in every(ask):
                yield [f"{repo}#{row.number}" for row in _issues(rows)]

    def _task(self, issue: s.Issue, project: str, repo: str = "") -> c.RemoteTask:
        at = moment(issue.updated_at)
        marker = MARKER.search(issue.body or "")
        person = _first(issue.assignees)
        return c.RemoteTask(
            external_id=f"{repo or self._number(project)}#{issue.number}",
            key=f"{project}#{issue.number}",
            url=issue.html_url,
            container=project,
            version=epoch_ms(at),
            updated_at=at,
            values={
                "title": titled(issue.title),
                "description": described(MARKER.sub("", issue.body or "")),
                "status": self._statuses.read(self._status(issue)),
                "priority": self._priorities.read(_label(issue, self._priority_words) or "none"),
            },
            assignee=c.RemoteUser(str(person.id), person.login) if person else None,
            create_key=marker[1] if marker else None,
        )

    def _status(self, issue: s.Issue) -> str:
        """The word for how an issue stands."""
        if issue.state == "closed":
            return issue.state_reason if issue.state_reason in STATES else "completed"
        return _label(issue, self._status_words) or "open"

    # --- writing ------------------------------------------------------------------------------------

    def create_task(self, draft: c.TaskDraft, create_key: str) -> c.TaskWritten:
        """One POST with the key in the text; another call closes what is done already."""
        repo, write = self._number(draft.container), Write()
        made = s.Issue(0, "", "open", "", "", body=f"<!-- turnbuckle: {create_key} -->")
        for name, value in draft.changes().items():
            if name != "assignee" or value is not None:
                self._set(name, value, made, repo, write)
        closing: dict[str, Any] = {
            name: write.body.pop(name) for name in ("state", "state_reason") if name in write.body
        }
        issue = self._client.create_issue(repo, write.body)
        if closing.get("state") == "closed":
            issue = self._client.update_issue(repo, str(issue.number), closing)
        return write.done(self._task(issue, draft.container))

    def find_created(self, create_key: str) -> list[c.RemoteTask]:
        """Issues with the key, the oldest first, among the newest: GitHub's search is behind, its lists are not."""
        found = []
        for project in self._projects:
            for page in range(1, MOST_SEARCHED + 1):
                rows = self._client.listed(s.Issue, self._number(project), page, sort="created", direction="desc")
                tasks = [self._task(row, project) for row in _issues(rows.rows)]
                found += [task for task in tasks if task.create_key == create_key]
                if rows.next is None:
                    break
        return found[::-1]

    def update_task(self, external_id: str, changes: c.TaskChanges, expected: c.Expected) -> c.TaskWritten:
        """A look, and one PATCH of what differs. Raises Conflict where the look shows another value than expected."""
        repo, _, number = external_id.partition("#")
        held = self._client.issue(repo, number)
        if not isinstance(held, s.Issue):
            raise c.NotFound(f"GitHub answers {held} for the issue {external_id}.")
        project, write = self._project(held, repo), Write()
        for name, value in differing(self._task(held, project, repo), changes, expected, write):
            self._set(name, value, held, repo, write)
        issue = held
        if write.body.get("state") == held.state == "closed":  # GitHub takes another reason with a new state only
            self._client.update_issue(repo, number, {"state": "open"})
        if write.body:
            issue = self._client.update_issue(repo, number, write.body)
        return write.done(self._task(issue, project, repo))

    def _set(self, name: str, value: str | c.RemoteUser | None, held: s.Issue, repo: str, write: Write) -> None:
        """One field in GitHub's words."""
        if name == "title":
            write.send(name, titled(str(value)).there, {"title": titled(str(value)).here})
        elif name == "description":
            mark = MARKER.search(held.body or "")
            text = f"{value}\n\n{mark[0].strip()}" if mark else str(value)
            write.send(name, described(str(value)).there, {"body": text.lstrip("\n")})
        elif name == "assignee":
            self._assign(value if isinstance(value, c.RemoteUser) else None, held, repo, write)
        elif name == "priority":
            self._set_word(name, str(value), self._priorities, self._priority_words, held, write)
        else:
            self._set_word(name, str(value), self._statuses, self._status_words, held, write)

    def _set_word(
        self, name: str, value: str, words: Words[Any], labels: Sequence[str], held: s.Issue, write: Write
    ) -> None:
        """Give an issue the label that means a value instead of others of its field; some words are no labels."""
        word = words.there(value)
        if word is None:
            write.refuse(name, "no_path", f"No {name} there means {value}: name a label in {name}_out.")
            return
        ours = set(map(folded, labels))
        before = write.body.get("labels", [label.name for label in held.labels])
        kept = [label for label in before if folded(label) not in ours]
        plain = word in STATES if name == "status" else word == "none"
        write.send(name, words.read(word).there, {"labels": kept if plain else [*kept, word]})
        if name == "status":
            closed = plain and word != "open"
            write.body |= {"state": "closed", "state_reason": word} if closed else {"state": "open"}

    def _assign(self, person: c.RemoteUser | None, held: s.Issue, repo: str, write: Write) -> None:
        """Exchange the one who is the assignee here; others stay."""
        ours = _first(held.assignees)
        others = [user for user in held.assignees if user is not ours]
        login = self._login(person.id, repo) if person else None
        if person is not None and login is None:
            write.refuse("assignee", "field_refused", f"{person.name or person.id} can't be assigned there.")
        elif person is not None and any((user.id or 0) < int(person.id) for user in others):
            write.refuse("assignee", "needs_human", "Others are assigned there, too, and come first: unassign them.")
        else:
            logins = [user.login for user in others] + ([login] if login else [])
            write.send("assignee", person.id if person else None, {"assignees": logins})

    def _login(self, id_: str, repo: str) -> str | None:
        people = (user for rows in every(partial(self._client.listed, s.User, repo)) for user in rows)
        return next((user.login for user in people if str(user.id) == id_), None)


def _all(usual: Mapping[str, Any], read: Mapping[str, Any], written: Any) -> list[str]:
    """Every word of a field, the usual ones first."""
    return list({folded(word): word for word in [*usual, *read, *written]}.values())


def _issues(rows: Sequence[s.Issue]) -> list[s.Issue]:
    return [row for row in rows if row.pull_request is None]


def _label(issue: s.Issue, words: Sequence[str]) -> str | None:
    """The label that is one of these words: of several the first in their order, the same in every answer."""
    given = {folded(label.name) for label in issue.labels}
    return next((word for word in words if folded(word) in given and word not in STATES and word != "none"), None)


def _first(people: Sequence[s.User]) -> s.User | None:
    """Of several the one with the lowest number, in whatever order they come."""
    known = [user for user in people if user.id is not None]
    return min(known, key=lambda user: user.id or 0, default=None)


def _back(since: str | None) -> str:
    return iso(moment(since) - OVERLAP) if since else ""
