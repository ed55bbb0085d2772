"""A fake Azure DevOps organization: Repos and Pipelines of one project, by REST API 7.1 and service hooks."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from sandbox.azure.face import ORG, PROJECT, AzureSandbox
from sandbox.azure.forms import identity, listed, stamp
from sandbox.azure_devops import forms
from sandbox.azure_devops.forms import APEX
from sandbox.code.values import Deed, Kind, Pull, Repo, Run
from sandbox.code.vendor import CodeSandbox
from sandbox.errors import VendorError
from sandbox.http import Reply
from sandbox.tracker import Tracker
from sandbox.vendor import Ask, Endpoint, usual_people

PULL_UPDATED, PULL_MERGED = "git.pullrequest.updated", "git.pullrequest.merged"
COMMENT = "ms.vss-code.git-pullrequest-comment-event"
RUN_CHANGED = "ms.vss-pipelines.run-state-changed-event"

TOLD = {
    Kind.OPENED: ("git.pullrequest.created",),
    Kind.EDITED: (PULL_UPDATED,),
    Kind.DRAFTED: (PULL_UPDATED,),
    Kind.READY: (PULL_UPDATED,),
    Kind.CLOSED: (PULL_UPDATED,),
    Kind.REOPENED: (PULL_UPDATED,),
    Kind.MERGED: (PULL_UPDATED, PULL_MERGED),
}
"""What happened to a change -> the events that tell of it."""

FINAL = frozenset(forms.RESULTS)


class AzureDevOpsSandbox(CodeSandbox, AzureSandbox):
    """An organization with one project. Repositories can be put into others: `repo.extra["project"]`."""

    name = "azure_devops"
    publishers: ClassVar = {
        "tfs": {
            "git.push": "1.0",
            "git.pullrequest.created": "1.0",
            PULL_UPDATED: "1.0",
            PULL_MERGED: "1.0",
            COMMENT: "2.0",
            "build.complete": "1.0",
        },
        "pipelines": {RUN_CHANGED: "5.1-preview.1"},
    }

    def make_tracker(self) -> Tracker:
        """People with GUIDs."""
        new_id = "1a2b3c4d-0000-4000-8000-{:012d}".format
        return Tracker(self.clock, users=usual_people(new_id), containers=(), statuses=self.statuses)

    def endpoints(self) -> Sequence[Endpoint]:
        """The API."""
        git, build = f"{PROJECT}/_apis/git/repositories", f"{PROJECT}/_apis/build/builds"
        repo, environments = f"{git}/{{repo}}", f"{PROJECT}/_apis/pipelines/environments"
        records = f"{environments}/{{environment}}/environmentdeploymentrecords"
        return [
            *self.usual_endpoints(),
            self.at("getProject", "GET", f"{ORG}/_apis/projects/{{project}}", self._project),
            self.at("listRepositories", "GET", git, self._repositories),
            self.at("listPulls", "GET", f"{repo}/pullrequests", self._pulls),
            self.at("getPull", "GET", f"{repo}/pullrequests/{{number}}", self._pull),
            self.at("listThreads", "GET", f"{repo}/pullRequests/{{number}}/threads", self._threads),
            self.at("listPullCommits", "GET", f"{repo}/pullRequests/{{number}}/commits", self._pull_commits),
            self.at("listCommits", "GET", f"{repo}/commits", self._commits),
            self.at("listPushes", "GET", f"{repo}/pushes", self._pushes),
            self.at("getPush", "GET", f"{repo}/pushes/{{push}}", self._push),
            self.at("listBuilds", "GET", build, self._builds),
            self.at("getBuild", "GET", f"{build}/{{build}}", self._build),
            self.at("listEnvironments", "GET", environments, self._environments),
            self.at("listRecords", "GET", records, self._records),
        ]

    # --- projects and repositories ------------------------------------------------------------------

    def _home(self, ask: Ask) -> str:
        """The project of a path, by name or id."""
        for name in sorted({forms.project_of(repo) for repo in self.host.repos.values()} | {APEX}):
            if ask.params["project"].casefold() in (name.casefold(), forms.project_id(name)):
                return name
        text = f"TF200016: The following project does not exist: {ask.params['project']}."
        raise VendorError(404, text, code="ProjectDoesNotExistWithNameException")

    def _project(self, ask: Ask) -> Any:
        return forms.project(self._home(ask))

    def _repositories(self, ask: Ask) -> Any:
        return listed([forms.repository(repo, self.base) for repo in self._in(ask)])

    def _in(self, ask: Ask) -> list[Repo]:
        home = self._home(ask)
        mine = [repo for repo in self.host.repos.values() if forms.project_of(repo) == home]
        return [repo for repo in mine if repo.members is None or ask.user in repo.members]

    def _repo(self, ask: Ask) -> Repo:
        """The repository of a path; a disabled one answers as one that is not there."""
        for repo in self._in(ask):
            if ask.params["repo"] in (forms.guid(repo.id), repo.name) and not repo.archived:
                return repo
        text = (
            f"TF401019: The Git repository with name or identifier {ask.params['repo']} does not exist or you do "
            "not have permissions for the operation you are attempting."
        )
        raise VendorError(404, text, code="GitRepositoryNotFoundException")

    # --- pull requests ------------------------------------------------------------------------------

    def _pulls(self, ask: Ask) -> Any:
        repo, query = self._repo(ask), ask.call.query
        status = query.get("searchCriteria.status", "active")
        by_end = query.get("searchCriteria.queryTimeRangeType", "created").lower() == "closed"
        first, last = _span(query, "searchCriteria.minTime", "searchCriteria.maxTime")
        found = [
            pull
            for pull in reversed(repo.pulls.values())
            if status in ("all", forms.STATUSES[pull.state]) and _within(pull, by_end, first, last)
        ]
        rows = self._turn(ask, found, "$top", "$skip")
        return listed([forms.pull(pull, repo, self.tracker.users, self.base) for pull in rows])

    def _found(self, ask: Ask) -> tuple[Repo, Pull]:
        repo, number = self._repo(ask), ask.params["number"]
        pull = repo.pulls.get(int(number)) if number.isdigit() else None
        if pull is None:
            text = f"TF401180: The requested pull request {number} was not found."
            raise VendorError(404, text, code="GitPullRequestNotFoundException")
        return repo, pull

    def _pull(self, ask: Ask) -> Any:
        repo, pull = self._found(ask)
        return forms.pull(pull, repo, self.tracker.users, self.base)

    def _threads(self, ask: Ask) -> Any:
        repo, pull = self._found(ask)
        return listed(forms.threads(pull, repo, self.tracker.users))

    def _pull_commits(self, ask: Ask) -> Any:
        repo, pull = self._found(ask)
        rows = [forms.commit(repo.commits[sha], self.tracker.users) for sha in reversed(pull.commits)]
        return self._continued(ask, rows, "$top")

    # --- pushes and commits -------------------------------------------------------------------------

    def _commits(self, ask: Ask) -> Any:
        """Of a push, or of the default branch."""
        repo, query = self._repo(ask), ask.call.query
        if "pushId" in query:
            push = self._pushed(repo, query["pushId"])
            shas = self._turn(ask, list(reversed(push.commits)), "top", "skip")
        else:
            first, last = _span(query, "searchCriteria.fromDate", "searchCriteria.toDate")
            shas = [sha for sha in repo.mainline if first <= repo.commits[sha].committed <= last]
            if query.get("searchCriteria.showOldestCommitsFirst") != "true":
                shas.reverse()
            shas = self._turn(ask, shas, "searchCriteria.$top", "searchCriteria.$skip")
        return listed([forms.commit(repo.commits[sha], self.tracker.users) for sha in shas])

    def _pushes(self, ask: Ask) -> Any:
        repo = self._repo(ask)
        first, last = _span(ask.call.query, "searchCriteria.fromDate", "searchCriteria.toDate")
        found = [push for push in reversed(repo.pushes) if first <= push.at <= last]
        rows = self._turn(ask, found, "$top", "$skip")
        return listed([forms.push(push, repo, self.tracker.users, self.base) for push in rows])

    def _push(self, ask: Ask) -> Any:
        repo = self._repo(ask)
        return forms.push(self._pushed(repo, ask.params["push"]), repo, self.tracker.users, self.base)

    def _pushed(self, repo: Repo, number: str) -> Any:
        for push in reversed(repo.pushes):
            if str(push.id) == number:
                return push
        raise VendorError(404, f"TF401035: The push {number} was not found.", code="GitPushNotFoundException")

    # --- builds and environments --------------------------------------------------------------------

    def _builds(self, ask: Ask) -> Any:
        query = ask.call.query
        runs = [(repo, run) for repo in self._in(ask) for run in repo.runs.values()]
        ids, home = query.get("buildIds"), query.get("repositoryId")
        status = query.get("statusFilter", "all")
        if ids:
            wanted = set(ids.split(","))
            runs = [(repo, run) for repo, run in runs if str(run.id) in wanted]
        if home:
            runs = [(repo, run) for repo, run in runs if forms.guid(repo.id) == home]
        rows = [
            forms.build(run, repo, self.tracker.users) for repo, run in runs if status in ("all", forms.status(run))
        ]
        if query.get("queryOrder") == "finishTimeAscending":
            first, last = query.get("minTime", ""), query.get("maxTime", "9999")
            rows = sorted((r for r in rows if first <= r.get("finishTime", "") <= last), key=lambda r: r["finishTime"])
        return self._continued(ask, rows, "$top")

    def _build(self, ask: Ask) -> Any:
        for repo in self._in(ask):
            for run in repo.runs.values():
                if str(run.id) == ask.params["build"]:
                    return forms.build(run, repo, self.tracker.users)
        raise VendorError(404, f"The requested build {ask.params['build']} could not be found.", code="BuildNotFound")

    def _environment_names(self, ask: Ask) -> list[str]:
        """In the order in which they were deployed to first; their numbers begin with 1."""
        made = [one for repo in self._in(ask) for one in repo.deployments.values()]
        return list(dict.fromkeys(one.environment for one in sorted(made, key=lambda one: one.id)))

    def _environments(self, ask: Ask) -> Any:
        names = self._environment_names(ask)
        rows = [{"id": n, "name": name, "createdOn": stamp(self.clock.now())} for n, name in enumerate(names, 1)]
        return self._continued(ask, rows, "$top")

    def _records(self, ask: Ask) -> Any:
        names, number = self._environment_names(ask), ask.params["environment"]
        if not number.isdigit() or not 1 <= int(number) <= len(names):
            raise VendorError(404, f"Environment {number} could not be found.", code="EnvironmentNotFoundException")
        name = names[int(number) - 1]
        made = [one for repo in self._in(ask) for one in repo.deployments.values() if one.environment == name]
        rows = [forms.record(one, int(number)) for one in sorted(made, key=lambda one: one.id, reverse=True)]
        return self._continued(ask, rows, "top", newest_first=True)

    # --- pages --------------------------------------------------------------------------------------

    def _turn(self, ask: Ask, rows: Sequence[Any], top: str, skip: str) -> Sequence[Any]:
        """As many as are asked for: a shorter page is how Azure says that it is the last."""
        start = ask.number(skip, 0)
        return rows[start : start + ask.number(top, 100)]

    def _continued(self, ask: Ask, rows: list[Any], top: str, *, newest_first: bool = False) -> Reply:
        """A page by token: the number of rows before it, or, where new rows come first, of those behind it."""
        size = min(ask.number(top, 100), self.settings.page_limit or 1000)
        given = ask.call.query.get("continuationToken")
        behind = len(rows) - int(given) if given and newest_first else None
        start = behind if behind is not None else int(given or 0)
        end = start + size
        headers = {}
        if end < len(rows):
            headers["x-ms-continuationtoken"] = str(len(rows) - end if newest_first else end)
        return Reply(200, listed(rows[start:end]), headers)

    # --- service hooks ------------------------------------------------------------------------------

    def on_deed(self, deed: Deed) -> None:
        """Nobody is told of renamed or deleted repositories, nor of deployments."""
        home = forms.project_id(forms.project_of(deed.repo))
        for event, resource in self._told(deed):
            self.service_hooks.tell(event, home, resource, f"{event} in {deed.repo.name}")

    def _told(self, deed: Deed) -> Iterable[tuple[str, Any]]:
        repo, people = deed.repo, self.tracker.users
        if deed.kind is Kind.PUSHED:
            yield "git.push", forms.push(deed.what, repo, people, self.base, commits=True)
        for event in TOLD.get(deed.kind, ()):
            yield event, forms.pull(deed.what, repo, people, self.base)
        if deed.kind in (Kind.REVIEWED, Kind.DISMISSED):
            pull = forms.pull(repo.pulls[deed.what.number], repo, people, self.base)
            if deed.what.given == "commented":
                said = {"id": 1, "author": identity(people[deed.who]), "content": deed.what.body, "commentType": "text"}
                yield COMMENT, {"comment": said, "pullRequest": pull}
            else:
                yield PULL_UPDATED, pull
        if deed.kind is Kind.RUN_MOVED:
            yield from _run_told(deed.what)


def _run_told(run: Run) -> Iterable[tuple[str, Any]]:
    """A run and the end of its build; neither says of which repository it is."""
    is_over = run.state in FINAL
    told = {"id": run.id, "name": str(run.number), "state": "completed" if is_over else "inProgress"}
    if is_over:
        told["result"] = forms.RESULTS[run.state]
    yield RUN_CHANGED, {"run": told, "pipeline": {"id": 1, "name": run.name}}
    if is_over:
        yield "build.complete", {"id": run.id, "status": forms.RESULTS[run.state], "definition": {"name": run.name}}


def _span(query: Any, first: str, last: str) -> tuple[datetime, datetime]:
    """A stretch of time of a query."""
    start, end = query.get(first), query.get(last)
    return (
        datetime.fromisoformat(start) if start else datetime.min.replace(tzinfo=UTC),
        datetime.fromisoformat(end) if end else datetime.max.replace(tzinfo=UTC),
    )


def _within(pull: Pull, by_end: bool, first: datetime, last: datetime) -> bool:
    when = pull.closed if by_end else pull.created
    return when is not None and first <= when <= last
