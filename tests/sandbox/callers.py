"""The two ends a Jira sandbox talks to in these tests: API callers and a webhook receiver."""

from typing import Any

import httpx

from sandbox.inprocess import InProcessTransport
from sandbox.jira import JiraSandbox

SITE = "http://jira.sandbox"


class Inbox:
    """A webhook receiver without a network: keeps what came, answers what it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []

    def send(self, url: str, headers: dict[str, str], body: bytes) -> int:
        self.received.append((url, headers, body))
        return self.answers.pop(0) if self.answers else 200


class Api:
    """The REST API of one sandbox as one caller sees it."""

    def __init__(self, sandbox: JiraSandbox, **client: Any) -> None:
        base = client.pop("base_url", SITE + "/rest/api/3")
        self.http = httpx.Client(transport=InProcessTransport(sandbox.app), base_url=base, **client)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.http, name)

    def search(self, jql: str, **body: Any) -> httpx.Response:
        return self.http.post("/search/jql", json={"jql": jql, "fields": ["summary"], **body})

    def found(self, jql: str, **body: Any) -> list[str]:
        answer = self.search(jql, **body)
        assert answer.status_code == 200, answer.text
        return [issue["key"] for issue in answer.json()["issues"]]

    def create(self, project: str = "APEX", **fields: Any) -> dict[str, Any]:
        given = {"project": {"key": project}, "issuetype": {"id": "10002"}, "summary": "Made", **fields}
        answer = self.http.post("/issue", json={"fields": given})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def field(self, issue: str, name: str) -> Any:
        return self.http.get(f"/issue/{issue}", params={"fields": name}).json()["fields"][name]


def gateway(jira: JiraSandbox, token: str, cloud_id: str | None = None) -> Api:
    """A caller with an OAuth access token."""
    base = f"{SITE}/ex/jira/{cloud_id or jira.site.cloud_id}/rest/api/3"
    return Api(jira, base_url=base, headers={"Authorization": f"Bearer {token}"})
