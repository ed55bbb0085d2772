"""Acting as a person in front of Jira's user interface: no scopes, no screens, same workflow."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.jira import adf
from sandbox.jira.fields import ALWAYS_ON_SCREEN, read_edit
from sandbox.jira.model import Issue, JiraError, Transition
from sandbox.jira.render import FIELD_NAMES
from sandbox.jira.site import JiraSite

# What a person picks in a resolution dialog when nothing else is said.
USUAL_RESOLUTION = "Done"


class Person:
    """Someone with an account on the site. Methods take an issue by id or key.

    `fields` are Jira's, but text is enough: `description` and comments may be plain text, `priority`
    and `resolution` names, `assignee` a name, email or account id. Raises JiraError.
    """

    def __init__(self, site: JiraSite, who: str) -> None:
        self.site = site
        self.account_id = site.user(who).account_id

    @property
    def _lock(self) -> threading.RLock:
        return self.site.lock

    def create(self, project: str, summary: str, **fields: Any) -> Issue:
        """Make an issue (a Task unless `issuetype` names another)."""
        with self._lock:
            home = self.site.project(project)
            given = {"summary": summary, "issuetype": "Task", **fields}
            values = self._read(home.id, given)
            return self.site.create(self.account_id, {"project": home.id, **values}, {})

    def edit(self, issue: str, **fields: Any) -> Issue:
        """Change any fields but the status."""
        with self._lock:
            found = self._find(issue)
            return self.site.update(self.account_id, found, self._read(found.project, fields))

    def transition(self, issue: str, status: str, resolution: str | None = None) -> Issue:
        """Move to a status by name through the workflow. Raises JiraError 400 if no way leads there."""
        with self._lock:
            found = self._find(issue)
            way = self._way(found, status)
            values: dict[str, Any] = {}
            if resolution or "resolution" in way.requires:
                chosen = {"resolution": resolution or USUAL_RESOLUTION}
                values = self._read(found.project, chosen)
            return self.site.transition(self.account_id, found, way, values)

    def reachable(self, issue: str) -> list[str]:
        """The status names one transition away, without the present one."""
        with self._lock:
            found = self._find(issue)
            targets = dict.fromkeys(t.to for t in self.site.transitions(found) if t.to != found.status)
            return [self.site.statuses[target].name for target in targets]

    def assign(self, issue: str, who: str | None) -> Issue:
        """Give the issue to someone, or to nobody."""
        return self.edit(issue, assignee=who)

    def comment(self, issue: str, text: str) -> str:
        """Comment; returns the comment's id."""
        with self._lock:
            body = adf.accept(adf.document(text), self.site.rng)
            return str(self.site.add_comment(self.account_id, self._find(issue), body).id)

    def edit_comment(self, issue: str, comment: str, text: str) -> None:
        """Replace a comment's text."""
        with self._lock:
            found = self._find(issue)
            body = adf.accept(adf.document(text), self.site.rng)
            self.site.edit_comment(self.account_id, found, self.site.comment(found, comment), body)

    def delete_comment(self, issue: str, comment: str) -> None:
        """Remove a comment."""
        with self._lock:
            found = self._find(issue)
            self.site.delete_comment(self.account_id, found, self.site.comment(found, comment))

    def move(self, issue: str, project: str) -> Issue:
        """Move to another project: same id, new key."""
        with self._lock:
            return self.site.move(self.account_id, self._find(issue), self.site.project(project))

    def delete(self, issue: str) -> None:
        """Delete, subtasks included."""
        with self._lock:
            self.site.delete(self.account_id, self._find(issue))

    def _find(self, issue: str) -> Issue:
        return self.site.issue(str(issue), self.account_id)

    def _way(self, issue: Issue, status: str) -> Transition:
        for transition in self.site.transitions(issue):
            if status in (transition.to, self.site.statuses[transition.to].name):
                return transition
        raise JiraError(400, f"No transition of {issue.key} leads to '{status}'; try {self.reachable(issue.key)}")

    def _read(self, project_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A person's words as checked attribute values; everything is on a person's screen."""
        wire = {name: _WORDS.get(name, _as_is)(self.site, value) for name, value in fields.items()}
        screen = frozenset(FIELD_NAMES) | ALWAYS_ON_SCREEN
        return read_edit(self.site, self.site.projects[project_id], wire, {}, screen=screen).values


def _as_is(_: JiraSite, value: Any) -> Any:
    return value


def _document(_: JiraSite, value: Any) -> Any:
    return adf.document(value) if isinstance(value, str) else value


def _by_name(_: JiraSite, value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _account(site: JiraSite, value: Any) -> Any:
    return {"accountId": site.user(value).account_id} if isinstance(value, str) else value


def _issue_key(_: JiraSite, value: Any) -> Any:
    return {"key": value} if isinstance(value, str) else value


_WORDS: Mapping[str, Callable[[JiraSite, Any], Any]] = {
    "description": _document,
    "priority": _by_name,
    "resolution": _by_name,
    "issuetype": _by_name,
    "assignee": _account,
    "reporter": _account,
    "parent": _issue_key,
}
