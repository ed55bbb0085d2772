"""Datadog and SonarCloud through the API, against their fakes: connecting with a key, and the webhook's life."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from connectors.contract import RawDelivery
from connectors.datadog import DatadogConnector
from connectors.datadog.config import SITES
from connectors.registry import Registry
from connectors.sonarcloud import SonarCloudConnector
from core.models import Integration
from sandbox.datadog import APPLICATION_KEY, DatadogSandbox
from sandbox.inprocess import InProcessTransport
from sandbox.sonarcloud import ORGANIZATION, SonarCloudSandbox
from sandbox.vendor import API_TOKEN, WRONG_TOKEN, TrackerSandbox
from simulation.frontdoor import FrontDoor
from sync.runtime import Runtime
from sync.subscriptions import subscribe
from tests.api.conftest import Tenant, error_of, rows
from tests.sandbox.callers import Inbox
from tests.sync.conftest import ManualClock, settings

BOTH = {"api_key": API_TOKEN, "application_key": APPLICATION_KEY}
DATADOG: dict[str, Any] = {"type": "datadog", "name": "Monitors", "config": {}, "credentials": {"api_key": API_TOKEN}}
SONAR: dict[str, Any] = {
    "type": "sonarcloud",
    "name": "Quality",
    "config": {"organization": ORGANIZATION},
    "credentials": {"api_key": API_TOKEN},
}


class _ByHost(InProcessTransport):
    """Both fakes, each under its own name."""

    def __init__(self, *sandboxes: TrackerSandbox) -> None:
        super().__init__(sandboxes[0].app)
        self._apps = {f"{sandbox.name}.sandbox": InProcessTransport(sandbox.app) for sandbox in sandboxes}

    def handle_request(self, request: Any) -> Any:
        return self._apps[request.url.host].handle_request(request)

    def close(self) -> None:
        for transport in self._apps.values():
            transport.close()
        super().close()


@pytest.fixture
def datadog() -> DatadogSandbox:
    return DatadogSandbox(sender=Inbox())


@pytest.fixture
def sonar() -> SonarCloudSandbox:
    return SonarCloudSandbox(sender=Inbox())


@pytest.fixture
def runtime(
    sqlite_url: str,
    runtime_on: Callable[..., Runtime],
    clock: ManualClock,
    datadog: DatadogSandbox,
    sonar: SonarCloudSandbox,
) -> Runtime:
    """An engine whose vendors are the fakes; GitHub is added by the API's own fixture."""
    registry = Registry()
    registry.register(DatadogConnector, "built-in")
    registry.register(SonarCloudConnector, "built-in")
    endpoints = {"datadog": dict.fromkeys(SITES, datadog.url), "sonarcloud": {"eu": sonar.url}}
    chosen = settings(sqlite_url).model_copy(update={"vendor_endpoints": endpoints})
    return runtime_on(sqlite_url, registry=registry, transport=_ByHost(datadog, sonar), settings=chosen)


def create(api: TestClient, tenant: Tenant, body: dict[str, Any], **changed: Any) -> dict[str, Any]:
    response = api.post("/v1/integrations", json={"workspace_id": tenant.workspace.id, **body, **changed})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["data"]
    return made


@pytest.mark.parametrize(("body", "account"), [(DATADOG, "datadoghq.com"), (SONAR, ORGANIZATION)])
def test_an_api_key_is_enough_to_connect(api: TestClient, tenant: Tenant, body: dict[str, Any], account: str) -> None:
    made = create(api, tenant, body)
    assert (made["status"], made["account"]["id"]) == ("active", account)
    assert "webhooks" in made["capabilities"]
    assert API_TOKEN not in api.get(f"/v1/integrations/{made['id']}").text


def test_an_api_key_alone_reads_nothing_of_datadog_and_says_so(
    api: TestClient, tenant: Tenant, nothing_stored: None
) -> None:
    body = {**DATADOG, "workspace_id": tenant.workspace.id, "config": {"monitors": ["*"]}}
    refused = api.post("/v1/integrations", json=body)
    assert error_of(refused)["code"] == "unprocessable"
    assert "add an application_key, or leave monitors out" in error_of(refused)["message"]


def test_what_is_used_depends_on_the_config(api: TestClient, tenant: Tenant) -> None:
    reads = {"alert_source", "measure_source"}
    assert reads.isdisjoint(create(api, tenant, DATADOG)["capabilities"])
    metric = {"name": "cpu", "query": "avg:system.cpu.user{*}"}
    whole = create(api, tenant, DATADOG, credentials=BOTH, config={"monitors": ["*"], "metrics": [metric]})
    assert reads <= set(whole["capabilities"])


@pytest.mark.parametrize("body", [DATADOG, SONAR])
def test_a_wrong_key_is_refused_and_not_repeated(
    api: TestClient, tenant: Tenant, body: dict[str, Any], nothing_stored: None
) -> None:
    wrong = {**body, "workspace_id": tenant.workspace.id, "credentials": {"api_key": WRONG_TOKEN}}
    refused = api.post("/v1/integrations", json=wrong)
    assert error_of(refused)["code"] == "unprocessable"
    assert "does not know the" in error_of(refused)["message"]
    assert WRONG_TOKEN not in refused.text


def test_without_an_application_key_the_webhook_is_registered_by_hand(
    api: TestClient, rt: Runtime, tenant: Tenant
) -> None:
    made = create(api, tenant, DATADOG)
    subscribe(rt, made["id"])
    shown = api.get(f"/v1/integrations/{made['id']}").json()["data"]
    assert shown["webhook_url"].startswith("https://turnbuckle.test/webhooks/datadog/")
    assert len(api.post(f"/v1/integrations/{made['id']}/webhook-secret").json()["data"]["secret"]) >= 32


def heard(rt: Runtime, sandbox: TrackerSandbox, integration: str) -> RawDelivery:
    """The one delivery the fake has sent to the integration's address."""
    sandbox.deliver()
    inbox = sandbox.deliveries.sender
    assert isinstance(inbox, Inbox)
    [(url, headers, body)] = inbox.received
    [row] = rows(rt, Integration)
    assert (row.id, url) == (integration, f"https://turnbuckle.test/webhooks/{row.type}/{row.hook_id}")
    return RawDelivery({name.lower(): value for name, value in headers.items()}, body, rt.clock())


def knocks(rt: Runtime, delivery: RawDelivery) -> tuple[int, int]:
    """What the front door answers, and how many rows that leaves."""
    [row] = rows(rt, Integration)
    [answer] = FrontDoor(rt).knock(row, [delivery])
    return answer.status, answer.stored


def test_what_datadog_sends_is_believed_for_the_secret_it_bears(
    api: TestClient, rt: Runtime, tenant: Tenant, datadog: DatadogSandbox
) -> None:
    made = create(api, tenant, DATADOG, credentials=BOTH, config={"route": "team:platform"})
    subscribe(rt, made["id"])
    datadog.trigger(1002)
    good = heard(rt, datadog, made["id"])
    forged = {**good.headers, "x-turnbuckle-token": "guessed"}
    assert knocks(rt, replace(good, headers=forged)) == (401, 0)
    assert knocks(rt, good) == (200, 1)
    assert knocks(rt, good) == (200, 0)


def test_what_sonarcloud_sends_is_believed_for_its_signature(
    api: TestClient, rt: Runtime, tenant: Tenant, sonar: SonarCloudSandbox
) -> None:
    made = create(api, tenant, SONAR)
    subscribe(rt, made["id"])
    sonar.analyse("apex_payments-api")
    good = heard(rt, sonar, made["id"])
    assert knocks(rt, replace(good, body=good.body.replace(b"SUCCESS", b"FAILED "))) == (401, 0)
    assert knocks(rt, good) == (200, 1)
    assert knocks(rt, good) == (200, 0)
