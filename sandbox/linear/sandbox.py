"""A fake Linear: one workspace with two teams. What documents may ask is in `schema`, what is answered in `api`."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from graphql import GraphQLError

from sandbox.auth import Caller, Doorkeeper
from sandbox.errors import VendorError
from sandbox.hooks import Hook, Sending
from sandbox.http import Call, Reply
from sandbox.limits import Rate, Window
from sandbox.linear.api import Api, stamp, state, user
from sandbox.linear.schema import MOST_POINTS, checked, points, run
from sandbox.oauth import OAuthRules
from sandbox.switches import Switches
from sandbox.tracker import Change, Container, Item, Kind, Priority, Status, Tracker
from sandbox.vendor import Ask, Endpoint, TrackerSandbox, usual_people
from sandbox.webhooks import Delivery, DeliveryState, RetryRule

TEAMS = (("ENG", "Engineering"), ("OPS", "Operations"))

STATES = (
    ("Backlog", "backlog"),
    ("Todo", "unstarted"),
    ("In Progress", "started"),
    ("In Review", "started"),
    ("Done", "completed"),
    ("Canceled", "canceled"),
    ("Duplicate", "duplicate"),
    ("Triage", "triage"),
)
"""Each team has its own, in this order; the first is where issues begin."""

PRIORITIES = ("No priority", "Urgent", "High", "Medium", "Low")

SCOPES = ("read", "write", "issues:create", "comments:create", "admin")

TYPES = {401: "authentication error", 403: "forbidden", 429: "ratelimited"}
CODES = {401: "AUTHENTICATION_ERROR", 403: "FORBIDDEN", 429: "RATELIMITED"}
ENTITIES = {"assignee": "User", "status": "WorkflowState"}

RETRY_SECONDS = ((60.0, 60.0), (3600.0, 3600.0), (21_600.0, 21_600.0))


@dataclass
class LinearSwitches(Switches):
    """`trash_as`: the action of the webhook for an issue put into the trash, "remove" or "update". `auth_status`: what
    a refused credential comes with. `refuses_nothing`: an update without fields is an error. `disables_hooks`: a
    webhook whose delivery failed for good is turned off."""

    access_token_seconds: int = 86_399
    trash_as: str = "remove"
    auth_status: int = 401
    refuses_nothing: bool = False
    disables_hooks: bool = True


class LinearDoor(Doorkeeper):
    """API keys come as they are, access tokens as Bearer; the other way round they are refused."""

    def caller(self, call: Call) -> Caller:
        """Who is calling. Raises VendorError 401."""
        caller = super().caller(call)
        bearer = call.headers.get(self.header, "").lower().startswith("bearer ")
        if bearer is not (caller.grant is not None):
            raise VendorError(401, "An API key goes without Bearer, and an access token with it.")
        return caller


class LinearSandbox(TrackerSandbox):
    """A Linear workspace with two teams. The robot is an administrator."""

    name = "linear"
    switches = LinearSwitches
    settings: LinearSwitches
    schemes = ("plain", "bearer")
    oauth_rules = OAuthRules(SCOPES, refresh_life=timedelta(days=3650), scope_separator=",", name="Linear")
    rate = Rate(2500, 3600.0)
    retry_rule = RetryRule(RETRY_SECONDS, lambda status: True, accepts=lambda status: status == 200)

    def __init__(self, **options: Any) -> None:
        self.organization = {"id": _uuid("organization", 1), "name": "Acme", "urlKey": "acme"}
        self.trashed_at: dict[str, datetime] = {}
        self.previous: dict[str, list[str]] = {}
        super().__init__(**options)
        self.admins = {self.robot.id}
        self.door = LinearDoor(self.clock, self.schemes, self.token_header, self.oauth, self.door.tokens)
        self.deliveries.settled.append(self._disable)

    def make_tracker(self) -> Tracker:
        """Ids are UUIDs; an issue's identifier begins with its team's key."""
        homes, statuses = [], []
        for number, (key, name) in enumerate(TEAMS):
            own = [Status(_uuid(f"state {key}", n), label, kind) for n, (label, kind) in enumerate(STATES)]
            homes.append(Container(_uuid("team", number), key, name, tuple(status.id for status in own)))
            statuses += own
        return Tracker(
            self.clock,
            users=usual_people(lambda number: _uuid("user", number)),
            containers=homes,
            statuses=statuses,
            priorities=[Priority(str(number), name) for number, name in enumerate(PRIORITIES)],
            default_priority="0",
            new_id=lambda number: _uuid("issue", number),
        )

    def endpoints(self) -> Sequence[Endpoint]:
        """One for everything."""
        return [Endpoint("graphql", "POST", "/graphql", self._graphql, named=_operation)]

    def _graphql(self, ask: Ask) -> Reply:
        body = ask.json("query")
        name, variables = body.get("operationName"), body.get("variables") or {}
        document = checked(str(body["query"]))
        if isinstance(document, list):
            problems = [_problem(400, error.message, "graphql error") for error in document]
            return Reply(400, {"errors": problems})
        cost = points(document, name, variables)
        if cost > MOST_POINTS:
            raise VendorError(400, f"The query is too complex: {cost} points, {MOST_POINTS} are allowed.")
        result = run(document, Api(self, ask).root(), variables, name)
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [self._resolved(error.original_error or error, error.path) for error in result.errors]
        return Reply(200, answer, {"X-Complexity": str(cost)})

    def _resolved(self, error: Exception, path: Any) -> dict[str, Any]:
        if isinstance(error, GraphQLError):  # a variable of another type
            return _problem(400, error.message, "invalid input")
        if not isinstance(error, VendorError):
            raise error
        return {**self._problem_of(error), "path": path}

    def _problem_of(self, error: VendorError) -> dict[str, Any]:
        if error.field in ENTITIES:
            text = f"Entity not found: {ENTITIES[error.field]} - Could not find referenced {ENTITIES[error.field]}."
            return _problem(error.status, text)
        if error.field is not None:
            return _problem(error.status, "Argument Validation Error", shown=f"{error.field}: {error.text}")
        return _problem(error.status, error.text)

    def error_reply(self, error: VendorError) -> Reply:
        """Linear says "too many" with a 400."""
        status = {429: 400, 401: self.settings.auth_status}.get(error.status, error.status)
        return Reply(status, {"errors": [self._problem_of(error)]})

    def rate_headers(self, window: Window) -> dict[str, str]:
        """Epochs are in milliseconds."""
        return {
            "X-RateLimit-Requests-Limit": str(window.limit),
            "X-RateLimit-Requests-Remaining": str(window.left),
            "X-RateLimit-Requests-Reset": str(int(window.resets.timestamp() * 1000)),
        }

    # --- what things look like ----------------------------------------------------------------------

    def issue(self, item: Item) -> dict[str, Any]:
        """An issue as the API gives it."""
        tracker = self.tracker
        creator, assignee = tracker.users.get(item.creator), tracker.users.get(item.assignee or "")
        gone = item.id in tracker.trash and item.id not in tracker.items
        archived = stamp(self.trashed_at[item.id]) if gone else item.extra.get("archived_at")
        team = tracker.containers[item.container]
        number = int(item.priority or 0)
        return {
            "id": item.id,
            "identifier": item.key,
            "number": int(item.key.rpartition("-")[2]),
            "title": item.title,
            "description": item.description or None,
            "priority": number,
            "priorityLabel": PRIORITIES[number],
            "url": f"{self.url}/{self.organization['urlKey']}/issue/{item.key}",
            "createdAt": stamp(item.created),
            "updatedAt": stamp(item.updated),
            "archivedAt": archived,
            "trashed": gone or None,
            "previousIdentifiers": list(self.previous.get(item.id, ())),
            "state": state(tracker.statuses[item.status], team.statuses.index(item.status)),
            "team": self.team(team),
            "assignee": user(assignee) if assignee else None,
            "creator": user(creator) if creator else None,
        }

    def team(self, team: Container) -> dict[str, Any]:
        """A team; its states when they are asked for."""

        def states(_info: Any, first: int = 50, after: str | None = None) -> dict[str, Any]:
            known = [state(status, n) for n, status in enumerate(self.tracker.statuses_of(team.id))]
            return {"nodes": known[:first], "pageInfo": {"hasNextPage": len(known) > first, "hasPreviousPage": False}}

        return {"id": team.id, "key": team.key, "name": team.name, "states": states}

    # --- webhooks -----------------------------------------------------------------------------------

    def on_change(self, change: Change) -> None:
        """Tell the hooks; remember what Linear goes on to know of an issue that moved or was trashed."""
        item = change.item
        if change.kind is Kind.MOVED and change.before is not None:
            self.previous.setdefault(item.id, []).append(change.before.key)
        if change.kind is Kind.DELETED:
            self.trashed_at[item.id] = change.at
        kept = change.kind is Kind.DELETED and item.id in self.tracker.trash
        action = {Kind.CREATED: "create", Kind.DELETED: "remove"}.get(change.kind, "update")
        action = self.settings.trash_as if kept else action
        self.hooks.tell("Issue", lambda hook, _delivery: self._payload(change, action, hook), item.container)

    def _payload(self, change: Change, action: str, hook: Hook) -> dict[str, Any]:
        """The envelope. Of an issue that is removed, the last change is older than its removal; null is left out."""
        actor = self.tracker.users.get(change.who)
        body: dict[str, Any] = {
            "action": action,
            "type": "Issue",
            "createdAt": stamp(change.at),
            "organizationId": self.organization["id"],
            "webhookId": hook.id,
            "webhookTimestamp": int(self.clock.now().timestamp() * 1000),
            "url": self.issue(change.item)["url"] if action != "remove" else None,
            "actor": {"type": "user", **user(actor)} if actor else None,
            "data": self._data(change),
        }
        if action == "update" and change.before is not None:
            before = self.issue(change.before) if change.after is not None else {"archivedAt": None, "trashed": None}
            after = body["data"]
            body["updatedFrom"] = {
                name: before[name] for name in before if name in _PLAIN and before[name] != after.get(name)
            }
        return body

    def _data(self, change: Change) -> dict[str, Any]:
        data = self.issue(change.item)
        del data["creator"]
        data["team"] = {name: data["team"][name] for name in ("id", "key", "name")}
        data |= {"stateId": data["state"]["id"], "teamId": data["team"]["id"]}
        if data["assignee"]:
            data["assigneeId"] = data["assignee"]["id"]
        if change.after is None:
            data["archivedAt"] = stamp(change.at)
        return {name: value for name, value in data.items() if value is not None}

    def sign(self, sending: Sending) -> dict[str, str]:
        """HMAC-SHA256 of the body, in hex without a prefix. The header's time is not signed."""
        return {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Linear-Webhook",
            "Linear-Delivery": str(UUID(sending.delivery_id)),
            "Linear-Event": sending.event,
            "Linear-Signature": hmac.new(sending.hook.secret.encode(), sending.body, hashlib.sha256).hexdigest(),
            "Linear-Timestamp": str(int(sending.now.timestamp() * 1000)),
        }

    def _disable(self, delivery: Delivery) -> None:
        if delivery.state is not DeliveryState.FAILED or not self.settings.disables_hooks:
            return
        with self.tracker.lock:
            for hook in self.hooks.live():
                if hook.url == delivery.url:
                    self.hooks.change(hook.id, enabled=False)

    @staticmethod
    def new_hook_id(number: int) -> str:
        """A UUID, as everywhere."""
        return _uuid("webhook", number)


_PLAIN = frozenset({"title", "description", "priority", "updatedAt", "archivedAt", "trashed", "identifier"})


def _problem(status: int, text: str, type_: str = "", shown: str = "") -> dict[str, Any]:
    """One of the `errors` of an answer."""
    passing = status >= 500
    extensions = {
        "type": type_ or TYPES.get(status, "internal error" if passing else "invalid input"),
        "code": CODES.get(status, "INTERNAL_SERVER_ERROR" if passing else "INPUT_ERROR"),
        "userError": not passing,
        "userPresentableMessage": shown or text,
    }
    return {"message": text, "extensions": extensions}


def _operation(body: bytes) -> str:
    """The name a document gives its operation. Raises ValueError."""
    sent = json.loads(body)
    name = sent.get("operationName") if isinstance(sent, dict) else None
    return name if isinstance(name, str) else "graphql"


def _uuid(kind: str, number: int) -> str:
    """An id that looks as if by chance and is the same every time."""
    return str(UUID(bytes=hashlib.blake2b(f"{kind}:{number}".encode(), digest_size=16).digest(), version=4))
