"""Webhooks of repositories, the App's own, and what GitHub could not hand over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import SecretStr

from connectors.contract import Forbidden, Missed, NotFound, Subscription
from sandbox.faults import FaultKind
from tests.connectors.github.conftest import REPO, SECRET, URL, Bench

KEY = SecretStr(SECRET)


def with_secret(made: Subscription) -> Subscription:
    """As the engine gives it back."""
    return Subscription(made.external_ids, made.expires_at, KEY)


def test_each_repository_gets_a_hook_that_sends_json_for_what_is_followed(github: Bench) -> None:
    made = github.connector(events=["push", "deployment"]).subscribe(URL, KEY)
    hooks = github.sandbox.hooks.live()
    assert made.external_ids == tuple(f"{hook.container}:{hook.id}" for hook in hooks)
    assert {hook.container for hook in hooks} == {str(id_) for id_ in github.sandbox.host.repos}
    for hook in hooks:
        assert hook.events == {"push", "deployment", "deployment_status", "repository"}
        assert (hook.secret, hook.extra["config"]["content_type"]) == (SECRET, "json")


def test_subscribing_again_sets_right_what_is_there(github: Bench) -> None:
    connector = github.connector()
    made = connector.subscribe(URL, KEY)
    hook = github.sandbox.hooks.live()[0]
    github.sandbox.hooks.change(hook.id, enabled=False, events=frozenset({"push"}))
    assert connector.subscribe(URL, SecretStr("new")) == made
    assert [(hook.secret, hook.enabled) for hook in github.sandbox.hooks.live()] == [("new", True), ("new", True)]


def test_a_repository_that_came_later_gets_its_hook_when_they_are_looked_after(github: Bench) -> None:
    connector = github.connector()
    made = connector.subscribe(URL, KEY)
    github.sandbox.add_repo("later")
    renewed = connector.renew(with_secret(made), URL)
    assert renewed is not None
    assert set(made.external_ids) < set(renewed.external_ids)
    assert [hook.secret for hook in github.sandbox.hooks.live()] == [SECRET] * 3
    assert connector.renew(with_secret(renewed), URL) == renewed


def test_a_repository_that_is_gone_or_archived_is_let_go(github: Bench) -> None:
    connector = github.connector()
    made = connector.subscribe(URL, KEY)
    github.host.archive(github.ann, "payments-worker")
    renewed = connector.renew(with_secret(made), URL)
    assert renewed is not None
    assert renewed.external_ids == made.external_ids[:1]


@pytest.mark.parametrize("harm", ["removed", "off", "changed"])
def test_a_hook_that_somebody_touched_is_lost(github: Bench, harm: str) -> None:
    connector = github.connector()
    made = connector.subscribe(URL, KEY)
    hook = github.sandbox.hooks.live()[0]
    if harm == "removed":
        github.sandbox.hooks.remove(hook.id)
    else:
        github.sandbox.hooks.change(hook.id, **({"enabled": False} if harm == "off" else {"events": frozenset()}))
    assert connector.renew(with_secret(made), URL) is None


def test_hooks_are_removed_once_and_what_is_gone_is_gone(github: Bench) -> None:
    connector = github.connector()
    made = connector.subscribe(URL, KEY)
    connector.unsubscribe(made)
    connector.unsubscribe(made)
    assert github.sandbox.hooks.live() == []


def test_a_token_that_may_not_manage_webhooks_says_what_it_needs(github: Bench) -> None:
    github.sandbox.faults.add(FaultKind.ERROR, operation="listHooks", status=404)
    with pytest.raises(Forbidden, match="admin:repo_hook"):
        github.connector().subscribe(URL, KEY)


def test_an_installation_registers_nothing_for_the_app_has_its_own(github: Bench) -> None:
    connector = github.installed()
    made = connector.subscribe(URL, KEY)
    assert made == Subscription(())
    assert connector.renew(made, URL) == made
    connector.unsubscribe(made)
    assert github.called() == {}


# --- what was missed ----------------------------------------------------------------------------------


def fail(github: Bench, *titles: str) -> None:
    """Pushes whose deliveries are refused."""
    github.post.status = 503
    for title in titles:
        github.host.push(github.ann, REPO, "main", title)
        github.sandbox.deliver()
        github.clock.advance(60)
    github.post.status = 202


def missed(github: Bench, installation: bool = True, **back: int) -> list[Missed]:
    connector = github.installed() if installation else github.connector()
    since = github.clock.now() - timedelta(**(back or {"hours": 1}))
    return [one for batch in connector.missed(since) for one in batch]


def guids(github: Bench) -> list[str]:
    found = [one.headers["x-github-delivery"] for one in github.post.got]
    github.post.got.clear()
    return found


@pytest.mark.parametrize("installation", [True, False])
def test_what_was_not_taken_is_found_oldest_first_and_sent_again(github: Bench, installation: bool) -> None:
    if installation:
        github.sandbox.app_hook(URL, SECRET)
    else:
        github.connector().subscribe(URL, KEY)
        github.sandbox.deliver()
        github.post.got.clear()
    fail(github, "One", "Two")
    refused = guids(github)
    github.host.push(github.ann, REPO, "main", "Three")
    github.sandbox.deliver()
    guids(github)
    found = missed(github, installation)
    assert [(one.key, one.event, one.delivery) for one in found] == [(guid, "push", None) for guid in refused]
    connector = github.installed() if installation else github.connector()
    for one in found:
        connector.redeliver(one)
    github.sandbox.deliver()
    assert guids(github) == refused
    assert missed(github, installation) == []


def test_what_never_arrived_is_in_the_log_as_well(github: Bench) -> None:
    github.sandbox.app_hook(URL, SECRET)
    github.sandbox.faults.add(FaultKind.WEBHOOK_DROP)
    github.host.push(github.ann, REPO, "main", "Lost")
    github.sandbox.deliver()
    assert (github.post.got, len(missed(github))) == ([], 1)


def test_the_log_is_read_no_further_than_asked(github: Bench) -> None:
    github.sandbox.app_hook(URL, SECRET)
    fail(github, *map(str, range(130)))
    github.called()
    assert len(missed(github, minutes=10)) == 10
    assert github.called() == {"listAppDeliveries": 1}
    assert len(missed(github, days=1)) == 130
    assert github.called() == {"listAppDeliveries": 2}


def test_the_failures_of_other_installations_are_not_ours(github: Bench) -> None:
    hook = github.sandbox.app_hook(URL, SECRET)
    fail(github, "Ours")
    github.sandbox.hooks.change(hook.id, extra={"installation": 777})
    assert missed(github) == []


def test_other_programs_hooks_are_not_looked_at(github: Bench) -> None:
    container = github.repository().external_id
    config = {"url": "https://ci.test/hook", "content_type": "json"}
    github.sandbox.hooks.register(config["url"], github.ann, container=container, extra={"config": config})
    fail(github, "Theirs")
    assert missed(github, installation=False) == []


def test_what_github_has_forgotten_is_not_found(github: Bench) -> None:
    github.sandbox.app_hook(URL, SECRET)
    with pytest.raises(NotFound):
        github.installed().redeliver(Missed("guid", "/app/hook/deliveries/999", "push"))
