"""A fake vendor over a tracker: subclass `TrackerSandbox`, say what is in the tracker and what the API answers.

An author gives the tracker, a table of endpoints, what a webhook says and how it is signed, and the shape of errors.
Authentication, scopes, limits, locking, OAuth, faults, people and the control endpoint are here.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from sandbox.auth import ApiToken, Caller, Doorkeeper
from sandbox.base import Sandbox, perform
from sandbox.clock import Clock
from sandbox.consent import ConsentPages, oauth_reply
from sandbox.errors import VendorError
from sandbox.faults import PAGE_FAULTS, Fault, FaultKind
from sandbox.hooks import Hook, Hooks, Sending
from sandbox.http import Call, Operation, Reply
from sandbox.limits import Limiter, Rate, Window, usual_headers
from sandbox.oauth import AuthServer, Grant, OAuthApp, OAuthError, OAuthRules
from sandbox.paging import Page, bent_size
from sandbox.people import ACTIONS, Person
from sandbox.switches import Switches
from sandbox.tracker import Change, Item, Tracker, User
from sandbox.webhooks import RetryRule, Sender

T = TypeVar("T")

CLIENT_ID = "sandbox-client"
# At least 32 bytes, so that it can be the key of an HS256 signature.
CLIENT_SECRET = "sandbox-client-secret-0123456789abcdef"
API_TOKEN = "sandbox-token-0123456789abcdef"
WRONG_TOKEN = "sandbox-token-of-nobody"

ROBOT = "Sync Robot"
PEOPLE = (
    ("Ann Archer", "ann@example.com"),
    ("Bob Baker", "bob@example.com"),
    ("Cleo Carter", "cleo@example.com"),
    (ROBOT, "robot@example.com"),
)
"""Who works at a fake vendor; the last is the account that integrations use."""


def usual_people(new_id: Callable[[int], str] = "U{}".format) -> list[User]:
    """The people of PEOPLE, with the vendor's kind of ids."""
    return [User(new_id(number), name, email) for number, (name, email) in enumerate(PEOPLE, 1)]


@dataclass(frozen=True)
class Ask:
    """One authenticated request as a handler sees it."""

    call: Call
    caller: Caller

    @property
    def user(self) -> str:
        """Who is asking."""
        return self.caller.user

    @property
    def params(self) -> dict[str, str]:
        """The parts of the path."""
        return dict(self.call.params)

    def number(self, name: str, default: int) -> int:
        """A whole number of the query. Raises VendorError 400."""
        try:
            return int(self.call.query.get(name, default))
        except ValueError:
            raise VendorError(400, f"{name} must be a whole number.", field=name) from None

    def json(self, *needed: str) -> dict[str, Any]:
        """The body's JSON object, with at least these fields. Raises VendorError 400."""
        try:
            body = self.call.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise VendorError(400, "The body must be a JSON object.")
        for name in needed:
            if body.get(name) in (None, ""):
                raise VendorError(400, f"{name} is needed.", field=name)
        return body


@dataclass(frozen=True)
class Endpoint:
    """One call of the API: its name (used by faults and the call log), and the scope it needs. The handler returns a
    Reply, or what is answered as JSON with status 200. `named` as of `sandbox.http.Operation`."""

    name: str
    method: str
    path: str
    handler: Callable[[Ask], Any]
    scope: str = ""
    named: Callable[[bytes], str] | None = None


class TrackerSandbox(Sandbox):
    """The base of a fake vendor whose items live in a `Tracker`. Options as of `Sandbox`; `record` is a file."""

    switches: ClassVar[type[Switches]] = Switches
    schemes: ClassVar[tuple[str, ...]] = ("bearer",)
    token_header: ClassVar[str] = "authorization"
    oauth_rules: ClassVar[OAuthRules | None] = None
    oauth_paths: ClassVar[dict[str, str]] = {}
    rate: ClassVar[Rate] = Rate(600, 60.0)
    retry_rule = RetryRule(((30.0, 60.0),) * 3, lambda status: status >= 500 or status == 429)

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 1,
        settings: Switches | None = None,
        sender: Sender | None = None,
        webhook_time_scale: float = 1.0,
        record: Path | None = None,
    ) -> None:
        super().__init__(
            clock=clock,
            seed=seed,
            settings=settings or self.switches(),
            sender=sender,
            webhook_time_scale=webhook_time_scale,
        )
        self.url = f"http://{self.name}.sandbox"
        self.tracker = self.make_tracker()
        self.robot = self.tracker.user(ROBOT)
        self.hooks = Hooks(
            self.clock, self.rng("webhooks"), self.settings, self.deliveries, self.sign, self.new_hook_id
        )
        self.tracker.listeners.append(self.on_change)
        self.oauth = self._auth_server()
        self.door = Doorkeeper(self.clock, self.schemes, self.token_header, self.oauth)
        self.door.add(ApiToken(API_TOKEN, self.robot.id))
        self.limiter = Limiter(self.clock, self.settings, self.rate, self.rate_headers)
        self.app = self.open(self, record)

    def _auth_server(self) -> AuthServer | None:
        if self.oauth_rules is None:
            return None
        server = AuthServer(self.clock, self.rng("oauth"), self.settings, self.oauth_rules, self.robot.id)
        server.apps[CLIENT_ID] = OAuthApp(CLIENT_ID, CLIENT_SECRET)
        return server

    # What an author says

    @abstractmethod
    def make_tracker(self) -> Tracker:
        """The tracker as it is sold. Somebody in it must be called ROBOT."""

    @abstractmethod
    def endpoints(self) -> Sequence[Endpoint]:
        """The API."""

    @abstractmethod
    def on_change(self, change: Change) -> None:
        """Tell the hooks: `self.hooks.tell(event, body, container)`."""

    @abstractmethod
    def sign(self, sending: Sending) -> dict[str, str]:
        """The headers of a delivery, its signature among them."""

    def error_reply(self, error: VendorError) -> Reply:
        """An error in the vendor's own shape."""
        return Reply(error.status, {"message": error.text})

    def rate_headers(self, window: Window) -> dict[str, str]:
        """What is said about the rate limit."""
        return usual_headers(window)

    def resources(self) -> Sequence[str]:
        """What a consent is for, where the vendor has such."""
        return ()

    @staticmethod
    def new_hook_id(number: int) -> str:
        """A webhook's id from its number."""
        return str(number)

    # For handlers

    def listed(self, ask: Ask) -> list[Item]:
        """The items the caller may see, in the order of their birth, as a listing that may be behind has them."""
        items = self.tracker.indexed(self.settings.search_lag_seconds)
        return [item for item in items if self.tracker.visible(item, ask.user)]

    def page(self, ask: Ask, turn: Callable[[int], Page[T]], size: int, here: Any) -> Page[T]:
        """A page of `size` rows by `turn` (see `sandbox.paging`), bent by the switches and the planned faults. `here`
        is where the page begins, for an empty one. A short or empty page is for offsets and cursors: who counts pages
        would take it for the end, or miss rows."""
        call = ask.call
        kinds = {f.kind for f in self.faults.take(PAGE_FAULTS, call.operation, call.method, call.path)}
        turned = turn(bent_size(min(size, self.settings.page_limit or size), kinds))
        return replace(turned, rows=[], next=here) if FaultKind.EMPTY_PAGE in kinds else turned

    # The HTTP face: see sandbox.http.Vendor

    def operations(self) -> Sequence[Operation]:
        """Every endpoint, those of the authorization server among them."""
        table = [Operation(e.name, e.method, e.path, partial(self._answer, e), e.named) for e in self.endpoints()]
        if self.oauth is not None:
            table += ConsentPages(self.oauth, self._accounts, resources=self.resources, **self.oauth_paths).operations()
        return table

    def _accounts(self) -> list[tuple[str, str]]:
        return [(user.id, user.name) for user in self.tracker.users.values() if user.active]

    def handle(self, operation: Operation, call: Call) -> Reply:
        """Run a handler under the lock and give errors their shape."""
        with self.tracker.lock:
            try:
                return operation.handler(call)
            except VendorError as error:
                return self._refused(error)
            except OAuthError as error:
                return oauth_reply(error)

    def _answer(self, endpoint: Endpoint, call: Call) -> Reply:
        """Authenticate, count, check the scope, answer."""
        caller = self.door.caller(call)
        window = self.limiter.take(caller.user)
        said = self.rate_headers(window) if window else {}
        if window is not None and window.refused:
            raise VendorError(429, "Too many calls.", headers=said)
        if not caller.may(endpoint.scope):
            raise VendorError(403, f"The scope {endpoint.scope} is needed.", headers=said)
        try:
            made = endpoint.handler(Ask(call, caller))
        except VendorError as error:
            error.headers = {**said, **error.headers}
            raise
        reply = made if isinstance(made, Reply) else Reply(200, made)
        reply.headers = {**said, **reply.headers}
        return reply

    def _refused(self, error: VendorError) -> Reply:
        reply = self.error_reply(error)
        reply.headers = {**error.headers, **reply.headers}
        return reply

    def fault_reply(self, fault: Fault) -> Reply:
        """A planned 429 or error."""
        if fault.kind is FaultKind.RATE_LIMIT:
            headers = self.rate_headers(self.limiter.planned(fault.retry_after))
            return self._refused(VendorError(429, fault.reason or "Too many calls.", headers=headers))
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        text = fault.reason or "The sandbox was told to fail here."
        return self._refused(VendorError(fault.status, text, headers=headers))

    def not_found(self, method_known: bool) -> Reply:
        """Unknown path or method."""
        error = VendorError(405, "Method not allowed.") if method_known else VendorError(404, "Not found.")
        return self._refused(error)

    # People and credentials

    def person(self, who: str) -> Person:
        """Somebody in front of the vendor's user interface, by id, email or name. Raises VendorError."""
        return Person(self.tracker, who)

    def ways_in(self) -> dict[str, str]:
        """What an operator has to know to get in: name -> value."""
        return {"API token": API_TOKEN}

    def plant(self, count: int, container: str | None = None) -> list[Item]:
        """Put ready-made items in place, without webhooks; into the first container if none is named. Where people only
        talk there are none."""
        if not self.tracker.containers:
            return []
        with self.tracker.lock:
            home = self.tracker.container(container) if container else next(iter(self.tracker.containers.values()))
            return self.tracker.plant(count, home.id)

    def grant(self, who: str = ROBOT, scopes: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Tokens as after a consent of that person, without the browser."""
        if self.oauth is None:
            raise VendorError(404, f"{self.name} has no authorization server.")
        asked = self.oauth.rules.scopes if scopes is None else scopes
        with self.tracker.lock:
            account = self.tracker.user(who).id
            return self.oauth.issue(Grant(self.oauth.apps[CLIENT_ID], account, asked, tuple(self.resources())))

    # What the control endpoint does

    def act(self, person: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do something as a person: the names and arguments are those of Person. Raises ControlError."""
        made = perform(partial(self.person, person), ACTIONS, action, arguments, VendorError)
        return self.item_json(made)

    def state(self) -> dict[str, Any]:
        """People, containers, items, trash and webhooks; no secrets."""
        with self.tracker.lock:
            tracker = self.tracker
            return {
                "now": self.clock.now().isoformat(),
                "url": self.url,
                "users": [asdict(user) for user in tracker.users.values()],
                "containers": [
                    {"id": c.id, "key": c.key, "name": c.name, "statuses": [s.name for s in tracker.statuses_of(c.id)]}
                    for c in tracker.containers.values()
                ],
                "items": [self.item_json(item) for item in tracker.items.values()],
                "trash": [self.item_json(item) for item in tracker.trash.values()],
                "webhooks": [_hook_json(hook) for hook in self.hooks.live()],
            }

    def item_json(self, item: Item) -> dict[str, Any]:
        """An item in words."""
        tracker = self.tracker
        return {
            "id": item.id,
            "key": item.key,
            "container": tracker.containers[item.container].key,
            "title": item.title,
            "description": item.description,
            "status": tracker.statuses[item.status].name,
            "priority": tracker.priorities[item.priority].name if item.priority else None,
            "assignee": tracker.users[item.assignee].name if item.assignee else None,
            "marker": item.marker,
            "updated": item.updated.isoformat(),
            "revision": item.revision,
            "extra": dict(item.extra),
        }


def _hook_json(hook: Hook) -> dict[str, Any]:
    return {
        "id": hook.id,
        "url": hook.url,
        "events": sorted(hook.events),
        "container": hook.container,
        "enabled": hook.enabled,
        "expires": hook.expires.isoformat() if hook.expires else None,
    }
