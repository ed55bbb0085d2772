"""Reading `fields` and `update` of a create, edit or transition body into issue attributes.

Everything wrong with a body is collected and answered at once, per field, as Jira does.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sandbox.jira import adf
from sandbox.jira.model import JiraError, Json, Named, Project
from sandbox.jira.site import JiraSite

SUMMARY_LIMIT = 255
# On every screen; the rest must be in the project's `screen`.
ALWAYS_ON_SCREEN = frozenset({"summary", "issuetype", "project", "description"})
_LABEL = re.compile(r"\S{1,255}")


class FieldError(ValueError):
    """One field's value is not acceptable; the text is what Jira says."""


@dataclass
class Edit:
    """A checked body: attributes to set, and comments to add (ADF)."""

    values: dict[str, Any] = field(default_factory=dict)
    comments: list[Json] = field(default_factory=list)


def off_screen(name: str) -> str:
    """What Jira says about a field that may not be set here."""
    return f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."


def _summary(_: JiraSite, __: Project, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise FieldError("You must specify a summary of the issue.")
    if "\n" in value or "\r" in value:
        raise FieldError("The summary is invalid because it contains newline characters.")
    if len(value) > SUMMARY_LIMIT:
        raise FieldError("Summary can't exceed 255 characters.")
    return value.strip()


def _description(site: JiraSite, _: Project, value: Any) -> Json | None:
    if value is None:
        return None
    try:
        return adf.accept(value, site.rng)
    except adf.BadDocument as bad:
        raise FieldError(str(bad)) from bad


def _person(site: JiraSite, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not set(value) & {"accountId", "id"}:
        raise FieldError("'accountId' must be the only user identifying query parameter in GDPR strict mode.")
    account_id = value.get("accountId", value.get("id"))
    if account_id is None:
        return None
    if account_id not in site.users:
        raise FieldError(f"User '{account_id}' does not exist.")
    return str(account_id)


def assignee(site: JiraSite, project: Project, value: Any) -> str | None:
    """An assignee as Jira takes it: `{"accountId"}`, null to unassign, "-1" for the project's default."""
    if isinstance(value, dict) and value.get("accountId") == "-1":
        return project.default_assignee
    account_id = _person(site, value)
    if account_id is not None and account_id not in {u.account_id for u in site.assignable(project)}:
        raise FieldError(f"User '{account_id}' cannot be assigned issues.")
    return account_id


def _reporter(site: JiraSite, _: Project, value: Any) -> str | None:
    return _person(site, value)


def _named(table: Mapping[str, Named], value: Any, what: str) -> str:
    if isinstance(value, dict):
        for row in table.values():
            if str(value.get("id")) == row.id or ("id" not in value and value.get("name") == row.name):
                return row.id
    raise FieldError(f"The {what} selected is invalid.")


def _priority(site: JiraSite, _: Project, value: Any) -> str | None:
    return None if value is None else _named(site.priorities, value, "priority")


def _resolution(site: JiraSite, _: Project, value: Any) -> str | None:
    return None if value is None else _named(site.resolutions, value, "resolution")


def _labels(_: JiraSite, __: Project, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise FieldError("data was not an array")
    for label in value:
        if not _LABEL.fullmatch(label):
            raise FieldError(f"The label '{label}' contains spaces which is invalid.")
    return tuple(dict.fromkeys(value))


def _duedate(_: JiraSite, __: Project, value: Any) -> str | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError) as bad:
        raise FieldError("Error parsing date string: " + str(value)) from bad


def _issuetype(site: JiraSite, project: Project, value: Any) -> str:
    if isinstance(value, dict):
        for type_id in project.issue_types:
            wanted = site.issue_types[type_id]
            if str(value.get("id")) == type_id or ("id" not in value and value.get("name") == wanted.name):
                return type_id
    raise FieldError("Specify a valid issue type")


def _parent(site: JiraSite, _: Project, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, dict):
        found = site.find(str(value.get("id") or value.get("key") or ""))
        if found is not None:
            return found.id
    raise FieldError("Could not find issue by id or key.")


READERS: dict[str, Callable[[JiraSite, Project, Any], Any]] = {
    "summary": _summary,
    "description": _description,
    "assignee": assignee,
    "reporter": _reporter,
    "priority": _priority,
    "resolution": _resolution,
    "labels": _labels,
    "duedate": _duedate,
    "issuetype": _issuetype,
    "parent": _parent,
}


def read_edit(
    site: JiraSite,
    project: Project,
    fields: Mapping[str, Any],
    update: Mapping[str, Any],
    *,
    screen: frozenset[str],
    labels: tuple[str, ...] = (),
) -> Edit:
    """Check a body against a screen. `labels` are the issue's own, for add and remove.

    Raises JiraError 400 with every field that is wrong.
    """
    edit, errors = Edit(), {}
    for name, value in fields.items():
        if name == "project":
            continue
        try:
            edit.values[name] = _read(site, project, screen, name, value)
        except FieldError as bad:
            errors[name] = str(bad)
    for name, operations in update.items():
        try:
            _read_update(site, project, screen, labels, edit, name, operations)
        except FieldError as bad:
            errors[name] = str(bad)
    if errors:
        raise JiraError(400, errors=errors)
    return edit


def _read(site: JiraSite, project: Project, screen: frozenset[str], name: str, value: Any) -> Any:
    if name not in READERS or name not in screen:
        raise FieldError(off_screen(name))
    return READERS[name](site, project, value)


def _read_update(
    site: JiraSite,
    project: Project,
    screen: frozenset[str],
    labels: tuple[str, ...],
    edit: Edit,
    name: str,
    operations: Any,
) -> None:
    """One field of `update`: a list of `{"add"|"remove"|"set": value}`."""
    if not isinstance(operations, list) or not all(isinstance(o, dict) and len(o) == 1 for o in operations):
        raise FieldError("Invalid request payload. Refer to the REST API documentation and try again.")
    if name in edit.values:
        raise FieldError(f"Field '{name}' cannot appear in both 'fields' and 'update'")
    for operation in operations:
        ((verb, value),) = operation.items()
        if verb == "set" and name != "comment":
            edit.values[name] = _read(site, project, screen, name, value)
        elif name == "comment" and verb == "add":
            edit.comments.append(comment_body(site, value.get("body") if isinstance(value, dict) else None))
        elif name == "labels" and verb in ("add", "remove"):
            current = edit.values.get("labels", labels)
            kept = [label for label in current if label != value]
            wanted = [*kept, value] if verb == "add" and value not in current else kept
            wanted = list(current) if verb == "add" and value in current else wanted
            edit.values["labels"] = _read(site, project, screen, name, wanted)
        else:
            raise FieldError(f"Operation '{verb}' is not supported for field '{name}'")


def comment_body(site: JiraSite, value: Any) -> Json:
    """A comment's ADF. Raises FieldError."""
    try:
        return adf.accept(value, site.rng)
    except adf.BadDocument as bad:
        raise FieldError(str(bad)) from bad


def edit_screen(project: Project) -> frozenset[str]:
    """The fields that may be edited on an issue of a project."""
    return (ALWAYS_ON_SCREEN | project.screen) - {"project"}
