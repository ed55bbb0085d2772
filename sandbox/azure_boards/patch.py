"""JSON Patch documents as Azure takes them: all of one, or nothing."""

from typing import Any

from sandbox.azure_boards.items import tags_of, text_field, tidy
from sandbox.azure_boards.process import AREAS, PROJECTS
from sandbox.errors import VendorError
from sandbox.tracker import Item, Tracker

LONGEST_TITLE = 255

TYPE = "application/json-patch+json"

_RULE = "RuleValidationException"
_READ_ONLY = frozenset({"System.Id", "System.Rev", "System.ChangedDate", "System.CreatedDate", "System.TeamProject"})
_TEXTS = frozenset({"System.Description", "Microsoft.VSTS.TCM.ReproSteps"})


def operations(body: Any, content_type: str) -> list[dict[str, Any]]:
    """The operations of a document. Raises VendorError."""
    if not content_type.startswith(TYPE):
        raise VendorError(415, f"The content type must be {TYPE}.", code="VssRequestContentTypeNotSupportedException")
    if not isinstance(body, list) or not all(isinstance(op, dict) and "op" in op and "path" in op for op in body):
        raise VendorError(
            400, "You must pass a valid patch document in the body of the request.", code="VssPropertyName"
        )
    return body


def check_tests(ops: list[dict[str, Any]], item: Item) -> None:
    """Every `test` holds. Raises VendorError 412."""
    for op in ops:
        if op["op"] == "test" and (op["path"], op.get("value")) != ("/rev", item.revision):
            text = f"VS403351: Test Operation for path {op['path']} failed."
            raise VendorError(412, text, code="TestPatchOperationFailedException")


def values(tracker: Tracker, project: str, kind: str, ops: list[dict[str, Any]], item: Item | None) -> dict[str, Any]:
    """What the operations set, as the tracker takes it. Raises VendorError for what the process does not allow."""
    found: dict[str, Any] = {}
    extra: dict[str, Any] = {} if item else {"type": kind}
    others = dict(item.extra.get("others", {})) if item else {}
    for op in ops:
        if op["op"] not in ("add", "replace", "remove") or not op["path"].startswith("/fields/"):
            continue
        name = op["path"].removeprefix("/fields/")
        value = None if op["op"] == "remove" else op.get("value")
        if name in _READ_ONLY:
            raise wrong(name, f"TF401326: Invalid field status 'InvalidNotOldValue' for field '{name}'.")
        if name == text_field(kind):
            found["description"] = tidy(str(value or ""))
        elif name in _TEXTS:
            extra["others"] = others = {**others, name: tidy(str(value or ""))}
        elif name == "System.Tags":
            extra["tags"] = tags_of(str(value or ""))
        elif name == "System.AreaPath":
            extra["area"] = _area(project, str(value))
        elif name in _SETTERS:
            target, read = _SETTERS[name]
            found[target] = read(tracker, project, kind, value)
        elif name.startswith("Custom."):
            extra["others"] = others = {**others, name: value}
        else:
            raise VendorError(400, f"TF51535: Cannot find field {name}.", code="WorkItemFieldNotFoundException")
    return {**found, "extra": extra} if extra else found


def required(needs: list[str], found: dict[str, Any]) -> None:
    """A new work item has all its process asks for. Raises VendorError."""
    if not found.get("title"):
        raise wrong("System.Title", "TF401320: Rule Error for field Title. Error code: Required, InvalidEmpty.")
    for name in needs:
        if not found["extra"].get("others", {}).get(name):
            raise wrong(name, f"TF401320: Rule Error for field {name}. Error code: Required, InvalidEmpty.")


def wrong(name: str, text: str) -> VendorError:
    """A rule of the process says no to a field."""
    return VendorError(400, text, code=_RULE, field=name)


def _title(tracker: Tracker, project: str, kind: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_TITLE:
        raise wrong("System.Title", "TF401320: Rule Error for field Title. Error code: InvalidTooLong.")
    return value


def _state(tracker: Tracker, project: str, kind: str, value: Any) -> str:
    if value not in PROJECTS[project].types[kind]:
        text = "TF401320: Rule Error for field State. Error code: HasValues, LimitedToValues, InvalidListValue."
        raise wrong("System.State", text)
    return str(value)


def _priority(tracker: Tracker, project: str, kind: str, value: Any) -> str | None:
    if value in (None, ""):
        return None
    if str(value) not in tracker.priorities:
        raise wrong("Microsoft.VSTS.Common.Priority", f"The field 'Priority' contains the value '{value}'.")
    return str(value)


def _assignee(tracker: Tracker, project: str, kind: str, value: Any) -> str | None:
    if value in (None, ""):
        return None
    name = value.get("uniqueName") if isinstance(value, dict) else str(value)
    for user in tracker.users.values():
        if user.active and name and name.casefold() in (str(user.email).casefold(), user.name.casefold()):
            return user.id
    text = f"The identity value '{value}' for field 'Assigned To' is an unknown identity."
    raise wrong("System.AssignedTo", text)


def _area(project: str, value: str) -> str:
    if value.casefold() not in AREAS or value.partition("\\")[0].casefold() != project.casefold():
        raise wrong(
            "System.AreaPath", f"TF401347: Invalid tree name given for work item, field 'System.AreaPath': {value}"
        )
    return value


def kind_in(project: str, kind: str) -> str:
    """A type of a project, in its own spelling. Raises VendorError 404."""
    for known in PROJECTS[project].types:
        if known.casefold() == kind.casefold():
            return known
    text = f"VS402323: Work item type {kind} does not exist in project {project} or you may not access it."
    raise VendorError(404, text, code="WorkItemTypeNotFoundException")


_SETTERS: dict[str, tuple[str, Any]] = {
    "System.Title": ("title", _title),
    "System.State": ("status", _state),
    "System.AssignedTo": ("assignee", _assignee),
    "Microsoft.VSTS.Common.Priority": ("priority", _priority),
}
"""Field -> the tracker's, and how its value is read."""
