"""The SonarCloud sandbox as one object: build it, serve it or call it in-process, act, break, look."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sandbox.auth import Caller, Doorkeeper
from sandbox.base import perform
from sandbox.errors import VendorError
from sandbox.hooks import Sending, alike
from sandbox.http import Call, Reply
from sandbox.limits import Rate, Window
from sandbox.sonarcloud.api import Api
from sandbox.sonarcloud.projects import ERROR, OK, OPERATORS, Analysis, Branch, Json, Project, measured, stamp
from sandbox.switches import Switches
from sandbox.tracker import Change, Item, Tracker
from sandbox.vendor import Endpoint, TrackerSandbox, usual_people
from sandbox.webhooks import RetryRule

ORGANIZATION = "apex-digital"
PROJECTS = (("apex_payments-api", "Payments API"), ("apex_payments-worker", "Payments Worker"))

EVENT = "analysis"
ANONYMOUS, NOBODY = "anonymous", "nobody"

ACTIONS = frozenset(
    {"analyse", "analyse_pull", "fail", "accept", "add_project", "add_branch", "rename", "delete", "hide", "show"}
)
"""What people and their pipelines do there."""


@dataclass
class Settings(Switches):
    """The switches of a SonarCloud sandbox, besides the usual ones.

    `flavor`: `cloud`, or `server`: without organizations. `administers`: whether the token's owner may register
    webhooks. `old_periods`: values of new code come as lists. `names_branches`: webhooks say which branch.
    """

    flavor: str = "cloud"
    administers: bool = True
    old_periods: bool = False
    names_branches: bool = True


class _Door(Doorkeeper):
    """Anybody may come in without a token, and see what is public; to ask whether a token is good, with a bad one."""

    def caller(self, call: Call) -> Caller:
        """Who is calling. Raises VendorError 401."""
        if "authorization" not in call.headers:
            return Caller(ANONYMOUS)
        try:
            return super().caller(call)
        except VendorError:
            if call.operation == "validate":
                return Caller(NOBODY)
            raise


class SonarCloudSandbox(TrackerSandbox):
    """An organization with two projects; options as of `TrackerSandbox`."""

    name = "sonarcloud"
    switches = Settings
    settings: Settings
    schemes = ("bearer", "basic")
    rate = Rate(300, 60.0)
    retry_rule = RetryRule((), lambda status: False)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.door = _Door(self.clock, self.schemes, self.token_header, None, self.door.tokens)
        self._made = 0
        self.projects: dict[str, Project] = {}
        for key, name in PROJECTS:
            self.add_project(key, name)

    def make_tracker(self) -> Tracker:
        """People, and nothing else."""
        return Tracker(self.clock, users=usual_people(), containers=(), statuses=())

    def on_change(self, change: Change) -> None:
        """There are no items."""

    def endpoints(self) -> Sequence[Endpoint]:
        """The web API, as far as a connector needs it."""
        return Api(self).endpoints()

    def error_reply(self, error: VendorError) -> Reply:
        """`{"errors": [{"msg"}]}`."""
        return Reply(error.status, {"errors": [{"msg": error.text}]})

    def rate_headers(self, window: Window) -> dict[str, str]:
        """Nothing is said of limits."""
        return {}

    # --- what people and their pipelines do ---------------------------------------------------------

    def plant(self, count: int, container: str | None = None) -> list[Item]:
        """A history of so many analyses of a project (the first, if none is named), one a day, the last of them now."""
        project = next(iter(self.projects.values())) if container is None else self.project(container)
        for number in range(count):
            at = self.clock.now().replace(microsecond=0) - timedelta(days=count - 1 - number)
            self._add(project.main, Analysis("", at, measured(uncovered_lines=float(number % 300))))
        return []

    def act(self, person: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do something as a person; see ACTIONS. Raises ControlError."""
        with self.tracker.lock:
            self.tracker.user(person)
            made = perform(lambda: self, ACTIONS, action, arguments, VendorError)
        return {"analysis": made.key, "gate": made.gate} if isinstance(made, Analysis) else {"done": action}

    def add_project(self, key: str, name: str = "", main: str = "main") -> Project:
        """Another project, never analysed."""
        self.projects[key] = Project(key, name or key, {main: Branch(main, main=True)})
        return self.projects[key]

    def add_branch(self, project: str, branch: str, type: str = "LONG") -> None:
        """Another branch, never analysed."""
        self.project(project).branches[branch] = Branch(branch, main=False, type=type)

    def analyse(self, project: str, branch: str | None = None, **values: float | None) -> Analysis:
        """An analysis of a branch (the main one if none is named), with these values instead of the usual ones."""
        home, one = self._branch(project, branch)
        made = self._add(one, Analysis("", self.clock.now().replace(microsecond=0), measured(**values)))
        task = self._worked(home, one, "SUCCESS", made.key)
        self._tell(home, one, made, {"taskId": task, "analysedAt": stamp(made.at), "revision": made.revision})
        return made

    def analyse_pull(self, project: str, number: str, **values: float | None) -> Analysis:
        """An analysis of a pull request: it changes nothing of the project."""
        pull = Branch(number, main=False, type="PULL_REQUEST")
        made = self._add(pull, Analysis("", self.clock.now().replace(microsecond=0), measured(**values)))
        self._tell(self.project(project), pull, made, {"taskId": f"AX{made.key}", "analysedAt": stamp(made.at)})
        return made

    def fail(self, project: str, branch: str | None = None, status: str = "FAILED") -> None:
        """An analysis that is not worked to its end."""
        home, one = self._branch(project, branch)
        self._tell(home, one, None, {"taskId": self._worked(home, one, status, None)}, status)

    def accept(self, project: str, branch: str | None = None) -> None:
        """Somebody accepts what failed the gate: it passes, without an analysis."""
        home, one = self._branch(project, branch)
        if one.newest is None:
            raise VendorError(404, "There is no analysis.")
        one.gate = OK
        self._tell(home, one, one.newest, {"analysedAt": stamp(one.newest.at)})

    def rename(self, project: str, key: str) -> None:
        """Another key: nothing is found by the old one any more."""
        home = self.project(project)
        del self.projects[project]
        home.key = key
        self.projects[key] = home
        for hook in self.hooks.live():
            if hook.container == project:
                self.hooks.change(hook.id, container=key)

    def delete(self, project: str) -> None:
        """It is gone."""
        del self.projects[self.project(project).key]

    def hide(self, project: str) -> None:
        """The token's owner may not browse it any more."""
        self.project(project).hidden = True

    def show(self, project: str) -> None:
        """The token's owner may browse it again."""
        self.project(project).hidden = False

    def project(self, key: str) -> Project:
        """A project by its key. Raises VendorError 404."""
        if key not in self.projects:
            raise VendorError(404, f"Component key '{key}' not found")
        return self.projects[key]

    def _branch(self, project: str, branch: str | None) -> tuple[Project, Branch]:
        home = self.project(project)
        if branch is not None and branch not in home.branches:
            raise VendorError(404, f"Branch '{branch}' in project '{project}' not found")
        return home, home.branches[branch] if branch else home.main

    def _add(self, branch: Branch, analysis: Analysis) -> Analysis:
        self._made += 1
        analysis.key = f"AXgTFfXRZCzh{self._made:08d}"
        analysis.revision = hashlib.sha1(analysis.key.encode(), usedforsecurity=False).hexdigest()
        analysis.gate = ERROR if any(one["status"] == ERROR for one in analysis.conditions()) else OK
        branch.analyses.append(analysis)
        branch.gate = analysis.gate
        return analysis

    def _worked(self, project: Project, branch: Branch, status: str, analysis: str | None) -> str:
        """The task that was worked on."""
        self._made += 1
        named = {} if branch.main else {"branch": branch.name, "branchType": branch.type}
        at = stamp(self.clock.now())
        project.task = {"id": f"AYtask{self._made:014d}", "componentKey": project.key, "status": status}
        project.task |= {"submittedAt": at, "executedAt": at, **named}
        project.task |= {"analysisId": analysis} if analysis else {}
        return str(project.task["id"])

    # --- webhooks -----------------------------------------------------------------------------------

    def _tell(
        self, project: Project, branch: Branch, analysis: Analysis | None, more: Json, status: str = "SUCCESS"
    ) -> None:
        """Tell the organization's hooks and the project's: each of them."""
        page = f"{self.url}/dashboard?id={project.key}"
        body: Json = {"serverUrl": self.url, "status": status, "changedAt": stamp(self.clock.now()), **more}
        body["project"] = {"key": project.key, "name": project.name, "url": page}
        if self.settings.names_branches:
            named = {"name": branch.name, "type": branch.type, "isMain": branch.main}
            body["branch"] = named | {"url": page if branch.main else f"{page}&branch={branch.name}"}
        if analysis is not None:
            body["qualityGate"] = _gate(branch, analysis)
        self.hooks.tell(EVENT, alike(body | {"properties": {}}), project.key)

    def sign(self, sending: Sending) -> dict[str, str]:
        """The project, and with a secret the HMAC of the body in hex, without a prefix or a time."""
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "SonarQube/8.0"}
        headers["X-SonarQube-Project"] = str(json.loads(sending.body)["project"]["key"])
        if sending.hook.secret:
            digest = hmac.new(sending.hook.secret.encode(), sending.body, hashlib.sha256).hexdigest()
            headers["X-Sonar-Webhook-HMAC-SHA256"] = digest
        return headers

    def state(self) -> dict[str, Any]:
        """Projects with their branches, counted where it is long, and webhooks without secrets."""
        with self.tracker.lock:
            return {
                "now": self.clock.now().isoformat(),
                "organization": ORGANIZATION,
                "projects": [_state(project) for project in self.projects.values()],
                "webhooks": [{"key": hook.id, "url": hook.url} for hook in self.hooks.live()],
            }


def _gate(branch: Branch, analysis: Analysis) -> Json:
    """The gate in a webhook's words: others than the API's."""
    conditions = []
    for one in analysis.conditions():
        accepted = branch.gate == OK and one["status"] == ERROR
        told = {"metric": one["metric"], "operator": OPERATORS[one["operator"]], "errorThreshold": one["threshold"]}
        told |= {"status": OK if accepted else one["status"], "onLeakPeriod": one["metric"].startswith("new_")}
        conditions.append(told | ({"value": one["value"]} if "value" in one else {}))
    return {"name": "Sonar way", "status": branch.gate, "conditions": conditions}


def _state(project: Project) -> Json:
    return {
        "key": project.key,
        "name": project.name,
        "hidden": project.hidden,
        "branches": [
            {"name": one.name, "main": one.main, "gate": one.gate, "analyses": len(one.analyses)}
            for one in project.branches.values()
        ],
    }
