"""The web API of a fake SonarCloud: queries and forms go in, texts come out."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from sandbox.errors import VendorError
from sandbox.hooks import Hook
from sandbox.http import NO_BODY, Reply
from sandbox.paging import by_number
from sandbox.sonarcloud.projects import ERROR, NONE, OK, TYPES, Analysis, Branch, Json, Project, stamp
from sandbox.vendor import Ask, Endpoint

if TYPE_CHECKING:
    from sandbox.sonarcloud.sandbox import SonarCloudSandbox

T = TypeVar("T")

USUAL_PAGE, MOST, MOST_HISTORY = 100, 500, 1000
LAST_ROW = 10_000
MOST_HOOKS = 10
NEW = "new_"


class Api:
    """The calls."""

    def __init__(self, sandbox: "SonarCloudSandbox") -> None:
        self._sandbox = sandbox

    def endpoints(self) -> Sequence[Endpoint]:
        """All of them; those that only a server or only the cloud has are refused by the other."""
        table: list[tuple[str, str, str, Callable[[Ask], Any]]] = [
            ("validate", "GET", "authentication/validate", self._validate),
            ("searchProjects", "GET", "projects/search", self._projects),
            ("searchComponents", "GET", "components/search", self._components),
            ("showComponent", "GET", "components/show", self._show),
            ("listBranches", "GET", "project_branches/list", self._branches),
            ("searchAnalyses", "GET", "project_analyses/search", self._analyses),
            ("getMeasures", "GET", "measures/component", self._measures),
            ("getHistory", "GET", "measures/search_history", self._history),
            ("getGate", "GET", "qualitygates/project_status", self._gate),
            ("getTask", "GET", "ce/component", self._task),
            ("searchMetrics", "GET", "metrics/search", self._metrics),
            ("listWebhooks", "GET", "webhooks/list", self._hooks),
            ("createWebhook", "POST", "webhooks/create", self._create),
            ("updateWebhook", "POST", "webhooks/update", self._update),
            ("deleteWebhook", "POST", "webhooks/delete", self._delete),
        ]
        return [Endpoint(name, method, f"/api/{path}", do) for name, method, path, do in table]

    # --- reading ------------------------------------------------------------------------------------

    def _validate(self, ask: Ask) -> Json:
        """Whether the caller is who they say: who says nothing is that, too."""
        return {"valid": ask.user != "nobody"}

    def _seen(self, ask: Ask) -> list[Project]:
        if ask.user == "anonymous":
            raise VendorError(401, "Authentication is required")
        return [project for project in self._sandbox.projects.values() if not project.hidden]

    def _projects(self, ask: Ask) -> Json:
        self._only("cloud")
        self._in_organization(ask.call.query)
        return self._listed(ask, self._seen(ask), "components", _component)

    def _components(self, ask: Ask) -> Json:
        self._only("server")
        return self._listed(ask, self._seen(ask), "components", _component)

    def _show(self, ask: Ask) -> Json:
        return {"component": _component(self._home(ask, "component")), "ancestors": []}

    def _only(self, flavor: str) -> None:
        if self._sandbox.settings.flavor != flavor:
            raise VendorError(404, f"Unknown url, or not for users: it is one of a {flavor}'s")

    def _in_organization(self, given: Any) -> None:
        from sandbox.sonarcloud.sandbox import ORGANIZATION

        if self._sandbox.settings.flavor == "cloud":
            if not given.get("organization"):
                raise VendorError(400, "The 'organization' parameter is missing")
            if given["organization"] != ORGANIZATION:
                raise VendorError(404, f"No organization with key '{given['organization']}'")

    def _listed(self, ask: Ask, rows: Sequence[T], name: str, shown: Callable[[T], Json], most: int = MOST) -> Json:
        number, size = ask.number("p", 1), ask.number("ps", USUAL_PAGE)
        if not 1 <= size <= most or number * size > LAST_ROW:
            raise VendorError(400, f"'ps' must be from 1 to {most}, and only the first {LAST_ROW} rows are told")
        page = by_number(rows, number, size)
        return {
            name: [shown(row) for row in page.rows],
            "paging": {"pageIndex": number, "pageSize": size, "total": page.total},
        }

    def _home(self, ask: Ask, name: str) -> Project:
        """The project of the query. What may not be browsed is refused."""
        found = self._sandbox.project(ask.call.query.get(name, ""))
        if found.hidden:
            raise VendorError(403, "Insufficient privileges")
        return found

    def _place(self, ask: Ask, name: str) -> tuple[Project, Branch]:
        home = self._home(ask, name)
        branch = ask.call.query.get("branch", home.main.name)
        if branch not in home.branches:
            raise VendorError(404, f"Component '{home.key}' on branch '{branch}' not found")
        return home, home.branches[branch]

    def _branches(self, ask: Ask) -> Json:
        return {"branches": [_branch(one) for one in self._home(ask, "project").branches.values()]}

    def _analyses(self, ask: Ask) -> Json:
        """The newest first."""
        _, branch = self._place(ask, "project")
        rows = branch.since(_moment(ask.call.query.get("from")))[::-1]
        return self._listed(ask, rows, "analyses", _analysis)

    def _measures(self, ask: Ask) -> Json:
        home, branch = self._place(ask, "component")
        newest, told = branch.newest, []
        for metric in _known(ask.call.query.get("metricKeys", "")):
            value = newest.value(metric) if newest else None
            if value is not None:
                told.append({"metric": metric, **self._valued(metric, value)})
        return {"component": _component(home) | {"measures": told}}

    def _valued(self, metric: str, value: str) -> Json:
        if not metric.startswith(NEW):
            return {"value": value}
        period = {"index": 1, "value": value, "bestValue": False}
        return {"periods": [period]} if self._sandbox.settings.old_periods else {"period": period}

    def _history(self, ask: Ask) -> Json:
        """Oldest first; a metric that was not computed has a date and no value."""
        _, branch = self._place(ask, "component")
        rows = branch.since(_moment(ask.call.query.get("from")))
        page = self._listed(ask, rows, "rows", lambda one: {"analysis": one}, MOST_HISTORY)
        analyses: list[Analysis] = [row["analysis"] for row in page.pop("rows")]
        metrics = _known(ask.call.query.get("metrics", ""))
        return page | {"measures": [{"metric": name, "history": _dated(analyses, name)} for name in metrics]}

    def _gate(self, ask: Ask) -> Json:
        key = ask.call.query.get("analysisId")
        if key is None:
            _, branch = self._place(ask, "projectKey")
            if branch.newest is None:
                return {"projectStatus": {"status": NONE, "ignoredConditions": False, "conditions": []}}
            return {"projectStatus": _stands(branch.newest, branch.gate)}
        for project in self._seen(ask):
            for branch in project.branches.values():
                for analysis in reversed(branch.analyses):
                    if analysis.key == key:
                        return {"projectStatus": _stands(analysis, analysis.gate)}
        raise VendorError(404, f"Analysis with id '{key}' is not found")

    def _task(self, ask: Ask) -> Json:
        task = self._home(ask, "component").task
        return {"queue": [], **({"current": task} if task else {})}

    def _metrics(self, ask: Ask) -> Json:
        """An old answer: where the page is stands at the top."""
        page = by_number(list(TYPES), ask.number("p", 1), ask.number("ps", USUAL_PAGE))
        shown = [{"id": str(number), "key": key, "type": TYPES[key]} for number, key in enumerate(page.rows)]
        return {"metrics": shown, "total": page.total, "p": ask.number("p", 1), "ps": ask.number("ps", USUAL_PAGE)}

    # --- webhooks -----------------------------------------------------------------------------------

    def _administered(self, given: Any) -> str | None:
        """The project whose webhooks are meant; None for the organization's. Raises VendorError."""
        self._in_organization(given)
        if not self._sandbox.settings.administers:
            raise VendorError(403, "Insufficient privileges")
        return self._sandbox.project(given["project"]).key if given.get("project") else None

    def _of(self, project: str | None) -> list[Hook]:
        return [hook for hook in self._sandbox.hooks.live() if hook.container == project]

    def _hooks(self, ask: Ask) -> Json:
        return {"webhooks": [_hook(hook) for hook in self._of(self._administered(ask.call.query))]}

    def _create(self, ask: Ask) -> Json:
        form = _form(ask, "name", "url")
        project = self._administered(form)
        if len(self._of(project)) >= MOST_HOOKS:
            raise VendorError(400, f"Maximum number of webhooks reached: {MOST_HOOKS}")
        made = self._sandbox.hooks.register(
            form["url"], ask.user, secret=form.get("secret", ""), container=project, extra={"name": form["name"]}
        )
        return {"webhook": _hook(made)}

    def _update(self, ask: Ask) -> Reply:
        """Without a secret the old one is kept; a blank one takes it away."""
        form = _form(ask, "webhook", "name", "url")
        hook = self._hook(form["webhook"])
        secret = form["secret"].strip() if "secret" in form else hook.secret
        self._sandbox.hooks.change(hook.id, url=form["url"], secret=secret, extra={"name": form["name"]})
        return Reply(204, NO_BODY)

    def _delete(self, ask: Ask) -> Reply:
        self._sandbox.hooks.remove(self._hook(_form(ask, "webhook")["webhook"]).id)
        return Reply(204, NO_BODY)

    def _hook(self, key: str) -> Hook:
        if not self._sandbox.settings.administers:
            raise VendorError(403, "Insufficient privileges")
        return self._sandbox.hooks.get(key)


def _form(ask: Ask, *needed: str) -> dict[str, str]:
    """The fields of the form, or of the query."""
    given = dict(ask.call.query) | dict(parse_qsl(ask.call.body.decode(), keep_blank_values=True))
    for name in needed:
        if not given.get(name):
            raise VendorError(400, f"The '{name}' parameter is missing")
    return given


def _known(keys: str) -> list[str]:
    names = [key for key in keys.split(",") if key]
    unknown = [name for name in names if name not in TYPES]
    if unknown or not names:
        raise VendorError(404, f"The following metric keys are not found: {', '.join(unknown)}")
    return names


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        raise VendorError(400, f"'{text}' cannot be parsed as either a date or date+time") from None


def _component(project: Project) -> Json:
    newest = project.main.newest
    dated = {"lastAnalysisDate": stamp(newest.at), "revision": newest.revision} if newest else {}
    return {"key": project.key, "name": project.name, "qualifier": "TRK", "visibility": "private", **dated}


def _branch(branch: Branch) -> Json:
    told: Json = {"name": branch.name, "isMain": branch.main, "type": branch.type, "branchId": f"AXb-{branch.name}"}
    if branch.newest is None:
        return told | {"status": {}}
    return told | {"status": {"qualityGateStatus": branch.gate}, "analysisDate": stamp(branch.newest.at)}


def _analysis(analysis: Analysis) -> Json:
    told: Json = {"key": analysis.key, "date": stamp(analysis.at), "revision": analysis.revision, "events": []}
    return told | {"manualNewCodePeriodBaseline": False}


def _dated(analyses: Sequence[Analysis], metric: str) -> list[Json]:
    """A metric of new code has no history."""
    told = []
    for one in analyses:
        value = None if metric.startswith(NEW) else one.value(metric)
        told.append({"date": stamp(one.at), **({} if value is None else {"value": value})})
    return told


def _stands(analysis: Analysis, gate: str) -> Json:
    """The gate in the API's words."""
    conditions = []
    for one in analysis.conditions():
        accepted = gate == OK and one["status"] == ERROR
        told = {"metricKey": one["metric"], "comparator": one["operator"], "errorThreshold": one["threshold"]}
        told |= {"status": OK if accepted else one["status"]}
        conditions.append(told | ({"actualValue": one["value"]} if "value" in one else {}))
    return {"status": gate, "ignoredConditions": False, "conditions": conditions, "periods": []}


def _hook(hook: Hook) -> Json:
    return {"key": hook.id, "name": hook.extra["name"], "url": hook.url, "hasSecret": bool(hook.secret)}
