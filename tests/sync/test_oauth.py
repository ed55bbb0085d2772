"""Consent, and refreshing once however many notice that it is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import select

from connectors.contract import AuthFailed, BadPayload, Transient
from connectors.registry import Registry
from core.errors import BadRequest, Conflict, Forbidden
from core.models import AuditRecord, Credential, Event, Integration, OAuthAttempt
from core.settings import Settings
from simulation.toy import ToyVendor
from simulation.toy.auth import CLIENT_ID, CLIENT_SECRET
from sync import farewell, integrations, oauth
from sync.credentials import load
from sync.oauth import ATTEMPT_LIFETIME
from sync.runtime import Lane, Runtime
from sync.tokens import AppRefused
from tests.sync.conftest import START, ManualClock, Tenant, connect, make_tenant


@pytest.fixture
def pending(runtime: Runtime, tenant: Tenant) -> Integration:
    """An integration that waits for consent."""
    return connect(runtime, tenant, credentials=None)


def consent(rt: Runtime, vendor: ToyVendor, integration: Integration, actor: str = "USR-26-000001") -> Integration:
    """The whole way: a person is sent to the vendor, agrees and comes back."""
    code, state = vendor.auth.consent(oauth.start(rt, integration.id, actor))
    return oauth.complete(rt, "toy", code, state)


@pytest.fixture
def connected(runtime: Runtime, vendor: ToyVendor, pending: Integration) -> Integration:
    return consent(runtime, vendor, pending)


def tokens(rt: Runtime, integration: Integration) -> dict[str, Any]:
    """The stored credentials in the clear."""
    with rt.db.read() as session:
        return dict(load(rt, session, integration).values)


def version(rt: Runtime, integration: Integration) -> int:
    with rt.db.read() as session:
        return session.get_one(Credential, integration.id).version


def row(rt: Runtime, integration: Integration) -> Integration:
    with rt.db.read() as session:
        return session.get_one(Integration, integration.id)


def events(rt: Runtime) -> list[str]:
    with rt.db.read() as session:
        return list(session.scalars(select(Event.type).order_by(Event.id)))


# --- consent ------------------------------------------------------------------------------------------


def test_an_oauth_integration_waits_for_consent_and_asks_the_vendor_nothing(
    runtime: Runtime, pending: Integration, vendor: ToyVendor
) -> None:
    assert (pending.status, pending.status_code) == ("pending_auth", "consent_needed")
    assert pending.next_pull_at is None
    assert vendor.calls == []


def test_the_consent_page_is_asked_for_as_the_vendor_documents(runtime: Runtime, pending: Integration) -> None:
    url = urlsplit(oauth.start(runtime, pending.id, "USR-26-000001"))
    asked = dict(parse_qsl(url.query))
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://auth.toy.test/authorize"
    assert asked.pop("code_challenge_method") == "S256"
    assert len(asked.pop("code_challenge")) == 43
    assert len(asked.pop("state")) == 43
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": "https://turnbuckle.test/v1/oauth/toy/callback",
        "scope": "items:read items:write",
        "audience": "toy",
    }


def test_the_challenge_is_that_of_rfc_7636() -> None:
    assert oauth._challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == {
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }


def test_only_the_digest_of_a_state_is_kept(runtime: Runtime, pending: Integration, vendor: ToyVendor) -> None:
    _, state = vendor.auth.consent(oauth.start(runtime, pending.id, "USR-26-000001"))
    with runtime.db.read() as session:
        attempt = session.scalars(select(OAuthAttempt)).one()
    assert state not in (attempt.state_digest, attempt.sealed)


def test_a_consent_starts_the_integration(
    runtime: Runtime, connected: Integration, rings: list[tuple[Lane, str]]
) -> None:
    assert (connected.status, connected.status_code, connected.account_id) == ("active", None, "acc-1")
    assert connected.next_pull_at == START
    held = tokens(runtime, connected)
    assert held["access_token"].startswith("access-canary")
    assert held["site"] == "toy-1"  # learned by the check
    with runtime.db.read() as session:
        assert session.get_one(Credential, connected.id).expires_at == START + timedelta(hours=1)
        audit = session.scalars(select(AuditRecord).where(AuditRecord.action == "integration.authorized")).one()
    assert audit.actor == "USR-26-000001"
    assert events(runtime) == ["integration.created", "integration.connected"]
    assert rings == [(Lane.PULL, connected.id)]


def test_a_state_works_once(runtime: Runtime, pending: Integration, vendor: ToyVendor) -> None:
    code, state = vendor.auth.consent(oauth.start(runtime, pending.id, "USR-26-000001"))
    oauth.complete(runtime, "toy", code, state)
    with pytest.raises(BadRequest, match="used"):
        oauth.complete(runtime, "toy", code, state)
    assert vendor.auth.answers == ["authorization_code"]  # a second use would revoke the tokens


def test_a_state_is_used_up_before_the_code_is_sent(runtime: Runtime, pending: Integration, vendor: ToyVendor) -> None:
    code, state = vendor.auth.consent(oauth.start(runtime, pending.id, "USR-26-000001"))
    vendor.auth.lost = 1
    with pytest.raises(Conflict, match="Start again"):
        oauth.complete(runtime, "toy", code, state)
    with pytest.raises(BadRequest):
        oauth.complete(runtime, "toy", code, state)
    assert vendor.auth.answers == ["authorization_code"]
    assert row(runtime, pending).status == "pending_auth"


@pytest.mark.parametrize("state", [None, "", "made-up", "é" * 43])
def test_an_unknown_state_is_refused(runtime: Runtime, pending: Integration, state: str | None) -> None:
    with pytest.raises(BadRequest):
        oauth.complete(runtime, "toy", "code", state)


def test_a_state_ends_after_ten_minutes(
    runtime: Runtime, pending: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    code, state = vendor.auth.consent(oauth.start(runtime, pending.id, "USR-26-000001"))
    clock.advance(seconds=ATTEMPT_LIFETIME.total_seconds())
    with pytest.raises(BadRequest):
        oauth.complete(runtime, "toy", code, state)


def test_a_state_of_another_vendor_is_refused(runtime: Runtime, pending: Integration, vendor: ToyVendor) -> None:
    code, state = vendor.auth.consent(oauth.start(runtime, pending.id, "USR-26-000001"))
    with pytest.raises(BadRequest):
        oauth.complete(runtime, "jira", code, state)


def test_only_who_began_a_consent_completes_it(runtime: Runtime, pending: Integration, vendor: ToyVendor) -> None:
    code, state = vendor.auth.consent(oauth.start(runtime, pending.id, "USR-26-000001"))
    with pytest.raises(Forbidden):
        oauth.complete(runtime, "toy", code, state, actor="USR-26-000002")
    assert oauth.complete(runtime, "toy", code, state, actor="USR-26-000001").status == "active"


def test_an_answer_of_another_issuer_is_refused(runtime: Runtime, pending: Integration, vendor: ToyVendor) -> None:
    code, state = vendor.auth.consent(oauth.start(runtime, pending.id, "USR-26-000001"))
    with pytest.raises(BadRequest, match="issuer"):
        oauth.complete(runtime, "toy", code, state, iss="https://evil.test")
    assert vendor.auth.answers == []
    code, state = vendor.auth.consent(oauth.start(runtime, pending.id, "USR-26-000001"))
    assert oauth.complete(runtime, "toy", code, state, iss="https://auth.toy.test").status == "active"


def test_a_refused_consent_leaves_its_reason(runtime: Runtime, pending: Integration) -> None:
    state = dict(parse_qsl(urlsplit(oauth.start(runtime, pending.id, "USR-26-000001")).query))["state"]
    with pytest.raises(Conflict, match="access_denied"):
        oauth.complete(
            runtime, "toy", None, state, error="access_denied", error_description="\x00 no\n thanks" + "x" * 999
        )
    refused = row(runtime, pending)
    assert (refused.status, refused.status_code) == ("pending_auth", "consent_refused")
    assert refused.status_text is not None
    assert "access_denied no thanks" in refused.status_text
    assert len(refused.status_text) < 400


def test_a_refused_second_consent_does_not_stop_a_working_integration(runtime: Runtime, connected: Integration) -> None:
    state = dict(parse_qsl(urlsplit(oauth.start(runtime, connected.id, "USR-26-000001")).query))["state"]
    with pytest.raises(Conflict):
        oauth.complete(runtime, "toy", None, state, error="access_denied")
    assert row(runtime, connected).status == "active"


def test_tokens_that_do_not_work_are_not_kept(runtime: Runtime, pending: Integration, vendor: ToyVendor) -> None:
    vendor.fail("check", 503)
    with pytest.raises(Conflict, match="reached"):
        consent(runtime, vendor, pending)
    assert "access_token" not in tokens(runtime, pending)
    assert row(runtime, pending).status == "pending_auth"


def test_scopes_not_granted_are_named(runtime: Runtime, pending: Integration, vendor: ToyVendor) -> None:
    vendor.auth.grants_scopes = "items:read"
    connected = consent(runtime, vendor, pending)
    assert (connected.status, connected.status_code, connected.sync_status) == ("active", "missing_scopes", "degraded")
    assert connected.status_text is not None
    assert "items:write" in connected.status_text


def test_without_an_app_the_operator_is_told_what_to_set(runtime: Runtime, pending: Integration) -> None:
    rt = replace(runtime, settings=Settings(_env_file=None))  # type: ignore[call-arg]
    with pytest.raises(Conflict, match="TURNBUCKLE_OAUTH_APPS__TOY__CLIENT_ID"):
        oauth.start(rt, pending.id, "USR-26-000001")


def test_an_integrations_own_app_comes_before_the_operators(runtime: Runtime, tenant: Tenant) -> None:
    own = connect(runtime, tenant, credentials={"client_id": "own-app", "client_secret": "own-secret"})
    assert "client_id=own-app" in oauth.start(runtime, own.id, tenant.ann_id)


def test_direct_credentials_need_no_consent(runtime: Runtime, integration: Integration) -> None:
    with pytest.raises(Conflict, match="need no consent"):
        oauth.start(runtime, integration.id, "USR-26-000001")


def test_a_disconnected_integration_gives_no_consent_page(runtime: Runtime, connected: Integration) -> None:
    url = oauth.start(runtime, connected.id, "USR-26-000001")
    farewell.disconnect(runtime, connected, actor="USR-26-000001", token_id=None)
    with pytest.raises(Conflict, match="disconnected"):
        oauth.start(runtime, connected.id, "USR-26-000001")
    with pytest.raises(BadRequest):
        oauth.complete(runtime, "toy", "code", dict(parse_qsl(urlsplit(url).query))["state"])


# --- refresh ------------------------------------------------------------------------------------------


def test_a_refresh_stores_the_new_pair(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    before = tokens(runtime, connected)
    clock.advance(minutes=30)
    assert oauth.refresh(runtime, connected.id, 2) == 3
    after = tokens(runtime, connected)
    assert after["access_token"] != before["access_token"]
    assert after["refresh_token"] != before["refresh_token"]
    assert after["site"] == "toy-1"
    with runtime.db.read() as session:
        credential = session.get_one(Credential, connected.id)
    assert credential.expires_at == clock.now + timedelta(hours=1)
    assert credential.refresh_started_at is None


def test_a_refresh_somebody_else_has_done_is_not_done_again(
    runtime: Runtime, connected: Integration, vendor: ToyVendor
) -> None:
    assert oauth.refresh(runtime, connected.id, 2) == 3
    assert oauth.refresh(runtime, connected.id, 2) == 3
    assert vendor.auth.answers.count("refresh_token") == 1


def test_workers_that_refresh_at_the_same_moment_ask_the_vendor_once(
    any_runtime: Runtime, any_url: str, runtime_on: Callable[..., Runtime], vendor: ToyVendor
) -> None:
    tenant = make_tenant(any_runtime)
    connected = consent(any_runtime, vendor, connect(any_runtime, tenant, credentials=None), tenant.ann_id)
    workers = 4
    together = Barrier(workers)
    # Each worker has connections of its own, as processes have; waiting is real, but short.
    runtimes = [runtime_on(any_url, sleep=lambda _: time.sleep(0.002)) for _ in range(workers)]
    vendor.auth.during_refresh = lambda: time.sleep(0.02)  # long enough for the others to ask as well

    def work(rt: Runtime) -> int:
        together.wait()
        return oauth.refresh(rt, connected.id, 2)

    with ThreadPoolExecutor(workers) as pool:
        assert list(pool.map(work, runtimes)) == [3] * workers
    assert vendor.auth.answers.count("refresh_token") == 1
    assert vendor.auth.knows(tokens(any_runtime, connected)["access_token"])
    assert row(any_runtime, connected).status == "active"


def test_no_transaction_is_open_while_the_vendor_is_asked(
    runtime: Runtime, connected: Integration, vendor: ToyVendor
) -> None:
    seen: list[bool] = []

    def during_refresh() -> None:
        with runtime.db.write() as session:  # SQLite has one writer: this would wait for any other
            seen.append(session.get_one(Credential, connected.id).refresh_started_at is not None)

    vendor.auth.during_refresh = during_refresh
    oauth.refresh(runtime, connected.id, 2)
    assert seen == [True]


def test_an_expiry_sent_as_text_is_understood(runtime: Runtime, pending: Integration, vendor: ToyVendor) -> None:
    vendor.auth.expires_as_text = True
    connected = consent(runtime, vendor, pending)
    with runtime.db.read() as session:
        assert session.get_one(Credential, connected.id).expires_at == START + timedelta(hours=1)


@pytest.mark.parametrize("expires_in", [None, "", "soon", 0, -1, "nan", [3600]])
def test_a_token_without_a_known_end_is_used_until_it_is_refused(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, expires_in: Any
) -> None:
    vendor.auth.failures = [(200, {**vendor.auth.issue(), "expires_in": expires_in})]
    oauth.refresh(runtime, connected.id, 2)
    with runtime.db.read() as session:
        assert not oauth.due(load(runtime, session, connected), START + timedelta(days=999))


def test_an_end_too_far_to_compute_is_far(runtime: Runtime, connected: Integration, vendor: ToyVendor) -> None:
    vendor.auth.failures = [(200, {**vendor.auth.issue(), "expires_in": 1e300})]
    oauth.refresh(runtime, connected.id, 2)
    with runtime.db.read() as session:
        assert load(runtime, session, connected).expires_at == START + timedelta(days=3650)


def test_an_answer_without_a_refresh_token_keeps_the_old_one(
    runtime: Runtime, connected: Integration, vendor: ToyVendor
) -> None:
    vendor.auth.keeps_refresh_token = True
    before = tokens(runtime, connected)
    oauth.refresh(runtime, connected.id, 2)
    assert tokens(runtime, connected)["refresh_token"] == before["refresh_token"]
    assert oauth.refresh(runtime, connected.id, 3) == 4


def test_a_dead_refresh_token_stops_the_integration_once_and_says_what_to_do(
    runtime: Runtime, connected: Integration, vendor: ToyVendor
) -> None:
    vendor.auth.families[0].revoked = True
    for _ in range(2):
        with pytest.raises(AuthFailed, match="oauth/start"):
            oauth.refresh(runtime, connected.id, 2)
    stopped = row(runtime, connected)
    assert (stopped.status, stopped.status_code, stopped.sync_status) == ("error", "reauth_required", "failed")
    assert events(runtime).count("integration.auth_failed") == 1


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"error": "invalid_grant"}),
        (401, {"error": "invalid_grant"}),
        (403, {"error": "unauthorized_client", "error_description": "refresh_token is invalid"}),
        (200, {"error": "bad_refresh_token"}),
        (200, {"ok": False, "error": "invalid_refresh_token"}),
    ],
)
def test_vendors_say_in_many_ways_that_a_refresh_token_is_dead(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, answer: tuple[int, dict[str, Any]]
) -> None:
    vendor.auth.failures = [answer]
    with pytest.raises(AuthFailed):
        oauth.refresh(runtime, connected.id, 2)


def test_a_new_consent_brings_a_stopped_integration_back(
    runtime: Runtime, connected: Integration, vendor: ToyVendor
) -> None:
    vendor.auth.families[0].revoked = True
    with pytest.raises(AuthFailed):
        oauth.refresh(runtime, connected.id, 2)
    again = consent(runtime, vendor, connected)
    assert (again.status, again.status_code, again.sync_status) == ("active", None, "healthy")


@pytest.mark.parametrize(
    "answer", [(401, {"error": "invalid_client"}), (200, {"error": "incorrect_client_credentials"})]
)
def test_a_wrong_app_is_the_operators_matter_and_asks_nobody_for_consent(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, answer: tuple[int, dict[str, Any]]
) -> None:
    before = tokens(runtime, connected)
    vendor.auth.failures = [answer]
    with pytest.raises(AppRefused, match="TURNBUCKLE_OAUTH_APPS__TOY") as refused:
        oauth.refresh(runtime, connected.id, 2)
    assert refused.value.code == "oauth_app_refused"
    assert CLIENT_SECRET not in refused.value.text
    assert row(runtime, connected).status == "active"
    assert tokens(runtime, connected) == before


def test_an_outage_keeps_the_pair(runtime: Runtime, connected: Integration, vendor: ToyVendor) -> None:
    before = tokens(runtime, connected)
    vendor.auth.failures = [(503, {"error": "maintenance"})]
    with pytest.raises(Transient):
        oauth.refresh(runtime, connected.id, 2)
    assert tokens(runtime, connected) == before
    assert oauth.refresh(runtime, connected.id, 2) == 3


def test_an_answer_that_makes_no_sense_keeps_the_pair(
    runtime: Runtime, connected: Integration, vendor: ToyVendor
) -> None:
    vendor.auth.garbled = 1
    with pytest.raises(BadPayload):
        oauth.refresh(runtime, connected.id, 2)
    assert oauth.refresh(runtime, connected.id, 2) == 3


def test_a_pair_lost_on_its_way_asks_for_consent_where_the_vendor_has_no_grace(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    vendor.auth.lost = 1
    with pytest.raises(Transient):
        oauth.refresh(runtime, connected.id, 2)
    clock.advance(seconds=5)
    with pytest.raises(AuthFailed):
        oauth.refresh(runtime, connected.id, 2)
    assert row(runtime, connected).status_code == "reauth_required"


def test_a_pair_lost_on_its_way_is_fetched_again_within_the_vendors_grace(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    vendor.auth.grace = timedelta(minutes=10)
    vendor.auth.lost = 1
    with pytest.raises(Transient):
        oauth.refresh(runtime, connected.id, 2)
    clock.advance(minutes=5)
    assert oauth.refresh(runtime, connected.id, 2) == 3
    assert vendor.auth.knows(tokens(runtime, connected)["access_token"])


def with_grace(rt: Runtime, vendor: ToyVendor) -> Runtime:
    """The runtime with a connector whose vendor is said to have a grace window."""
    connector = vendor.connector()
    facts = connector.manifest.oauth
    assert facts is not None
    connector.manifest = replace(connector.manifest, oauth=replace(facts, grace=timedelta(minutes=10)))
    registry = Registry()
    registry.register(connector)
    return replace(rt, registry=registry)


def test_one_refusal_is_not_believed_of_a_vendor_with_a_grace_window_two_are(
    runtime: Runtime, connected: Integration, vendor: ToyVendor
) -> None:
    rt = with_grace(runtime, vendor)
    vendor.auth.failures = [(400, {"error": "invalid_grant"})]
    assert oauth.refresh(rt, connected.id, 2) == 3
    vendor.auth.failures = [(400, {"error": "invalid_grant"})] * 2
    with pytest.raises(AuthFailed):
        oauth.refresh(rt, connected.id, 3)


def test_a_worker_killed_before_it_could_store_the_pair_leaves_no_lease_that_lasts(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    vendor.auth.grace = timedelta(minutes=10)

    class Killed(BaseException):
        """The process is gone: nothing of it runs any more."""

    def die() -> None:
        raise Killed

    vendor.auth.during_refresh = die
    with pytest.raises(Killed):
        oauth.refresh(replace(runtime, worker="dead"), connected.id, 2)
    vendor.auth.during_refresh = lambda: None
    clock.advance(seconds=130)
    assert oauth.refresh(runtime, connected.id, 2) == 3


def test_a_worker_that_waits_in_vain_for_anothers_refresh_gives_up_for_now(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    def during_refresh() -> None:
        with pytest.raises(Transient, match="Another worker"):
            oauth.refresh(replace(runtime, worker="second"), connected.id, 2)

    vendor.auth.during_refresh = during_refresh
    assert oauth.refresh(runtime, connected.id, 2) == 3
    assert sum(clock.slept) == pytest.approx(15)


def test_credentials_entered_during_a_refresh_win(runtime: Runtime, connected: Integration, vendor: ToyVendor) -> None:
    fresh = vendor.auth.issue()
    entered = {key: fresh[key] for key in ("access_token", "refresh_token")}

    def during_refresh() -> None:
        integrations.update(runtime, connected, actor="USR-26-000001", token_id=None, credentials=entered)

    vendor.auth.during_refresh = during_refresh
    assert oauth.refresh(runtime, connected.id, 2) == 3
    assert tokens(runtime, connected)["access_token"] == fresh["access_token"]


def test_a_refusal_of_replaced_credentials_does_not_stop_the_new_ones(
    runtime: Runtime, connected: Integration, vendor: ToyVendor
) -> None:
    fresh = vendor.auth.issue()
    entered = {key: fresh[key] for key in ("access_token", "refresh_token")}
    vendor.auth.during_refresh = lambda: integrations.update(
        runtime, connected, actor="USR-26-000001", token_id=None, credentials=entered
    )
    vendor.auth.failures = [(400, {"error": "invalid_grant"})]
    with pytest.raises(AuthFailed):
        oauth.refresh(runtime, connected.id, 2)
    assert row(runtime, connected).status == "active"


def test_a_lease_lost_to_another_worker_stores_nothing(
    runtime: Runtime, connected: Integration, vendor: ToyVendor, clock: ManualClock
) -> None:
    vendor.auth.grace = timedelta(minutes=10)
    second: list[int] = []

    def during_refresh() -> None:
        if not second:
            second.append(0)
            clock.advance(minutes=3)  # this process slept; another one takes over and is done first
            second.append(oauth.refresh(replace(runtime, worker="second"), connected.id, 2))

    vendor.auth.during_refresh = during_refresh
    with pytest.raises(Transient, match="took over"):
        oauth.refresh(runtime, connected.id, 2)
    assert version(runtime, connected) == second[-1] == 3


@pytest.mark.parametrize(("body", "auth"), [("form", "basic"), ("json", "body")])
def test_the_token_request_takes_the_form_the_vendor_wants(
    runtime: Runtime, pending: Integration, vendor: ToyVendor, body: str, auth: str
) -> None:
    connector = vendor.connector()
    facts = connector.manifest.oauth
    assert facts is not None
    connector.manifest = replace(connector.manifest, oauth=replace(facts, token_body=body, client_auth=auth))
    registry = Registry()
    registry.register(connector)
    assert consent(replace(runtime, registry=registry), vendor, pending).status == "active"
