"""Who calls: a token or the App's installation, what is proven of them, and which repositories they see."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest
from pydantic import ValidationError

from connectors.contract import (
    Account,
    AuthFailed,
    BadPayload,
    CodeKind,
    ConsentPending,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
)
from connectors.github.config import GitHubConfig, InstallationCredentials, TokenCredentials
from sandbox.clock import ManualClock
from sandbox.faults import FaultKind
from sandbox.github import APP_ID, INSTALLATION
from sandbox.vendor import API_TOKEN
from tests.connectors.github.conftest import REPO, Bench
from tests.connectors.server import NOON, Scripted, answer

SAMPLE = {
    "organization": "apex-digital",
    "repositories": ["payments-api", "payments-worker"],
    "events": ["push", "pull_request", "deployment"],
}
OTHER = InstallationCredentials(installation_id="999")


def names(github: Bench, connector=None) -> list[str]:
    return [one.name for some in (connector or github.connector()).repositories() for one in some]


def key(github: Bench) -> str:
    return github.sandbox.github_app.private_key


# --- configuration ------------------------------------------------------------------------------------


def test_the_platforms_example_is_a_valid_configuration() -> None:
    config = GitHubConfig(**SAMPLE)
    assert config.model_dump(mode="json", exclude_unset=True) == SAMPLE
    assert config.kinds() == {CodeKind.PUSH, CodeKind.PULL_REQUEST, CodeKind.DEPLOYMENT}


def test_nothing_chosen_follows_everything_everywhere() -> None:
    config = GitHubConfig(organization="apex-digital")
    assert (config.repositories, config.kinds()) == ([], frozenset(CodeKind))


@pytest.mark.parametrize(
    "change",
    [
        {"organization": ""},
        {"organization": "apex digital"},
        {"organization": "apex/payments"},
        {"repositories": ["apex-digital/payments-api"]},
        {"events": []},
        {"events": ["pushes"]},
        {"branch": "main"},
    ],
)
def test_a_configuration_with_a_mistake_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GitHubConfig(**{**SAMPLE, **change})


@pytest.mark.parametrize("id_", ["12345678", 12345678])
def test_an_installation_is_named_by_its_number(id_: object) -> None:
    assert InstallationCredentials.model_validate({"installation_id": id_}).installation_id == "12345678"


@pytest.mark.parametrize("id_", ["", "0", "-1", "abc", None])
def test_what_is_no_installations_number_is_refused(id_: object) -> None:
    with pytest.raises(ValidationError):
        InstallationCredentials.model_validate({"installation_id": id_})


def test_a_token_shows_as_stars() -> None:
    assert API_TOKEN not in repr(TokenCredentials(token=API_TOKEN))


# --- a token ------------------------------------------------------------------------------------------


def test_a_token_is_proven_by_one_call_that_names_the_organization(github: Bench) -> None:
    assert github.connector().check() == Account("9919", "apex-digital", ("repo", "admin:repo_hook"))
    assert github.called() == {"getUser": 1}


def test_a_token_that_may_not_see_repositories_is_told_so(github: Bench) -> None:
    type(github.sandbox).scopes, before = "read:org", type(github.sandbox).scopes
    try:
        assert github.connector().check().missing_scopes == ("repo",)
    finally:
        type(github.sandbox).scopes = before


def test_a_dead_token_and_an_unknown_organization_are_refused(github: Bench) -> None:
    with pytest.raises(AuthFailed):
        github.connector(TokenCredentials(token="ghp_wrong")).check()
    with pytest.raises(NotFound):
        github.connector(organization="nobody").check()


def test_the_token_is_in_no_error(github: Bench) -> None:
    transport = Scripted(answer(401, {"message": f"Bad credentials {API_TOKEN}"}))
    bench = Bench(github.sandbox, "https://api.github.com", transport, github.clock, github.post)
    with pytest.raises(AuthFailed, match=r"Bad credentials \*\*\*"):
        bench.connector().check()
    [sent] = transport.requests
    assert sent.headers["x-github-api-version"] == "2022-11-28"
    assert sent.headers["authorization"] == f"Bearer {API_TOKEN}"


def test_the_operator_can_point_it_at_an_enterprise_server(github: Bench) -> None:
    transport = Scripted(answer(200, {"id": 4, "login": "apex-digital"}))
    bench = Bench(github.sandbox, "https://github.corp/api/v3", transport, github.clock, github.post)
    bench.connector().check()
    assert str(transport.requests[0].url) == "https://github.corp/api/v3/users/apex-digital"


@pytest.mark.parametrize(
    ("headers", "message", "wait"),
    [
        ({"Retry-After": "77"}, "slow down", 77),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOON.timestamp()) + 300)}, "API rate limit", 300),
        ({}, "You have exceeded a secondary rate limit.", 60),
    ],
)
def test_githubs_limits_come_as_403_with_or_without_a_word(github: Bench, headers, message: str, wait: int) -> None:
    transport = Scripted(answer(403, {"message": message}, headers))
    bench = Bench(github.sandbox, "https://api.github.com", transport, ManualClock(NOON), github.post)
    with pytest.raises(RateLimited) as limited:
        bench.connector().check()
    assert limited.value.until == NOON + timedelta(seconds=wait)


def test_a_rate_limit_and_a_missing_permission_are_told_apart(github: Bench) -> None:
    github.sandbox.faults.add(FaultKind.RATE_LIMIT, operation="listPulls", retry_after=30)
    with pytest.raises(RateLimited):
        github.read()
    github.sandbox.github_app.change(permissions={"contents": "read"})
    with pytest.raises(Forbidden, match="needs actions=read"):
        github.read(github.installed())


def test_an_answer_of_another_shape_is_a_bad_payload(github: Bench) -> None:
    bench = Bench(github.sandbox, "https://x.test", Scripted(answer(200, {"id": []})), github.clock, github.post)
    with pytest.raises(BadPayload):
        bench.connector().check()


# --- the App ------------------------------------------------------------------------------------------


def test_an_installation_waits_until_the_app_is_set_up_without_a_call(github: Bench) -> None:
    credentials = InstallationCredentials(installation_id=str(INSTALLATION))
    with pytest.raises(ConsentPending, match="TURNBUCKLE_OAUTH_APPS__GITHUB__FIELDS__APP_ID"):
        github.connector(credentials).check()
    assert github.called() == {}


def test_an_installation_waits_until_github_knows_it(github: Bench) -> None:
    app = {"app_id": APP_ID, "private_key": key(github)}
    with pytest.raises(ConsentPending, match="no installation 999"):
        github.connector(OTHER, app).check()


def test_an_installation_is_proven_by_one_call_as_the_app(github: Bench) -> None:
    account = github.installed().check()
    assert (account.id, account.name) == ("9919", "apex-digital")
    assert account.learned == {"installation_id": str(INSTALLATION)}
    assert (account.missing_scopes, "contents:read" in account.scopes) == ((), True)
    assert github.called() == {"getInstallation": 1}


def test_permissions_that_are_lacking_for_what_is_followed_are_named(github: Bench) -> None:
    github.sandbox.github_app.change(permissions={"contents": "read", "metadata": "read"})
    connector = github.installed(events=["push", "pull_request", "workflow_run"])
    assert connector.check().missing_scopes == ("actions:read", "pull_requests:read")


def test_an_installation_elsewhere_is_not_the_organizations(github: Bench) -> None:
    with pytest.raises(Forbidden, match="is in apex-digital, and the integration is for other"):
        github.installed(organization="other").check()


def test_a_suspended_installation_is_refused_with_what_to_do(github: Bench) -> None:
    github.sandbox.suspend(github.ann)
    with pytest.raises(AuthFailed, match="unsuspend it"):
        github.installed().check()
    with pytest.raises(AuthFailed, match=r"suspended.*Unsuspend"):
        github.read(github.installed())
    github.sandbox.suspend(github.ann, suspended=False)
    assert github.read(github.installed())


def test_an_installation_that_is_gone_is_refused(github: Bench) -> None:
    github.sandbox.github_app.uninstall()
    with pytest.raises(AuthFailed, match="install it again"):
        github.read(github.installed())


@pytest.mark.parametrize("line_ends", ["\n", "\\n"])
def test_the_private_key_may_be_on_one_line(github: Bench, line_ends: str) -> None:
    app = {"app_id": APP_ID, "private_key": key(github).replace("\n", line_ends)}
    credentials = InstallationCredentials(installation_id=str(INSTALLATION))
    assert github.connector(credentials, app).check().name == "apex-digital"


def test_a_wrong_app_is_the_operators_to_mend(github: Bench) -> None:
    credentials = InstallationCredentials(installation_id=str(INSTALLATION))
    with pytest.raises(AuthFailed, match="Check the App's number and private key"):
        github.connector(credentials, {"app_id": "1", "private_key": key(github)}).check()
    with pytest.raises(Rejected, match="can't be read"):
        github.connector(credentials, {"app_id": APP_ID, "private_key": "no key"}).check()


def test_an_hours_token_is_made_once_and_again_before_it_ends(github: Bench) -> None:
    connector = github.installed(events=["release"])
    github.read(connector)
    github.clock.advance(54 * 60)
    github.read(connector)
    assert github.called()["mintToken"] == 1
    github.clock.advance(2 * 60)
    github.read(connector)
    assert github.called()["mintToken"] == 1


def test_the_app_signs_by_githubs_clock(github: Bench) -> None:
    late = github.clock.now() + timedelta(hours=3)
    installed = {"id": INSTALLATION, "account": {"login": "apex-digital", "id": 1}}
    transport = Scripted(answer(200, installed, {"Date": late.strftime("%a, %d %b %Y %H:%M:%S GMT")}))
    connector = Bench(github.sandbox, "https://x.test", transport, github.clock, github.post).installed()
    for _ in range(2):
        connector.check()
    token = transport.requests[1].headers["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    now = int(late.timestamp())
    assert claims == {"iss": APP_ID, "iat": now - 60, "exp": now + 540}


# --- repositories -------------------------------------------------------------------------------------


def test_all_repositories_are_listed_where_none_is_named(github: Bench) -> None:
    for number in range(120):
        github.sandbox.add_repo(f"more-{number}")
    assert len(names(github)) == len(names(github, github.installed())) == 122


def test_those_named_are_listed_and_one_that_is_not_there_is_left_out(github: Bench) -> None:
    config = {"repositories": ["Payments-API", "nothing"]}
    assert names(github, github.installed(**config)) == ["apex-digital/payments-api"]
    github.called()
    assert names(github, github.connector(repositories=["payments-api", "nothing"])) == ["apex-digital/payments-api"]
    assert github.called() == {"getRepo": 2}


def test_a_renamed_repository_is_the_same_and_found_by_its_old_name(github: Bench) -> None:
    before = github.repository()
    github.host.rename(github.ann, REPO, "payments")
    [[found]] = list(github.connector(repositories=[REPO]).repositories())
    assert (found.external_id, found.name) == (before.external_id, "apex-digital/payments")
    assert list(github.connector().code_events(before, None))


def test_what_the_app_was_not_let_into_is_not_there(github: Bench) -> None:
    github.sandbox.select(github.ann, "payments-worker")
    assert names(github, github.installed()) == ["apex-digital/payments-worker"]
    with pytest.raises(NotFound):
        list(github.installed().code_events(github.repository(), None))


def test_an_archived_repository_says_so(github: Bench) -> None:
    github.host.archive(github.ann, REPO)
    [[api, worker]] = list(github.connector().repositories())
    assert (api.archived, worker.archived) == (True, False)


def test_a_persons_repositories_are_those_they_own(github: Bench) -> None:
    github.sandbox.organization_is_a_person = True
    assert names(github) == ["apex-digital/payments-api", "apex-digital/payments-worker"]
    assert github.called() == {"listOrgRepos": 1, "listMyRepos": 1}
