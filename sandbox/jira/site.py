"""A Jira Cloud site as a state machine: no HTTP, no wall clock, no unseeded chance.

Every change makes a new version of the issue, moves `updated`, writes the changelog and tells the
listeners, whoever made it: a person or an API call.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.clock import Clock
from sandbox.history import History
from sandbox.jira import adf
from sandbox.jira.model import (
    ApiToken,
    Attachments,
    Change,
    ChangeItem,
    Comment,
    Issue,
    IssueType,
    JiraError,
    Json,
    Named,
    Project,
    RemoteLink,
    SiteEvent,
    Status,
    Transition,
    User,
)
from sandbox.jira.times import stamp

# What a GET of a missing issue says; the same for "no permission", as Jira does not tell them apart.
GONE = "Issue does not exist or you do not have permission to see it."

# attribute -> (changelog field, fieldId). Order is the order of items in an entry.
CHANGELOG_FIELDS: Mapping[str, tuple[str, str | None]] = {
    "key": ("Key", None),
    "project": ("project", "project"),
    "issuetype": ("issuetype", "issuetype"),
    "summary": ("summary", "summary"),
    "description": ("description", "description"),
    "status": ("status", "status"),
    "resolution": ("resolution", "resolution"),
    "priority": ("priority", "priority"),
    "assignee": ("assignee", "assignee"),
    "reporter": ("reporter", "reporter"),
    "labels": ("labels", "labels"),
    "duedate": ("duedate", "duedate"),
    "parent": ("IssueParentAssociation", "parent"),
}


class JiraSite:
    """Projects, people and issues of one site. `lock` guards everything; hold it around a request."""

    def __init__(
        self,
        clock: Clock,
        rng: Random,
        *,
        cloud_id: str,
        name: str,
        url: str,
        zone: str = "Europe/Paris",
        lock: "threading.RLock | None" = None,
    ) -> None:
        self.clock = clock
        self.rng = rng
        self.cloud_id = cloud_id
        self.name = name
        self.url = url
        self.zone = ZoneInfo(zone)
        self.lock = lock or threading.RLock()
        self.users: dict[str, User] = {}
        self.tokens: list[ApiToken] = []
        self.statuses: dict[str, Status] = {}
        self.priorities: dict[str, Named] = {}
        self.resolutions: dict[str, Named] = {}
        self.issue_types: dict[str, IssueType] = {}
        self.projects: dict[str, Project] = {}
        self.default_priority: str | None = None
        self.issues: dict[int, Issue] = {}
        self.extras: dict[int, Attachments] = {}
        self.history: History[int, Issue] = History()
        self.generation = 0
        self.listeners: list[Callable[[SiteEvent], None]] = []
        self._keys: dict[str, int] = {}
        self._children: dict[int, set[int]] = {}
        self._numbers: dict[str, int] = {}
        self._ids: dict[str, int] = {}

    # Looking things up

    def next_id(self, kind: str) -> int:
        """A fresh id; each kind counts by itself from 10001."""
        self._ids[kind] = self._ids.get(kind, 10000) + 1
        return self._ids[kind]

    def user(self, who: str) -> User:
        """A user by account id, email or display name. Raises JiraError 404."""
        for user in self.users.values():
            if who in (user.account_id, user.email, user.display_name):
                return user
        raise JiraError(404, f"Specified user {who!r} does not exist or you do not have permission")

    def project(self, id_or_key: str) -> Project:
        """A project by id or key. Raises JiraError 404."""
        for project in self.projects.values():
            if id_or_key in (project.id, project.key):
                return project
        raise JiraError(404, f"No project could be found with key '{id_or_key}'.")

    def find(self, id_or_key: str) -> Issue | None:
        """An issue by id, key, or a key it had before it moved."""
        issue_id = int(id_or_key) if id_or_key.isdecimal() else self._keys.get(id_or_key.upper())
        return None if issue_id is None else self.issues.get(issue_id)

    def issue(self, id_or_key: str, viewer: str | None) -> Issue:
        """An issue the viewer may see. Raises JiraError 404."""
        found = self.find(id_or_key)
        if found is None or not self.visible(found, viewer):
            raise JiraError(404, GONE)
        return found

    def visible(self, issue: Issue, viewer: str | None) -> bool:
        """Whether an account may see an issue."""
        return self.projects[issue.project].admits(viewer)

    def assignable(self, project: Project) -> list[User]:
        """Who may be given issues of a project: active people who can see it, not apps or customers."""
        people = (u for u in self.users.values() if u.active and u.account_type == "atlassian")
        return [user for user in people if project.admits(user.account_id)]

    def transitions(self, issue: Issue) -> list[Transition]:
        """The ways out of the issue's status."""
        workflow = self.projects[issue.project].workflow
        return [t for t in workflow.transitions if t.available_from(issue.status)]

    def subtasks(self, issue: Issue) -> list[Issue]:
        """The issues whose parent this is and whose type is a subtask."""
        children = [self.issues[child] for child in sorted(self._children.get(issue.id, ()))]
        return [child for child in children if self.issue_types[child.issuetype].subtask]

    # Changing things

    def restrict(self, project: Project, members: frozenset[str] | None) -> None:
        """Let only some accounts see a project (None: everyone); for the others its issues are 404."""
        self.projects[project.id] = replace(project, members=members)
        self.generation += 1

    def create(self, actor: str, values: Mapping[str, Any], properties: Mapping[str, Any]) -> Issue:
        """Make an issue from checked attribute values (`project`, `issuetype` and `summary` present)."""
        project = self.projects[values["project"]]
        now = self.clock.now()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        given = {"reporter": actor, "assignee": project.default_assignee}
        if "priority" in project.screen:
            given["priority"] = self.default_priority
        issue = Issue(
            id=self.next_id("issue"),
            key=self.next_key(project),
            status=project.workflow.statuses[0],
            created=now,
            updated=now,
            creator=actor,
            **{**given, **values},
        )
        self.extras[issue.id] = Attachments(properties=dict(properties))
        self._store(None, issue)
        self._tell(SiteEvent("jira:issue_created", actor, issue.updated, issue, "issue_created"))
        return issue

    def update(
        self,
        actor: str,
        issue: Issue,
        values: Mapping[str, Any],
        type_name: str = "issue_updated",
        comment: Comment | None = None,
    ) -> Issue:
        """Set attributes. What is equal already is no change; no change at all moves nothing."""
        changed = replace(issue, **values)
        items = tuple(self._items(issue, changed))
        if not items and comment is None:
            return issue
        changed = changed.at(self.clock.now())
        change = Change(self.next_id("change"), actor, changed.updated, items) if items else None
        if change is not None:
            self.extras[issue.id].changes.append(change)
        self._store(issue, changed)
        if set(values) == {"assignee"}:
            type_name = "issue_assigned"
        event = SiteEvent("jira:issue_updated", actor, changed.updated, changed, type_name, change, comment)
        self._tell(event)
        return changed

    def transition(self, actor: str, issue: Issue, transition: Transition, values: Mapping[str, Any]) -> Issue:
        """Take a transition; the resolution follows the status into and out of the done category."""
        done = self.statuses[transition.to].category == "done"
        resolution = values.get("resolution") or transition.sets_resolution
        if done and not resolution:
            resolution = issue.resolution
        effect = {
            **values,
            "status": transition.to,
            "resolution": resolution if done else None,
            "resolutiondate": (issue.resolutiondate or self.clock.now()) if done and resolution else None,
        }
        return self.update(actor, issue, effect, "issue_generic")

    def move(self, actor: str, issue: Issue, project: Project) -> Issue:
        """Move to another project: the id stays, the key changes, the old key goes on resolving."""
        known = issue.status in project.workflow.statuses
        fits = issue.issuetype in project.issue_types
        values = {
            "project": project.id,
            "key": self.next_key(project),
            "status": issue.status if known else project.workflow.statuses[0],
            "issuetype": issue.issuetype if fits else project.issue_types[0],
        }
        return self.update(actor, issue, values, "issue_moved")

    def delete(self, actor: str, issue: Issue) -> None:
        """Remove an issue and its subtasks; nothing is left but the webhook."""
        for child in self.subtasks(issue):
            self.delete(actor, child)
        event = SiteEvent("jira:issue_deleted", actor, self.clock.now(), issue)
        self.history.record(issue, issue.id, None, self.clock.now())
        del self.issues[issue.id]
        if issue.parent is not None:
            self._children[issue.parent].discard(issue.id)
        self.generation += 1
        self._tell(event)
        del self.extras[issue.id]

    def add_comment(self, actor: str, issue: Issue, body: Json) -> Comment:
        """Comment on an issue; moves its `updated`."""
        now = self.clock.now()
        comment = Comment(self.next_id("comment"), actor, actor, body, now, now)
        self.extras[issue.id].comments.append(comment)
        return self._commented(actor, issue, comment, "comment_created", "issue_commented")

    def edit_comment(self, actor: str, issue: Issue, comment: Comment, body: Json) -> Comment:
        """Replace a comment's text."""
        edited = replace(comment, body=body, update_author=actor, updated=self.clock.now())
        comments = self.extras[issue.id].comments
        comments[comments.index(comment)] = edited
        return self._commented(actor, issue, edited, "comment_updated", "issue_comment_edited")

    def delete_comment(self, actor: str, issue: Issue, comment: Comment) -> None:
        """Remove a comment."""
        self.extras[issue.id].comments.remove(comment)
        self._commented(actor, issue, comment, "comment_deleted", "issue_comment_deleted")

    def comment(self, issue: Issue, comment_id: str) -> Comment:
        """A comment of an issue. Raises JiraError 404."""
        for comment in self.extras[issue.id].comments:
            if str(comment.id) == comment_id:
                return comment
        raise JiraError(404, f"Can not find a comment for the id: {comment_id}.")

    def _commented(self, actor: str, issue: Issue, comment: Comment, kind: str, type_name: str) -> Comment:
        current = self.update(actor, issue, {}, type_name, comment)
        self._tell(SiteEvent(kind, actor, current.updated, current, comment=comment))
        return comment

    def set_property(self, actor: str, issue: Issue, key: str, value: Any) -> bool:
        """Set an issue property; True when new. Does not touch `updated`."""
        properties = self.extras[issue.id].properties
        new = key not in properties
        properties[key] = value
        event = SiteEvent("issue_property_set", actor, self.clock.now(), issue, property=(key, value))
        self._tell(event)
        return new

    def delete_property(self, actor: str, issue: Issue, key: str) -> None:
        """Remove an issue property. Raises JiraError 404."""
        properties = self.extras[issue.id].properties
        if key not in properties:
            raise JiraError(404, f"The property with key '{key}' does not exist.")
        value = properties.pop(key)
        event = SiteEvent("issue_property_deleted", actor, self.clock.now(), issue, property=(key, value))
        self._tell(event)

    def put_link(self, actor: str, issue: Issue, link: RemoteLink) -> bool:
        """Add a remote link, or replace the one with the same global id; True when new."""
        links = self.extras[issue.id].links
        same = [i for i, old in enumerate(links) if link.global_id and old.global_id == link.global_id]
        if same:
            links[same[0]] = replace(link, id=links[same[0]].id)
        else:
            links.append(replace(link, id=self.next_id("link")))
        self._linked(actor, issue, None, str(link.object.get("title", "")))
        return not same

    def delete_link(self, actor: str, issue: Issue, global_id: str) -> None:
        """Remove the remote link with that global id. Raises JiraError 404."""
        links = self.extras[issue.id].links
        for link in links:
            if link.global_id == global_id:
                links.remove(link)
                self._linked(actor, issue, str(link.object.get("title", "")), None)
                return
        raise JiraError(404, "No remote link with that globalId exists on the issue.")

    def _linked(self, actor: str, issue: Issue, old: str | None, new: str | None) -> None:
        """Remote links are in the changelog, so they move `updated` and echo like any edit."""
        item = ChangeItem("RemoteIssueLink", None, None, old, None, new)
        changed = issue.at(self.clock.now())
        change = Change(self.next_id("change"), actor, changed.updated, (item,))
        self.extras[issue.id].changes.append(change)
        self._store(issue, changed)
        event = SiteEvent("jira:issue_updated", actor, changed.updated, changed, "issue_updated", change)
        self._tell(event)

    # Inside

    def plant(self, issue: Issue) -> None:
        """Put a ready-made issue in place without changelog or webhooks; for seeding."""
        self.extras[issue.id] = Attachments()
        self._index(None, issue)

    def start_numbers(self, last_used: Mapping[str, int]) -> None:
        """Let each project (by id) go on counting keys after a number."""
        self._numbers.update(last_used)

    def next_key(self, project: Project) -> str:
        """Reserve the project's next key."""
        number = self._numbers.get(project.id, 0) + 1
        self._numbers[project.id] = number
        return f"{project.key}-{number}"

    def _store(self, before: Issue | None, after: Issue) -> None:
        self.history.record(before, after.id, after, self.clock.now())
        self._index(before, after)

    def _index(self, before: Issue | None, after: Issue) -> None:
        self.issues[after.id] = after
        self._keys[after.key] = after.id
        if before is not None and before.parent is not None:
            self._children[before.parent].discard(after.id)
        if after.parent is not None:
            self._children.setdefault(after.parent, set()).add(after.id)
        self.generation += 1

    def _tell(self, event: SiteEvent) -> None:
        for listener in self.listeners:
            listener(event)

    def _items(self, old: Issue, new: Issue) -> list[ChangeItem]:
        items = []
        for attribute, (name, field_id) in CHANGELOG_FIELDS.items():
            was, is_now = getattr(old, attribute), getattr(new, attribute)
            if was != is_now:
                pair = self._words(attribute, was), self._words(attribute, is_now)
                items.append(ChangeItem(name, field_id, *pair[0], *pair[1]))
        return items

    def _words(self, attribute: str, value: Any) -> tuple[str | None, str | None]:
        """A value as the changelog has it: (id, what people read)."""
        if value is None or value == ():
            return None, "" if attribute == "labels" else None
        if attribute in ("assignee", "reporter"):
            return value, self.users[value].display_name
        tables: Mapping[str, Mapping[str, Any]] = {
            "status": self.statuses,
            "priority": self.priorities,
            "resolution": self.resolutions,
            "issuetype": self.issue_types,
            "project": self.projects,
        }
        if attribute in tables:
            return value, tables[attribute][value].name
        if attribute == "labels":
            return None, " ".join(value)
        if attribute == "description":
            return None, adf.to_wiki(value)
        return None, str(value)

    def stamp(self, instant: datetime) -> str:
        """A timestamp as this site writes it."""
        return stamp(instant, self.zone)
