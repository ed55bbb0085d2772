"""The GitLab sandbox as one object: build it, serve it or call it in-process, act, break, look."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, ClassVar, TypeVar

from starlette.convertors import Convertor, register_url_convertor

from sandbox.code import OWNER, CodeSandbox, Deed, Kind, Repo
from sandbox.code.values import Commit, Deployment, Pull, Run
from sandbox.errors import VendorError
from sandbox.gitlab import webhooks
from sandbox.gitlab.hookapi import HookApi
from sandbox.gitlab.issues import IssueDesk
from sandbox.gitlab.render import FRACTION, Json, Renderer
from sandbox.hooks import Sending
from sandbox.http import NO_BODY, Reply
from sandbox.limits import Rate, Window
from sandbox.oauth import OAuthRules
from sandbox.paging import by_number
from sandbox.switches import Switches
from sandbox.tracker import Change, Item, Tracker
from sandbox.vendor import Ask, Endpoint, usual_people
from sandbox.webhooks import Delivery

API = "/api/v4"
PROJECT = f"{API}/projects/{{project}}"
USUAL_PAGE, LARGEST_PAGE = 20, 100
MOST_COUNTED = 10_000
"""Rows up to which GitLab counts how many there are."""

T = TypeVar("T")
D = TypeVar("D", Pull, Deployment, Run)


class _Path(Convertor[str]):
    """A project by its id or its full path, whose slashes came encoded: a full path never begins with a digit here."""

    regex = r"[0-9]+|[A-Za-z_][\w.-]*(?:/[\w.-]+)+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("gitlab_path", _Path())


@dataclass
class Settings(Switches):
    """The switches of a GitLab sandbox, besides the usual ones.

    `signs`: whether hooks can have a signing token. `numbers_events`: whether deliveries have an `Idempotency-Key`.
    `logs`: whether hooks keep a log. `hides_diffs`: changes are too large to be shown. `without`: a feature that
    projects have switched off ("pipelines", "deployments", …).
    """

    access_token_seconds: int = 7200
    signs: bool = True
    numbers_events: bool = True
    logs: bool = True
    hides_diffs: bool = False
    without: str = ""


class GitLabSandbox(CodeSandbox):
    """A GitLab server with one group; options as of `TrackerSandbox`."""

    name = "gitlab"
    switches = Settings
    settings: Settings
    oauth_rules = OAuthRules(("api", "read_api", "read_user"), name="Sandbox GitLab")
    rate = Rate(2000, 60.0)
    retry_rule = webhooks.RETRY_RULE
    group: ClassVar[str] = OWNER

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._range: tuple[tuple[int, str, str | None], list[Commit]] | None = None
        self._events: webhooks.Events | None = None
        self.issues = IssueDesk(
            self.tracker, lambda: self.render, lambda project: self.render.web(self.host.repo(int(project)))
        )
        self.deliveries.settled.append(self._on_settled)

    def make_tracker(self) -> Tracker:
        """People's ids are numbers."""
        people = usual_people(lambda number: str(40 + number))
        return Tracker(
            self.clock, users=people, containers=(), statuses=self.statuses, new_key=lambda home, number: str(number)
        )

    def endpoints(self) -> Sequence[Endpoint]:
        """API v4."""
        request, hooks = f"{PROJECT}/merge_requests/{{iid}}", HookApi(self)
        return [
            Endpoint("getUser", "GET", f"{API}/user", lambda ask: self.render.user(ask.user) | {"email": None}),
            Endpoint("getToken", "GET", f"{API}/personal_access_tokens/self", self._token),
            Endpoint("listGroupProjects", "GET", f"{API}/groups/{{group:path}}/projects", self._group_projects),
            Endpoint("getProject", "GET", f"{API}/projects/{{project:gitlab_path}}", self._get_project),
            Endpoint("listCommits", "GET", f"{PROJECT}/repository/commits", self._commits),
            Endpoint("listEvents", "GET", f"{PROJECT}/events", self._pushes),
            Endpoint("listMergeRequests", "GET", f"{PROJECT}/merge_requests", self._requests),
            Endpoint("getMergeRequest", "GET", request, lambda ask: self.render.request(*self._pull(ask))),
            Endpoint("listNotes", "GET", f"{request}/notes", self._notes),
            Endpoint("listStateEvents", "GET", f"{request}/resource_state_events", self._state_events),
            Endpoint("listOwnCommits", "GET", f"{request}/commits", self._own_commits),
            Endpoint("listDiffs", "GET", f"{request}/diffs", self._diffs),
            Endpoint("listEnvironments", "GET", f"{PROJECT}/environments", self._environments),
            Endpoint("listDeployments", "GET", f"{PROJECT}/deployments", self._deployments),
            Endpoint("getDeployment", "GET", f"{PROJECT}/deployments/{{id}}", self._deployment),
            Endpoint("listPipelines", "GET", f"{PROJECT}/pipelines", self._pipelines),
            Endpoint("getPipeline", "GET", f"{PROJECT}/pipelines/{{id}}", self._pipeline),
            Endpoint("listReleases", "GET", f"{PROJECT}/releases", self._releases),
            Endpoint("getRelease", "GET", f"{PROJECT}/releases/{{tag:path}}", self._release),
            Endpoint("listIssues", "GET", f"{PROJECT}/issues", self._issues),
            Endpoint("createIssue", "POST", f"{PROJECT}/issues", self._create_issue, "api"),
            Endpoint("getIssue", "GET", f"{PROJECT}/issues/{{iid}}", lambda ask: self.issues.shown(self._issue(ask))),
            Endpoint("updateIssue", "PUT", f"{PROJECT}/issues/{{iid}}", self._update_issue, "api"),
            Endpoint("listMembers", "GET", f"{PROJECT}/members/all", self._members),
            Endpoint("listHooks", "GET", f"{PROJECT}/hooks", hooks.all, "api"),
            Endpoint("createHook", "POST", f"{PROJECT}/hooks", hooks.create, "api"),
            Endpoint("getHook", "GET", f"{PROJECT}/hooks/{{hook}}", hooks.get, "api"),
            Endpoint("updateHook", "PUT", f"{PROJECT}/hooks/{{hook}}", hooks.update, "api"),
            Endpoint("deleteHook", "DELETE", f"{PROJECT}/hooks/{{hook}}", hooks.delete, "api"),
            Endpoint("testHook", "POST", f"{PROJECT}/hooks/{{hook}}/test/{{trigger}}", hooks.test, "api"),
            Endpoint("listHookEvents", "GET", f"{PROJECT}/hooks/{{hook}}/events", hooks.log, "api"),
            Endpoint("resend", "POST", f"{PROJECT}/hooks/{{hook}}/events/{{event}}/resend", hooks.resend, "api"),
        ]

    # --- what all answers share ---------------------------------------------------------------------

    @property
    def render(self) -> Renderer:
        """What makes JSON; links point where the sandbox is served."""
        return Renderer(self.tracker, self.url, self.group)

    @property
    def events(self) -> webhooks.Events:
        """What tells the hooks."""
        if self._events is None:
            self._events = webhooks.Events(self.hooks, self.render, self.url)
        return self._events

    def error_reply(self, error: VendorError) -> Reply:
        """`{"message": "404 Project Not Found"}`; a limit is plain text."""
        if error.status == 429:
            return Reply(429, "Retry later\n", {"Content-Type": "text/plain"})
        return Reply(error.status, {"message": f"{error.status} {error.text}"})

    def rate_headers(self, window: Window) -> dict[str, str]:
        """The names without `X-`; when refused, also when to come back."""
        headers = {
            "RateLimit-Limit": str(window.limit),
            "RateLimit-Name": "throttle_authenticated_api",
            "RateLimit-Observed": str(window.limit - window.left),
            "RateLimit-Remaining": str(window.left),
            "RateLimit-Reset": str(int(window.resets.timestamp())),
        }
        if window.refused:
            headers |= {"Retry-After": str(window.wait), "RateLimit-ResetTime": format_datetime(window.resets, True)}
        return headers

    def paged(self, ask: Ask, rows: Sequence[T], shown: Callable[[T], Json], counted: bool = True) -> Reply:
        """A page of rows; only those that are shown are made."""
        number, size = ask.number("page", 1), min(ask.number("per_page", USUAL_PAGE), LARGEST_PAGE)
        page = self.page(ask, lambda bent: by_number(rows, number, bent), size, here=number)
        headers = {"X-Page": str(number), "X-Per-Page": str(size), "X-Next-Page": str(page.next or "")}
        if counted and len(rows) <= MOST_COUNTED:
            headers |= {"X-Total": str(len(rows)), "X-Total-Pages": str(-(-len(rows) // size))}
        return Reply(200, [shown(row) for row in page.rows], headers)

    def _changed(self, ask: Ask, rows: Iterable[D]) -> list[D]:
        """Rows by the time of their last change, between two moments (both included)."""
        query = ask.call.query
        after, before = _moment(query.get("updated_after")), _moment(query.get("updated_before"))
        found = [
            row
            for row in rows
            if (after is None or row.updated + FRACTION >= after)
            and (before is None or row.updated + FRACTION <= before)
        ]
        if query.get("order_by") == "updated_at":
            found.sort(key=lambda row: (row.updated, row.id))
        return found[::-1] if query.get("sort") == "desc" else found

    def repo(self, ask: Ask, feature: str = "") -> Repo:
        """The project of a call, if the caller sees it and the feature is on. Raises VendorError."""
        repo = self._seen(ask, self.host.repos.get(int(ask.params["project"])))
        if feature and feature in self.settings.without.split():
            raise VendorError(403, "Forbidden")
        return repo

    def _seen(self, ask: Ask, repo: Repo | None) -> Repo:
        if repo is None or (repo.members is not None and ask.user not in repo.members):
            raise VendorError(404, "Project Not Found")
        return repo

    # --- projects -----------------------------------------------------------------------------------

    def _token(self, ask: Ask) -> Json:
        scopes = sorted(ask.caller.scopes) if ask.caller.scopes is not None else ["api"]
        return {
            "id": 1,
            "name": "sandbox",
            "revoked": False,
            "scopes": scopes,
            "user_id": int(ask.user),
            "active": True,
        }

    def _group_projects(self, ask: Ask) -> Reply:
        if ask.params["group"] != self.group:
            raise VendorError(404, "Group Not Found")
        repos = [repo for repo in self.host.repos.values() if repo.members is None or ask.user in repo.members]
        return self.paged(ask, repos, self.render.project)

    def _get_project(self, ask: Ask) -> Any:
        """By id or path; an old path leads to the id."""
        wanted = ask.params["project"]
        if wanted.isdigit():
            return self.render.project(self.repo(ask))
        for repo in self.host.repos.values():
            if wanted == self.render.path(repo):
                return self.render.project(self._seen(ask, repo))
            if wanted.removeprefix(f"{self.group}/") in repo.extra.get("was", ()):
                self._seen(ask, repo)
                return Reply(301, NO_BODY, {"Location": f"{self.url}{API}/projects/{repo.id}"})
        raise VendorError(404, "Project Not Found")

    # --- commits and merge requests -----------------------------------------------------------------

    def _commits(self, ask: Ask) -> Reply:
        repo = self.repo(ask)
        before, dots, to = ask.call.query.get("ref_name", repo.default).rpartition("..")
        rows = self._between(repo, _sha(repo, to), _sha(repo, before) if dots else None)
        since = _moment(ask.call.query.get("since"))
        if since is not None:
            rows = [commit for commit in rows if commit.committed + FRACTION >= since]
        return self.paged(ask, rows, lambda commit: self.render.commit(repo, commit), counted=False)

    def _between(self, repo: Repo, to: str, before: str | None) -> list[Commit]:
        """Walked once for all pages: commits don't change. The last one comes first, whatever its time."""
        key = (repo.id, to, before)
        if self._range is None or self._range[0] != key:
            self._range = (key, sorted(repo.history(to, before), key=lambda commit: commit.sha != to))
        return self._range[1]

    def _pushes(self, ask: Ask) -> Reply:
        """Of a project's events only those."""
        repo = self.repo(ask)
        if ask.call.query.get("action") != "pushed":
            raise VendorError(400, "action does not have a valid value")
        rows = repo.pushes if ask.call.query.get("sort") == "asc" else repo.pushes[::-1]
        return self.paged(ask, rows, lambda push: self.render.push(repo, push), counted=False)

    def _requests(self, ask: Ask) -> Reply:
        repo = self.repo(ask, "merge_requests")
        rows = self._changed(ask, repo.pulls.values())
        return self.paged(ask, rows, lambda pull: self.render.request(repo, pull))

    def _pull(self, ask: Ask) -> tuple[Repo, Any]:
        repo = self.repo(ask, "merge_requests")
        return repo, self.host.pull(repo.id, int(ask.params["iid"]))

    def _notes(self, ask: Ask) -> Reply:
        repo, pull = self._pull(ask)
        return self.paged(ask, self.render.notes(pull, repo.reviews_of(pull.number)), dict)

    def _state_events(self, ask: Ask) -> Reply:
        _, pull = self._pull(ask)
        return self.paged(ask, self.render.state_events(pull), dict)

    def _own_commits(self, ask: Ask) -> Reply:
        repo, pull = self._pull(ask)
        return self.paged(ask, pull.commits[::-1], lambda sha: self.render.commit(repo, repo.commits[sha]))

    def _diffs(self, ask: Ask) -> Reply:
        repo, pull = self._pull(ask)
        return self.paged(ask, self.render.diffs(repo, pull, self.settings.hides_diffs), dict)

    # --- deployments, pipelines, releases -----------------------------------------------------------

    def _environments(self, ask: Ask) -> Reply:
        return self.paged(ask, self.render.environments(self.repo(ask, "deployments")), dict)

    def _deployments(self, ask: Ask) -> Reply:
        rows = self._changed(ask, self.repo(ask, "deployments").deployments.values())
        return self.paged(ask, rows, self.render.deployment)

    def _deployment(self, ask: Ask) -> Json:
        return self.render.deployment(_found(self.repo(ask, "deployments").deployments, ask.params["id"]))

    def _pipelines(self, ask: Ask) -> Reply:
        repo = self.repo(ask, "pipelines")
        rows = self._changed(ask, repo.runs.values())
        return self.paged(ask, rows, lambda run: self.render.pipeline(repo, run))

    def _pipeline(self, ask: Ask) -> Json:
        repo = self.repo(ask, "pipelines")
        return self.render.pipeline_alone(repo, _found(repo.runs, ask.params["id"]))

    def _releases(self, ask: Ask) -> Reply:
        repo, after = self.repo(ask, "releases"), _moment(ask.call.query.get("updated_after"))
        rows = [one for one in repo.releases.values() if after is None or one.created + FRACTION >= after]
        rows = rows if ask.call.query.get("sort") == "asc" else rows[::-1]
        return self.paged(ask, rows, lambda release: self.render.release(repo, release))

    def _release(self, ask: Ask) -> Json:
        repo = self.repo(ask, "releases")
        for release in repo.releases.values():
            if release.tag == ask.params["tag"]:
                return self.render.release(repo, release)
        raise VendorError(404, "Not Found")

    # --- issues -------------------------------------------------------------------------------------

    def _issues(self, ask: Ask) -> Reply:
        project = str(self.repo(ask, "issues").id)
        return self.paged(ask, self.issues.matching(project, dict(ask.call.query), _moment), self.issues.shown)

    def _issue(self, ask: Ask) -> Item:
        return self.issues.find(str(self.repo(ask, "issues").id), ask.params["iid"])

    def _create_issue(self, ask: Ask) -> Reply:
        project, body = str(self.repo(ask, "issues").id), ask.json("title")
        return Reply(201, self.issues.shown(self.issues.create(ask.user, project, body)))

    def _update_issue(self, ask: Ask) -> Json:
        return self.issues.shown(self.issues.update(ask.user, self._issue(ask), ask.json()))

    def _members(self, ask: Ask) -> Reply:
        """Found by name or address; the address itself is not shown."""
        self.repo(ask)
        wanted = ask.call.query.get("query", "").lower()
        found = [user for user in self.tracker.users.values() if wanted in f"{user.name} {user.email}".lower()]
        return self.paged(ask, found, lambda user: self.render.user(user.id) | {"access_level": 40})

    def on_change(self, change: Change) -> None:
        """An issue was changed; that one was deleted is told to nobody."""
        if change.after is not None:
            body = self.issues.told(change.after, change.who)
            self.events.wake(self.clock.now())
            self.hooks.tell("Issue Hook", lambda _hook, _id: body, change.after.container)

    # --- webhooks -----------------------------------------------------------------------------------

    def on_deed(self, deed: Deed) -> None:
        """Told to the project's hooks; what GitLab must remember of it besides is noted."""
        with self.tracker.lock:
            if deed.kind is Kind.REPOSITORY_RENAMED:
                deed.repo.extra.setdefault("was", set()).add(deed.before)
            self.events.wake(self.clock.now())
            self.events.tell(deed)

    def sign(self, sending: Sending) -> dict[str, str]:
        """See `webhooks`."""
        return self.events.headers(sending, self.settings.numbers_events)

    def _on_settled(self, delivery: Delivery) -> None:
        with self.tracker.lock:
            self.events.on_settled(delivery)


def _moment(text: str | None) -> datetime | None:
    """A time of the query. Raises VendorError 400."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise VendorError(400, "updated_after is invalid") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _sha(repo: Repo, name: str) -> str:
    """A branch's or a commit's sha. Raises VendorError 404."""
    sha = repo.branches.get(name, name)
    if sha not in repo.commits:
        raise VendorError(404, "Commit Not Found")
    return sha


def _found(rows: dict[int, T], id_: str) -> T:
    found = rows.get(int(id_)) if id_.isdigit() else None
    if found is None:
        raise VendorError(404, "Not Found")
    return found
