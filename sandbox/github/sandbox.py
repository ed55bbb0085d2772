"""The fake GitHub: what its REST API answers."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, TypeVar

from sandbox.code import CodeSandbox
from sandbox.code.values import Commit, Deed, Kind, Pull, Repo, Run
from sandbox.errors import VendorError
from sandbox.github.answers import conditional, linked, token_of
from sandbox.github.app import App
from sandbox.github.deeds import RETRY_RULE, Deeds
from sandbox.github.hookapi import HookApi
from sandbox.github.issues import Issues
from sandbox.github.render import Json, Renderer
from sandbox.hooks import Hook, Sending
from sandbox.http import Call, Operation, Reply
from sandbox.limits import Rate, Window, usual_headers
from sandbox.paging import by_number
from sandbox.tracker import Change, Tracker, User
from sandbox.tracker import Kind as ChangeKind
from sandbox.vendor import Ask, Endpoint, usual_people

T = TypeVar("T")

PAGE = 30
MOST = 100
VERSIONS = ("2022-11-28", "2026-03-10")

NUMBERED, NAMED = "/repositories/{repo}", "/repos/{owner}/{name}"
"""A repository's two addresses; the second is answered with a redirect to the first once it has another name."""

HOOKS = "repository_hooks"
"""The permission for what is about webhooks."""

ISSUE_ACTIONS = {ChangeKind.CREATED: "opened", ChangeKind.DELETED: "deleted"}

Handler = Callable[[Ask, Repo], Any]


class GitHubSandbox(CodeSandbox):
    """A fake GitHub with one organization. `app` is a GitHub App that is installed in it."""

    name = "github"
    schemes = ("bearer", "token")
    rate = Rate(5000, 3600.0)
    retry_rule = RETRY_RULE

    scopes: ClassVar[str] = "repo, admin:repo_hook"
    """Of the classic token."""

    organization_is_a_person = False
    """A person's repositories are no organization's."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.render = Renderer(self.owner, self.tracker, lambda: self.url)
        self.github_app = App(self.clock, self.door, self.rng("app"), self.robot.id)
        self.deeds = Deeds(self.hooks, self.deliveries, self.render, self.rng("guids"))
        self.hook_api = HookApi(self.hooks, self.deeds, self.deliveries, self.tracker, self.render)
        self.issues = Issues(self.tracker, self.render)
        self._former: dict[str, int] = {}
        self._histories: dict[tuple[int, str], list[Commit]] = {}

    def make_tracker(self) -> Tracker:
        """People by number, and no container yet."""
        people = [*usual_people(lambda number: str(1000 + number)), User("1100", "dependabot[bot]")]
        return Tracker(self.clock, users=people, containers=(), statuses=self.statuses)

    # --- webhooks -----------------------------------------------------------------------------------

    def on_deed(self, deed: Deed) -> None:
        """Tell the hooks, and keep what only the deed knows."""
        if deed.kind is Kind.REPOSITORY_RENAMED and deed.before:
            self._former[deed.before] = deed.repo.id
        if deed.kind is Kind.DISMISSED:
            deed.repo.extra.setdefault("dismissed", {})[deed.what.id] = (deed.at, deed.who)
        self.deeds.on_deed(deed)

    def on_change(self, change: Change) -> None:
        """An issue was made, changed or deleted."""
        repo = self.host.repos.get(int(change.item.container))
        if repo is not None:
            action = ISSUE_ACTIONS.get(change.kind, "edited")
            self.deeds.of_issue(repo, action, self.issues.json(repo, change.item), change.who)

    def sign(self, sending: Sending) -> dict[str, str]:
        """See deeds."""
        return self.deeds.sign(sending)

    def app_hook(self, url: str, secret: str) -> Hook:
        """Set the App's webhook, the one for all its installations."""
        [number] = self.github_app.installations
        return self.hooks.register(url, "app", secret=secret, extra={"installation": number})

    def suspend(self, who: str, suspended: bool = True) -> None:
        """Somebody suspends the App's installation, or lets it work again."""
        at = self.clock.now() if suspended else None
        found = self.github_app.change(suspended=at)
        action = "suspend" if suspended else "unsuspend"
        self.deeds.of_installation("installation", found.id, {"action": action}, self.tracker.user(who).id)

    def select(self, who: str, *names: str) -> None:
        """Somebody lets the App into these repositories only."""
        found = self.github_app.change(selected=frozenset(self.host.repo(name).id for name in names))
        added = [{"id": self.host.repo(name).id, "full_name": f"{self.owner}/{name}"} for name in names]
        body = {"action": "added", "repositories_added": added, "repositories_removed": []}
        self.deeds.of_installation("installation_repositories", found.id, body, self.tracker.user(who).id)

    # --- the API ------------------------------------------------------------------------------------

    def endpoints(self) -> Sequence[Endpoint]:
        """REST, version 2022-11-28."""
        table: list[Endpoint] = [
            Endpoint("getUser", "GET", "/users/{login}", self._owner_or_user),
            Endpoint("listOrgRepos", "GET", "/orgs/{org}/repos", self._org_repos),
            Endpoint("listMyRepos", "GET", "/user/repos", self._my_repos),
            Endpoint("listInstalled", "GET", "/installation/repositories", self._installed),
            Endpoint("getRepo", "GET", NAMED, self._repo_or_redirect),
        ]
        for name, method, path, permission, handler in self._in_repository():
            prefixes = (NUMBERED, NAMED) if path else (NUMBERED,)
            answered = partial(self._in, permission, handler)
            table += [Endpoint(name, method, prefix + path, answered) for prefix in prefixes]
        return table

    def _in_repository(self) -> list[tuple[str, str, str, str, Handler]]:
        """Name, method, path below the repository, the App's permission, handler."""
        hook, log, again = "/hooks/{hook}", "/hooks/{hook}/deliveries", "/hooks/{hook}/deliveries/{delivery}/attempts"
        return [
            ("getRepo", "GET", "", "metadata", lambda _, repo: self.render.repository(repo)),
            ("getBranch", "GET", "/branches/{branch:path}", "contents", self._branch),
            ("listCommits", "GET", "/commits", "contents", self._commits),
            ("compare", "GET", "/compare/{range:path}", "contents", self._compare),
            ("listPulls", "GET", "/pulls", "pull_requests", self._pulls),
            ("getPull", "GET", "/pulls/{number}", "pull_requests", self._pull),
            ("listTimeline", "GET", "/issues/{number}/timeline", "pull_requests", self._timeline),
            ("listDeployments", "GET", "/deployments", "deployments", self._deployments),
            ("getDeployment", "GET", "/deployments/{id}", "deployments", self._deployment),
            ("listStatuses", "GET", "/deployments/{id}/statuses", "deployments", self._statuses),
            ("listRuns", "GET", "/actions/runs", "actions", self._runs),
            ("getRun", "GET", "/actions/runs/{id}", "actions", self._run),
            ("listReleases", "GET", "/releases", "contents", self._releases),
            ("getRelease", "GET", "/releases/{id}", "contents", self._release),
            (
                "listIssues",
                "GET",
                "/issues",
                "issues",
                self._issues,
            ),
            ("createIssue", "POST", "/issues", "issues", lambda ask, repo: Reply(201, self.issues.create(ask, repo))),
            ("getIssue", "GET", "/issues/{number}", "issues", lambda ask, repo: self.issues.get(ask, repo)),
            ("updateIssue", "PATCH", "/issues/{number}", "issues", lambda ask, repo: self.issues.update(ask, repo)),
            ("listAssignees", "GET", "/assignees", "issues", lambda ask, _: self._page(ask, self.issues.assignable())),
            ("listHooks", "GET", "/hooks", HOOKS, lambda ask, repo: self._page(ask, self.hook_api.all(repo))),
            ("createHook", "POST", "/hooks", HOOKS, lambda ask, repo: self.hook_api.create(ask, repo)),
            ("updateHook", "PATCH", hook, HOOKS, lambda ask, repo: self.hook_api.update(ask, repo)),
            ("deleteHook", "DELETE", hook, HOOKS, lambda ask, repo: self.hook_api.delete(ask, repo)),
            ("listDeliveries", "GET", log, HOOKS, lambda ask, repo: self.hook_api.log(ask.call, ask.params, repo)),
            ("redeliver", "POST", again, HOOKS, lambda ask, repo: self.hook_api.redeliver(ask.params, repo)),
        ]

    def operations(self) -> Sequence[Operation]:
        """The App's own calls, too: the App signs them itself."""
        installation, log = "/app/installations/{id}", "/app/hook/deliveries"
        own: list[tuple[str, str, str, Callable[[Call], Any]]] = [
            ("getInstallation", "GET", installation, self._installation),
            ("mintToken", "POST", installation + "/access_tokens", self._mint),
            ("listAppDeliveries", "GET", log, lambda call: self.hook_api.log(call, call.params, None)),
            (
                "redeliverApp",
                "POST",
                log + "/{delivery}/attempts",
                lambda call: self.hook_api.redeliver(call.params, None),
            ),
        ]
        signed = [Operation(name, method, path, partial(self._signed, do)) for name, method, path, do in own]
        return [*super().operations(), *signed]

    def _signed(self, do: Callable[[Call], Any], call: Call) -> Reply:
        self.github_app.signed(call.headers.get("authorization", ""))
        made = do(call)
        return made if isinstance(made, Reply) else Reply(200, made)

    def _installation(self, call: Call) -> Any:
        return self.github_app.json(self.github_app.find(int(call.params["id"])), self.render)

    def _mint(self, call: Call) -> Any:
        return Reply(201, self.github_app.mint(int(call.params["id"])))

    def handle(self, operation: Operation, call: Call) -> Reply:
        """What GitHub refuses before it looks at anything."""
        if not call.headers.get("user-agent"):
            return self.error_reply(VendorError(403, "Request forbidden by administrative rules."))
        if call.headers.get("x-github-api-version", VERSIONS[0]) not in VERSIONS:
            return self.error_reply(VendorError(400, "Unsupported 'X-GitHub-Api-Version'"))
        return conditional(call, super().handle(operation, call))

    def error_reply(self, error: VendorError) -> Reply:
        """GitHub limits by 403 as well as by 429."""
        status = 403 if error.status == 429 else error.status
        text = "You have exceeded a secondary rate limit." if error.status == 429 else error.text
        words = "Not Found" if status == 404 else text
        docs = "https://docs.github.com/rest"
        return Reply(status, {"message": words, "documentation_url": docs, "status": str(status)})

    def rate_headers(self, window: Window) -> dict[str, str]:
        """The usual ones, and what they are about."""
        return usual_headers(window) | {"X-RateLimit-Resource": "core"}

    # --- who may --------------------------------------------------------------------------------------

    def _sees(self, ask: Ask, repo: Repo) -> bool:
        member = repo.members is None or ask.user in repo.members
        return member and self.github_app.sees(token_of(ask.call), repo)

    def _in(self, permission: str, handler: Handler, ask: Ask) -> Any:
        """A call in a repository that the caller sees, with the permission the App needs for it."""
        repo = self._found(ask)
        installation = self.github_app.of_token(token_of(ask.call))
        if installation is not None and permission not in installation.permissions:
            wanted = {"X-Accepted-GitHub-Permissions": f"{permission}=read"}
            raise VendorError(403, "Resource not accessible by integration", headers=wanted)
        return handler(ask, repo)

    def _found(self, ask: Ask) -> Repo:
        params = ask.params
        name: str | int = int(params["repo"]) if "repo" in params else params["name"]
        if params.get("owner", self.owner) != self.owner:
            raise VendorError(404, "Not Found")
        repo = self.host.repo(name)
        if not self._sees(ask, repo):
            raise VendorError(404, "Not Found")
        return repo

    def _repo_or_redirect(self, ask: Ask) -> Any:
        former = self._former.get(ask.params["name"])
        if former is not None and former in self.host.repos and ask.params["owner"] == self.owner:
            where = f"{ask.call.base_url}/repositories/{former}"
            return Reply(301, {"message": "Moved Permanently", "url": where}, {"Location": where})
        return self.render.repository(self._found(ask))

    def _owner_or_user(self, ask: Ask) -> Any:
        accounts = [self.render.owner(), *(self.render.user(id_) for id_ in self.tracker.users)]
        found = next((one for one in accounts if one and one["login"] == ask.params["login"].lower()), None)
        if found is None:
            raise VendorError(404, "Not Found")
        counts = ("public_repos", "public_gists", "followers", "following")
        empty = ("name", "company", "blog", "location", "email", "hireable", "bio")
        born = "2020-01-01T00:00:00Z"
        more = {**dict.fromkeys(counts, 0), **dict.fromkeys(empty), "created_at": born, "updated_at": born}
        return Reply(200, found | more, {"X-OAuth-Scopes": self.scopes})

    # --- lists ----------------------------------------------------------------------------------------

    def _page(self, ask: Ask, rows: Sequence[Any], wrap: Callable[[list[Any]], Any] = lambda rows: rows) -> Reply:
        """A numbered page with its links; `rows` are written by `wrap`."""
        size = min(ask.number("per_page", PAGE), self.settings.page_limit or MOST, MOST)
        number = ask.number("page", 1)
        page = by_number(rows, number, size)
        last = max(1, -(-len(rows) // size))
        links = {"next": number + 1, "last": last} if page.next else {}
        said = {"Link": ", ".join(f'<{linked(ask.call, n)}>; rel="{rel}"' for rel, n in links.items())} if links else {}
        return Reply(200, wrap(list(page.rows)), said)

    def _visible(self, ask: Ask) -> list[Repo]:
        return [repo for repo in self.host.repos.values() if self._sees(ask, repo)]

    def _written(self, rows: list[Repo]) -> list[Json]:
        return [self.render.repository(repo) for repo in rows]

    def _org_repos(self, ask: Ask) -> Any:
        if ask.params["org"].lower() != self.owner or self.organization_is_a_person:
            raise VendorError(404, "Not Found")
        return self._page(ask, self._visible(ask), self._written)

    def _my_repos(self, ask: Ask) -> Any:
        return self._page(ask, self._visible(ask), self._written)

    def _installed(self, ask: Ask) -> Any:
        if self.github_app.of_token(token_of(ask.call)) is None:
            raise VendorError(403, "You must authenticate with an installation access token.")
        rows = self._visible(ask)
        return self._page(ask, rows, lambda some: {"total_count": len(rows), "repositories": self._written(some)})

    # --- commits --------------------------------------------------------------------------------------

    def _branch(self, ask: Ask, repo: Repo) -> Any:
        name = ask.params["branch"]
        if name not in repo.branches:
            raise VendorError(404, "Branch not found")
        url = f"{self.url}/repos/{self.owner}/{repo.name}/branches/{name}"
        commit = self.render.commit(repo, repo.commits[repo.branches[name]])
        links = {"html": url, "self": url}
        return {
            "name": name,
            "commit": commit,
            "_links": links,
            "protected": False,
            "protection": {},
            "protection_url": f"{url}/protection",
        }

    def _commits(self, ask: Ask, repo: Repo) -> Any:
        tip = ask.call.query.get("sha", repo.default)
        sha = repo.branches.get(tip, tip)
        if sha not in repo.commits:
            raise VendorError(404, "Not Found")
        rows, since = self._history(repo, sha), ask.call.query.get("since")
        if since is not None:
            from_ = datetime.fromisoformat(since)
            rows = [commit for commit in rows if commit.committed >= from_]
        return self._page(ask, rows, lambda some: [self.render.commit(repo, commit) for commit in some])

    def _history(self, repo: Repo, sha: str) -> list[Commit]:
        """The commits reachable from one never change."""
        if (repo.id, sha) not in self._histories:
            self._histories = {(repo.id, sha): repo.history(sha)}
        return self._histories[repo.id, sha]

    def _compare(self, ask: Ask, repo: Repo) -> Any:
        base, _, head = ask.params["range"].partition("...")
        if base not in repo.commits or head not in repo.commits:
            raise VendorError(404, "Not Found")
        rows, first = repo.history(head, base)[::-1], ask.number("page", 1) == 1
        ends = repo.commits[base], repo.commits[head]
        return self._page(ask, rows, lambda some: self.render.compared(repo, *ends, some, len(rows), first))

    # --- pull requests --------------------------------------------------------------------------------

    def _pulls(self, ask: Ask, repo: Repo) -> Any:
        query = ask.call.query
        rows = [pull for pull in repo.pulls.values() if query.get("state", "open") in ("all", _open(pull))]
        if query.get("sort") == "updated":
            rows.sort(key=lambda pull: pull.updated)
        if query.get("direction", "desc") == "desc":
            rows.reverse()
        return self._page(ask, rows, lambda some: [self.render.pull(repo, pull) for pull in some])

    def _pull(self, ask: Ask, repo: Repo) -> Any:
        return self.render.whole_pull(repo, self.host.pull(repo.id, _number(ask, "number")))

    def _timeline(self, ask: Ask, repo: Repo) -> Any:
        return self._page(ask, self.render.timeline(repo, self.host.pull(repo.id, _number(ask, "number"))))

    def _issues(self, ask: Ask, repo: Repo) -> Any:
        return self._page(ask, self.issues.listed(ask, repo))

    # --- deployments, runs, releases ------------------------------------------------------------------

    def _deployments(self, ask: Ask, repo: Repo) -> Any:
        rows = list(reversed(repo.deployments.values()))
        return self._page(ask, rows, lambda some: [self.render.deployment(repo, one) for one in some])

    def _deployment(self, ask: Ask, repo: Repo) -> Any:
        return self.render.deployment(repo, _one(repo.deployments, ask))

    def _statuses(self, ask: Ask, repo: Repo) -> Any:
        return self._page(ask, self.render.statuses(repo, _one(repo.deployments, ask)))

    def _runs(self, ask: Ask, repo: Repo) -> Any:
        rows = list(reversed(repo.runs.values()))

        def counted(some: Sequence[Run]) -> Any:
            return {"total_count": len(rows), "workflow_runs": [self.render.run(repo, run) for run in some]}

        return self._page(ask, rows, counted)

    def _run(self, ask: Ask, repo: Repo) -> Any:
        return self.render.run(repo, _one(repo.runs, ask))

    def _releases(self, ask: Ask, repo: Repo) -> Any:
        rows = list(reversed(repo.releases.values()))
        return self._page(ask, rows, lambda some: [self.render.release(repo, one) for one in some])

    def _release(self, ask: Ask, repo: Repo) -> Any:
        return self.render.release(repo, _one(repo.releases, ask))


# --- small parts --------------------------------------------------------------------------------------


def _open(pull: Pull) -> str:
    return "open" if pull.state == "open" else "closed"


def _number(ask: Ask, name: str) -> int:
    """A number of the path. Raises VendorError 404."""
    text = ask.params[name]
    if not text.isdecimal():
        raise VendorError(404, "Not Found")
    return int(text)


def _one(rows: Mapping[int, T], ask: Ask) -> T:
    """What has the id of the path. Raises VendorError 404."""
    found = rows.get(_number(ask, "id"))
    if found is None:
        raise VendorError(404, "Not Found")
    return found
