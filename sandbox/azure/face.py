"""Azure DevOps as every part of it answers: below an organization, with a version, its errors and its service hooks."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from sandbox.azure.entra import RULES, Entra
from sandbox.azure.forms import listed, page
from sandbox.azure.hooks import TRANSIENT, ServiceHooks
from sandbox.consent import ConsentPages
from sandbox.errors import VendorError
from sandbox.hooks import Sending
from sandbox.http import Operation, Reply
from sandbox.limits import Rate, Window
from sandbox.oauth import AuthServer, OAuthApp
from sandbox.switches import Switches
from sandbox.vendor import CLIENT_ID, CLIENT_SECRET, Ask, Endpoint, TrackerSandbox
from sandbox.webhooks import RetryRule

ORGANIZATION = "sandbox"

ORG, PROJECT = "/{org}", "/{org}/{project}"


@dataclass
class AzureSwitches(Switches):
    """`sign_in_status`: how bad credentials are answered, with a page (203, 302) or plainly (401)."""

    sign_in_status: int = 203


class AzureSandbox(TrackerSandbox):
    """The base of fake parts of an Azure DevOps organization. `publishers` as of ServiceHooks."""

    publishers: ClassVar[Mapping[str, Mapping[str, str]]]
    switches = AzureSwitches
    settings: AzureSwitches
    schemes = ("basic", "bearer")
    oauth_rules = RULES
    oauth_paths: ClassVar = {"authorize": "/oauth2/v2.0/authorize", "token": "/oauth2/v2.0/token"}
    rate = Rate(1000, 300.0)
    retry_rule = RetryRule(
        tuple((float(s), float(s)) for s in (1, 2, 4, 8, 16, 32, 60, 60)), lambda status: status in TRANSIENT
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._chance = self.rng("events")
        self.service_hooks = ServiceHooks(
            self.hooks, self.clock, self.tracker.lock, self.publishers, self.deliveries, self._guid
        )
        self.deliveries.settled.append(self.service_hooks.on_settled)

    def _auth_server(self) -> AuthServer:
        server = Entra(self.clock, self.rng("oauth"), self.settings, RULES, self.robot.id)
        server.apps[CLIENT_ID] = OAuthApp(CLIENT_ID, CLIENT_SECRET)
        return server

    def _guid(self) -> str:
        digits = f"{self._chance.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    @staticmethod
    def new_hook_id(number: int) -> str:
        """A GUID."""
        return f"d3f1a000-0000-4000-8000-{number:012d}"

    def usual_endpoints(self) -> Sequence[Endpoint]:
        """Who one is, and the service hooks."""
        hooks = f"{ORG}/_apis/hooks"
        return [
            self.at("connectionData", "GET", f"{ORG}/_apis/connectionData", self._connection),
            self.at("listSubscriptions", "GET", f"{hooks}/subscriptions", self._subscriptions),
            self.at("createSubscription", "POST", f"{hooks}/subscriptions", self._subscribe),
            self.at("replaceSubscription", "PUT", f"{hooks}/subscriptions/{{hook}}", self._resubscribe),
            self.at("deleteSubscription", "DELETE", f"{hooks}/subscriptions/{{hook}}", self._unsubscribe),
            self.at("queryNotifications", "POST", f"{hooks}/notificationsquery", self._notifications),
        ]

    def operations(self) -> Sequence[Operation]:
        """Entra's endpoints are below a tenant, too."""
        assert self.oauth is not None
        entra = ConsentPages(
            self.oauth,
            self._accounts,
            authorize="/{tenant}" + self.oauth_paths["authorize"],
            token="/{tenant}" + self.oauth_paths["token"],
            revoke="/{tenant}/no-revocation",
        )
        return [*super().operations(), *entra.operations()]

    def at(self, name: str, method: str, path: str, handler: Callable[[Ask], Any]) -> Endpoint:
        """An endpoint of this organization that is called with a version."""

        def checked(ask: Ask) -> Any:
            if ask.params["org"].casefold() != ORGANIZATION:
                raise VendorError(404, f"TF400813: The organization {ask.params['org']} is not known.")
            if "api-version" not in ask.call.query:
                text = f"No api-version was supplied for the {method} request. The version must be supplied."
                raise VendorError(400, text, code="VssVersionNotSpecifiedException")
            return handler(ask)

        return Endpoint(name, method, path, checked)

    def _connection(self, ask: Ask) -> Any:
        user = self.tracker.users[ask.user]
        me = {"id": user.id, "subjectDescriptor": f"aad.{user.id}", "providerDisplayName": user.name, "isActive": True}
        return {"authenticatedUser": me, "authorizedUser": me, "instanceId": self.tracker.users[ask.user].id}

    # Service hooks

    def _subscriptions(self, ask: Ask) -> Any:
        made = [self.service_hooks.to_json(hook, self.base) for hook in self.hooks.live()]
        publisher = ask.call.query.get("publisherId")
        return listed([hook for hook in made if publisher in (None, hook["publisherId"])])

    def _subscribe(self, ask: Ask) -> Any:
        body = ask.json("publisherId", "eventType", "consumerId", "consumerActionId")
        return self.service_hooks.to_json(self.service_hooks.register(ask.user, body), self.base)

    def _resubscribe(self, ask: Ask) -> Any:
        return self.service_hooks.to_json(self.service_hooks.replace(ask.params["hook"], ask.json()), self.base)

    def _unsubscribe(self, ask: Ask) -> Any:
        self.hooks.remove(ask.params["hook"])
        return Reply(200, {})

    def _notifications(self, ask: Ask) -> Any:
        body = ask.json()
        ends = [body.get(name) for name in ("minCreatedDate", "maxCreatedDate")]
        start, end = (datetime.fromisoformat(at) if at else None for at in ends)
        hooks = body.get("subscriptionIds") or [hook.id for hook in self.hooks.live()]
        first, last = start or datetime.min.replace(tzinfo=UTC), end or self.clock.now()
        found = self.service_hooks.notifications(hooks, body.get("resultType"), first, last)
        return {**body, "results": found[: body.get("maxResults") or 100]}

    def sign(self, sending: Sending) -> dict[str, str]:
        """Nothing is signed: the password the subscription was given is sent, and headers of its own."""
        inputs = sending.hook.extra["inputs"]
        lines = [line.partition(":") for line in str(inputs.get("httpHeaders") or "").split("\n") if line]
        headers = {name: value for name, _, value in lines}
        if sending.hook.secret:
            pair = f"{inputs.get('basicAuthUsername', '')}:{sending.hook.secret}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return headers

    @property
    def base(self) -> str:
        """The organization's address."""
        return f"{self.url}/{ORGANIZATION}"

    # How it says no, and how it slows down

    def error_reply(self, error: VendorError) -> Reply:
        """An error of Azure's; for bad credentials the page on which people sign in."""
        if error.status == 401 and self.settings.sign_in_status != 401:
            return Reply(
                self.settings.sign_in_status, page("Azure DevOps Services | Sign In"), {"Location": "/_signin"}
            )
        text = f"TF400733: {error.text}" if error.status == 429 else error.text
        key = error.code or "VssServiceException"
        body: dict[str, Any] = {
            "$id": "1",
            "innerException": None,
            "message": text,
            "typeName": f"Microsoft.TeamFoundation.{key}, Microsoft.TeamFoundation",
            "typeKey": key,
            "errorCode": 0,
            "eventId": 3200,
        }
        return Reply(error.status, {**body, **self.broken_rule(error, text)})

    def broken_rule(self, error: VendorError, text: str) -> dict[str, Any]:
        """What an error says of a field."""
        return {}

    def rate_headers(self, window: Window) -> dict[str, str]:
        """Told only when a caller is near the limit; then a success, too, says when to come back."""
        if not window.refused and window.left * 5 > window.limit:
            return {}
        return {
            "X-RateLimit-Resource": "Services:TFS",
            "X-RateLimit-Delay": "0.5",
            "X-RateLimit-Limit": str(window.limit),
            "X-RateLimit-Remaining": str(window.left),
            "X-RateLimit-Reset": str(int(window.resets.timestamp())),
            "Retry-After": str(window.wait if window.refused else 1),
        }
