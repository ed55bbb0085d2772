"""Work items as Azure shows them, and the texts it keeps."""

import re
from typing import Any

from sandbox.azure.forms import identity, named, stamp
from sandbox.azure_boards.process import PROJECTS
from sandbox.tracker import Item, Tracker

BEFORE_LAST = "9999-01-01T00:00:00Z"
"""What an update that nothing has followed says of its end."""

_SCRIPTS = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_HANDLERS = re.compile(r"\s+on\w+\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)


def tidy(html: str) -> str:
    """HTML as the server keeps it: sanitised, and in an element of its own."""
    clean = _HANDLERS.sub("", _SCRIPTS.sub("", html)).strip()
    return clean if not clean or clean.startswith("<div>") else f"<div>{clean}</div>"


def tags_of(text: str) -> str:
    """Tags as they are kept: each once, whatever its case, parted by `; `."""
    tags: dict[str, str] = {}
    for tag in filter(None, map(str.strip, re.split("[;,]", text))):
        tags.setdefault(tag.casefold(), tag)
    return "; ".join(tags.values())


def kind_of(tracker: Tracker, item: Item) -> str:
    """A work item's type."""
    return str(item.extra.get("type") or PROJECTS[tracker.containers[item.container].key].usual)


def area_of(tracker: Tracker, item: Item) -> str:
    """A work item's area path. One that came from another project is in the root of its new one."""
    project = tracker.containers[item.container].key
    area = str(item.extra.get("area") or "")
    return area if area == project or area.startswith(f"{project}\\") else project


def text_field(kind: str) -> str:
    """Where people see the text of a type."""
    return "Microsoft.VSTS.TCM.ReproSteps" if kind == "Bug" else "System.Description"


def fields(tracker: Tracker, item: Item, *, identities: str = "object") -> dict[str, Any]:
    """All fields; what is empty is left out. Identities are objects, or in deliveries a `text`."""
    kind = kind_of(tracker, item)
    person = identity if identities == "object" else named
    values: dict[str, Any] = {
        "System.Id": item.id and int(item.id),
        "System.Rev": item.revision,
        "System.TeamProject": tracker.containers[item.container].key,
        "System.AreaPath": area_of(tracker, item),
        "System.IterationPath": tracker.containers[item.container].key,
        "System.WorkItemType": kind,
        "System.Title": item.title,
        "System.State": item.status,
        "System.Reason": f"Moved to state {item.status}",
        "System.CreatedDate": stamp(item.created),
        "System.ChangedDate": stamp(item.updated),
        "System.CreatedBy": person(tracker.users[item.creator]) if item.creator else None,
        "System.AssignedTo": person(tracker.users[item.assignee]) if item.assignee else None,
        "System.Tags": item.extra.get("tags"),
        "Microsoft.VSTS.Common.Priority": int(item.priority) if item.priority else None,
        text_field(kind): item.description,
        **item.extra.get("others", {}),
    }
    return {name: value for name, value in values.items() if value not in (None, "")}


def work_item(tracker: Tracker, item: Item, url: str, only: list[str] | None = None) -> dict[str, Any]:
    """A work item of an answer, with all fields or `only` some."""
    every = fields(tracker, item)
    chosen = every if only is None else {name: every[name] for name in only if name in every}
    return {"id": int(item.id), "rev": item.revision, "fields": chosen, "url": f"{url}/_apis/wit/workItems/{item.id}"}
