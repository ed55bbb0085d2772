"""Azure Boards' REST API 7.1: one method for each call we make; no decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from connectors import contract as c
from connectors.azure import AzureClient, part
from connectors.azure_boards.mapping import FIELDS, NAMES, Identity, State, WorkItem
from connectors.azure_refusal import problem_of
from connectors.reading import counted
from connectors.response import Response
from connectors.rest import Endpoint
from connectors.writes import FieldsRefused

T = TypeVar("T")

TOO_MANY = "VS402337"
"""Azure's word for a query that finds more than it gives (20,000)."""

PEOPLE = 100
"""Teams, and members of a team, asked for at once."""

JSON_PATCH = {"Content-Type": "application/json-patch+json"}

Patch = Sequence[Mapping[str, Any]]


class Id(msgspec.Struct):
    """A work item of which only the id is told."""

    id: int


class Named(msgspec.Struct):
    """A type (by its name) or a team (by its id)."""

    name: str = ""
    id: str = ""


class Found(msgspec.Struct, rename="camel"):
    """What a query found, in its order."""

    as_of: str
    work_items: list[Id] = []

    @property
    def ids(self) -> list[int]:
        """Their ids."""
        return [item.id for item in self.work_items]


class Member(msgspec.Struct):
    """Somebody in a team."""

    identity: Identity


class BoardsClient(AzureClient):
    """The calls about work items."""

    item = Endpoint("GET _apis/wit/workitems/{}", WorkItem)
    states = Endpoint("GET {}/_apis/wit/workitemtypes/{}/states", list[State], "value")
    """Of a type, in order."""

    types = Endpoint("GET {}/_apis/wit/workitemtypes", list[Named], "value")
    _teams = Endpoint("GET _apis/projects/{}/teams", list[Named], "value")
    _members = Endpoint("GET _apis/projects/{}/teams/{}/members", list[Member], "value")
    _bin = Endpoint("GET _apis/wit/recyclebin/{}", Response, allow=(404,))

    def query(self, wiql: str) -> Found | None:
        """The ids that a query finds; None when there are more of them than Azure gives. Dates in it may have times:
        that takes a parameter in the address."""
        params = {"timePrecision": "true"}
        response = self.call("POST", "_apis/wit/wiql", params=params, json={"query": wiql}, allow=(400,))
        if response.status == 200:
            return response.decode(Found)
        problem = problem_of(response, NAMES)
        if problem.says(TOO_MANY):
            return None
        raise c.Rejected(self.http.redact(f"Azure refuses the query: {problem.text}"))

    def items(self, ids: Sequence[int]) -> list[WorkItem]:
        """Up to 200 work items; those that can't be read are left out."""
        body = {"ids": list(ids), "fields": FIELDS, "errorPolicy": "omit"}
        found = self.send("POST", "_apis/wit/workitemsbatch", body, list[WorkItem | None], "value")
        return [item for item in found if item is not None]

    def is_in_the_bin(self, item_id: str) -> bool:
        """Whether a work item was deleted and can be brought back."""
        return self._bin(item_id).status == 200

    def create(self, project: str, kind: str, patch: Patch) -> WorkItem:
        """Make a work item. Raises FieldsRefused."""
        return self._patched("POST", f"{part(project)}/_apis/wit/workitems/${part(kind)}", patch)

    def update(self, item_id: str, patch: Patch) -> WorkItem:
        """Change a work item: all of the patch or nothing. Raises Conflict when a test in it fails, FieldsRefused."""
        return self._patched("PATCH", f"_apis/wit/workitems/{part(item_id)}", patch)

    def _patched(self, method: str, path: str, patch: Patch) -> WorkItem:
        response = self.call(method, path, json=list(patch), headers=JSON_PATCH, allow=(400,))
        if response.status != 400:
            return response.decode(WorkItem)
        problem = problem_of(response, NAMES)
        text = self.http.redact(problem.text)
        if problem.is_a_race:
            raise c.Conflict(text)
        raise FieldsRefused(
            f"Azure did not take the change: {text}", dict.fromkeys(problem.fields, f"Azure says: {text}")
        )

    def members(self, project: str) -> Iterator[Identity]:
        """The people of a project's teams, who may come more than once."""
        for team in _turned(partial(self._teams, project)):
            for one in _turned(partial(self._members, project, team.id)):
                yield one.identity


def _turned(ask: Callable[..., list[T]]) -> Iterator[T]:
    """All rows of a list that is paged by number."""

    def page(skip: int) -> tuple[list[T], bool]:
        rows = ask(params={"$top": PEOPLE, "$skip": skip})
        return rows, len(rows) < PEOPLE

    return counted(page)
