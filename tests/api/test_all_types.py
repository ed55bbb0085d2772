"""All twelve integration types of the platform reference, connected against their fakes as the reference says.

It names credentials for three kinds: the installation of GitHub's App, OAuth 2.0 (Jira), and an `api_key` (Datadog,
SonarCloud). Of the others it says that the shape varies: each is given a token of the vendor's usual kind here, and
consent besides, where its vendor has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from cli.demo.cast import VENDORS
from cli.demo.vendor import Vendor
from connectors.http import default_transport
from connectors.registry import BUILT_IN, Registry
from core.clock import utc_now
from core.settings import OAuthApp
from sandbox.github import APP_ID, GitHubSandbox
from sandbox.vendor import CLIENT_ID, CLIENT_SECRET
from sync.confirm import confirm
from sync.runtime import Runtime
from tests.api.conftest import Tenant
from tests.contract import SHARED
from tests.sync.conftest import ManualClock, settings

PLATFORM = (
    "github",
    "gitlab",
    "bitbucket",
    "azure_devops",
    "jira",
    "clickup",
    "linear",
    "azure_boards",
    "slack",
    "microsoft_teams",
    "datadog",
    "sonarcloud",
)
"""The reference's table of types."""

GITHUB = {
    "config": {
        "organization": "apex-digital",
        "repositories": ["payments-api", "payments-worker"],
        "events": ["push", "pull_request", "deployment"],
    },
    "credentials": {"installation_id": "12345678"},
}
"""The reference's own request."""

BY_CONSENT = ("azure_boards", "azure_devops", "bitbucket", "clickup", "gitlab", "jira", "linear")
"""Those whose fakes have an authorization server. GitHub's consent is that its App is installed."""

SOON = 10.0
"""Seconds until a vendor that was not ready is asked again."""


@pytest.fixture(scope="module")
def vendors() -> Iterator[dict[str, Vendor]]:
    """All fakes, over real HTTP."""
    with ExitStack() as running:
        made = {make.type: make(1, 1) for make in VENDORS}
        for vendor in made.values():
            running.enter_context(vendor.serve(0, "127.0.0.1"))
        yield made


@pytest.fixture
def clock() -> ManualClock:
    """The fakes live now."""
    return ManualClock(utc_now())


@pytest.fixture
def runtime(sqlite_url: str, runtime_on: Callable[..., Runtime], vendors: dict[str, Vendor]) -> Iterator[Runtime]:
    """An engine with all built-in connectors, whose vendors are the fakes and know our apps."""
    github = vendors["github"].sandbox
    assert isinstance(github, GitHubSandbox)
    fields = {"app_id": SecretStr(APP_ID), "private_key": SecretStr(github.github_app.private_key)}
    apps = {name: OAuthApp(client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET)) for name in BY_CONSENT}
    changed = {
        "vendor_endpoints": {name: dict(one.endpoints()) for name, one in vendors.items()},
        "egress_allow": ["127.0.0.1/32"],
        "oauth_apps": {**apps, "github": OAuthApp(fields=fields)},
    }
    chosen = settings(sqlite_url).model_copy(update=changed)
    transport = default_transport(chosen.egress_allow)
    yield runtime_on(sqlite_url, registry=Registry.load([]), transport=transport, settings=chosen)
    transport.close()


@pytest.fixture
def rt(runtime: Runtime) -> Runtime:
    """GitHub is registered already."""
    return runtime


def create(api: TestClient, tenant: Tenant, vendor: Vendor, **changed: Any) -> dict[str, Any]:
    connection = vendor.connection(tenant.line_id) | changed
    body = {"workspace_id": tenant.workspace.id, "type": vendor.type, "name": vendor.label, **connection}
    response = api.post("/v1/integrations", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["data"]
    return made


def status(api: TestClient, made: dict[str, Any]) -> str:
    return str(api.get(f"/v1/integrations/{made['id']}").json()["data"]["status"])


def test_there_are_the_twelve_types_of_the_reference_and_the_demo_shows_each() -> None:
    assert sorted(BUILT_IN) == sorted(make.type for make in VENDORS) == sorted(PLATFORM)


@pytest.mark.skipif(not (SHARED / "platform").is_dir(), reason="the platform's reference is not at hand")
def test_they_are_those_that_the_reference_prints() -> None:
    text = (SHARED / "platform" / "integrations.txt").read_text()
    table = text.partition("| Type | Category | Description |")[2].partition("Sync behavior")[0]
    printed = [line.split("|")[0].strip() for line in table.splitlines() if line.count("|") == 3 and line[0] != "|"]
    assert sorted(printed) == sorted(PLATFORM)


@pytest.mark.parametrize("type_", [name for name in PLATFORM if name not in ("datadog", "github")])
def test_a_token_of_the_vendors_usual_kind_connects(
    type_: str, api: TestClient, tenant: Tenant, vendors: dict[str, Vendor]
) -> None:
    made = create(api, tenant, vendors[type_])
    assert (made["type"], made["status"], made["sync_status"]) == (type_, "active", "healthy")
    assert status(api, made) == "active"


@pytest.mark.parametrize("type_", ["datadog", "sonarcloud"])
def test_an_api_key_and_nothing_else_connects_what_the_reference_says_it_does(
    type_: str, api: TestClient, tenant: Tenant, vendors: dict[str, Vendor]
) -> None:
    given = vendors[type_].connection(tenant.line_id)
    key = {"api_key": given["credentials"]["api_key"]}
    config = {} if type_ == "datadog" else given["config"]
    assert create(api, tenant, vendors[type_], credentials=key, config=config)["status"] == "active"


@pytest.mark.parametrize("type_", BY_CONSENT)
def test_consent_connects_what_was_pending(
    type_: str, api: TestClient, anyone: TestClient, tenant: Tenant, vendors: dict[str, Vendor]
) -> None:
    made = create(api, tenant, vendors[type_], credentials=None)
    assert made["status"] == "pending_auth"
    back = httpx.get(made["authorize_url"]).headers["location"]
    page = anyone.get(back.removeprefix("https://turnbuckle.test"))
    assert page.status_code == 200, page.text
    assert status(api, made) == "active"


def test_the_references_request_for_github_waits_for_the_app_and_starts_when_it_is_installed(
    api: TestClient, rt: Runtime, tenant: Tenant, vendors: dict[str, Vendor], clock: ManualClock
) -> None:
    github = vendors["github"].sandbox
    assert isinstance(github, GitHubSandbox)
    installed = dict(github.github_app.installations)
    github.github_app.uninstall()
    made = create(api, tenant, vendors["github"], **GITHUB)
    assert (made["status"], made["config"]) == ("pending_auth", GITHUB["config"])
    github.github_app.installations.update(installed)
    clock.advance(seconds=SOON)
    confirm(rt, made["id"])
    assert status(api, made) == "active"
