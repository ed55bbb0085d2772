"""The Jira sandbox as one object: build it, serve it or call it in-process, act, break, look."""

from dataclasses import asdict, fields
from pathlib import Path
from random import Random
from typing import Any

from starlette.types import ASGIApp

from sandbox.calls import CallLog
from sandbox.clock import Clock, SystemClock
from sandbox.control import ControlError, control_routes
from sandbox.faults import FaultPlan
from sandbox.http import vendor_app
from sandbox.jira import adf, seed
from sandbox.jira.api.ask import SiteServices
from sandbox.jira.app import JiraVendor
from sandbox.jira.limits import RateLimits
from sandbox.jira.model import Issue, JiraError, Json, Settings, User
from sandbox.jira.oauth import AuthServer, Grant, OAuthApp
from sandbox.jira.people import Person
from sandbox.jira.search import SearchIndex
from sandbox.jira.site import JiraSite
from sandbox.jira.webhooks import RETRY_RULE, WebhookHub
from sandbox.recording import RecordExchanges
from sandbox.server import DEFAULT_HOST, ServerHandle, serve_in_thread
from sandbox.webhooks import Dispatcher, HttpSender, RetryRule, Sender

CLIENT_ID = "sandbox-client"
# At least 32 bytes: the key of HS256.
CLIENT_SECRET = "sandbox-client-secret-0123456789abcdef"
ALL_SCOPES = ("read:jira-work", "write:jira-work", "read:jira-user", "manage:jira-webhook", "offline_access")
# Where links point until the sandbox is served; in-process clients may use any host.
UNSERVED_URL = "http://jira.sandbox"


class JiraSandbox:
    """A Jira Cloud with people, projects and issues.

    `seed` makes ids, tokens and planted issues repeatable. `sites` is how many sites a consent
    covers; the first is `.site`, the others carry other urls. `sender` takes the webhooks instead of
    HTTP. `webhook_time_scale` shrinks the retry delays. `record` writes exchanges to a file.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 1,
        seed_issues: int = 0,
        sites: int = 1,
        settings: Settings | None = None,
        sender: Sender | None = None,
        webhook_time_scale: float = 1.0,
        record: Path | None = None,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.settings = settings or Settings()
        self._seed = seed
        self.calls = CallLog()
        self.faults = FaultPlan(self._rng("faults"))
        rule = RetryRule(RETRY_RULE.delays, RETRY_RULE.retries_status, RETRY_RULE.patience, webhook_time_scale)
        self.deliveries = Dispatcher(self.clock, self.faults, rule, self._rng("retries"), sender or HttpSender())
        self.oauth = self._auth_server()
        self.services = self._services(sites)
        self.site = self.services[0].site
        self.hub = self.services[0].hub
        self.plant(seed_issues)
        self.app = self._app(record)

    def _rng(self, purpose: str) -> Random:
        """Each part draws its own chances, so that one more webhook does not change the ids."""
        return Random(f"{self._seed}:{purpose}")

    def _auth_server(self) -> AuthServer:
        server = AuthServer(self.clock, self._rng("oauth"), self.settings, seed.SERVICE_ACCOUNT)
        server.apps[CLIENT_ID] = OAuthApp(CLIENT_ID, CLIENT_SECRET)
        return server

    def _services(self, count: int) -> list[SiteServices]:
        services: list[SiteServices] = []
        for number in range(1, count + 1):
            site = JiraSite(
                self.clock,
                self._rng(f"site{number}"),
                cloud_id=f"11223344-a1b2-3b33-c444-{number:012d}",
                name="acme" if number == 1 else f"acme-{number}",
                url=UNSERVED_URL if number == 1 else f"https://acme-{number}.atlassian.net",
                lock=services[0].site.lock if services else None,
            )
            seed.build_world(site)
            rng = self._rng(f"webhooks{number}")
            hub = WebhookHub(site, self.clock, rng, self.settings, self.deliveries)
            site.listeners.append(hub.on_event)
            index, limits = SearchIndex(site, self.settings), RateLimits(self.clock, self.settings)
            services.append(SiteServices(site, index, hub, limits, self.settings, self.faults))
        return services

    def _app(self, record: Path | None) -> ASGIApp:
        vendor = JiraVendor(
            self.clock,
            self.faults,
            self.calls,
            self.settings,
            self.oauth,
            {s.site.cloud_id: s for s in self.services},
            self.site.lock,
        )
        app: ASGIApp = vendor_app(vendor, control_routes(self))
        return app if record is None else RecordExchanges(app, "jira", record)

    # Serving

    def serve(self, port: int = 0, host: str = DEFAULT_HOST) -> ServerHandle:
        """Serve over real HTTP in a thread, with webhooks sent in the background."""
        handle = serve_in_thread(self.app, port, host)
        self.site.url = handle.url
        self.deliveries.start()
        if isinstance(self.deliveries.sender, HttpSender):
            handle.on_close(self.deliveries.sender.close)
        handle.on_close(self.deliveries.stop)
        handle.on_close(self.faults.lift)
        return handle

    def deliver(self) -> int:
        """Send the webhooks that are due now, on this thread; for in-process use."""
        return self.deliveries.pump()

    # People and credentials

    def person(self, who: str) -> Person:
        """Someone on the first site, by account id, email or display name. Raises JiraError 404."""
        return Person(self.site, who)

    def add_user(self, user: User) -> User:
        """Let someone join the first site."""
        with self.site.lock:
            self.site.users[user.account_id] = user
        return user

    def plant(self, count: int, project: str = "APEX") -> list[Issue]:
        """Put ready-made issues in place, without webhooks."""
        with self.site.lock:
            return seed.plant_issues(self.site, count, self._rng(f"plant:{project}"), project)

    @property
    def basic_auth(self) -> tuple[str, str]:
        """The service account's email and API token."""
        return seed.SERVICE_EMAIL, seed.SERVICE_TOKEN

    def grant(self, who: str = seed.SERVICE_EMAIL, scopes: tuple[str, ...] = ALL_SCOPES) -> Json:
        """Tokens as after a consent of that person for all sites, without the browser."""
        with self.site.lock:
            account_id = self.site.user(who).account_id
            sites = tuple(s.site.cloud_id for s in self.services)
            return self.oauth.issue(Grant(self.oauth.apps[CLIENT_ID], account_id, scopes, sites))

    # What the control endpoint does

    def act(self, person: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do something as a person: the names and arguments are those of Person. Raises ControlError."""
        if action not in _ACTIONS:
            raise ControlError(f"unknown action {action!r}; use one of {', '.join(sorted(_ACTIONS))}")
        given = dict(arguments)
        given |= given.pop("fields", {})
        try:
            made = getattr(self.person(person), action)(**given)
        except JiraError as error:
            raise ControlError(str(error)) from error
        except TypeError as error:
            raise ControlError(f"{action}: {error}") from error
        return self._issue_json(made) if isinstance(made, Issue) else {"result": made}

    def state(self) -> dict[str, Any]:
        """The first site's people, projects, issues and webhooks; no secrets."""
        with self.site.lock:
            site = self.site
            return {
                "now": self.clock.now().isoformat(),
                "site": {"cloudId": site.cloud_id, "url": site.url, "name": site.name},
                "users": [asdict(user) for user in site.users.values()],
                "projects": [
                    {
                        "id": p.id,
                        "key": p.key,
                        "name": p.name,
                        "statuses": [site.statuses[s].name for s in p.workflow.statuses],
                    }
                    for p in site.projects.values()
                ],
                "issues": [self._issue_json(issue) for issue in site.issues.values()],
                "webhooks": [self._webhook_json(hook) for hook in self.hub.live()]
                + [{"id": h.id, "url": h.url, "kind": "admin"} for h in self.hub.admin.values()],
            }

    def _webhook_json(self, hook: Any) -> Json:
        expires = hook.expires.isoformat()
        return {"id": hook.id, "url": hook.url, "kind": "dynamic", "jql": hook.jql, "expires": expires}

    def _issue_json(self, issue: Issue) -> Json:
        site = self.site
        extras = site.extras.get(issue.id)
        return {
            "id": str(issue.id),
            "key": issue.key,
            "project": site.projects[issue.project].key,
            "summary": issue.summary,
            "description": adf.plain(issue.description),
            "status": site.statuses[issue.status].name,
            "resolution": site.resolutions[issue.resolution].name if issue.resolution else None,
            "priority": site.priorities[issue.priority].name if issue.priority else None,
            "assignee": issue.assignee,
            "labels": list(issue.labels),
            "duedate": issue.duedate,
            "updated": issue.updated.isoformat(),
            "comments": [adf.plain(c.body) for c in extras.comments] if extras else [],
            "properties": dict(extras.properties) if extras else {},
        }

    def read_settings(self) -> dict[str, Any]:
        """The switches and their values."""
        return asdict(self.settings)

    def change_settings(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Set switches. Raises ControlError for an unknown name or a value of another type."""
        known = {f.name: type(getattr(self.settings, f.name)) for f in fields(Settings)}
        for name, value in changes.items():
            if name not in known:
                raise ControlError(f"unknown setting {name!r}; use one of {', '.join(known)}")
            whole_for_float = known[name] is float and type(value) is int
            if type(value) is not known[name] and not whole_for_float:
                raise ControlError(f"{name} must be of type {known[name].__name__}")
            setattr(self.settings, name, value)
        return self.read_settings()


_ACTIONS = frozenset(
    {
        "create",
        "edit",
        "transition",
        "reachable",
        "assign",
        "comment",
        "edit_comment",
        "delete_comment",
        "move",
        "delete",
    }
)
