"""A fake Azure DevOps organization: what its REST API 7.1 answers about work items."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from sandbox.azure_boards import patch, wiql
from sandbox.azure_boards.entra import RULES, Entra
from sandbox.azure_boards.hooks import TRANSIENT, ServiceHooks
from sandbox.azure_boards.items import fields, identity, kind_of, page, stamp, work_item
from sandbox.azure_boards.process import AREAS, CATEGORIES, PRIORITIES, PROJECTS, STATUSES, containers
from sandbox.consent import ConsentPages
from sandbox.errors import VendorError
from sandbox.hooks import Sending
from sandbox.http import Operation, Reply
from sandbox.limits import Rate, Window
from sandbox.oauth import AuthServer, OAuthApp
from sandbox.switches import Switches
from sandbox.tracker import Change, Container, Item, Tracker
from sandbox.vendor import CLIENT_ID, CLIENT_SECRET, Ask, Endpoint, TrackerSandbox, usual_people
from sandbox.webhooks import RetryRule

ORGANIZATION = "sandbox"

LARGEST_BATCH = 200

ORG, PROJECT = "/{org}", "/{org}/{project}"


@dataclass
class Settings(Switches):
    """`sign_in_status`: how bad credentials are answered, with a page (203, 302) or plainly (401). `wiql_limit`: what a
    query may find. `batch_nulls`: a batch has null for what is missing, or leaves it out. `plain_rules`: a broken rule
    is told in words only. `required_fields`: what a new work item must have besides a title, parted by commas."""

    sign_in_status: int = 203
    wiql_limit: int = 20_000
    batch_nulls: bool = True
    plain_rules: bool = False
    required_fields: str = ""


class AzureBoardsSandbox(TrackerSandbox):
    """An organization with four projects: two Agile, a Scrum and a Basic one."""

    name = "azure_boards"
    switches = Settings
    schemes = ("basic", "bearer")
    settings: Settings
    oauth_rules = RULES
    oauth_paths: ClassVar = {"authorize": "/oauth2/v2.0/authorize", "token": "/oauth2/v2.0/token"}
    rate = Rate(1000, 300.0)
    retry_rule = RetryRule(
        tuple((float(s), float(s)) for s in (1, 2, 4, 8, 16, 32, 60, 60)), lambda status: status in TRANSIENT
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._chance = self.rng("events")
        self.service_hooks = ServiceHooks(self.hooks, self.tracker, self.deliveries, self._guid)
        self.deliveries.settled.append(self.service_hooks.on_settled)

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

    def endpoints(self) -> Sequence[Endpoint]:
        """What is about one work item works with the project in the path and without."""
        wit, hooks = "_apis/wit", f"{ORG}/_apis/hooks"
        return [
            self._at("connectionData", "GET", f"{ORG}/_apis/connectionData", self._connection),
            self._at("getProject", "GET", f"{ORG}/_apis/projects/{{project}}", lambda ask: self._project(ask)),
            self._at("listTeams", "GET", f"{ORG}/_apis/projects/{{project}}/teams", self._teams),
            self._at("listMembers", "GET", f"{ORG}/_apis/projects/{{project}}/teams/{{team}}/members", self._members),
            self._at("queryByWiql", "POST", f"{ORG}/{wit}/wiql", self._query),
            self._at("getBatch", "POST", f"{ORG}/{wit}/workitemsbatch", self._batch),
            self._at("getWorkItem", "GET", f"{ORG}/{wit}/workitems/{{id}}", self._get),
            self._at("updateWorkItem", "PATCH", f"{ORG}/{wit}/workitems/{{id}}", self._update),
            self._at("deleteWorkItem", "DELETE", f"{ORG}/{wit}/workitems/{{id}}", self._delete),
            self._at("getDeleted", "GET", f"{ORG}/{wit}/recyclebin/{{id}}", self._deleted),
            self._at("restoreDeleted", "PATCH", f"{ORG}/{wit}/recyclebin/{{id}}", self._restore),
            self._at("createWorkItem", "POST", f"{PROJECT}/{wit}/workitems/${{kind}}", self._create),
            self._at("listTypes", "GET", f"{PROJECT}/{wit}/workitemtypes", self._types),
            self._at("listStates", "GET", f"{PROJECT}/{wit}/workitemtypes/{{kind}}/states", self._states),
            self._at("listSubscriptions", "GET", f"{hooks}/subscriptions", self._subscriptions),
            self._at("createSubscription", "POST", f"{hooks}/subscriptions", self._subscribe),
            self._at("replaceSubscription", "PUT", f"{hooks}/subscriptions/{{hook}}", self._resubscribe),
            self._at("deleteSubscription", "DELETE", f"{hooks}/subscriptions/{{hook}}", self._unsubscribe),
            self._at("queryNotifications", "POST", f"{hooks}/notificationsquery", self._notifications),
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

    def _at(self, name: str, method: str, path: str, handler: Callable[[Ask], Any]) -> Endpoint:
        """An endpoint of this organization that is called with a version."""

        def checked(ask: Ask) -> Any:
            if ask.params["org"].casefold() != ORGANIZATION:
                raise VendorError(404, f"TF400813: The organization {ask.params['org']} is not known.")
            if "api-version" not in ask.call.query:
                text = f"No api-version was supplied for the {method} request. The version must be supplied."
                raise VendorError(400, text, code="VssVersionNotSpecifiedException")
            return handler(ask)

        return Endpoint(name, method, path, checked)

    # Who and where

    def _connection(self, ask: Ask) -> Any:
        user = self.tracker.users[ask.user]
        me = {"id": user.id, "subjectDescriptor": f"aad.{user.id}", "providerDisplayName": user.name, "isActive": True}
        return {"authenticatedUser": me, "authorizedUser": me, "instanceId": self.tracker.users[ask.user].id}

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
        return _listed(
            [{"name": name, "referenceName": f"Custom.{name}", "states": _states(s)} for name, s in names.items()]
        )

    def _states(self, ask: Ask) -> Any:
        project = self._home(ask).name
        return _listed(_states(PROJECTS[project].types[patch.kind_in(project, ask.params["kind"])]))

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
        made = [item and work_item(self.tracker, item, self._base, body.get("fields")) for item in seen]
        return _listed(made if self.settings.batch_nulls else [one for one in made if one is not None])

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
        return work_item(self.tracker, item, self._base)

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
            "url": f"{self._base}/_apis/wit/recyclebin/{item.id}",
        }

    @property
    def _base(self) -> str:
        return f"{self.url}/{ORGANIZATION}"

    def _link(self, item_id: int) -> str:
        return f"{self._base}/_apis/wit/workItems/{item_id}"

    # Service hooks

    def _subscriptions(self, ask: Ask) -> Any:
        hooks = self.hooks.live() if ask.call.query.get("publisherId", "tfs") == "tfs" else []
        return _listed([self.service_hooks.to_json(hook, self._base) for hook in hooks])

    def _subscribe(self, ask: Ask) -> Any:
        body = ask.json("publisherId", "eventType", "consumerId", "consumerActionId")
        return self.service_hooks.to_json(self.service_hooks.register(ask.user, body), self._base)

    def _resubscribe(self, ask: Ask) -> Any:
        return self.service_hooks.to_json(self.service_hooks.replace(ask.params["hook"], ask.json()), self._base)

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

    def on_change(self, change: Change) -> None:
        """By Azure's service hooks."""
        self.service_hooks.on_change(change)

    def sign(self, sending: Sending) -> dict[str, str]:
        """Nothing is signed: the password the subscription was given is sent, and headers of its own."""
        inputs = sending.hook.extra["inputs"]
        lines = [line.partition(":") for line in str(inputs.get("httpHeaders") or "").split("\n") if line]
        headers = {name: value for name, _, value in lines}
        if sending.hook.secret:
            pair = f"{inputs.get('basicAuthUsername', '')}:{sending.hook.secret}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return headers

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
        if error.field and not self.settings.plain_rules:
            rules = [{"fieldReferenceName": error.field, "errorMessage": text}]
            body["customProperties"] = {"FieldReferenceName": error.field, "RuleValidationErrors": rules}
        return Reply(error.status, body)

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


def _team(project: str) -> str:
    return project.replace("0a0b0c0d", "7ea00000")


def _states(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"name": name, "color": "b2b2b2", "category": CATEGORIES[name]} for name in names]


def _listed(rows: list[Any]) -> dict[str, Any]:
    return {"count": len(rows), "value": rows}


def _turn(ask: Ask, rows: list[Any]) -> dict[str, Any]:
    """A part of a list, by `$top` and `$skip`."""
    skip = ask.number("$skip", 0)
    return _listed(rows[skip : skip + ask.number("$top", 100)])
