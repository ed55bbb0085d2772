"""What the fake's GraphQL fields answer, and what they do to the tracker. Issues are rendered as they are just then."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.errors import VendorError
from sandbox.hooks import Hook
from sandbox.linear.schema import MOST_ROWS, USUAL_PAGE
from sandbox.paging import by_cursor, cursor_of
from sandbox.tracker import Container, Item, Status, User
from sandbox.vendor import Ask

if TYPE_CHECKING:
    from sandbox.linear.sandbox import LinearSandbox

Row = dict[str, Any]

INPUTS = {
    "title": "title",
    "description": "description",
    "stateId": "status",
    "priority": "priority",
    "assigneeId": "assignee",
}
"""A field of the inputs -> the tracker's."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LIST_SIGN = re.compile(r"^(\s*)[-+](?=\s)", re.MULTILINE)

# Before everything, in the order of any list: where an empty first page goes on.
_BEGINNING = cursor_of([-(10**18), ""])


class Api:
    """The fields of one request."""

    def __init__(self, sandbox: "LinearSandbox", ask: Ask) -> None:
        self._sandbox, self._tracker, self._ask = sandbox, sandbox.tracker, ask

    def root(self) -> dict[str, Callable[..., Any]]:
        """Root field -> what answers it."""
        return {
            "viewer": lambda _: user(self._tracker.users[self._ask.user]),
            "organization": lambda _: dict(self._sandbox.organization),
            "issue": self._issue,
            "issues": self._issues,
            "teams": self._teams,
            "users": self._users,
            "webhooks": self._webhooks,
            "issueCreate": self._create,
            "issueUpdate": self._update,
            "webhookCreate": self._create_hook,
            "webhookUpdate": self._update_hook,
            "webhookDelete": self._delete_hook,
        }

    # --- reading ------------------------------------------------------------------------------------

    def _issue(self, _info: Any, id: str) -> Row:
        return self._render(self._find(id))

    def _find(self, id_or_identifier: str) -> Item:
        """An issue the caller may see, in the trash or not."""
        for item in (*self._tracker.items.values(), *self._tracker.trash.values()):
            known = (item.id, item.key, *self._sandbox.previous.get(item.id, ()))
            if id_or_identifier in known and self._tracker.visible(item, self._ask.user):
                return item
        raise not_found("Issue")

    def _render(self, item: Item) -> Row:
        return self._sandbox.issue(item)

    def _issues(
        self,
        _info: Any,
        filter: Mapping[str, Any] | None = None,
        first: int = USUAL_PAGE,
        after: str | None = None,
        includeArchived: bool = False,  # noqa: N803  Linear's name
        orderBy: str = "createdAt",  # noqa: N803  Linear's name
    ) -> Row:
        wanted = filter or {}
        items = [item for item in self._listed(wanted, includeArchived) if self._fits(item, wanted)]

        def place(item: Item) -> list[Any]:
            at = item.updated if orderBy == "updatedAt" else item.created
            return [-int(at.timestamp() * 1000), item.id]

        return self._connection(items, place, self._render, first, after)

    def _listed(self, wanted: Mapping[str, Any], archived: bool) -> Sequence[Item]:
        """Named by ids, issues are read as they are; the list may be behind. Trash and archive only on demand."""
        named = wanted.get("id", {}).get("in")
        if named is None:
            items = self._sandbox.listed(self._ask)
        else:
            known = [self._tracker.items.get(id_) for id_ in dict.fromkeys(named)]
            items = [item for item in known if item is not None and self._tracker.visible(item, self._ask.user)]
        if not archived:
            return [item for item in items if not item.extra.get("archived_at")]
        shown = {item.id for item in items}
        trash = [item for item in self._tracker.trash.values() if self._tracker.visible(item, self._ask.user)]
        return [*items, *(item for item in trash if item.id not in shown)]

    def _fits(self, item: Item, wanted: Mapping[str, Any]) -> bool:
        team = self._tracker.containers[item.container]
        since = wanted.get("updatedAt", {}).get("gte")
        return (
            _compares(wanted.get("id"), item.id)
            and _is_team(wanted.get("team") or {}, team)
            and (since is None or item.updated >= instant(since))
        )

    def _teams(
        self,
        _info: Any,
        filter: Mapping[str, Any] | None = None,
        first: int = USUAL_PAGE,
        after: str | None = None,
    ) -> Row:
        seen = [t for t in self._tracker.containers.values() if t.members is None or self._ask.user in t.members]
        teams = [team for team in seen if _is_team(filter or {}, team)]
        return self._connection(teams, lambda team: [0, team.id], self._sandbox.team, first, after)

    def _users(
        self,
        _info: Any,
        filter: Mapping[str, Any] | None = None,
        first: int = USUAL_PAGE,
        after: str | None = None,
    ) -> Row:
        wanted = (filter or {}).get("email") or {}
        people = [person for person in self._tracker.users.values() if _compares(wanted, person.email or "")]
        return self._connection(people, lambda person: [0, person.id], user, first, after)

    def _connection(
        self,
        rows: Sequence[Any],
        place: Callable[[Any], list[Any]],
        render: Callable[[Any], Row],
        first: int,
        after: str | None,
    ) -> Row:
        if not 1 <= first <= MOST_ROWS:
            raise VendorError(400, f"first must be between 1 and {MOST_ROWS}.", field="first")
        ordered = sorted(rows, key=place)
        page = self._sandbox.page(
            self._ask, lambda size: by_cursor(ordered, after, size, place), first, after or _BEGINNING
        )
        end = page.next or (cursor_of(place(page.rows[-1])) if page.rows else None)
        info = {"hasNextPage": page.next is not None, "endCursor": end, "hasPreviousPage": after is not None}
        return {"nodes": [render(row) for row in page.rows], "pageInfo": info}

    # --- writing ------------------------------------------------------------------------------------

    def _create(self, _info: Any, input: dict[str, Any]) -> Row:
        self._needs("write", "issues:create")
        team = self._tracker.containers.get(input["teamId"])
        if team is None or (team.members is not None and self._ask.user not in team.members):
            raise not_found("Team")
        chosen = input.get("id")
        if chosen is not None and not _UUID.fullmatch(chosen):
            raise VendorError(400, "id must be a UUID.", field="id")
        values = _values(input)
        title = values.pop("title", None)
        if title is None:
            raise VendorError(400, "title should not be empty", field="title")
        return self._done(self._tracker.create(self._ask.user, team.id, title, item_id=chosen, **values))

    def _update(self, _info: Any, id: str, input: dict[str, Any]) -> Row:
        self._needs("write")
        item = self._find(id)
        if item.id in self._tracker.trash:
            raise VendorError(400, f"{item.key} is in the trash.")
        values = _values(input)
        if not values and self._sandbox.settings.refuses_nothing:
            raise VendorError(400, "There is nothing to update.")
        return self._done(self._tracker.update(self._ask.user, item.id, **values) if values else item)

    def _done(self, item: Item) -> Row:
        return {"success": True, "lastSyncId": item.change, "issue": self._render(item)}

    def _needs(self, *scopes: str) -> None:
        """One of the scopes."""
        if not any(self._ask.caller.may(scope) for scope in scopes):
            raise VendorError(403, f"Invalid scope: {' or '.join(scopes)} required.")

    # --- webhooks -----------------------------------------------------------------------------------

    def _administers(self) -> None:
        self._needs("admin")
        if self._ask.user not in self._sandbox.admins:
            raise VendorError(403, "You need to be an administrator of the workspace.")

    def _webhooks(self, _info: Any, first: int = USUAL_PAGE, after: str | None = None) -> Row:
        self._administers()
        return self._connection(self._sandbox.hooks.live(), lambda hook: [0, hook.id], self._hook, first, after)

    def _hook(self, hook: Hook) -> Row:
        team = self._tracker.containers.get(hook.container or "")
        return {
            "id": hook.id,
            "url": hook.url,
            "enabled": hook.enabled,
            "label": hook.extra.get("label"),
            "secret": hook.secret,
            "resourceTypes": sorted(hook.events),
            "allPublicTeams": hook.container is None,
            "team": self._sandbox.team(team) if team else None,
        }

    def _create_hook(self, _info: Any, input: dict[str, Any]) -> Row:
        self._administers()
        team = input.get("teamId")
        if (team is None) is not bool(input.get("allPublicTeams")):
            raise VendorError(400, "Name either teamId or allPublicTeams.", field="teamId")
        if team is not None and team not in self._tracker.containers:
            raise not_found("Team")
        hook = self._sandbox.hooks.register(
            input["url"],
            self._ask.user,
            secret=input.get("secret") or "",
            events=frozenset(input["resourceTypes"]),
            container=team,
            enabled=input["enabled"],
            extra={"label": input.get("label")},
        )
        return {"success": True, "lastSyncId": 0, "webhook": self._hook(hook)}

    def _update_hook(self, _info: Any, id: str, input: dict[str, Any]) -> Row:
        self._administers()
        changes: dict[str, Any] = {name: input[name] for name in ("url", "secret", "enabled") if name in input}
        if "resourceTypes" in input:
            changes["events"] = frozenset(input["resourceTypes"])
        hook = self._sandbox.hooks.change(self._registered(id).id, **changes)
        return {"success": True, "lastSyncId": 0, "webhook": self._hook(hook)}

    def _delete_hook(self, _info: Any, id: str) -> Row:
        self._administers()
        self._sandbox.hooks.remove(self._registered(id).id)
        return {"success": True, "lastSyncId": 0, "entityId": id}

    def _registered(self, hook_id: str) -> Hook:
        for hook in self._sandbox.hooks.live():
            if hook.id == hook_id:
                return hook
        raise not_found("Webhook")


def not_found(entity: str) -> VendorError:
    """Linear's words for what is not there, or not for the caller."""
    return VendorError(404, f"Entity not found: {entity} - Could not find referenced {entity}.", code=entity)


def user(person: User) -> Row:
    """Somebody as the API gives them."""
    return {
        "id": person.id,
        "name": person.name,
        "email": person.email or "",
        "active": person.active,
        "app": False,
        "isAssignable": person.active,
    }


def state(status: Status, position: int) -> Row:
    """A workflow state."""
    return {"id": status.id, "name": status.name, "type": status.kind, "position": position}


def stamp(at: datetime) -> str:
    """A time as Linear writes it: milliseconds, UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(text: str) -> datetime:
    """A time somebody sent. Raises VendorError 400."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise VendorError(400, f"{text!r} is not a time.", field="updatedAt") from None


def reformatted(markdown: str) -> str:
    """A description as Linear stores it: one kind of line end and of list sign, no blanks at the end."""
    lines = markdown.replace("\r\n", "\n").split("\n")
    return _LIST_SIGN.sub(r"\1*", "\n".join(line.rstrip() for line in lines).strip())


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    """An input as the tracker's values; what is absent stays as it is."""
    values = {INPUTS[name]: value for name, value in given.items() if name in INPUTS}
    if "description" in values:
        values["description"] = reformatted(values["description"] or "")
    if "priority" in values:
        values["priority"] = str(values["priority"] or 0)
    return values


def _is_team(wanted: Mapping[str, Any], team: Container) -> bool:
    return _compares(wanted.get("id"), team.id) and _compares(wanted.get("key"), team.key)


def _compares(wanted: Mapping[str, Any] | None, value: str) -> bool:
    """Whether a value fits a comparator; what is not asked fits."""
    asked = wanted or {}
    return (
        asked.get("eq") in (None, value)
        and value in (asked.get("in") or [value])
        and asked.get("eqIgnoreCase", value).casefold() == value.casefold()
    )
