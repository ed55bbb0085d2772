"""Sonar's web API v1: one method for each call, no decisions. All of its paths are here: they are being replaced, one
by one, by those of v2."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from connectors.contract import BadPayload, Context, Forbidden, NotFound
from connectors.http import Params
from connectors.reading import pages
from connectors.response import Response, plain_words
from connectors.rest import RestClient
from connectors.sonarcloud.config import SonarCloudConfig
from connectors.sonarcloud.mapping import Condition, History, Measure, Place

T = TypeVar("T")

PAGE = 500
"""Rows of a page."""

HISTORY = 1000
"""Analyses of a page of histories."""

HIDDEN = (
    "SonarCloud does not have the project {project!r}, or hides it from the token: was its key changed? Correct "
    "`projects`. It said: {text}"
)


class Paging(msgspec.Struct, rename="camel"):
    """Where a page is."""

    page_index: int = 1
    page_size: int = PAGE
    total: int = 0


class Project(msgspec.Struct):
    """A project of a listing."""

    key: str


class Projects(msgspec.Struct):
    """A page of projects."""

    components: list[Project]
    paging: Paging


class Status(msgspec.Struct, rename="camel"):
    """How a branch stands."""

    quality_gate_status: str | None = None


class Branch(msgspec.Struct, rename="camel"):
    """A branch; without a date it was never analysed."""

    name: str
    is_main: bool
    analysis_date: str | None = None
    status: Status | None = None


class Analysis(msgspec.Struct):
    """An analysis."""

    key: str
    date: str


class Component(msgspec.Struct):
    """A project with its values now."""

    key: str
    name: str = ""
    measures: list[Measure] = []


class Histories(msgspec.Struct):
    """A page of values over time; `total` counts the analyses."""

    paging: Paging
    measures: list[History]


class Gate(msgspec.Struct):
    """How a branch stands with its gate."""

    status: str
    conditions: list[Condition] = []


class Task(msgspec.Struct, rename="camel"):
    """An analysis being worked on, or the last one; `branch` is not named for the main one."""

    status: str
    executed_at: str | None = None
    branch: str | None = None


class _Tasks(msgspec.Struct):
    current: Task | None = None


class Metric(msgspec.Struct):
    """A metric and the type of its values."""

    key: str
    type: str


class Hook(msgspec.Struct, rename="camel"):
    """A registered webhook."""

    key: str
    url: str
    has_secret: bool = True


def words(response: Response) -> str:
    """What Sonar says is wrong: `{"errors": [{"msg"}]}`, or a message."""
    try:
        said = [error["msg"] for error in json.loads(response.content)["errors"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return plain_words(response)
    return "; ".join(map(str, said)) or plain_words(response)


def base_of(context: Context) -> str:
    """The host's address: of the region, or the server's own."""
    config: SonarCloudConfig = context.config
    return (config.url or context.endpoints[config.region]).rstrip("/")


class SonarClient(RestClient):
    """Speaks for one token. Raises the contract's errors."""

    def __init__(self, context: Context) -> None:
        super().__init__(context.http, base_of(context), context.credentials.authorization)
        context.http.errors_text = words
        config: SonarCloudConfig = context.config
        self._cloud = config.flavor == "cloud"
        # Servers know no organizations, and refuse the word.
        self._home: dict[str, str] = {"organization": config.organization} if config.organization else {}

    def valid(self) -> bool:
        """Whether the token is good. Without one it would be, too."""
        return self.get("/api/authentication/validate", bool, "valid")

    def projects(self, size: int = PAGE) -> Iterator[list[str]]:
        """The keys of all projects that can be seen. In the cloud's way servers tell them to administrators only."""
        path = "/api/projects/search" if self._cloud else "/api/components/search"
        fixed: dict[str, str | int] = {**self._home, **({} if self._cloud else {"qualifiers": "TRK"}), "ps": size}

        def page(number: int) -> Projects:
            return self.get(path, Projects, params={**fixed, "p": number})

        def following(found: Projects, number: int) -> int | None:
            seen = found.paging.page_index * found.paging.page_size
            return number + 1 if found.components and seen < found.paging.total else None

        return ([one.key for one in found.components] for found in pages(page, 1, following))

    # --- one project --------------------------------------------------------------------------------

    def _read(self, project: str, path: str, shape: type[T], at: str | None, query: Params) -> T:
        """What is hidden is refused or not there: both mean the same."""
        try:
            return self.get(path, shape, at, params=query)
        except (Forbidden, NotFound) as error:
            raise NotFound(HIDDEN.format(project=project, text=error.text)) from None

    def branches(self, project: str) -> list[Branch]:
        """Its branches; pull requests are no branches."""
        return self._read(project, "/api/project_branches/list", list[Branch], "branches", {"project": project})

    def name(self, project: str) -> str:
        """What it is called."""
        found = self._read(project, "/api/components/show", Component, "component", {"component": project})
        return found.name or project

    def newest(self, place: Place) -> Analysis | None:
        """A branch's newest analysis."""
        query: Params = {"project": place.project, **place.asked, "ps": 1}
        found = self._read(place.project, "/api/project_analyses/search", list[Analysis], "analyses", query)
        return found[0] if found else None

    def values(self, place: Place, metrics: Sequence[str]) -> Component:
        """What was measured last."""
        asked = {"metricKeys": ",".join(metrics), "additionalFields": "periods"}
        query: Params = {"component": place.project, **place.asked, **asked}
        return self._read(place.project, "/api/measures/component", Component, "component", query)

    def history(self, place: Place, metrics: Sequence[str], since: datetime | None) -> Histories:
        """What was measured since then (that moment included), oldest first."""
        begin = {"from": f"{since:%Y-%m-%dT%H:%M:%S%z}"} if since else {}
        asked: Params = {"metrics": ",".join(metrics), **begin, "ps": HISTORY}
        query: Params = {"component": place.project, **place.asked, **asked}
        return self._read(place.project, "/api/measures/search_history", Histories, None, query)

    def gate(self, place: Place, analysis: str | None = None) -> Gate:
        """The gate of an analysis, or of the branch now."""
        query: Params = {"analysisId": analysis} if analysis else {"projectKey": place.project, **place.asked}
        return self._read(place.project, "/api/qualitygates/project_status", Gate, "projectStatus", query)

    def task(self, project: str) -> Task | None:
        """The last analysis that was worked on. Not all who may see a project are told."""
        try:
            return self.get("/api/ce/component", _Tasks, params={"component": project}).current
        except Forbidden:
            return None

    def types(self) -> dict[str, str]:
        """The type of every metric there is. This answer tells no paging as others do: a short page is the last."""

        def page(number: int) -> list[Metric]:
            return self.get("/api/metrics/search", list[Metric], "metrics", params={"p": number, "ps": PAGE})

        following = pages(page, 1, lambda found, number: number + 1 if len(found) >= PAGE else None)
        return {metric.key: metric.type for found in following for metric in found}

    # --- webhooks -----------------------------------------------------------------------------------

    def hooks(self, project: str | None) -> list[Hook]:
        """The webhooks of a project, or of the organization. Raises Forbidden for who is no administrator."""
        return self.get("/api/webhooks/list", list[Hook], "webhooks", params=self._of(project))

    def create_hook(self, project: str | None, fields: dict[str, str]) -> str:
        """Register a webhook; its key."""
        answer = self.call("POST", "/api/webhooks/create", form={**self._of(project), **fields})
        made = answer.decode(dict[str, Hook]).get("webhook")
        if made is None:
            raise BadPayload("SonarCloud did not say which webhook it made.")
        return made.key

    def update_hook(self, key: str, fields: dict[str, str]) -> None:
        """Change a webhook. A secret that is blank would be removed."""
        self.call("POST", "/api/webhooks/update", form={"webhook": key, **fields})

    def delete_hook(self, key: str) -> None:
        """Remove a webhook; one already gone is fine."""
        self.call("POST", "/api/webhooks/delete", form={"webhook": key}, allow=(404,))

    def _of(self, project: str | None) -> dict[str, Any]:
        return {**self._home, **({"project": project} if project else {})}
