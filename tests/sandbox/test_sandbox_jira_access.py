"""Who may call: API tokens, OAuth, scopes, sites, limits."""

import base64
import hashlib
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.clock import ManualClock
from sandbox.inprocess import InProcessTransport
from sandbox.jira import CLIENT_ID, CLIENT_SECRET, ApiToken, JiraSandbox
from tests.sandbox.callers import SITE, Api, gateway

REDIRECT = "https://turnbuckle.example/callback"


@pytest.fixture
def http(jira: JiraSandbox) -> httpx.Client:
    return httpx.Client(transport=InProcessTransport(jira.app), base_url=SITE)


def ask(http: httpx.Client, **more: str) -> httpx.Response:
    query = {
        "audience": "api.atlassian.com",
        "client_id": CLIENT_ID,
        "scope": "read:jira-work write:jira-work read:jira-user offline_access",
        "redirect_uri": REDIRECT,
        "state": "unguessable",
        "response_type": "code",
        "prompt": "consent",
    }
    return http.get("/authorize", params={**query, **more})


def answer(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == 302, response.text
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


def exchange(http: httpx.Client, code: str, **more: Any) -> httpx.Response:
    body = {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "code": code,
        "redirect_uri": REDIRECT,
    }
    return http.post("/oauth/token", json={**body, **more})


def refresh(http: httpx.Client, token: str, **more: Any) -> httpx.Response:
    body = {
        "grant_type": "refresh_token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": token,
    }
    return http.post("/oauth/token", json={**body, **more})


def test_consent_leads_to_tokens_that_work_through_the_gateway(http, jira):
    back = answer(ask(http))
    assert back["state"] == "unguessable"
    tokens = exchange(http, back["code"]).json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600
    api = gateway(jira, tokens["access_token"])
    me = api.get("/myself")
    assert me.json()["self"].startswith(f"{SITE}/ex/jira/{jira.site.cloud_id}/rest/api/3/")
    assert me.headers["x-aaccountid"] == me.json()["accountId"]


def test_a_refresh_token_comes_only_with_offline_access(http):
    tokens = exchange(http, answer(ask(http, scope="read:jira-work"))["code"]).json()
    assert "refresh_token" not in tokens


def test_a_code_works_once_and_only_with_the_same_redirect(http, clock):
    code = answer(ask(http))["code"]
    wrong = exchange(http, code, redirect_uri=REDIRECT + "/")
    assert (wrong.status_code, wrong.json()["error"]) == (403, "invalid_grant")
    assert exchange(http, code).status_code == 200
    assert exchange(http, code).json()["error"] == "invalid_grant"
    late = answer(ask(http))["code"]
    clock.advance(601)
    assert exchange(http, late).json()["error"] == "invalid_grant"


def test_pkce_is_checked_when_used(http):
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    code = answer(ask(http, code_challenge=challenge, code_challenge_method="S256"))["code"]
    assert exchange(http, code).json()["error"] == "invalid_grant"
    assert exchange(http, code, code_verifier="x" * 43).json()["error"] == "invalid_grant"
    assert exchange(http, code, code_verifier=verifier).status_code == 200


def test_a_person_can_be_asked_and_say_no(http):
    page = ask(http, interactive="1")
    assert page.status_code == 200
    assert "read:jira-work" in page.text
    assert "Ann Archer" in page.text
    assert answer(ask(http, interactive="1", decision="deny"))["error"] == "access_denied"
    chosen = answer(ask(http, interactive="1", decision="allow", **{"as": "5b10ac8d82e05b22cc7d4e01"}))
    assert "code" in chosen


@pytest.mark.parametrize(
    "wrong", [{"client_id": "x"}, {"audience": "x"}, {"response_type": "token"}, {"redirect_uri": ""}]
)
def test_a_wrong_authorize_request_does_not_redirect(http, wrong):
    assert ask(http, **wrong).status_code == 400


def test_the_token_endpoint_takes_json_and_the_right_secret(http):
    assert http.post("/oauth/token", data={"grant_type": "refresh_token"}).status_code == 400
    assert refresh(http, "x", client_secret="wrong").json()["error"] == "invalid_client"


def test_refresh_tokens_rotate_and_the_old_one_works_only_for_ten_minutes(http, jira, clock):
    first = jira.grant()["refresh_token"]
    second = refresh(http, first).json()["refresh_token"]
    assert second != first
    clock.advance(599)
    assert refresh(http, first).status_code == 200
    clock.advance(2)
    late = refresh(http, first)
    assert (late.status_code, late.json()["error"]) == (403, "invalid_grant")
    assert refresh(http, second).status_code == 200


def test_a_refresh_token_dies_of_ninety_days_of_disuse(http, jira, clock):
    token = jira.grant()["refresh_token"]
    clock.advance(timedelta(days=89).total_seconds())
    token = refresh(http, token).json()["refresh_token"]
    clock.advance(timedelta(days=89).total_seconds())
    token = refresh(http, token).json()["refresh_token"]
    clock.advance(timedelta(days=90).total_seconds())
    assert refresh(http, token).json()["error"] == "invalid_grant"


def test_the_answer_to_a_refresh_can_be_lost_after_it_rotated(http, jira):
    token = jira.grant()["refresh_token"]
    jira.faults.add("cut", operation="oauth.token", when="after")
    with pytest.raises(httpx.RemoteProtocolError):
        refresh(http, token)
    assert refresh(http, token).status_code == 200


def test_an_expired_access_token_is_401(jira, clock):
    api = gateway(jira, jira.grant()["access_token"])
    assert api.get("/myself").status_code == 200
    clock.advance(3600)
    assert api.get("/myself").status_code == 401


def test_one_consent_may_cover_several_sites(http, jira):
    token = jira.grant()["access_token"]
    listed = http.get("/oauth/token/accessible-resources", headers={"Authorization": f"Bearer {token}"}).json()
    assert [site["url"] for site in listed] == [SITE, "https://acme-2.atlassian.net"]
    jira.plant(1)
    second = gateway(jira, token, listed[1]["id"])
    assert second.found("project = APEX") == []
    assert gateway(jira, token, "no-such-cloud").get("/myself").status_code == 404


def test_oauth_tokens_do_not_work_on_the_sites_own_host(jira):
    api = Api(jira, headers={"Authorization": f"Bearer {jira.grant()['access_token']}"})
    assert api.get("/myself").status_code == 401


def test_a_missing_scope_is_refused(jira):
    api = gateway(jira, jira.grant(scopes=("read:jira-work",))["access_token"])
    assert api.search("project = APEX").status_code == 200
    refused = api.post("/issue", json={"fields": {}})
    assert refused.status_code == 401
    assert "scope does not match" in refused.json()["errorMessages"][0]


@pytest.mark.parametrize("auth", [None, ("sync@example.com", "wrong"), ("ghost@example.com", "sandbox-api-token")])
def test_no_or_wrong_credentials_read_as_anonymous(jira, auth):
    jira.plant(1)
    api = Api(jira, auth=auth)
    assert api.search("project = APEX").json() == {"issues": [], "isLast": True}
    assert api.get("/issue/APEX-1001").status_code == 404
    assert api.get("/myself").status_code == 401
    assert "x-aaccountid" not in api.get("/serverInfo").headers


def test_wrong_credentials_can_be_refused_instead(jira):
    jira.settings.wrong_credentials = "refuse"
    assert Api(jira, auth=("sync@example.com", "wrong")).search("project = APEX").status_code == 401


def test_api_tokens_expire_and_scoped_ones_use_the_gateway(jira, clock):
    owner = jira.site.user("bob@example.com").account_id
    jira.site.tokens.append(ApiToken(owner, "short", expires_at=clock.now() + timedelta(days=1)))
    jira.site.tokens.append(ApiToken(owner, "scoped", scoped=True))
    assert Api(jira, auth=("bob@example.com", "short")).get("/myself").status_code == 200
    clock.advance(24 * 3600)
    assert Api(jira, auth=("bob@example.com", "short")).get("/myself").status_code == 401
    base = f"{SITE}/ex/jira/{jira.site.cloud_id}/rest/api/3"
    scoped = Api(jira, auth=("bob@example.com", "scoped"), base_url=base)
    assert scoped.get("/myself").json()["displayName"] == "Bob Baker"


# Limits


@pytest.mark.parametrize(
    "reason",
    ["jira-quota-global-based", "jira-quota-tenant-based", "jira-burst-based", "jira-per-issue-on-write"],
)
def test_a_planned_429_carries_its_reason(api, jira, reason):
    jira.faults.add("rate_limit", reason=reason, retry_after=1847)
    refused = api.get("/myself")
    assert refused.status_code == 429
    assert refused.headers["ratelimit-reason"] == reason
    assert refused.headers["retry-after"] == "1847"
    assert refused.headers["x-ratelimit-reset"] == "2026-05-04T09:30:47Z"
    assert api.get("/myself").status_code == 200


def test_a_503_may_say_when_to_come_back(api, jira):
    jira.faults.add("error", status=503, retry_after=7)
    assert (answer := api.get("/myself")).status_code == 503
    assert answer.headers["retry-after"] == "7"


def test_points_run_out_and_come_back_at_the_top_of_the_hour(app, jira, clock):
    jira.plant(20)
    jira.settings.enforce_limits, jira.settings.limits_scale = True, 0.001  # 65 points an hour
    clock.set(ManualClock.START + timedelta(minutes=50))
    assert "x-ratelimit-nearlimit" not in app.search("project = APEX").headers
    clock.advance(60)
    app.search("project = APEX")
    clock.advance(60)
    assert app.search("project = APEX").headers["x-ratelimit-nearlimit"] == "true"
    clock.advance(60)
    app.search("project = APEX")
    refused = app.search("project = APEX")
    assert refused.headers["ratelimit-reason"] == "jira-quota-global-based"
    assert refused.headers["retry-after"] == str(7 * 60)
    clock.advance(7 * 60)
    assert gateway(jira, jira.grant()["access_token"]).search("project = APEX").status_code == 200


def test_api_tokens_have_no_points_but_bursts(api, jira, clock):
    jira.settings.enforce_limits, jira.settings.limits_scale = True, 0.02  # two GETs a second
    answers = [api.get("/myself") for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert answers[-1].headers["ratelimit-reason"] == "jira-burst-based"
    clock.advance(1)
    assert api.get("/myself").status_code == 200


def test_one_issue_takes_only_so_many_writes(api, jira, clock):
    keys = [api.create()["key"] for _ in range(2)]
    jira.settings.enforce_limits = True

    def write(key: str) -> httpx.Response:
        return api.put(f"/issue/{key}/properties/p", json=1)

    assert [write(keys[0]).status_code for _ in range(20)] == [201] + [200] * 19
    refused = write(keys[0])
    assert (refused.status_code, refused.headers["ratelimit-reason"]) == (429, "jira-per-issue-on-write")
    assert write(keys[1]).status_code == 201
    clock.advance(2)
    assert write(keys[0]).status_code == 200
