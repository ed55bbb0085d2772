"""Azure Boards' REST API 7.1: one method for each call we make; no decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from connectors import contract as c
from connectors.azure import AzureClient, part
from connectors.azure_boards.mapping import FIELDS, Identity, State, WorkItem
from connectors.azure_boards.refusal import problem_of
from connectors.reading import pages
from connectors.rest import member
from connectors.writes import FieldsRefused

T = TypeVar("T")

TOO_MANY = "VS402337"
"""Azure's word for a query that finds more than it gives (20,000)."""

PEOPLE = 100
"""Teams, and members of a team, asked for at once."""

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

    def query(self, wiql: str) -> Found | None:
        """The ids that a query finds; None when there are more of them than Azure gives. Dates in it may have times:
        that takes a parameter in the address."""
        params = {"timePrecision": "true"}
        response = self.call("POST", "_apis/wit/wiql", params=params, json={"query": wiql}, allow=(400,))
        if response.status == 200:
            return response.decode(Found)
        problem = problem_of(response)
        if problem.says(TOO_MANY):
            return None
        raise c.Rejected(self.http.redact(f"Azure refuses the query: {problem.text}"))

    def items(self, ids: Sequence[int]) -> list[WorkItem]:
        """Up to 200 work items; those that can't be read are left out."""
        body = {"ids": list(ids), "fields": FIELDS, "errorPolicy": "omit"}
        response = self.call("POST", "_apis/wit/workitemsbatch", json=body)
        return [item for item in member(response, "value", list[WorkItem | None]) if item is not None]

    def item(self, item_id: str) -> WorkItem:
        """One work item. Raises NotFound."""
        return self.call("GET", f"_apis/wit/workitems/{part(item_id)}").decode(WorkItem)

    def is_in_the_bin(self, item_id: str) -> bool:
        """Whether a work item was deleted and can be brought back."""
        return self.call("GET", f"_apis/wit/recyclebin/{part(item_id)}", allow=(404,)).status == 200

    def create(self, project: str, kind: str, patch: Patch) -> WorkItem:
        """Make a work item. Raises FieldsRefused."""
        return self._patched("POST", f"{part(project)}/_apis/wit/workitems/${part(kind)}", patch)

    def update(self, item_id: str, patch: Patch) -> WorkItem:
        """Change a work item: all of the patch or nothing. Raises Conflict when a test in it fails, FieldsRefused."""
        return self._patched("PATCH", f"_apis/wit/workitems/{part(item_id)}", patch)

    def _patched(self, method: str, path: str, patch: Patch) -> WorkItem:
        response = self.call(method, path, patch=patch, allow=(400,))
        if response.status != 400:
            return response.decode(WorkItem)
        problem = problem_of(response)
        text = self.http.redact(problem.text)
        if problem.is_a_race:
            raise c.Conflict(text)
        raise FieldsRefused(
            f"Azure did not take the change: {text}", dict.fromkeys(problem.fields, f"Azure says: {text}")
        )

    def states(self, project: str, kind: str) -> list[State]:
        """The states of a type, in order."""
        return self._rows(f"{part(project)}/_apis/wit/workitemtypes/{part(kind)}/states", State)

    def types(self, project: str) -> list[str]:
        """The names of a project's types."""
        return [kind.name for kind in self._rows(f"{part(project)}/_apis/wit/workitemtypes", Named)]

    def members(self, project: str) -> Iterator[Identity]:
        """The people of a project's teams, who may come more than once."""
        teams = f"_apis/projects/{part(project)}/teams"
        for team in self._turned(teams, Named):
            for one in self._turned(f"{teams}/{part(team.id)}/members", Member):
                yield one.identity

    def _turned(self, path: str, row: type[T]) -> Iterator[T]:
        """All rows of a list that is paged by number."""

        def ask(skip: int) -> list[T]:
            return self._rows(path, row, {"$top": PEOPLE, "$skip": skip})

        for rows in pages(ask, 0, lambda rows, skip: None if len(rows) < PEOPLE else skip + len(rows)):
            yield from rows

    def _rows(self, path: str, row: type[T], params: Mapping[str, str | int] | None = None) -> list[T]:
        # The shape is made at run time, of the caller's row: no checker can follow that.
        return member(self.call("GET", path, params=params), "value", list[row])  # type: ignore[valid-type]
