"""Who may read, with which credentials, and what is said when it is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from connectors.bitbucket import BitbucketConnector
from connectors.bitbucket.config import AccessTokenCredentials, ApiTokenCredentials, BitbucketConfig
from connectors.bitbucket.manifest import MANIFEST
from connectors.contract import (
    Account,
    AuthFailed,
    BadPayload,
    CodeKind,
    ConsentPending,
    Context,
    Forbidden,
    RateLimited,
    Rejected,
    Transient,
    capabilities,
)
from connectors.credentials import OAuthTokens
from connectors.http import HttpClient, Unlimited
from connectors.registry import problems
from sandbox.bitbucket.render import uuid
from sandbox.faults import FaultKind
from sandbox.vendor import API_TOKEN
from tests.connectors.bitbucket.conftest import Bench
from tests.connectors.server import NOON, Scripted, answer

HERE = "https://api.bitbucket.org"


def scripted(*answers: Any, **config: Any) -> tuple[Scripted, BitbucketConnector]:
    transport = Scripted(*answers)
    http = HttpClient(transport=transport, budget=Unlimited(), now=lambda: NOON)
    settings = BitbucketConfig(**{"workspace": "apex", **config})
    credentials = AccessTokenCredentials(token="canary")
    context = Context(settings, credentials, http, {"api": HERE, "web": "https://bitbucket.org"}, lambda: NOON)
    return transport, BitbucketConnector(context)


# --- configuration ----------------------------------------------------------------------------------


def test_it_is_a_sound_connector_that_reads_code_and_registers_webhooks():
    assert problems(BitbucketConnector) == []
    assert capabilities(BitbucketConnector) == ("code_source", "webhooks", "webhook_subscriptions")


def test_the_platforms_example_is_a_valid_configuration_and_polls_are_hourly():
    config = BitbucketConfig(
        workspace="apex-digital",
        repositories=["payments-api", "payments-worker"],
        events=["push", "pull_request", "deployment"],
    )
    assert (config.poll_seconds, len(config.kinds())) == (3600, 3)
    assert BitbucketConfig(workspace="{1f0e3a52-8a2d-4a4e-b1c3-5d6e7f8a9b0c}").kinds() == frozenset(CodeKind)


@pytest.mark.parametrize(
    "given",
    [
        {"workspace": "https://bitbucket.apex.example/projects/PAY"},
        {"workspace": "apex", "base_url": "https://git.apex.example:7990"},
        {"workspace": "apex", "repositories": ["http://stash.local/scm/pay/api.git"]},
        {"workspace": "apex", "url": "https://bitbucket.org.evil.example/"},
    ],
)
def test_addresses_of_bitbucket_data_center_are_refused_in_words(given):
    with pytest.raises(ValidationError, match=r"speaks to bitbucket\.org only; Bitbucket Data Center"):
        BitbucketConfig(**given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"workspace": "https://bitbucket.org/apex/shop"}, "the workspace is apex"),
        ({"workspace": "apex", "repositories": ["apex/shop"]}, "it is shop"),
        ({"workspace": "apex digital"}, "pattern"),
        ({"workspace": "apex", "branch": "main"}, "Extra inputs"),
        ({"workspace": "apex", "events": ["issues"]}, "Input should be"),
        ({}, "Field required"),
    ],
)
def test_a_configuration_with_a_mistake_is_refused(given, says):
    with pytest.raises(ValidationError, match=says):
        BitbucketConfig(**given)


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ({"token": "t"}, "token"),
        ({"email": "ann@example.com", "api_token": "t"}, "api_token"),
        ({"client_id": "c", "client_secret": "s"}, "oauth2"),
        ({"access_token": "t"}, "oauth2"),
    ],
)
def test_credentials_are_told_apart(given, mode):
    def takes(model: type[BaseModel]) -> bool:
        try:
            return model(**given) is not None
        except ValidationError:
            return False

    assert next(name for name, model in MANIFEST.credentials.items() if takes(model)) == mode


def test_a_persons_token_goes_with_their_address_and_is_hidden():
    credentials = ApiTokenCredentials(email="ann@example.com", api_token="canary")
    assert base64.b64decode(credentials.authorization().removeprefix("Basic ")) == b"ann@example.com:canary"
    assert "canary" not in repr(credentials)
    with pytest.raises(ValidationError):
        ApiTokenCredentials(email="ann:x@example.com", api_token="t")


# --- access -----------------------------------------------------------------------------------------


def test_the_account_is_the_workspace_whoever_holds_the_credentials(still: Bench):
    persons = ApiTokenCredentials(email="ann@example.com", api_token=API_TOKEN)
    accounts = [still.connector(credentials).check() for credentials in (None, persons, still.oauth())]
    assert accounts == [Account(uuid("workspace", 1), "apex-digital")] * 3
    assert still.calls() == {"listRepositories": 3}


def test_a_repositorys_own_token_is_proven_by_the_repository_that_is_named(still: Bench):
    assert still.connector(repositories=["payments-worker"]).check() == Account(uuid("workspace", 1), "apex-digital")
    assert still.calls() == {"getRepository": 1}
    assert still.connector(repositories=["renamed"]).check().id == uuid("workspace", 1)


def test_an_empty_workspace_is_known_by_its_name(still: Bench):
    still.host.repos.clear()
    assert still.connector().check() == Account("apex-digital", "apex-digital")


def test_credentials_that_are_no_good_are_refused(still: Bench):
    with pytest.raises(AuthFailed):
        still.connector(AccessTokenCredentials(token="of nobody")).check()
    with pytest.raises(ConsentPending, match="authorization page"):
        still.connector(OAuthTokens(client_id="c")).check()
    tokens = still.oauth()
    still.sandbox.oauth.end_access()  # type: ignore[union-attr]
    with pytest.raises(AuthFailed):
        still.connector(tokens).check()


def test_a_workspace_that_is_not_there_is_told_in_a_sentence(still: Bench):
    with pytest.raises(Forbidden, match="There is no workspace nowhere at Bitbucket"):
        still.connector(workspace="nowhere").check()


def test_a_scope_that_is_missing_is_forbidden(still: Bench):
    little = still.connector(still.oauth(scopes=("repository",)))
    assert little.check()
    with pytest.raises(Forbidden, match="pullrequest"):
        list(little.code_events(still.repository(), None))


def test_a_lapsed_plan_is_told_in_bitbuckets_words():
    _, connector = scripted(answer(402, b"Your subscription has lapsed."))
    with pytest.raises(Forbidden, match=r"plan does not allow .* Your subscription has lapsed"):
        connector.check()


def test_an_error_is_told_in_bitbuckets_words():
    error = {"type": "error", "error": {"message": "Access denied", "detail": "Scopes are missing."}}
    for body, says in ((error, r"Access denied Scopes are missing\."), ({"error": "plain"}, "plain"), (b"[", r"\[")):
        _, connector = scripted(answer(403, body))
        with pytest.raises(Forbidden, match=says):
            connector.check()


# --- limits and trouble -----------------------------------------------------------------------------


@pytest.mark.parametrize(("told", "seconds"), [(True, 240), (False, 60)])
def test_too_many_calls_wait_as_long_as_is_said_else_a_minute(still: Bench, told, seconds):
    still.sandbox.settings.tells_wait = told
    still.sandbox.faults.add(FaultKind.RATE_LIMIT, retry_after=240)
    with pytest.raises(RateLimited) as limited:
        still.connector().check()
    assert (limited.value.until - still.clock.now()).total_seconds() == seconds
    assert still.budget.until == [limited.value.until]


def test_the_manifest_allows_nine_hundred_calls_in_any_hour_and_a_batch_fits_into_the_burst():
    rates = MANIFEST.rates
    assert rates.burst + 3600 * rates.per_second == 900
    assert MANIFEST.refetch_batch * 7 <= rates.burst


def test_trouble_at_bitbucket_may_pass(still: Bench):
    still.sandbox.faults.add(FaultKind.ERROR, status=503)
    with pytest.raises(Transient):
        still.connector().check()


def test_a_refusal_of_a_fresh_listing_is_no_reason_to_begin_anew(still: Bench):
    still.sandbox.faults.add(FaultKind.ERROR, status=400, operation="listCommits")
    with pytest.raises(Rejected):
        list(still.connector(events=["push"]).code_events(still.repository(), None))


def test_credentials_go_nowhere_else_whatever_a_link_says():
    away = {
        "values": [{"uuid": "{a}", "full_name": "apex/a"}],
        "next": "https://evil.example/2.0/repositories/apex?page=2",
    }
    transport, connector = scripted(answer(200, away), answer(200, {"values": []}))
    assert len(list(connector.repositories())) == 2
    places = {str(request.url.copy_with(query=None)) for request in transport.requests}
    assert places == {f"{HERE}/2.0/repositories/apex"}
    _, connector = scripted(answer(200, away | {"next": "https://evil.example/steal"}))
    with pytest.raises(BadPayload, match="leads out of its API"):
        list(connector.repositories())


def test_a_listing_without_links_is_counted_through_and_an_empty_page_ends_it():
    row = {"uuid": "{a}", "full_name": "apex/a"}
    counted = {"values": [row], "page": 1, "pagelen": 1, "size": 2}
    transport, connector = scripted(answer(200, counted), answer(200, counted | {"page": 2}))
    assert len(list(connector.repositories())) == 2
    assert [request.url.params.get("page") for request in transport.requests] == [None, "2"]
    empty = {"values": [], "next": f"{HERE}/2.0/repositories/apex?page=2"}
    transport, connector = scripted(answer(200, empty))
    assert len(list(connector.repositories())) == 1


def test_an_answer_of_another_shape_is_a_bad_payload():
    _, connector = scripted(answer(200, {"values": [{"uuid": 7}]}))
    with pytest.raises(BadPayload):
        connector.check()
