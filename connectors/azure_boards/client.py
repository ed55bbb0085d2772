"""Azure Boards' REST API 7.1: one method for each call we make; no decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from connectors.azure import AzureClient, part
from connectors.azure_boards.mapping import FIELDS, Identity, State, WorkItem
from connectors.azure_boards.refusal import problem_of
from connectors.contract import Rejected
from connectors.response import Response

TOO_MANY = "VS402337"
"""Azure's word for a query that finds more than it gives (20,000)."""

PEOPLE = 100
"""Teams, and members of a team, asked for at once."""

Patch = Sequence[Mapping[str, Any]]


class Found(msgspec.Struct):
    """What a query found: ids in its order."""

    ids: list[int]
    as_of: str


class _Reference(msgspec.Struct):
    id: int


class _QueryResult(msgspec.Struct, rename="camel"):
    as_of: str
    work_items: list[_Reference] = []


class _WorkItems(msgspec.Struct):
    value: list[WorkItem | None]


class _States(msgspec.Struct):
    value: list[State]


class _Named(msgspec.Struct):
    name: str


class _Types(msgspec.Struct):
    value: list[_Named]


class _Team(msgspec.Struct):
    id: str


class _Teams(msgspec.Struct):
    value: list[_Team]


class _Member(msgspec.Struct):
    identity: Identity


class _Members(msgspec.Struct):
    value: list[_Member]


class BoardsClient(AzureClient):
    """The calls about work items."""

    def query(self, wiql: str) -> Found | None:
        """The ids that a query finds; None when there are more of them than Azure gives. Dates in it may have times:
        that takes a parameter in the address."""
        params = {"timePrecision": "true"}
        response = self.call("POST", "_apis/wit/wiql", params=params, json={"query": wiql}, allow=(400,))
        if response.status == 200:
            result = response.decode(_QueryResult)
            return Found([item.id for item in result.work_items], result.as_of)
        problem = problem_of(response)
        if problem.says(TOO_MANY):
            return None
        raise Rejected(self.http.redact(f"Azure refuses the query: {problem.text}"))

    def items(self, ids: Sequence[int]) -> list[WorkItem]:
        """Up to 200 work items; those that can't be read are left out."""
        body = {"ids": list(ids), "fields": FIELDS, "errorPolicy": "omit"}
        found = self.call("POST", "_apis/wit/workitemsbatch", json=body).decode(_WorkItems).value
        return [item for item in found if item is not None]

    def item(self, item_id: str) -> WorkItem:
        """One work item. Raises NotFound."""
        return self.call("GET", f"_apis/wit/workitems/{part(item_id)}").decode(WorkItem)

    def is_in_the_bin(self, item_id: str) -> bool:
        """Whether a work item was deleted and can be brought back."""
        return self.call("GET", f"_apis/wit/recyclebin/{part(item_id)}", allow=(404,)).status == 200

    def create(self, project: str, kind: str, patch: Patch) -> Response:
        """Make a work item; a 400 has made nothing."""
        return self.call("POST", f"{part(project)}/_apis/wit/workitems/${part(kind)}", patch=patch, allow=(400,))

    def update(self, item_id: str, patch: Patch) -> Response:
        """Change a work item: all of the patch, or, with a 400, nothing. Raises Conflict when a test in it fails."""
        return self.call("PATCH", f"_apis/wit/workitems/{part(item_id)}", patch=patch, allow=(400,))

    def states(self, project: str, kind: str) -> list[State]:
        """The states of a type, in order."""
        path = f"{part(project)}/_apis/wit/workitemtypes/{part(kind)}/states"
        return self.call("GET", path).decode(_States).value

    def types(self, project: str) -> list[str]:
        """The names of a project's types."""
        found = self.call("GET", f"{part(project)}/_apis/wit/workitemtypes").decode(_Types)
        return [kind.name for kind in found.value]

    def members(self, project: str) -> Iterator[Identity]:
        """The people of a project's teams, who may come more than once."""
        for team in self._turned(f"_apis/projects/{part(project)}/teams", _Teams):
            path = f"_apis/projects/{part(project)}/teams/{part(team.id)}/members"
            for member in self._turned(path, _Members):
                yield member.identity

    def _turned(self, path: str, type_: Any) -> Iterator[Any]:
        """All rows of a list that is paged by number."""
        skip = 0
        while True:
            rows = self.call("GET", path, params={"$top": PEOPLE, "$skip": skip}).decode(type_).value
            yield from rows
            if len(rows) < PEOPLE:
                return
            skip += len(rows)
