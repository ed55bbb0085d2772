"""The Bitbucket sandbox as one object: build it, serve it or call it in-process, act, break, look."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlencode

from sandbox.bitbucket import webhooks
from sandbox.bitbucket.hooks import API, HOME, HookApi
from sandbox.bitbucket.render import STATES, Json, Renderer, number_of, trimmed, uuid
from sandbox.bitbucket.webhooks import Events
from sandbox.code import CodeSandbox, Deed, Deployment, Pull, Repo, Review
from sandbox.code.values import Commit
from sandbox.control import ControlError
from sandbox.errors import VendorError
from sandbox.hooks import Sending
from sandbox.http import NO_BODY, Reply
from sandbox.limits import Rate, Window
from sandbox.oauth import OAuthRules
from sandbox.paging import by_number
from sandbox.switches import Switches
from sandbox.tracker import Item
from sandbox.vendor import Ask, Endpoint

T = TypeVar("T")

WORKSPACE = "apex-digital"
SCOPES = ("repository", "pullrequest", "pipeline", "webhook", "account")

USUAL_PAGE = 10
MOST = 100
MOST_CHANGES = 50
NEAR = 0.2
"""How much of the limit is left when Bitbucket says that it is near."""

KEPT_HISTORIES = 32
"""Histories of commits that are kept between two pages: they never change, and walking one takes as long as it is."""

_UPDATED = re.compile(r"updated_on\s*>=?\s*(\S+)")


@dataclass
class Settings(Switches):
    """The switches of a Bitbucket sandbox, besides the usual ones.

    `workspace_hooks`: whether a workspace may have webhooks (an administrator's affair); `repository_hooks`: whether
    its repositories may. `orders_deployments`: whether their listing is sorted as asked. `numbered_pipelines`: their
    listing forgets the link to the next page. `tells_wait`: whether a 429 says for how long.
    """

    workspace_hooks: bool = True
    repository_hooks: bool = True
    orders_deployments: bool = True
    numbered_pipelines: bool = True
    tells_wait: bool = True


class BitbucketSandbox(CodeSandbox):
    """A workspace of Bitbucket Cloud; options as of `TrackerSandbox`."""

    name = "bitbucket"
    owner = WORKSPACE
    switches = Settings
    settings: Settings
    schemes = ("bearer", "basic")
    oauth_rules = OAuthRules(SCOPES, name="Sandbox Bitbucket")
    oauth_paths: ClassVar = {
        "authorize": "/site/oauth2/authorize",
        "token": "/site/oauth2/access_token",
        "revoke": "",
    }
    rate = Rate(1000, 3600.0)
    retry_rule = webhooks.RETRY_RULE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.render = Renderer(WORKSPACE, self.tracker.users, self.robot.id)
        self._events = Events(self.hooks, self.render, self.reviews)
        self._reviewed: dict[int, tuple[int, dict[int, list[int]]]] = {}
        self._shortened: dict[int, tuple[int, dict[str, str]]] = {}
        self._merges: dict[int, dict[str, int]] = {}
        self._histories: dict[tuple[Any, ...], list[Commit]] = {}

    # What an author says

    def on_deed(self, deed: Deed) -> None:
        """Tell the hooks."""
        self._events.on_deed(deed)

    def sign(self, sending: Sending) -> dict[str, str]:
        """The headers of a delivery."""
        return webhooks.sign(sending)

    def error_reply(self, error: VendorError) -> Reply:
        """`{"type": "error", "error": {"message"}}`; what is said of money is plain text."""
        if error.status == 402:
            return Reply(402, error.text, {"Content-Type": "text/plain"})
        fields = {"fields": {error.field: [error.text]}} if error.field else {}
        return Reply(error.status, {"type": "error", "error": {"message": error.text, **fields}})

    def rate_headers(self, window: Window) -> dict[str, str]:
        """The limit of the hour and whether it is near: neither what is left nor when it is over."""
        near = window.left < window.limit * NEAR
        headers = {
            "X-RateLimit-Limit": str(window.limit),
            "X-RateLimit-Resource": "api-repositories",
            "X-RateLimit-NearLimit": str(near).lower(),
        }
        waits = window.refused and self.settings.tells_wait
        return headers | ({"Retry-After": str(window.wait)} if waits else {})

    @staticmethod
    def new_hook_id(number: int) -> str:
        """An id in braces."""
        return uuid("hook", number)

    def plant(self, count: int, container: str | None = None) -> list[Item]:
        """A history of so many pull requests: there are no issues in Bitbucket any more."""
        self.plant_history(count)
        return []

    def act(self, person: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """As of `CodeSandbox`. What Bitbucket does not have can't be done. Raises ControlError."""
        if action in ("reopen", "archive", "release"):
            raise ControlError(f"Bitbucket knows no {action}.")
        return super().act(person, action, arguments)

    def reviews(self, repo: Repo, number: int) -> list[Review]:
        """A pull request's reviews, without a look at all others."""
        seen, index = self._reviewed.get(repo.id, (0, defaultdict(list)))
        for review in islice(repo.reviews.values(), seen, None):
            index[review.number].append(review.id)
        self._reviewed[repo.id] = (len(repo.reviews), index)
        return [repo.reviews[id_] for id_ in index.get(number, ())]

    def endpoints(self) -> Sequence[Endpoint]:
        """API 2.0, as far as a connector needs it. Pipelines and deployments end in a slash."""
        change, run = HOME + "/pullrequests/{number:int}", HOME + "/pipelines/{run}"
        table = [
            Endpoint("listRepositories", "GET", API + "/repositories/{workspace}", self._repositories, "repository"),
            Endpoint("getRepository", "GET", HOME, self._repository, "repository"),
            Endpoint("listCommits", "GET", HOME + "/commits", self._commits, "repository"),
            Endpoint("getCommit", "GET", HOME + "/commit/{commit}", self._commit, "repository"),
            Endpoint("getDiffstat", "GET", HOME + "/diffstat/{spec}", self._diffstat, "repository"),
            Endpoint("listChanges", "GET", HOME + "/pullrequests", self._changes, "pullrequest"),
            Endpoint("getChange", "GET", change, self._change, "pullrequest"),
            Endpoint("listActivity", "GET", change + "/activity", self._activity, "pullrequest"),
            Endpoint("listChangeCommits", "GET", change + "/commits", self._change_commits, "pullrequest"),
            Endpoint("getChangeDiffstat", "GET", change + "/diffstat", self._change_diffstat, "pullrequest"),
            Endpoint("listPipelines", "GET", HOME + "/pipelines/", self._pipelines, "pipeline"),
            Endpoint("getPipeline", "GET", run, self._pipeline, "pipeline"),
            Endpoint("listSteps", "GET", run + "/steps/", self._steps, "pipeline"),
            Endpoint("listDeployments", "GET", HOME + "/deployments/", self._deployments, "pipeline"),
        ]
        return [*table, *HookApi(self.hooks, self._hook_place, self._listed, self.clock).endpoints()]

    # Pages

    def _listed(
        self, ask: Ask, rows: Sequence[T], row: Callable[[T], Json], most: int = MOST, counts: bool = True
    ) -> Json:
        """A page by its number. Where Bitbucket does not count, the page's number is a word that says nothing."""
        size = ask.number("pagelen", USUAL_PAGE)
        if not 1 <= size <= most:
            raise VendorError(400, f"Invalid pagelen: it must be from 1 to {most}.")
        size = min(size, self.settings.page_limit or size)  # what is told has to be what is given: clients count by it
        name = "page" if counts else "ctx"
        number = ask.number(name, 1)
        page = self.page(ask, lambda most: by_number(rows, number, most), size, here=number + 1)
        told: Json = {"values": [row(found) for found in page.rows], "pagelen": size}
        told |= {"page": number, "size": page.total} if counts else {}
        if page.next is not None and not (self.settings.numbered_pipelines and ask.call.operation == "listPipelines"):
            told["next"] = self._link(ask, {name: [str(page.next)]})
        fields = ask.call.query.get("fields")
        return trimmed(told, fields) if fields else told

    def _link(self, ask: Ask, changed: dict[str, list[str]]) -> str:
        query = urlencode({**ask.call.queries, **changed}, doseq=True)
        return f"{ask.call.base_url}{quote(ask.call.path)}?{query}"

    def _hook_place(self, ask: Ask) -> str | None:
        """The repository whose webhooks are meant; None for the workspace's. Raises VendorError."""
        if "repo" in ask.params:
            allowed, place = self.settings.repository_hooks, str(self._home(ask).id)
        else:
            self._in_workspace(ask)
            allowed, place = self.settings.workspace_hooks, None
        if not allowed:
            raise VendorError(403, "Your credentials lack one or more required privileges.")
        return place

    # Repositories and commits

    def _home(self, ask: Ask) -> Repo:
        """The repository of the path, by its name or id. What may not be seen is not there."""
        workspace, named = ask.params["workspace"], ask.params["repo"]
        if workspace in (WORKSPACE, self.render.workspace()["uuid"], "{}"):
            known = {repo.name: repo for repo in self.host.repos.values()}
            found = known.get(named) or self.host.repos.get(number_of(named) if named.startswith("{") else -1)
            if found is not None and (found.members is None or ask.user in found.members):
                return found
        raise VendorError(404, f"Repository {workspace}/{named} not found")

    def _repositories(self, ask: Ask) -> Json:
        self._in_workspace(ask)
        seen = [repo for repo in self.host.repos.values() if repo.members is None or ask.user in repo.members]
        return self._listed(ask, seen, self.render.repository)

    def _in_workspace(self, ask: Ask) -> None:
        if ask.params["workspace"] not in (WORKSPACE, self.render.workspace()["uuid"]):
            raise VendorError(404, f"No workspace with identifier '{ask.params['workspace']}'.")

    def _repository(self, ask: Ask) -> Json:
        return self.render.repository(self._home(ask))

    def _commits(self, ask: Ask) -> Json:
        repo, queries = self._home(ask), ask.call.queries
        include = tuple(self._sha(repo, name) for name in queries.get("include", [repo.default]))
        exclude = tuple(self._sha(repo, name) for name in queries.get("exclude", ()))
        return self._listed(ask, self._history(repo, include, exclude), self.render.commit, counts=False)

    def _history(self, repo: Repo, include: tuple[str, ...], exclude: tuple[str, ...]) -> list[Commit]:
        key = (repo.id, include, exclude)
        if key not in self._histories:
            if len(self._histories) >= KEPT_HISTORIES:
                self._histories.pop(next(iter(self._histories)))
            found = repo.history(include[0], exclude[0] if exclude else None)
            # As git walks them: whatever its time says, what is asked for comes before what it was made from.
            self._histories[key] = sorted(found, key=lambda commit: commit.sha != include[0])
        return self._histories[key]

    def _sha(self, repo: Repo, name: str) -> str:
        """A commit by a branch, a tag, or the beginning of its hash. Raises VendorError 404."""
        found = repo.branches.get(name) or repo.tags.get(name) or (name if name in repo.commits else None)
        found = found or self._short_hashes(repo).get(name[:12] if len(name) >= 12 else "")
        if found is None or found in repo.extra.get("lost_commits", ()):
            raise VendorError(404, f"Commit not found: {name}")
        return found

    def _short_hashes(self, repo: Repo) -> dict[str, str]:
        seen, index = self._shortened.get(repo.id, (0, {}))
        for sha in islice(repo.commits, seen, None):
            index[sha[:12]] = sha
        self._shortened[repo.id] = (len(repo.commits), index)
        return index

    def _commit(self, ask: Ask) -> Json:
        repo = self._home(ask)
        return self.render.commit(repo.commits[self._sha(repo, ask.params["commit"])])

    def _diffstat(self, ask: Ask) -> Json:
        """Of a commit beside its first parent, or of `head..base` with the commits of the branch between them."""
        repo = self._home(ask)
        head, _, base = ask.params["spec"].partition("..")
        tip = self._sha(repo, head)
        if base:
            brought = self._branch(repo, tip, self._sha(repo, base))
        else:
            pull = repo.pulls.get(self._merged_by(repo, tip))
            brought = [repo.commits[sha] for sha in (pull.commits if pull else (tip,))]
        return self._listed(ask, [(commit, name) for commit in brought for name in commit.files], _lines, counts=False)

    def _branch(self, repo: Repo, tip: str, base: str) -> list[Commit]:
        found: list[Commit] = []
        while tip != base:
            found.append(repo.commits[tip])
            if not found[-1].parents:
                break
            tip = found[-1].parents[0]
        return found

    def _merged_by(self, repo: Repo, sha: str) -> int:
        """The number of the pull request that a commit merged; -1 for others."""
        if sha not in self._merges.get(repo.id, {}):
            merged = [pull for pull in repo.pulls.values() if pull.merge_sha]
            self._merges[repo.id] = {str(pull.merge_sha): pull.number for pull in merged}
        return self._merges[repo.id].get(sha, -1)

    # Changes

    def _changes(self, ask: Ask) -> Json:
        repo, query = self._home(ask), ask.call.query
        states, since = set(ask.call.queries.get("state", ["OPEN"])), _since(query.get("q", ""))
        pulls = [
            pull
            for pull in repo.pulls.values()
            if STATES[pull.state] in states and (since is None or pull.updated >= since)
        ]
        order = query.get("sort", "-created_on")
        if order.lstrip("-") not in ("updated_on", "created_on"):
            raise VendorError(400, f"Invalid sort field: {order}")
        updated = order.endswith("updated_on")
        pulls.sort(key=lambda pull: pull.updated if updated else pull.created, reverse=order.startswith("-"))
        return self._listed(ask, pulls, lambda pull: self.render.pull(repo, pull), MOST_CHANGES)

    def _pull(self, ask: Ask) -> tuple[Repo, Pull]:
        repo = self._home(ask)
        return repo, self.host.pull(repo.id, int(ask.params["number"]))

    def _change(self, ask: Ask) -> Json:
        repo, pull = self._pull(ask)
        told = self.render.participants(pull, self.reviews(repo, pull.number))
        return self.render.pull(repo, pull) | {"participants": told, "reviewers": []}

    def _activity(self, ask: Ask) -> Json:
        repo, pull = self._pull(ask)
        rows = self.render.activity(pull, self.reviews(repo, pull.number))
        return self._listed(ask, rows, dict, MOST_CHANGES, counts=False)

    def _change_commits(self, ask: Ask) -> Json:
        repo, pull = self._pull(ask)
        commits = [repo.commits[sha] for sha in reversed(pull.commits)]
        return self._listed(ask, commits, self.render.commit, counts=False)

    def _change_diffstat(self, ask: Ask) -> Reply:
        """Says where it is."""
        repo, pull = self._pull(ask)
        base = (repo.commits[pull.commits[0]].parents or ("",))[0]
        if pull.number in repo.extra.get("lost_forks", ()):
            raise VendorError(404, "The source of the pull request is gone.")
        path = quote(f"{API}/repositories/{WORKSPACE}/{repo.name}/diffstat/{pull.head[:12]}..{base[:12]}")
        where = f"{ask.call.base_url}{path}?topic=true"
        return Reply(302, NO_BODY, {"Location": where})

    # Pipelines and deployments

    def _pipelines(self, ask: Ask) -> Json:
        repo = self._home(ask)
        runs = list(repo.runs.values())
        if ask.call.query.get("sort") == "-created_on":
            runs.reverse()
        return self._listed(ask, runs, lambda run: self.render.run(repo, run))

    def _run(self, ask: Ask) -> tuple[Repo, Any]:
        """By its id or its number."""
        repo, named = self._home(ask), ask.params["run"]
        found = repo.runs.get(number_of(named)) if named.startswith("{") else None
        if found is None and named.isdecimal():
            found = next(islice(repo.runs.values(), int(named) - 1, None), None) if int(named) else None
        if found is None:
            raise VendorError(404, f"Pipeline {named} not found")
        return repo, found

    def _pipeline(self, ask: Ask) -> Json:
        return self.render.run(*self._run(ask))

    def _steps(self, ask: Ask) -> Json:
        repo, run = self._run(ask)
        made = [found for found in repo.deployments.values() if found.run == run.id]
        return self._listed(ask, made, self.render.step)

    def _deployments(self, ask: Ask) -> Json:
        repo = self._home(ask)
        made: list[Deployment] = list(repo.deployments.values())
        if self.settings.orders_deployments and ask.call.query.get("sort") == "-last_update_time":
            made.sort(key=lambda found: found.updated, reverse=True)
        return self._listed(ask, made, lambda found: self.render.deployment(repo, found))


def _lines(row: tuple[Commit, str]) -> Json:
    commit, name = row
    share = len(commit.files)
    there = {"type": "commit_file", "path": name}
    return {
        "type": "diffstat",
        "status": "modified",
        "lines_added": commit.additions // share,
        "lines_removed": commit.deletions // share,
        "old": there,
        "new": there,
    }


def _since(filter_: str) -> datetime | None:
    """The one filter that is known. Raises VendorError 400."""
    if not filter_:
        return None
    found = _UPDATED.fullmatch(filter_.strip())
    try:
        at = datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise VendorError(400, f"Invalid filter: {filter_}")
    return at
