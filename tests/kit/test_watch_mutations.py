"""Every rule about what watches can fail: for each there is a connector wrong in one way, and a rule that finds it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

import connectors.datadog.connector as datadog
import connectors.datadog.mapping as mapping
import connectors.datadog.timeseries as timeseries
import connectors.datadog.webhook as webhook
import connectors.sonarcloud.connector as sonarcloud
import connectors.sonarcloud.reading as reading
import connectors.sonarcloud.webhook as sonar_webhook
import sync.diagnostics
from connectors.contract import (
    Alert,
    AlertHeard,
    AlertState,
    AuthFailed,
    GateHeard,
    GateStatus,
    Ignored,
    Measured,
    MeasurePage,
    Point,
    RateLimited,
    Rejected,
    Severity,
    Transient,
    Verified,
    capabilities,
)
from connectors.datadog import DatadogConnector
from connectors.datadog.client import DatadogClient
from connectors.http import Unlimited
from connectors.kit.report import Outcome
from connectors.kit.rule import Rule
from connectors.kit.rules import RULES
from connectors.sonarcloud import SonarCloudConnector
from simulation.bench import trial_of
from simulation.datadogside import DatadogSide
from tests.kit.missteps import Handle, call_as, calm, insist, once_more, terse

Patch = pytest.MonkeyPatch
BY_ID = {rule.id: rule for rule in RULES}
WATCH = frozenset(rule.id for rule in RULES if rule.id.startswith("watch-"))


# --- wrong connectors: what is told ---------------------------------------------------------------------


def name_no_page(patch: Patch) -> None:
    """Deliveries lead nowhere."""
    _heard_as(patch, lambda alert: replace(alert, url=""))


def take_everything_for_as_bad(patch: Patch) -> None:
    """Polls tell of one severity."""
    _asked_as(patch, lambda alert: replace(alert, severity=Severity.CRITICAL))


def see_nothing_by_itself(patch: Patch) -> None:
    """What fires is left to the webhooks."""
    patch.setattr(DatadogConnector, "alerts", lambda self: iter(()))


def leave_the_unit_as_it_is_told(patch: Patch) -> None:
    """Percents are another word of the vendor's."""
    patch.setattr(timeseries, "unit_of", lambda told: ("%", 1.0))


def name_monitors_by_their_titles(patch: Patch) -> None:
    """What people call it is held to be its id."""

    def named(alert: Alert) -> Alert:
        return replace(alert, ref=replace(alert.ref, monitor=alert.title))

    _heard_as(patch, named)
    _asked_as(patch, named)


def tell_of_what_is_muted(patch: Patch) -> None:
    """Nobody asks whether anybody wants to know."""
    patch.setattr(mapping, "muted", lambda *_: False)


def end_what_is_muted(patch: Patch) -> None:
    """What nobody is to be told of is held to be over."""
    real = mapping.standing

    def standing(monitor: Any, scope: str, site: str, now: Any) -> Alert | None:
        told = real(monitor, scope, site, now)
        is_muted = told is not None and mapping.muted(monitor, scope, now)
        return replace(told, state=AlertState.OVER) if told is not None and is_muted else told

    patch.setattr(datadog, "standing", standing)


def ignore_recoveries(patch: Patch) -> None:
    """The end is left to the polls."""
    real = DatadogConnector.parse

    def parse(*given: Any) -> Sequence[Any]:
        told = real(*given)
        over = any(isinstance(one, AlertHeard) and one.alert.state is AlertState.OVER for one in told)
        return [Ignored("not_an_alert")] if over else told

    patch.setattr(DatadogConnector, "parse", staticmethod(parse))


def take_what_is_not_known_for_a_beginning(patch: Patch) -> None:
    """Whatever the vendor may come to say, something goes wrong."""
    patch.setattr(webhook, "STILL", (AlertState.FIRING, "Alert"))


def take_a_failure_for_a_verdict(patch: Patch) -> None:
    """An analysis that failed is held to say that the code does."""
    real = sonar_webhook.failure
    patch.setattr(
        sonar_webhook, "failure", lambda *given: replace(real(*given), analysis=True, status=GateStatus.FAILED)
    )


def believe_whatever_has_a_signature(patch: Patch) -> None:
    """The signature is not compared with the body."""
    real = SonarCloudConnector.verify

    def verify(delivery: Any, secrets: Any) -> Verified:
        return (
            Verified(None, "analysis") if "x-sonar-webhook-hmac-sha256" in delivery.headers else real(delivery, secrets)
        )

    patch.setattr(SonarCloudConnector, "verify", staticmethod(verify))


def name_each_delivery_anew(patch: Patch) -> None:
    """A retry has another id than the first attempt."""
    made, real = itertools.count(), DatadogConnector.verify

    def verify(*given: Any) -> Verified:
        return replace(real(*given), key=f"d{next(made)}")

    patch.setattr(DatadogConnector, "verify", staticmethod(verify))


def take_the_time_of_arrival(patch: Patch) -> None:
    """What is told happened when it came."""
    real = DatadogConnector.parse

    def parse(delivery: Any, config: Any) -> list[Any]:
        told = real(delivery, config)
        return [AlertHeard(replace(one.alert, at=delivery.received_at)) for one in told]

    patch.setattr(DatadogConnector, "parse", staticmethod(parse))


def take_the_time_of_looking(patch: Patch) -> None:
    """What a poll sees has just begun."""
    patch.setattr(mapping, "_at", lambda _seconds, now: now)


def leave_conditions_to_the_polls(patch: Patch) -> None:
    """A delivery says of a gate only how it stands."""
    real = SonarCloudConnector.parse

    def parse(*given: Any) -> list[Any]:
        told = real(*given)
        return [GateHeard(replace(one.gate, conditions=())) if isinstance(one, GateHeard) else one for one in told]

    patch.setattr(SonarCloudConnector, "parse", staticmethod(parse))


def see_only_analyses(patch: Patch) -> None:
    """A gate that moves without one stays as it was."""
    patch.setattr(reading, "_stands", lambda branch: None)


def take_each_time_for_another_monitor(patch: Patch) -> None:
    """What is wrong is named by its cycle."""
    _heard_as(patch, lambda alert: replace(alert, ref=replace(alert.ref, scope=f"cycle:{alert.cycle}")))


def tell_of_no_end(patch: Patch) -> None:
    """What fires no more is not spoken of."""
    patch.setattr(DatadogConnector, "fetch_alerts", lambda self, refs: {})


def know_nothing_of_what_is_gone(patch: Patch) -> None:
    """A monitor that was deleted is not there to be told of."""
    patch.setattr(datadog, "gone", lambda *_: None)


def end_with_the_first_that_is_gone(patch: Patch) -> None:
    """A project that is not there ends the reading."""

    def each(projects: Any, read: Any) -> Iterator[MeasurePage]:
        for key in projects:
            yield from read(key)

    patch.setattr(sonarcloud, "_each", each)


def pass_over_what_is_gone(patch: Patch) -> None:
    """A project that is not there is not missed."""
    real = sonarcloud._each

    def each(*given: Any) -> Iterator[MeasurePage]:
        try:
            yield from real(*given)
        except sonarcloud.NotFound:
            return

    patch.setattr(sonarcloud, "_each", each)


# --- wrong connectors: what is read ---------------------------------------------------------------------


def read_one_page_of_a_history(patch: Patch) -> None:
    """Nobody was analysed a thousand times."""
    real = reading.Reading._histories
    patch.setattr(reading.Reading, "_histories", lambda *given: itertools.islice(real(*given), 1))


def read_what_is_not_settled(patch: Patch) -> None:
    """The newest values are taken as they are."""
    patch.setattr(timeseries, "UNSETTLED", 0)
    patch.setattr(timeseries, "SHORTEST_WAIT", 0)


def take_no_value_for_zero(patch: Patch) -> None:
    """A hole in a series is a nought."""

    def filled(one: Measured) -> Measured:
        return replace(one, points=[Point(point.at, point.value or 0.0) for point in one.points])

    _pages_as(patch, lambda pages: (replace(page, measured=[filled(one) for one in page.measured]) for page in pages))


def give_the_last_cursor_first(patch: Patch) -> None:
    """Who carries on after the first page carries on at the end."""

    def pages(given: Iterator[MeasurePage]) -> Iterator[MeasurePage]:
        read = list(given)
        yield from (replace(page, cursor=read[-1].cursor) for page in read)

    _pages_as(patch, pages)


def see_gates_as_of_now(patch: Patch) -> None:
    """A gate is said to have come to stand so when it is read."""
    real = reading.gate
    now: list[Callable[[], Any]] = []
    made = reading.Reading.__init__

    def init(self: Any, *given: Any) -> None:
        made(self, *given)
        now[:] = [self._now]

    patch.setattr(reading.Reading, "__init__", init)
    patch.setattr(reading, "gate", lambda place, status, _at, *more: real(place, status, now[0](), *more))


def name_series_by_the_reading(patch: Patch) -> None:
    """Which reading it was is held to be a dimension."""
    made = itertools.count()

    def pages(given: Iterator[MeasurePage]) -> Iterator[MeasurePage]:
        mark = {"reading": str(next(made))}
        for page in given:
            told = [replace(one, series=replace(one.series, dimensions=mark)) for one in page.measured]
            yield replace(page, measured=told)

    _pages_as(patch, pages)


def leave_out_without_a_word(patch: Patch) -> None:
    """Who asks for too much gets less."""
    _pages_as(patch, lambda pages: (replace(page, cut=()) for page in pages))


def ask_for_each_monitor(patch: Patch) -> None:
    """The listing is not believed."""
    real = DatadogConnector.alerts

    def alerts(self: Any) -> Iterator[Sequence[Alert]]:
        for monitor in (one for page in self._client.monitors() for one in page):
            self._client.monitor(str(monitor.id))
        yield from real(self)

    patch.setattr(DatadogConnector, "alerts", alerts)


def measure_twice(patch: Patch) -> None:
    """To be certain."""
    real = SonarCloudConnector.measure
    patch.setattr(SonarCloudConnector, "measure", lambda *given: [*real(*given), *real(*given)])


# --- wrong connectors: trouble --------------------------------------------------------------------------


def try_again_at_once(patch: Patch) -> None:
    """A rate limit is answered by another call, past the budget that all workers share."""
    made = DatadogClient.__init__

    def init(self: Any, context: Any) -> None:
        made(self, context)
        context.http._budget = Unlimited()

    patch.setattr(DatadogClient, "__init__", init)
    _call_as(patch, RateLimited, once_more)


def take_a_refusal_for_bad_weather(patch: Patch) -> None:
    """Dead credentials are said to be a passing trouble."""
    _call_as(patch, AuthFailed, calm)


def hammer_a_vendor_that_is_down(patch: Patch) -> None:
    """Every call is tried nine times."""
    _call_as(patch, Transient, insist)


def name_the_account_by_its_key(patch: Patch) -> None:
    """The key is in the account's name; and the engine, for once, does not take it out of the diagnostics."""
    real = DatadogConnector.check
    patch.setattr(
        DatadogConnector, "check", lambda self: replace(real(self), name=self._keys.api_key.get_secret_value())
    )
    patch.setattr(sync.diagnostics, "_secrets", lambda *_: [])


def fail_without_words(patch: Patch) -> None:
    """A refusal says that it is one, and no more."""
    _call_as(patch, Rejected, terse)


def leave_the_hook_at_the_vendor(patch: Patch) -> None:
    """Nothing is taken down at the end."""
    patch.setattr(DatadogConnector, "unsubscribe", lambda self, subscription: None)


def believe_only_the_newest_secret(patch: Patch) -> None:
    """Deliveries under way while the secret changes are refused."""
    real = SonarCloudConnector.verify

    def verify(delivery: Any, secrets: Any) -> Verified:
        return real(delivery, {"signing": secrets["signing"][:1]})

    patch.setattr(SonarCloudConnector, "verify", staticmethod(verify))


Wrong = tuple[type, Callable[[Patch], None], str]
D, S = DatadogConnector, SonarCloudConnector

EXECUTED: Sequence[Wrong] = (
    (D, ignore_recoveries, "every-fixture-parses"),
    (D, take_what_is_not_known_for_a_beginning, "every-fixture-parses"),
    (S, take_a_failure_for_a_verdict, "every-fixture-parses"),
    (S, believe_whatever_has_a_signature, "webhook-verified"),
    (D, leave_the_hook_at_the_vendor, "clean-disconnect"),
    (S, believe_only_the_newest_secret, "secret-rotation"),
    (D, name_no_page, "watch-incident-opened"),
    (D, take_everything_for_as_bad, "watch-incident-opened"),
    (D, see_nothing_by_itself, "watch-incident-opened"),
    (D, leave_the_unit_as_it_is_told, "watch-series-kept"),
    (D, name_monitors_by_their_titles, "watch-stable-id"),
    (D, tell_of_what_is_muted, "watch-muted"),
    (D, end_what_is_muted, "watch-muted"),
    (D, name_each_delivery_anew, "watch-told-once"),
    (D, take_the_time_of_arrival, "watch-any-order"),
    (D, try_again_at_once, "watch-rate-limit"),
    (D, take_a_refusal_for_bad_weather, "watch-auth-expired"),
    (D, hammer_a_vendor_that_is_down, "watch-outage-told-once"),
    (D, see_nothing_by_itself, "watch-missed-hook-healed"),
    (D, tell_of_no_end, "watch-missed-hook-healed"),
    (S, see_only_analyses, "watch-missed-hook-healed"),
    (D, take_the_time_of_looking, "watch-ways-agree"),
    (S, leave_conditions_to_the_polls, "watch-ways-agree"),
    (D, take_each_time_for_another_monitor, "watch-flapping"),
    (D, tell_of_no_end, "watch-flapping"),
    (D, know_nothing_of_what_is_gone, "watch-monitor-gone"),
    (S, end_with_the_first_that_is_gone, "watch-subject-gone"),
    (S, pass_over_what_is_gone, "watch-subject-gone"),
    (D, name_the_account_by_its_key, "watch-diagnostics-redacted"),
    (D, fail_without_words, "watch-repair-hints"),
    (S, read_one_page_of_a_history, "watch-history-complete"),
    (D, read_what_is_not_settled, "watch-series-kept"),
    (D, take_no_value_for_zero, "watch-history-complete"),
    (D, give_the_last_cursor_first, "watch-reading-resumes"),
    (S, see_gates_as_of_now, "watch-reread-idempotent"),
    (D, name_series_by_the_reading, "watch-reread-idempotent"),
    (D, leave_out_without_a_word, "watch-cut-said"),
    (D, ask_for_each_monitor, "watch-call-budget"),
    (S, measure_twice, "watch-call-budget"),
)
"""A connector, what is made wrong of it, and the rule that finds it."""


def _heard_as(patch: Patch, change: Callable[[Alert], Alert]) -> None:
    real = DatadogConnector.parse

    def parse(*given: Any) -> list[Any]:
        return [AlertHeard(change(one.alert)) if isinstance(one, AlertHeard) else one for one in real(*given)]

    patch.setattr(DatadogConnector, "parse", staticmethod(parse))


def _asked_as(patch: Patch, change: Callable[[Alert], Alert]) -> None:
    real = DatadogConnector.alerts
    patch.setattr(DatadogConnector, "alerts", lambda self: ([*map(change, batch)] for batch in real(self)))


def _pages_as(patch: Patch, change: Callable[[Iterator[MeasurePage]], Iterator[MeasurePage]]) -> None:
    real = DatadogConnector.measures
    patch.setattr(DatadogConnector, "measures", lambda *given: change(real(*given)))


def _call_as(patch: Patch, kind: type[Exception], handle: Handle) -> None:
    call_as(patch, DatadogClient, kind, handle)


def outcome(connector: type, rule: Rule, side: Any = None) -> tuple[Outcome, list[str]]:
    [verdict] = trial_of(connector, side).verdicts([rule])
    return verdict.outcome, [finding.text for finding in verdict.findings]


@pytest.mark.parametrize(
    ("connector", "mutation", "rule"), EXECUTED, ids=lambda part: part if isinstance(part, str) else part.__name__
)
def test_a_wrong_connector_is_found(
    connector: type, mutation: Callable[[Patch], None], rule: str, monkeypatch: Patch
) -> None:
    mutation(monkeypatch)
    came, findings = outcome(connector, replace(BY_ID[rule], static=None))
    assert came is Outcome.FAILED
    assert not any("could not be finished" in text for text in findings), findings


def test_every_rule_about_what_watches_has_been_seen_to_fail() -> None:
    assert {rule for _, _, rule in EXECUTED} >= WATCH


def test_who_only_measures_is_not_asked_about_alerts_nor_the_other_way_round() -> None:
    asked: Mapping[str, list[str]] = {
        only: [rule.id for rule in RULES if rule.id in WATCH and not rule.lacks({only, "webhooks"})]
        for only in ("alert_source", "measure_source")
    }
    of_alerts = {"watch-incident-opened", "watch-stable-id", "watch-muted", "watch-flapping", "watch-monitor-gone"}
    of_measures = {"watch-series-kept", "watch-history-complete", "watch-subject-gone", "watch-cut-said"}
    assert WATCH - set(asked["measure_source"]) == of_alerts
    assert WATCH - set(asked["alert_source"]) == of_measures
    assert not [rule for rule in WATCH if not BY_ID[rule].lacks({"task_source", "code_source", "webhooks"})]


class PollingConnector(DatadogConnector):
    """It is told nothing, and has to ask."""

    manifest = replace(DatadogConnector.manifest, webhooks=None)
    verify = parse = handshake = subscribe = renew = unsubscribe = None  # type: ignore[assignment]  # it has none of them


class PollingSide(DatadogSide):
    connector_class = PollingConnector

    def config(self) -> dict[str, Any]:
        return {name: value for name, value in super().config().items() if name != "route"}


OTHERWISE = ("incident-opened", "told-once", "ways-agree", "missed-hook-healed", "diagnostics-redacted", "call-budget")
"""Rules that ask something else of who hears nothing."""


@pytest.mark.parametrize("rule", [f"watch-{name}" for name in OTHERWISE])
def test_who_is_told_nothing_is_judged_by_what_it_asks(rule: str) -> None:
    assert "webhooks" not in capabilities(PollingConnector)
    came, findings = outcome(PollingConnector, BY_ID[rule], PollingSide)
    assert findings == []
    assert came is (Outcome.NOT_APPLICABLE if "webhooks" in BY_ID[rule].needs else Outcome.PASSED)
