"""The Jira sandbox as one object: build it, serve it or call it in-process, act, break, look."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from sandbox.base import Sandbox, perform
from sandbox.clock import Clock
from sandbox.jira import adf, seed
from sandbox.jira.api.ask import SiteServices
from sandbox.jira.app import JiraVendor
from sandbox.jira.limits import RateLimits
from sandbox.jira.model import Issue, JiraError, Json, Settings, User
from sandbox.jira.oauth import RULES
from sandbox.jira.people import Person
from sandbox.jira.search import SearchIndex
from sandbox.jira.seed import SERVICE_ACCOUNT
from sandbox.jira.site import JiraSite
from sandbox.jira.webhooks import RETRY_RULE, WebhookHub
from sandbox.oauth import AuthServer, Grant, OAuthApp
from sandbox.vendor import CLIENT_ID, CLIENT_SECRET
from sandbox.webhooks import Sender

ALL_SCOPES = ("read:jira-work", "write:jira-work", "read:jira-user", "manage:jira-webhook", "offline_access")
# Where links point until the sandbox is served; in-process clients may use any host.
UNSERVED_URL = "http://jira.sandbox"


class JiraSandbox(Sandbox):
    """A Jira Cloud with people, projects and issues; options as of `Sandbox`.

    `seed` makes planted issues repeatable, too. `sites` is how many sites a consent covers; the first is
    `.site`, the others carry other urls. `record` writes exchanges to a file.
    """

    name = "jira"
    retry_rule = RETRY_RULE
    settings: Settings

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
        super().__init__(
            clock=clock,
            seed=seed,
            settings=settings or Settings(),
            sender=sender,
            webhook_time_scale=webhook_time_scale,
        )
        self.oauth = self._auth_server()
        self.services = self._services(sites)
        self.site = self.services[0].site
        self.hub = self.services[0].hub
        self.plant(seed_issues)
        self.app = self._app(record)

    @property
    def url(self) -> str:
        """Where the first site's links point."""
        return self.site.url

    @url.setter
    def url(self, url: str) -> None:
        self.site.url = url

    def _auth_server(self) -> AuthServer:
        server = AuthServer(self.clock, self.rng("oauth"), self.settings, RULES, SERVICE_ACCOUNT)
        server.apps[CLIENT_ID] = OAuthApp(CLIENT_ID, CLIENT_SECRET)
        return server

    def _services(self, count: int) -> list[SiteServices]:
        services: list[SiteServices] = []
        for number in range(1, count + 1):
            site = JiraSite(
                self.clock,
                self.rng(f"site{number}"),
                cloud_id=f"11223344-a1b2-3b33-c444-{number:012d}",
                name="acme" if number == 1 else f"acme-{number}",
                url=UNSERVED_URL if number == 1 else f"https://acme-{number}.atlassian.net",
                lock=services[0].site.lock if services else None,
            )
            seed.build_world(site)
            rng = self.rng(f"webhooks{number}")
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
        return self.open(vendor, record)

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
            return seed.plant_issues(self.site, count, self.rng(f"plant:{project}"), project)

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
        made = perform(partial(self.person, person), _ACTIONS, action, arguments, JiraError)
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
