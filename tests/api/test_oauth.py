"""Consent: the way to the vendor with a token, the way back with the state alone."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from simulation.toy import ToyVendor
from sync.runtime import Runtime
from tests.api.conftest import Tenant, connect, error_of

CALLBACK = "/v1/oauth/toy/callback"


@pytest.fixture
def pending(rt: Runtime, tenant: Tenant) -> str:
    return connect(rt, tenant, credentials=None).id


def authorize_url(api: TestClient, integration_id: str) -> str:
    url: str = api.get(f"/v1/integrations/{integration_id}/oauth/start").json()["data"]["authorize_url"]
    return url


def test_consent_connects_the_integration(api: TestClient, anyone: TestClient, vendor: ToyVendor, pending: str) -> None:
    code, state = vendor.auth.consent(authorize_url(api, pending))
    page = anyone.get(CALLBACK, params={"code": code, "state": state})
    assert page.status_code == 200
    assert "Toy is connected" in page.text
    assert api.get(f"/v1/integrations/{pending}").json()["data"]["status"] == "active"


def test_the_way_there_can_be_a_redirect(api: TestClient, pending: str) -> None:
    path = f"/v1/integrations/{pending}/oauth/start"
    response = api.get(path, params={"format": "redirect"}, follow_redirects=False)
    assert response.status_code == 302
    assert response.headers["location"].startswith("https://auth.toy.test/authorize?")
    assert error_of(api.get(path, params={"format": "xml"}))["code"] == "unprocessable"


def test_an_integration_that_needs_no_consent_says_so(api: TestClient, rt: Runtime, tenant: Tenant) -> None:
    made = connect(rt, tenant)
    assert error_of(api.get(f"/v1/integrations/{made.id}/oauth/start"))["code"] == "conflict"


@pytest.mark.parametrize("params", [{}, {"state": "made-up", "code": "c"}, {"state": "\u2603", "code": "c"}])
def test_a_state_we_did_not_give_out_is_refused(params: dict[str, str], anyone: TestClient) -> None:
    page = anyone.get(CALLBACK, params=params)
    assert page.status_code == 400
    assert "Not connected" in page.text


def test_a_state_is_good_once(api: TestClient, anyone: TestClient, vendor: ToyVendor, pending: str) -> None:
    code, state = vendor.auth.consent(authorize_url(api, pending))
    assert anyone.get(CALLBACK, params={"code": code, "state": state}).status_code == 200
    assert anyone.get(CALLBACK, params={"code": code, "state": state}).status_code == 400


def test_a_state_is_good_for_its_vendor_only(
    api: TestClient, anyone: TestClient, vendor: ToyVendor, pending: str
) -> None:
    code, state = vendor.auth.consent(authorize_url(api, pending))
    assert anyone.get("/v1/oauth/github/callback", params={"code": code, "state": state}).status_code == 400


def test_what_a_vendor_says_stays_text(api: TestClient, anyone: TestClient, vendor: ToyVendor, pending: str) -> None:
    _code, state = vendor.auth.consent(authorize_url(api, pending))
    script = "<script>alert(1)</script>"
    page = anyone.get(CALLBACK, params={"state": state, "error": "access_denied", "error_description": script})
    assert page.status_code == 409
    assert script not in page.text
    assert "&lt;script&gt;" in page.text


def test_the_page_runs_nothing_and_is_not_kept(anyone: TestClient) -> None:
    headers: Any = anyone.get(CALLBACK).headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"


def test_a_code_the_vendor_does_not_take_is_told(
    api: TestClient, anyone: TestClient, vendor: ToyVendor, pending: str
) -> None:
    _code, state = vendor.auth.consent(authorize_url(api, pending))
    vendor.auth.failures.append((400, {"error": "invalid_grant"}))
    page = anyone.get(CALLBACK, params={"code": "made-up", "state": state})
    assert page.status_code == 409
    assert api.get(f"/v1/integrations/{pending}").json()["data"]["status"] == "pending_auth"
