"""Every rule about code can fail: for each there is a Forge connector wrong in one way, and the rule that finds it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

import sync.diagnostics
import tests.kit.forge.connector as forge
from connectors.contract import (
    FINAL,
    Account,
    AuthFailed,
    CodeEvent,
    CodeHeard,
    CodePage,
    Committed,
    DeploymentMoved,
    NotFound,
    PipelineRan,
    Pushed,
    RateLimited,
    Rejected,
    Released,
    Reviewed,
    Transient,
    Verified,
    capabilities,
)
from connectors.http import Unlimited
from connectors.kit.report import Outcome
from connectors.kit.rule import Rule
from connectors.kit.rules import RULES
from connectors.kit.rules.codetrouble import READING
from simulation.bench import trial_of
from tests.kit.forge import ForgeConnector
from tests.kit.forge.side import ForgeSide
from tests.kit.missteps import Handle, call_as, calm, insist, once_more, terse

Patch = pytest.MonkeyPatch
BY_ID = {rule.id: rule for rule in RULES}
ABOUT_CODE = [rule for rule in RULES if rule.executed and not rule.lacks(capabilities(ForgeConnector))]


# --- wrong connectors ---------------------------------------------------------------------------------


def believe_any_credentials(patch: Patch) -> None:
    """The check asks nobody."""
    patch.setattr(ForgeConnector, "check", lambda self: Account("U4", "Robot"))


def answer_another_account_every_time(patch: Patch) -> None:
    """The account's id is made up."""
    made, real = itertools.count(), ForgeConnector.check
    patch.setattr(ForgeConnector, "check", lambda self: replace(real(self), id=f"acc-{next(made)}"))


def believe_every_delivery(patch: Patch) -> None:
    """The signature is not looked at."""
    _verify_as(patch, lambda delivery, _: Verified(delivery.headers.get("x-forge-id"), "opened"))


def take_every_event_for_news(patch: Patch) -> None:
    """Events that are not known are not ignored."""
    real = ForgeConnector.parse
    heard = CodeHeard(CodeEvent("1", datetime(2026, 4, 1, tzinfo=UTC), Released("1", "v1", "", "")))
    patch.setattr(ForgeConnector, "parse", staticmethod(lambda *given: [*real(*given), heard][-1:]))


def call_while_being_made(patch: Patch) -> None:
    """The constructor asks the vendor something."""
    _made_so(patch, lambda connector: connector.check())


def log_the_token(patch: Patch) -> None:
    """What was sent is logged, to be helpful."""
    _made_so(patch, lambda connector: structlog.get_logger().debug("calling", headers=connector._headers))


def name_each_delivery_anew(patch: Patch) -> None:
    """A retry has another id than the first attempt."""
    made, real = itertools.count(), ForgeConnector.verify
    _verify_as(patch, lambda delivery, secrets: replace(real(delivery, secrets), key=f"d{next(made)}"))


def leave_the_hook_at_the_vendor(patch: Patch) -> None:
    """Nothing is taken down at the end."""
    patch.setattr(ForgeConnector, "unsubscribe", lambda self, subscription: None)


def believe_only_the_newest_secret(patch: Patch) -> None:
    """Deliveries under way while the secret changes are refused."""
    real = ForgeConnector.verify
    _verify_as(patch, lambda delivery, secrets: real(delivery, {"signing": secrets["signing"][:1]}))


def promise_to_renew(patch: Patch) -> None:
    """A webhook can be looked after, it is said, and cannot."""

    def renew(self: Any, subscription: Any, url: str) -> Any:
        raise Rejected("This is not written yet.")

    patch.setattr(ForgeConnector, "renew", renew)


def take_the_name_for_the_id(patch: Patch) -> None:
    """What people call the repository is held to be its id."""
    real, feed = ForgeConnector.repositories, ForgeConnector.code_events
    ids: dict[str, str] = {}

    def repositories(self: Any) -> Any:
        for batch in real(self):
            ids.update({one.name: one.external_id for one in batch})
            yield [replace(one, external_id=one.name) for one in batch]

    def code_events(self: Any, repository: Any, cursor: Any) -> Any:
        for page in feed(self, replace(repository, external_id=ids[repository.name]), cursor):
            yield replace(page, events=[replace(event, repository=repository.name) for event in page.events])

    patch.setattr(ForgeConnector, "repositories", repositories)
    patch.setattr(ForgeConnector, "code_events", code_events)


def follow_everything(patch: Patch) -> None:
    """What the config leaves out is told all the same."""
    patch.setattr(forge.ForgeConfig, "kinds", lambda self: frozenset(forge.c.CodeKind))


def read_two_pages(patch: Patch) -> None:
    """Nobody has a longer history than that."""
    _pages_as(patch, lambda pages: itertools.islice(pages, 2))


def leave_out_releases(patch: Patch) -> None:
    """The feed tells more than is read."""
    _events_as(patch, lambda event: None if isinstance(event.what, Released) else event)


def leave_reviews_to_the_webhooks(patch: Patch) -> None:
    """They are heard, and not read."""
    _events_as(patch, lambda event: None if isinstance(event.what, Reviewed) else event, listed_only=True)


def tell_more_when_it_is_read(patch: Patch) -> None:
    """A run has another address in the feed than in a delivery."""

    def told(event: CodeEvent) -> CodeEvent:
        is_run = isinstance(event.what, PipelineRan)
        return replace(event, what=replace(event.what, url=f"{event.what.url}/log")) if is_run else event

    _events_as(patch, told, listed_only=True)


def number_reviews_as_they_are_heard(patch: Patch) -> None:
    """A review's id is how many were heard before."""
    made = itertools.count()

    def told(event: CodeEvent) -> CodeEvent:
        return replace(event, what=replace(event.what, id=str(next(made)))) if _is(event, Reviewed) else event

    _events_as(patch, told)


def list_nothing_after_the_first_time(patch: Patch) -> None:
    """Once there is a cursor, nothing seems to have happened."""
    real = ForgeConnector.code_events
    patch.setattr(
        ForgeConnector,
        "code_events",
        lambda self, repository, cursor: iter(()) if cursor else real(self, repository, cursor),
    )


def begin_with_now(patch: Patch) -> None:
    """What happened before we came is no affair of ours."""
    real = ForgeConnector.code_events

    def code_events(self: Any, repository: Any, cursor: Any) -> Any:
        return real(self, repository, cursor or {"since": self._http.vendor_now().isoformat()})

    patch.setattr(ForgeConnector, "code_events", code_events)


def give_the_last_cursor_first(patch: Patch) -> None:
    """Who carries on after the first page carries on at the end."""

    def pages(given: Iterator[CodePage]) -> Iterator[CodePage]:
        read = list(given)
        yield from (replace(page, cursor=read[-1].cursor) for page in read)

    _pages_as(patch, pages)


def number_again(patch: Patch) -> None:
    """A release's id is how many were read before."""
    made = itertools.count()

    def told(event: CodeEvent) -> CodeEvent:
        return replace(event, what=replace(event.what, id=str(next(made)))) if _is(event, Released) else event

    _events_as(patch, told, listed_only=True)


def call_past_the_budget(patch: Patch) -> None:
    """The budget that all workers share is not asked."""
    _made_so(patch, lambda connector: setattr(connector._http, "_budget", Unlimited()))


def try_again_at_once(patch: Patch) -> None:
    """A rate limit is answered by another call."""
    call_past_the_budget(patch)
    _call_as(patch, RateLimited, once_more)


def take_a_refusal_for_bad_weather(patch: Patch) -> None:
    """Dead credentials are said to be a passing trouble."""
    _call_as(patch, AuthFailed, calm)


def hammer_a_vendor_that_is_down(patch: Patch) -> None:
    """Every call is tried nine times."""
    _call_as(patch, Transient, insist)


def fail_with_the_first_repository_that_is_gone(patch: Patch) -> None:
    """One that is named and not there ends the listing."""
    real = ForgeConnector.repositories

    def repositories(self: Any) -> Any:
        for batch in real(self):
            if len(batch) < len(self._config.repositories):
                raise NotFound("A repository of the config is not there.")
            yield batch

    patch.setattr(ForgeConnector, "repositories", repositories)


def remember_repositories(patch: Patch) -> None:
    """Once seen they are listed for ever, as they were; one that can't be read has no news."""
    real, feed = ForgeConnector.repositories, ForgeConnector.code_events
    seen: dict[str, Any] = {}

    def repositories(self: Any) -> Any:
        for batch in real(self):
            for one in batch:
                seen.setdefault(one.external_id, replace(one, archived=False))
        yield list(seen.values())

    def code_events(self: Any, repository: Any, cursor: Any) -> Any:
        try:
            yield from feed(self, repository, cursor)
        except NotFound:
            return

    patch.setattr(ForgeConnector, "repositories", repositories)
    patch.setattr(ForgeConnector, "code_events", code_events)


def name_the_account_by_its_token(patch: Patch) -> None:
    """The token is in the account's name; and the engine, for once, does not take it out of the diagnostics."""
    real = ForgeConnector.check
    patch.setattr(ForgeConnector, "check", lambda self: replace(real(self), name=self._headers["Authorization"][7:]))
    patch.setattr(sync.diagnostics, "_secrets", lambda *_: [])


def fail_without_words(patch: Patch) -> None:
    """A refusal says that it is one, and no more."""
    _call_as(patch, Rejected, terse)


def ask_for_each_change_by_itself(patch: Patch) -> None:
    """What could be asked for in one call takes one for each."""
    real = ForgeConnector.fetch_code
    patch.setattr(ForgeConnector, "fetch_code", lambda self, refs: [e for ref in refs for e in real(self, [ref])])


EXECUTED: dict[Callable[[Patch], None], str] = {
    believe_any_credentials: "test-connection-before-activate",
    answer_another_account_every_time: "unique-integration",
    believe_every_delivery: "webhook-verified",
    take_every_event_for_news: "every-fixture-parses",
    call_while_being_made: "no-network-in-request",
    log_the_token: "secrets-never-logged",
    leave_the_hook_at_the_vendor: "clean-disconnect",
    believe_only_the_newest_secret: "secret-rotation",
    promise_to_renew: "capabilities-honest",
    take_the_name_for_the_id: "code-stable-id",
    follow_everything: "code-kinds-followed",
    leave_out_releases: "code-history-complete",
    read_two_pages: "code-pagination-complete",
    leave_reviews_to_the_webhooks: "code-one-history",
    tell_more_when_it_is_read: "code-ways-agree",
    name_each_delivery_anew: "code-told-once",
    number_reviews_as_they_are_heard: "code-any-order",
    list_nothing_after_the_first_time: "code-missed-hook-healed",
    begin_with_now: "code-repository-added",
    give_the_last_cursor_first: "code-backfill-resumes",
    number_again: "code-resync-idempotent",
    call_past_the_budget: "code-rate-limit",
    try_again_at_once: "code-rate-limit",
    take_a_refusal_for_bad_weather: "code-auth-expired",
    hammer_a_vendor_that_is_down: "code-outage-told-once",
    fail_with_the_first_repository_that_is_gone: "code-fails-alone",
    remember_repositories: "code-repository-ends-seen",
    name_the_account_by_its_token: "code-diagnostics-redacted",
    fail_without_words: "code-repair-hints",
    ask_for_each_change_by_itself: "code-call-budget",
}
"""A wrong connector -> the rule that finds it."""


def _is(event: CodeEvent, kind: type) -> bool:
    return isinstance(event.what, kind)


def _verify_as(patch: Patch, verify: Callable[[Any, Any], Any]) -> None:
    patch.setattr(ForgeConnector, "verify", staticmethod(verify))


def _made_so(patch: Patch, also: Callable[[Any], Any]) -> None:
    real = ForgeConnector.__init__

    def init(self: Any, context: Any) -> None:
        real(self, context)
        also(self)

    patch.setattr(ForgeConnector, "__init__", init)


def _pages_as(patch: Patch, change: Callable[[Iterator[CodePage]], Iterator[CodePage]]) -> None:
    real = ForgeConnector.code_events
    patch.setattr(ForgeConnector, "code_events", lambda *given: change(real(*given)))


def _events_as(patch: Patch, change: Callable[[CodeEvent], CodeEvent | None], *, listed_only: bool = False) -> None:
    """Every event is told otherwise, or not at all."""

    def changed(events: Any) -> list[CodeEvent]:
        return [told for event in events if (told := change(event)) is not None]

    _pages_as(patch, lambda pages: (replace(page, events=changed(page.events)) for page in pages))
    if not listed_only:
        real = ForgeConnector.parse

        def parse(delivery: Any, config: Any) -> list[Any]:
            told = real(delivery, config)
            others = [signal for signal in told if not isinstance(signal, CodeHeard)]
            return [*others, *map(CodeHeard, changed(s.event for s in told if isinstance(s, CodeHeard)))]

        patch.setattr(ForgeConnector, "parse", staticmethod(parse))


def _call_as(patch: Patch, kind: type[Exception], handle: Handle) -> None:
    call_as(patch, ForgeConnector, kind, handle)


def outcome(rule: Rule) -> tuple[Outcome, list[str]]:
    [verdict] = trial_of(ForgeConnector, ForgeSide).verdicts([rule])
    return verdict.outcome, [finding.text for finding in verdict.findings]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_forge_is_a_sound_connector(rule: Rule) -> None:
    came, findings = outcome(rule)
    assert findings == []
    assert came in (Outcome.PASSED, Outcome.NOT_APPLICABLE, Outcome.HUMAN)


@pytest.mark.parametrize("mutation", EXECUTED, ids=lambda mutation: mutation.__name__)
def test_a_wrong_connector_is_found(mutation: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mutation(monkeypatch)
    came, findings = outcome(replace(BY_ID[EXECUTED[mutation]], static=None))
    assert came is Outcome.FAILED
    assert not any("could not be finished" in text for text in findings), findings


def test_every_rule_about_code_that_a_machine_checks_has_been_seen_to_fail() -> None:
    assert set(EXECUTED.values()) == {rule.id for rule in ABOUT_CODE}


def test_what_is_measured_can_not_be_declared_as_told_live_only(monkeypatch: Patch) -> None:
    leave_reviews_to_the_webhooks(monkeypatch)
    monkeypatch.setattr(ForgeSide, "only_live", frozenset({Reviewed.type}))
    for rule in ("code-ways-agree", "code-one-history"):
        assert outcome(BY_ID[rule])[0] is Outcome.FAILED


def hear_of_pushes_only(patch: Patch) -> None:
    """Pushes are told when they are heard of, and listed nowhere."""
    real = ForgeConnector.parse

    def parse(delivery: Any, config: Any) -> list[Any]:
        told = real(delivery, config)
        commits = [s.event for s in told if isinstance(s, CodeHeard) and isinstance(s.event.what, Committed)]
        pushes = (replace(e, what=Pushed("refs/heads/main", None, e.what.sha, e.what.author, False)) for e in commits)
        return [*told, *map(CodeHeard, pushes)]

    patch.setattr(ForgeConnector, "parse", staticmethod(parse))


def test_a_vendor_that_lists_no_pushes_says_so(monkeypatch: Patch) -> None:
    hear_of_pushes_only(monkeypatch)
    assert outcome(BY_ID["code-ways-agree"])[0] is Outcome.FAILED
    monkeypatch.setattr(ForgeSide, "only_live", frozenset({Pushed.type}))
    for rule in ("code-ways-agree", "code-one-history", "code-told-once", "code-any-order"):
        assert outcome(BY_ID[rule]) == (Outcome.PASSED, [])


def leave_running_to_the_webhooks(patch: Patch) -> None:
    """A poll does not tell that a run is under way."""
    _events_as(patch, lambda event: None if _is_passing(event) else event, listed_only=True)


def tell_another_time_of_running(patch: Patch) -> None:
    """A poll tells that a run is under way, at another time than a delivery does."""

    def later(event: CodeEvent) -> CodeEvent:
        return replace(event, at=event.at + timedelta(seconds=1)) if _is_passing(event) else event

    _events_as(patch, later, listed_only=True)


def _is_passing(event: CodeEvent) -> bool:
    return isinstance(event.what, PipelineRan | DeploymentMoved) and event.what.state not in FINAL


def test_a_state_that_passes_is_told_alike_or_by_some_ways_only(monkeypatch: Patch) -> None:
    with monkeypatch.context() as patch:
        leave_running_to_the_webhooks(patch)
        for rule in ("code-ways-agree", "code-one-history", "code-told-once", "code-any-order"):
            assert outcome(BY_ID[rule]) == (Outcome.PASSED, [])
    tell_another_time_of_running(monkeypatch)
    assert outcome(BY_ID["code-ways-agree"])[0] is Outcome.FAILED


def test_what_arises_for_a_reading_is_one_thing_at_a_time() -> None:
    """Who has few calls in an hour still has enough for an outage's work."""
    trial = trial_of(ForgeConnector, ForgeSide)
    assert trial.open_bench is not None
    with trial.open_bench() as bench:
        bench.begin()
        home = bench.code.repositories()[0].id
        before = bench.code.happened_in(home)
        for number in range(4):
            READING.arises(bench, number)
        arisen = bench.code.happened_in(home) - before
    assert arisen["code.pull_request_opened"] == 2
    assert sum(count for what, count in arisen.items() if what.startswith("code.pull_request_merged")) == 2
