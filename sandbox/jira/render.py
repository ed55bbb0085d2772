"""The wire shapes of Jira Cloud REST v3 (and the v2 flavour webhook bodies have)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.jira import adf
from sandbox.jira.model import (
    STATUS_CATEGORIES,
    Change,
    Comment,
    Issue,
    Json,
    Project,
    RemoteLink,
    Transition,
    User,
)
from sandbox.jira.site import JiraSite

FIELD_NAMES: Mapping[str, str] = {
    "summary": "Summary",
    "description": "Description",
    "status": "Status",
    "priority": "Priority",
    "assignee": "Assignee",
    "reporter": "Reporter",
    "creator": "Creator",
    "issuetype": "Issue Type",
    "project": "Project",
    "labels": "Labels",
    "resolution": "Resolution",
    "created": "Created",
    "updated": "Updated",
    "resolutiondate": "Resolved",
    "duedate": "Due date",
    "parent": "Parent",
    "subtasks": "Sub-tasks",
    "comment": "Comment",
}
FIELD_TYPES: Mapping[str, str] = {
    "summary": "string",
    "description": "string",
    "status": "status",
    "priority": "priority",
    "assignee": "user",
    "reporter": "user",
    "creator": "user",
    "issuetype": "issuetype",
    "project": "project",
    "labels": "array",
    "resolution": "resolution",
    "created": "datetime",
    "updated": "datetime",
    "resolutiondate": "datetime",
    "duedate": "date",
    "parent": "issuelink",
    "subtasks": "array",
    "comment": "comments-page",
}
# Not navigable: only given when asked for by name or with *all.
_NOT_NAVIGABLE = frozenset({"comment"})


@dataclass(frozen=True)
class Chosen:
    """Which fields to show, from a `fields` list with `*all`, `*navigable` and `-name`."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, asked: Iterable[str], default: str) -> "Chosen":
        """Read what was asked; `default` stands for an empty list."""
        wanted: dict[str, None] = {}
        entries = [name.strip() for name in asked if name.strip()] or [default]
        if all(name.startswith("-") for name in entries):
            entries = ["*all", *entries]
        for name in entries:
            if name == "*all":
                wanted.update(dict.fromkeys(FIELD_NAMES))
            elif name == "*navigable":
                wanted.update(dict.fromkeys(n for n in FIELD_NAMES if n not in _NOT_NAVIGABLE))
            elif name.startswith("-"):
                wanted.pop(name[1:], None)
            elif name in FIELD_NAMES:
                wanted[name] = None
        return cls(tuple(wanted))


class Renderer:
    """Makes JSON for one answer. `base` is the API base the client used, for the `self` links."""

    def __init__(self, site: JiraSite, base: str, version: str = "3") -> None:
        self.site = site
        self.api = f"{base}/rest/api/{version}"
        self.wiki = version == "2"
        self._made: dict[tuple[str, str], Json] = {}

    def _once(self, kind: str, key: str, make: Callable[[], Json]) -> Json:
        """The same person or status appears in many issues of a page; build it once."""
        made = self._made.get((kind, key))
        if made is None:
            made = self._made[kind, key] = make()
        return made

    def user(self, account_id: str | None) -> Json | None:
        """A user bean, or null."""
        if account_id is None:
            return None
        return self._once("user", account_id, lambda: self.user_bean(self.site.users[account_id]))

    def user_bean(self, user: User) -> Json:
        """A user; without `emailAddress` where privacy hides it, and always without in v2 bodies."""
        bean: Json = {
            "self": f"{self.api}/user?accountId={user.account_id}",
            "accountId": user.account_id,
            "accountType": user.account_type,
            "displayName": user.display_name,
            "active": user.active,
            "timeZone": user.time_zone,
            "avatarUrls": {"48x48": f"{self.site.url}/avatar/{user.account_id}/48.png"},
        }
        if user.email_visible and not self.wiki:
            bean["emailAddress"] = user.email
        return bean

    def status(self, status_id: str) -> Json:
        """A status with its category."""
        return self._once("status", status_id, lambda: self._status(status_id))

    def _status(self, status_id: str) -> Json:
        status = self.site.statuses[status_id]
        number, name, colour = STATUS_CATEGORIES[status.category]
        return {
            "self": f"{self.api}/status/{status.id}",
            "id": status.id,
            "name": status.name,
            "description": "",
            "iconUrl": f"{self.site.url}/images/icons/statuses/generic.png",
            "statusCategory": {
                "self": f"{self.api}/statuscategory/{number}",
                "id": number,
                "key": status.category,
                "colorName": colour,
                "name": name,
            },
        }

    def priority(self, priority_id: str | None) -> Json | None:
        """A priority, or null."""
        if priority_id is None:
            return None
        row = self.site.priorities[priority_id]
        return {"self": f"{self.api}/priority/{row.id}", "id": row.id, "name": row.name}

    def resolution(self, resolution_id: str | None) -> Json | None:
        """A resolution, or null."""
        if resolution_id is None:
            return None
        row = self.site.resolutions[resolution_id]
        return {"self": f"{self.api}/resolution/{row.id}", "id": row.id, "name": row.name, "description": ""}

    def issue_type(self, type_id: str) -> Json:
        """An issue type."""
        row = self.site.issue_types[type_id]
        return {
            "self": f"{self.api}/issuetype/{row.id}",
            "id": row.id,
            "name": row.name,
            "subtask": row.subtask,
            "hierarchyLevel": -1 if row.subtask else 0,
            "description": "",
        }

    def project(self, project: Project) -> Json:
        """A project as it appears in an issue."""
        return {
            "self": f"{self.api}/project/{project.id}",
            "id": project.id,
            "key": project.key,
            "name": project.name,
            "projectTypeKey": "software",
            "simplified": False,
        }

    def stub(self, issue: Issue) -> Json:
        """An issue inside another one."""
        fields = {"summary": issue.summary, "status": self.status(issue.status)}
        return {
            "id": str(issue.id),
            "key": issue.key,
            "self": f"{self.api}/issue/{issue.id}",
            "fields": fields | {"issuetype": self.issue_type(issue.issuetype)},
        }

    def issue(self, issue: Issue, chosen: Chosen) -> Json:
        """An issue with the chosen fields."""
        # Webhook bodies really lack "/issue" in this link.
        path = f"{self.api}/{issue.id}" if self.wiki else f"{self.api}/issue/{issue.id}"
        return {
            "expand": "renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations",
            "id": str(issue.id),
            "self": path,
            "key": issue.key,
            "fields": {name: _FIELDS[name](self, issue) for name in chosen.names},
        }

    def comment(self, issue: Issue, comment: Comment) -> Json:
        """A comment; ADF in v3, wiki text in v2."""
        return {
            "self": f"{self.api}/issue/{issue.id}/comment/{comment.id}",
            "id": str(comment.id),
            "author": self.user(comment.author),
            "updateAuthor": self.user(comment.update_author),
            "body": adf.to_wiki(comment.body) if self.wiki else comment.body,
            "created": self.site.stamp(comment.created),
            "updated": self.site.stamp(comment.updated),
            "jsdPublic": True,
        }

    def comments(self, issue: Issue, comments: list[Comment], start: int, size: int) -> Json:
        """A page of comments, classic paging."""
        page = comments[start : start + size]
        return {
            "comments": [self.comment(issue, comment) for comment in page],
            "startAt": start,
            "maxResults": size,
            "total": len(comments),
        }

    def change(self, change: Change) -> Json:
        """A changelog entry with its author."""
        return {
            "id": str(change.id),
            "author": self.user(change.author),
            "created": self.site.stamp(change.at),
            "items": change_items(change),
        }

    def link(self, issue: Issue, link: RemoteLink) -> Json:
        """A remote link."""
        bean: Json = {
            "id": link.id,
            "self": f"{self.api}/issue/{issue.key}/remotelink/{link.id}",
            "application": link.application,
            "object": link.object,
        }
        if link.global_id is not None:
            bean["globalId"] = link.global_id
        if link.relationship is not None:
            bean["relationship"] = link.relationship
        return bean

    def transition(self, transition: Transition, with_fields: bool) -> Json:
        """A transition; `fields` (its screen) only when expanded."""
        bean: Json = {
            "id": transition.id,
            "name": transition.name,
            "to": self.status(transition.to),
            "hasScreen": bool(transition.requires),
            "isGlobal": transition.sources is None,
            "isInitial": False,
            "isAvailable": True,
            "isConditional": False,
            "looped": False,
        }
        if with_fields:
            bean["fields"] = {name: self.field_meta(name, required=True) for name in transition.requires}
        return bean

    def field_meta(self, name: str, required: bool) -> Json:
        """What a screen says about a field."""
        meta: Json = {
            "required": required,
            "hasDefaultValue": False,
            "key": name,
            "name": FIELD_NAMES[name],
            "schema": {"type": FIELD_TYPES[name], "system": name},
            "operations": ["add", "set", "remove"] if name == "labels" else ["set"],
        }
        if name == "resolution":
            meta["allowedValues"] = [self.resolution(key) for key in self.site.resolutions]
        if name == "priority":
            meta["allowedValues"] = [self.priority(key) for key in self.site.priorities]
        return meta


def change_items(change: Change) -> list[Json]:
    """Changelog items; `fieldId` is missing where Jira has none."""
    items = []
    for item in change.items:
        bean: Json = {"field": item.field, "fieldtype": "jira"}
        if item.field_id is not None:
            bean["fieldId"] = item.field_id
        bean |= {"from": item.old, "fromString": item.old_string}
        bean |= {"to": item.new, "toString": item.new_string}
        items.append(bean)
    return items


def _description(on: Renderer, issue: Issue) -> Any:
    return adf.to_wiki(issue.description) if on.wiki else issue.description


def _resolved(on: Renderer, issue: Issue) -> str | None:
    return on.site.stamp(issue.resolutiondate) if issue.resolutiondate else None


def _parent(on: Renderer, issue: Issue) -> Json | None:
    parent = on.site.issues.get(issue.parent) if issue.parent else None
    return on.stub(parent) if parent else None


def _all_comments(on: Renderer, issue: Issue) -> Json:
    extras = on.site.extras.get(issue.id)
    comments = extras.comments if extras else []
    return on.comments(issue, comments, 0, len(comments))


_FIELDS: Mapping[str, Callable[[Renderer, Issue], Any]] = {
    "summary": lambda on, issue: issue.summary,
    "description": _description,
    "status": lambda on, issue: on.status(issue.status),
    "priority": lambda on, issue: on.priority(issue.priority),
    "assignee": lambda on, issue: on.user(issue.assignee),
    "reporter": lambda on, issue: on.user(issue.reporter),
    "creator": lambda on, issue: on.user(issue.creator),
    "issuetype": lambda on, issue: on.issue_type(issue.issuetype),
    "project": lambda on, issue: on.project(on.site.projects[issue.project]),
    "labels": lambda on, issue: list(issue.labels),
    "resolution": lambda on, issue: on.resolution(issue.resolution),
    "created": lambda on, issue: on.site.stamp(issue.created),
    "updated": lambda on, issue: on.site.stamp(issue.updated),
    "resolutiondate": _resolved,
    "duedate": lambda on, issue: issue.duedate,
    "parent": _parent,
    "subtasks": lambda on, issue: [on.stub(child) for child in on.site.subtasks(issue)],
    "comment": _all_comments,
}
