"""A fake Azure DevOps organization: what its REST API 7.1 answers about work items."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.azure.face import ORG, ORGANIZATION, PROJECT, AzureSandbox, AzureSwitches
from sandbox.azure.forms import identity, listed, stamp
from sandbox.azure_boards import patch, wiql
from sandbox.azure_boards.hooks import EVENTS, PUBLISHERS, resource
from sandbox.azure_boards.items import fields, kind_of, work_item
from sandbox.azure_boards.process import AREAS, CATEGORIES, PRIORITIES, PROJECTS, STATUSES, containers
from sandbox.errors import VendorError
from sandbox.tracker import Change, Container, Item, Tracker
from sandbox.vendor import Ask, Endpoint, usual_people

LARGEST_BATCH = 200


@dataclass
class Settings(AzureSwitches):
    """`wiql_limit`: what a query may find. `batch_nulls`: a batch has null for what is missing, or leaves it out.
    `plain_rules`: a broken rule is told in words only. `required_fields`: what a new work item must have besides a
    title, parted by commas."""

    wiql_limit: int = 20_000
    batch_nulls: bool = True
    plain_rules: bool = False
    required_fields: str = ""


class AzureBoardsSandbox(AzureSandbox):
    """An organization with four projects: two Agile, a Scrum and a Basic one."""

    name = "azure_boards"
    publishers = PUBLISHERS
    switches = Settings
    settings: Settings

    def make_tracker(self) -> Tracker:
        """Ids are plain numbers, unique in the organization; identities have GUIDs."""
        return Tracker(
            self.clock,
            users=usual_people("1a2b3c4d-0000-4000-8000-{:012d}".format),
            containers=containers(),
            statuses=STATUSES,
            priorities=PRIORITIES,
            default_priority="2",
            new_key=None,
        )

    def endpoints(self) -> Sequence[Endpoint]:
        """What is about one work item works with the project in the path and without."""
        wit = "_apis/wit"
        return [
            self.at("getProject", "GET", f"{ORG}/_apis/projects/{{project}}", lambda ask: self._project(ask)),
            self.at("listTeams", "GET", f"{ORG}/_apis/projects/{{project}}/teams", self._teams),
            self.at("listMembers", "GET", f"{ORG}/_apis/projects/{{project}}/teams/{{team}}/members", self._members),
            self.at("queryByWiql", "POST", f"{ORG}/{wit}/wiql", self._query),
            self.at("getBatch", "POST", f"{ORG}/{wit}/workitemsbatch", self._batch),
            self.at("getWorkItem", "GET", f"{ORG}/{wit}/workitems/{{id}}", self._get),
            self.at("updateWorkItem", "PATCH", f"{ORG}/{wit}/workitems/{{id}}", self._update),
            self.at("deleteWorkItem", "DELETE", f"{ORG}/{wit}/workitems/{{id}}", self._delete),
            self.at("getDeleted", "GET", f"{ORG}/{wit}/recyclebin/{{id}}", self._deleted),
            self.at("restoreDeleted", "PATCH", f"{ORG}/{wit}/recyclebin/{{id}}", self._restore),
            self.at("createWorkItem", "POST", f"{PROJECT}/{wit}/workitems/${{kind}}", self._create),
            self.at("listTypes", "GET", f"{PROJECT}/{wit}/workitemtypes", self._types),
            self.at("listStates", "GET", f"{PROJECT}/{wit}/workitemtypes/{{kind}}/states", self._states),
            *self.usual_endpoints(),
        ]

    # Who and where

    def _home(self, ask: Ask) -> Container:
        """The project of a path, if the caller may see it."""
        name = ask.params["project"]
        for home in self.tracker.containers.values():
            seen = home.members is None or ask.user in home.members
            if seen and name.casefold() in (home.id, home.name.casefold()):
                return home
        text = (
            f"TF200016: The following project does not exist: {name}. Verify that the name of the project is correct."
        )
        raise VendorError(404, text, code="ProjectDoesNotExistWithNameException")

    def _project(self, ask: Ask) -> Any:
        home = self._home(ask)
        url = f"{self.url}/{ORGANIZATION}/_apis/projects/{home.id}"
        return {"id": home.id, "name": home.name, "url": url, "state": "wellFormed", "visibility": "private"}

    def _teams(self, ask: Ask) -> Any:
        home = self._home(ask)
        team = {"id": _team(home.id), "name": f"{home.name} Team", "projectId": home.id, "projectName": home.name}
        return _turn(ask, [team])

    def _members(self, ask: Ask) -> Any:
        if ask.params["team"] != _team(self._home(ask).id):
            raise VendorError(404, "The team does not exist.", code="TeamNotFoundException")
        people = [identity(user) for user in self.tracker.users.values() if user.active]
        return _turn(ask, [{"identity": one, "isTeamAdmin": False} for one in people])

    def _types(self, ask: Ask) -> Any:
        names = PROJECTS[self._home(ask).name].types
        return listed(
            [{"name": name, "referenceName": f"Custom.{name}", "states": _states(s)} for name, s in names.items()]
        )

    def _states(self, ask: Ask) -> Any:
        project = self._home(ask).name
        return listed(_states(PROJECTS[project].types[patch.kind_in(project, ask.params["kind"])]))

    # Work items

    def _query(self, ask: Ask) -> Any:
        rows = [self._row(item) for item in self.listed(ask)]
        times = ask.call.query.get("timePrecision", "").lower() == "true"
        found = wiql.run(str(ask.json("query")["query"]), rows, times=times, areas=AREAS)
        found = found[: ask.number("$top", len(found))]
        if len(found) > self.settings.wiql_limit:
            text = f"VS402337: The number of work items returned exceeds the size limit of {self.settings.wiql_limit}."
            raise VendorError(400, text, code="WorkItemTrackingQueryResultSizeLimitExceededException")
        items = [{"id": row["System.Id"], "url": self._link(row["System.Id"])} for row in found]
        return {
            "queryType": "flat",
            "queryResultType": "workItem",
            "asOf": stamp(self.clock.now()),
            "columns": [{"referenceName": "System.Id", "name": "ID"}],
            "workItems": items,
        }

    def _row(self, item: Item) -> dict[str, Any]:
        values = fields(self.tracker, item, identities="text")
        empty = {"System.Tags": "", "System.AssignedTo": "", "Microsoft.VSTS.Common.Priority": 0}
        return {**empty, **values, "System.ChangedDate": item.updated, "System.CreatedDate": item.created}

    def _batch(self, ask: Ask) -> Any:
        body = ask.json("ids")
        ids = body["ids"]
        if len(ids) > LARGEST_BATCH:
            raise VendorError(400, "VS403474: You requested more than 200 work items.", code="VssPropertyValidation")
        if "fields" in body and body.get("$expand", "none").lower() != "none":
            raise VendorError(400, "The expand parameter can not be used with the fields parameter.")
        seen = [self._seen(ask, str(id_)) for id_ in ids]
        if None in seen and body.get("errorPolicy", "fail").lower() != "omit":
            raise self._missing(str(ids[seen.index(None)]))
        made = [item and work_item(self.tracker, item, self.base, body.get("fields")) for item in seen]
        return listed(made if self.settings.batch_nulls else [one for one in made if one is not None])

    def _seen(self, ask: Ask, item_id: str) -> Item | None:
        item = self.tracker.items.get(item_id)
        return item if item is not None and self.tracker.visible(item, ask.user) else None

    def _item(self, ask: Ask) -> Item:
        item = self._seen(ask, ask.params["id"])
        if item is None:
            raise self._missing(ask.params["id"])
        return item

    def _missing(self, item_id: str) -> VendorError:
        text = f"TF401232: Work item {item_id} does not exist, or you do not have permissions to read it."
        return VendorError(404, text, code="WorkItemUnauthorizedAccessException")

    def _get(self, ask: Ask) -> Any:
        return self._shown(self._item(ask))

    def _shown(self, item: Item) -> dict[str, Any]:
        return work_item(self.tracker, item, self.base)

    def _create(self, ask: Ask) -> Any:
        home = self._home(ask)
        kind = patch.kind_in(home.name, ask.params["kind"])
        found = patch.values(self.tracker, home.name, kind, self._ops(ask), None)
        patch.required([name for name in self.settings.required_fields.split(",") if name], found)
        first = PROJECTS[home.name].types[kind][0]
        if found.setdefault("status", first) != first:
            raise patch.wrong("System.State", "TF401320: Rule Error for field State. Error code: InvalidListValue.")
        return self._shown(self.tracker.create(ask.user, home.id, found.pop("title"), **found))

    def _update(self, ask: Ask) -> Any:
        item, ops = self._item(ask), self._ops(ask)
        patch.check_tests(ops, item)
        project = self.tracker.containers[item.container].name
        found = patch.values(self.tracker, project, kind_of(self.tracker, item), ops, item)
        return self._shown(self.tracker.update(ask.user, item.id, **found))

    def _ops(self, ask: Ask) -> list[dict[str, Any]]:
        try:
            body = ask.call.json()
        except ValueError:
            body = None
        return patch.operations(body, ask.call.headers.get("content-type", ""))

    def _delete(self, ask: Ask) -> Any:
        item = self._item(ask)
        self.tracker.delete(ask.user, item.id, forever=ask.call.query.get("destroy", "").lower() == "true")
        return self._in_the_bin(item)

    def _deleted(self, ask: Ask) -> Any:
        return self._in_the_bin(self._binned(ask))

    def _restore(self, ask: Ask) -> Any:
        item = self._binned(ask)
        if ask.json().get("isDeleted") is not False:
            raise VendorError(400, "A work item in the recycle bin can only be restored.")
        return self._in_the_bin(self.tracker.restore(ask.user, item.id))

    def _binned(self, ask: Ask) -> Item:
        item = self.tracker.trash.get(ask.params["id"])
        if item is None or not self.tracker.visible(item, ask.user):
            raise self._missing(ask.params["id"])
        return item

    def _in_the_bin(self, item: Item) -> dict[str, Any]:
        return {
            "id": int(item.id),
            "type": kind_of(self.tracker, item),
            "name": item.title,
            "project": self.tracker.containers[item.container].name,
            "deletedDate": stamp(self.clock.now()),
            "code": 200,
            "url": f"{self.base}/_apis/wit/recyclebin/{item.id}",
        }

    def _link(self, item_id: int) -> str:
        return f"{self.base}/_apis/wit/workItems/{item_id}"

    def broken_rule(self, error: VendorError, text: str) -> dict[str, Any]:
        """The rule a value broke, for programs."""
        if not error.field or self.settings.plain_rules:
            return {}
        rules = [{"fieldReferenceName": error.field, "errorMessage": text}]
        return {"customProperties": {"FieldReferenceName": error.field, "RuleValidationErrors": rules}}

    def on_change(self, change: Change) -> None:
        """By Azure's service hooks."""
        if change.before != change.after:
            text = f"Work item {change.item.id} {change.kind}"
            told = resource(self.tracker, change)
            self.service_hooks.tell(EVENTS[change.kind], change.item.container, told, text)


def _team(project: str) -> str:
    return project.replace("0a0b0c0d", "7ea00000")


def _states(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"name": name, "color": "b2b2b2", "category": CATEGORIES[name]} for name in names]


def _turn(ask: Ask, rows: list[Any]) -> dict[str, Any]:
    """A part of a list, by `$top` and `$skip`."""
    skip = ask.number("$skip", 0)
    return listed(rows[skip : skip + ask.number("$top", 100)])
