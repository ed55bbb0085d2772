"""The demo's Jira."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from cli.demo.tool import POLL_SECONDS, Arrival, Tool, Values, Worker
from sandbox.jira import JiraSandbox
from sandbox.jira.model import SiteEvent

FIELDS = {"title": "summary", "description": "description", "assignee": "assignee", "priority": "priority"}
"""Our field -> Jira's."""

NAMES = {theirs: ours for ours, theirs in FIELDS.items()} | {"status": "status"}


class JiraTool(Tool):
    """A Jira whose service account may register webhooks."""

    type = "jira"
    label = "Jira"
    container = "APEX"
    told_on_change = "jira:issue_updated"
    creates = "createIssue"
    statuses: ClassVar = {
        "To Do": "backlog",
        "In Progress": "in_progress",
        "In Review": "in_review",
        "Done": "done",
        "Won't Do": "cancelled",
    }
    priorities: ClassVar = {"Highest": "critical", "High": "high", "Medium": "medium", "Low": "low", "Lowest": "low"}

    def __init__(self, seed: int, items: int) -> None:
        super().__init__(seed, items)
        self.sandbox: JiraSandbox = JiraSandbox(seed=seed, seed_issues=items)
        site = self.sandbox.site
        self._email, self._token = self.sandbox.basic_auth
        self.sandbox.add_user(replace(site.user(self._email), admin=True))
        self._service = self.sandbox.person(self._email).account_id
        site.listeners.append(self._on_event)

    @property
    def url(self) -> str:
        """The site."""
        return self.sandbox.site.url

    def endpoints(self) -> Mapping[str, str]:
        """All on one host."""
        return {"api": self.url, "auth": self.url}

    def connection(self, service_line_id: str) -> dict[str, Any]:
        """With the service account's API token."""
        projects = [{"external": self.container, "service_line_id": service_line_id}]
        return {
            "config": {"site_url": self.url, "projects": projects, "poll_seconds": POLL_SECONDS},
            "credentials": {"email": self._email, "api_token": self._token},
        }

    def listened(self) -> bool:
        """An API token registers an administrator's webhook."""
        return bool(self.sandbox.hub.admin)

    def workers(self) -> Sequence[Worker]:
        """Those the platform can know by their address."""
        site = self.sandbox.site
        everybody = site.assignable(site.project(self.container))
        visible = [user for user in everybody if user.email_visible and user.email != self._email]
        return [Worker(user.display_name, user.email) for user in visible]

    def create(self, email: str, title: str, description: str, priority: str) -> str:
        """An issue."""
        person = self.sandbox.person(email)
        return person.create(self.container, title, description=description, priority=priority).key

    def edit(self, email: str, key: str, field: str, value: str | None) -> datetime:
        """A status by a transition, the rest by an edit."""
        person = self.sandbox.person(email)
        given = self.there(field, value)
        if field == "status":
            return person.transition(key, str(given)).updated
        return person.edit(key, **{FIELDS[field]: given}).updated

    def items(self) -> Mapping[str, Values]:
        """The project's issues."""
        issues = self.sandbox.state()["issues"]
        return {issue["key"]: self._values(issue) for issue in issues if issue["project"] == self.container}

    def _values(self, issue: Mapping[str, Any]) -> Values:
        person = self.sandbox.site.users.get(issue["assignee"] or "")
        return {
            "title": issue["summary"],
            "description": issue["description"],
            "status": self.statuses[issue["status"]],
            "priority": self.priorities[issue["priority"]],
            "assignee": person.email if person is not None and person.email_visible else None,
        }

    def _on_event(self, event: SiteEvent) -> None:
        if event.kind.startswith("jira:"):
            ours = event.actor == self._service
            self._heard(str(event.issue.id), event.at, ours, self._arrivals(event))

    def _arrivals(self, event: SiteEvent) -> Iterator[Arrival]:
        item_id, key = str(event.issue.id), event.issue.key
        if event.kind == "jira:issue_created":
            yield Arrival(event.at, item_id, key, "created", event.issue.summary, True)
        for item in event.change.items if event.change else ():
            name = NAMES.get(item.field)
            if name is not None:
                yield Arrival(event.at, item_id, key, name, item.new_string, True)
