"""The GitHub connector: its configuration, its credentials, and the one call it makes."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from connectors.contract import Account, AuthFailed, BadPayload, ConsentPending, Context, RateLimited, capabilities
from connectors.github import GitHubConnector
from connectors.github.config import GitHubConfig, InstallationCredentials, TokenCredentials
from connectors.http import HttpClient, Unlimited
from connectors.registry import problems
from tests.connectors.server import NOON, Scripted, answer

CONFIG = {
    "organization": "apex-digital",
    "repositories": ["payments-api"],
    "events": ["push", "pull_request", "deployment"],
}
TOKEN = "github_pat_canary"


def connector(transport: Scripted, credentials: BaseModel, api: str = "https://api.github.com") -> GitHubConnector:
    http = HttpClient(transport=transport, budget=Unlimited(), now=lambda: NOON, secrets=[TOKEN])
    return GitHubConnector(Context(GitHubConfig(**CONFIG), credentials, http, {"api": api}, lambda: NOON))


def with_token(*answers) -> tuple[Scripted, GitHubConnector]:
    transport = Scripted(*answers)
    return transport, connector(transport, TokenCredentials(token=TOKEN))


def test_it_is_a_sound_connector_that_claims_nothing_it_can_not_do():
    assert problems(GitHubConnector) == []
    assert capabilities(GitHubConnector) == ()


def test_the_platforms_example_is_a_valid_configuration():
    config = GitHubConfig(**CONFIG)
    assert config.model_dump(mode="json") == CONFIG


@pytest.mark.parametrize(
    "change",
    [
        {"organization": ""},
        {"organization": "apex digital"},
        {"organization": "apex/payments"},
        {"repositories": []},
        {"repositories": ["apex-digital/payments-api"]},
        {"events": []},
        {"events": ["pushes"]},
        {"branch": "main"},
    ],
)
def test_a_configuration_with_a_mistake_is_refused(change):
    with pytest.raises(ValidationError):
        GitHubConfig(**{**CONFIG, **change})


@pytest.mark.parametrize("id_", ["12345678", 12345678])
def test_an_installation_is_named_by_its_number(id_):
    assert InstallationCredentials.model_validate({"installation_id": id_}).installation_id == "12345678"


@pytest.mark.parametrize("id_", ["", "0", "-1", "abc", None])
def test_what_is_no_installations_number_is_refused(id_):
    with pytest.raises(ValidationError):
        InstallationCredentials.model_validate({"installation_id": id_})


def test_a_token_shows_as_stars():
    assert TOKEN not in repr(TokenCredentials(token=TOKEN))


def test_a_good_token_names_its_owner_with_one_call():
    transport, github = with_token(answer(200, {"id": 4, "login": "ann"}, {"X-OAuth-Scopes": "repo, read:org"}))
    assert github.check() == Account(id="4", name="ann", scopes=("repo", "read:org"))
    (request,) = transport.requests
    assert (request.method, str(request.url)) == ("GET", "https://api.github.com/user")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["x-github-api-version"] == "2022-11-28"
    assert request.headers["user-agent"]


def test_a_fine_grained_token_has_no_scopes_to_tell():
    _, github = with_token(answer(200, {"id": 4, "login": "ann"}))
    assert github.check().scopes == ()


def test_the_operator_can_point_it_elsewhere():
    transport = Scripted(answer(200, {"id": 4, "login": "ann"}))
    connector(transport, TokenCredentials(token=TOKEN), "https://github.corp/api/v3").check()
    assert str(transport.requests[0].url) == "https://github.corp/api/v3/user"


def test_a_dead_token_is_named_in_githubs_words_without_the_token():
    _, github = with_token(answer(401, {"message": f"Bad credentials {TOKEN}"}))
    with pytest.raises(AuthFailed, match=r"api\.github\.com/user answered 401: Bad credentials \*\*\*"):
        github.check()


def test_githubs_limits_by_403_are_limits():
    _, github = with_token(answer(403, {"message": "You have exceeded a secondary rate limit"}, {"Retry-After": "60"}))
    with pytest.raises(RateLimited):
        github.check()


def test_an_answer_without_an_account_is_a_bad_payload():
    _, github = with_token(answer(200, {"login": "ann"}))
    with pytest.raises(BadPayload):
        github.check()


def test_an_installation_waits_for_consent_without_a_call():
    transport = Scripted(answer(200))
    with pytest.raises(ConsentPending):
        connector(transport, InstallationCredentials(installation_id="12345678")).check()
    assert transport.requests == []
