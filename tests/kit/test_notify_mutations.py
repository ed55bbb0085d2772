"""Every rule about notifications can fail: for each there are Slack connectors wrong in one way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

import sync.diagnostics
from connectors.contract import (
    Account,
    AuthFailed,
    ButtonPressed,
    Forbidden,
    Ignored,
    MessageRef,
    NotFound,
    NotificationKind,
    RateLimited,
    Reach,
    Rejected,
    Transient,
    Verified,
    capabilities,
)
from connectors.http import Unlimited
from connectors.kit.report import Outcome
from connectors.kit.rule import Rule
from connectors.kit.rules import RULES
from connectors.slack import SlackConnector, blocks
from connectors.slack.client import SlackClient
from simulation.bench import trial_of
from tests.kit.missteps import Handle, call_as, insist, once_more

Patch = pytest.MonkeyPatch
BY_ID = {rule.id: rule for rule in RULES}
OURS = [rule for rule in RULES if rule.id.startswith("notify-")]


# --- what can be read ---------------------------------------------------------------------------------


def leave_out_the_facts(patch: Patch) -> None:
    """Title and text are enough."""
    _told_as(patch, lambda told: replace(told, facts=()))


def leave_out_the_link(patch: Patch) -> None:
    """Whoever wants to look knows where."""
    _told_as(patch, lambda told: replace(told, link=None))


def leave_out_the_id(patch: Patch) -> None:
    """It says nothing to people."""
    _blocks_as(patch, lambda made: [block for block in made if block["type"] != "context"])


def say_all_in_one_channel(patch: Patch) -> None:
    """The default one is everybody's."""
    real = SlackConnector.send
    patch.setattr(SlackConnector, "send", lambda self, told, _channel, under=None: real(self, told, "", under))


def say_it_twice_to_be_heard(patch: Patch) -> None:
    """A digest is easily missed."""
    real = SlackConnector.send

    def send(self: Any, told: Any, channel: str, under: Any = None) -> Any:
        if told.kind is NotificationKind.DIGEST:
            real(self, told, channel, under)
        return real(self, told, channel, under)

    patch.setattr(SlackConnector, "send", send)


def keep_quiet_about_tests(patch: Patch) -> None:
    """A test is no news."""
    real = SlackConnector.send

    def send(self: Any, told: Any, channel: str, under: Any = None) -> Any:
        is_test = told.kind is NotificationKind.TEST
        return MessageRef(channel, "1.1") if is_test else real(self, told, channel, under)

    patch.setattr(SlackConnector, "send", send)


def send_text_as_it_comes(patch: Patch) -> None:
    """Slack shows it as its author wrote it."""
    patch.setattr(blocks, "_plain", lambda text, most: {"type": "mrkdwn", "text": blocks.shortened(text, most)})
    patch.setattr(blocks, "_blocks", _without_header(blocks._blocks))


def escape_only_what_is_special(patch: Patch) -> None:
    """Of mrkdwn the three characters that Slack's page on escaping names."""
    real = blocks._blocks

    def made(*given: Any) -> Iterator[Any]:
        for block in real(*given):
            for part in (block.get("text"), *block.get("fields", [])):
                if part and part["type"] == "plain_text" and block["type"] != "header":
                    part.update(type="mrkdwn", text=blocks.shortened(blocks.escaped(part["text"]), 2000))
                    del part["emoji"]
            yield block

    patch.setattr(blocks, "_blocks", made)


def put_addresses_in_as_they_come(patch: Patch) -> None:
    """They are addresses."""
    patch.setattr(blocks, "_address", lambda url: url)


def leave_out_lines_with_marks(patch: Patch) -> None:
    """What could be taken for something is not said."""
    _told_as(patch, lambda told: replace(told, text="\n".join(x for x in told.text.split("\n") if x.isalnum())))


def cut_without_a_sign(patch: Patch) -> None:
    """What does not fit is not there."""
    patch.setattr(blocks, "shortened", lambda text, most: text[:most])


def leave_out_facts_without_a_sign(patch: Patch) -> None:
    """The first ones are the important ones."""
    patch.setattr(blocks, "_facts", lambda facts: iter([{"type": "section", "fields": [blocks._field(facts[0])]}]))


def cut_nothing(patch: Patch) -> None:
    """Nobody writes that much."""
    patch.setattr(blocks, "shortened", lambda text, most: text)


def keep_the_first_blocks(patch: Patch) -> None:
    """What comes last is left out when there is much."""
    _blocks_as(patch, lambda made: [*made[:4], made[-1]] if len(made) > 5 else made)


# --- once, in order, as part of what it belongs to ----------------------------------------------------


def bear_no_id_that_can_be_found(patch: Patch) -> None:
    """People can read it."""
    real = SlackConnector._body
    patch.setattr(SlackConnector, "_body", lambda self, *given: real(self, *given) | {"metadata": None})


def look_for_the_newest(patch: Patch) -> None:
    """What was said last is what we have said."""

    def find_sent(self: Any, _id: str, channel: str, since: Any, under: Any = None) -> Any:
        place = under.channel if under else self._config.channel(channel)
        for page in self._client.history(place, "0"):
            return MessageRef(place, page[0].ts)
        return None

    patch.setattr(SlackConnector, "find_sent", find_sent)


def try_again_what_was_cut(patch: Patch) -> None:
    """An answer that never came is asked for once more."""
    _call_as(patch, Transient, once_more)


def be_sure_that_nothing_was_said(patch: Patch) -> None:
    """Without an answer nothing was done."""

    def sure(_again: Any, error: Any) -> Any:
        raise Transient(error.text, maybe_done=False)

    _call_as(patch, Transient, sure)


def say_later_what_could_not_be_said(patch: Patch) -> None:
    """What fails is kept, and said after what comes next."""
    real, kept = SlackConnector.send, []

    def send(self: Any, told: Any, channel: str, under: Any = None) -> Any:
        try:
            ref = real(self, told, channel, under)
        except Transient:
            kept.append((told, channel, under))
            return MessageRef(self._config.channel(channel), "1.1")
        while kept:
            real(self, *kept.pop())
        return ref

    patch.setattr(SlackConnector, "send", send)


def change_by_saying_it_anew(patch: Patch) -> None:
    """What is new belongs at the end."""
    patch.setattr(SlackConnector, "update", lambda self, ref, told: SlackConnector.send(self, told, ref.channel))


def change_nothing(patch: Patch) -> None:
    """What was said was said."""
    patch.setattr(SlackConnector, "update", lambda self, ref, told: ref)


def change_only_what_phones_show(patch: Patch) -> None:
    """The text is new, the blocks are those of before."""
    real, said = SlackConnector.update, {}
    send = SlackConnector._body

    def body(self: Any, told: Any, channel: str) -> Any:
        made = send(self, told, channel)
        return made | {"blocks": said.setdefault(told.id, made["blocks"])}

    patch.setattr(SlackConnector, "_body", body)
    patch.setattr(SlackConnector, "update", real)


def put_nothing_under_anything(patch: Patch) -> None:
    """Threads are overlooked."""
    real = SlackConnector.send
    patch.setattr(SlackConnector, "send", lambda self, told, channel, under=None: real(self, told, channel))


def change_what_is_gone(patch: Patch) -> None:
    """A message that is not there needs no change."""
    real = SlackConnector.update

    def update(self: Any, ref: Any, told: Any) -> Any:
        try:
            return real(self, ref, told)
        except NotFound:
            return ref

    patch.setattr(SlackConnector, "update", update)


def claim_to_find(patch: Patch) -> None:
    """One could look; it is not written yet."""
    patch.setattr(SlackConnector, "find_sent", lambda *_given, **_more: None)


def look_at_one_page(patch: Patch) -> None:
    """Who looks for something looks for what was said just now."""
    real = SlackClient._pages
    patch.setattr(SlackClient, "_pages", lambda *given, **query: itertools.islice(real(*given, **query), 1))


def look_in_the_first_channel(patch: Patch) -> None:
    """The channel is the default one."""
    real = SlackConnector.find_sent

    def find_sent(self: Any, id_: str, _channel: str, since: Any, under: Any = None) -> Any:
        return real(self, id_, "", since, under)

    patch.setattr(SlackConnector, "find_sent", find_sent)


def look_for_answers_among_messages(patch: Patch) -> None:
    """What is in a thread is in the channel."""
    real = SlackConnector.find_sent
    patch.setattr(
        SlackConnector, "find_sent", lambda self, id_, channel, since, under=None: real(self, id_, channel, since)
    )


def fail_at_what_is_claimed(patch: Patch) -> None:
    """It will be written."""

    def find_sent(*_given: Any, **_more: Any) -> Any:
        raise Rejected("This is not written yet.")

    patch.setattr(SlackConnector, "find_sent", find_sent)


# --- trouble ------------------------------------------------------------------------------------------


def take_a_channels_limit_for_the_accounts(patch: Patch) -> None:
    """Too much is too much."""
    _made_so(patch, lambda connector: setattr(connector._client._http, "limit_scope", lambda _: "account"))


def take_the_accounts_limit_for_a_channels(patch: Patch) -> None:
    """Others may be luckier; and the budget that all workers share is not asked."""

    def so(connector: Any) -> None:
        connector._client._http.limit_scope = lambda _: "item"
        connector._client._http._budget = Unlimited()

    _made_so(patch, so)


def try_again_at_once(patch: Patch) -> None:
    """A rate limit is answered by another call."""
    _made_so(patch, lambda connector: setattr(connector._client._http, "_budget", Unlimited()))
    _call_as(patch, RateLimited, once_more)


def take_a_refusal_for_bad_weather(patch: Patch) -> None:
    """Dead credentials are said to be a passing trouble."""
    _call_as(patch, AuthFailed, _raising(lambda text: Transient(text, maybe_done=False)))


def take_a_refusal_for_a_closed_channel(patch: Patch) -> None:
    """Who is not known may not write there."""
    _call_as(patch, AuthFailed, _raising(Forbidden))


def ask_nobody(patch: Patch) -> None:
    """The check answers by itself."""
    patch.setattr(SlackConnector, "check", lambda self: Account("T0SANDBOX", "Acme"))


def hammer_a_vendor_that_is_down(patch: Patch) -> None:
    """Every call is tried nine times."""
    _call_as(patch, Transient, insist)


def give_up_when_the_vendor_is_down(patch: Patch) -> None:
    """What can't be said now is not said."""
    _call_as(patch, Transient, _raising(Rejected))


def take_a_closed_channel_for_dead_credentials(patch: Patch) -> None:
    """Nobody lets us write."""
    _call_as(patch, NotFound, _raising(AuthFailed))


def take_a_closed_channel_for_bad_weather(patch: Patch) -> None:
    """It may open again."""
    _call_as(patch, NotFound, _raising(lambda text: Transient(text, maybe_done=False)))


def take_a_closed_channel_for_a_bad_message(patch: Patch) -> None:
    """The next one may fit."""
    _call_as(patch, NotFound, _raising(Rejected))


def fail_without_words(patch: Patch) -> None:
    """A refusal says that it is one, and no more."""
    _call_as(patch, Rejected, lambda _again, _error: _raise(Rejected("no")))


def name_the_account_by_its_token(patch: Patch) -> None:
    """The token is in the account's name; and the engine, for once, does not take it out of the diagnostics."""
    real = SlackConnector.check

    def check(self: Any) -> Account:
        return replace(real(self), name=self._client._credentials.bot_token.get_secret_value())

    patch.setattr(SlackConnector, "check", check)
    patch.setattr(sync.diagnostics, "_secrets", lambda *_: [])


def log_the_token(patch: Patch) -> None:
    """What was sent is logged, to be helpful."""
    real = SlackClient.post

    def post(self: Any, message: Any) -> Any:
        structlog.get_logger().debug("calling", authorization=self._credentials.authorization())
        return real(self, message)

    patch.setattr(SlackClient, "post", post)


def see_who_we_are_before_each_message(patch: Patch) -> None:
    """One can't be too sure."""
    real = SlackClient.post
    patch.setattr(SlackClient, "post", lambda self, message: (self.identity(), real(self, message))[1])


# --- what is heard ------------------------------------------------------------------------------------


def believe_every_delivery(patch: Patch) -> None:
    """The signature is not looked at."""
    _verify_as(patch, lambda _real, _delivery, _secrets: Verified(None, "block_actions"))


def believe_a_body_that_was_altered(patch: Patch) -> None:
    """What looks like a signature is one."""

    def verify(real: Any, delivery: Any, secrets: Any) -> Any:
        fits = delivery.headers.get("x-slack-signature", "").startswith("v0=")
        fresh = delivery.headers.get("x-slack-request-timestamp", "").isdigit()
        return Verified(None, "block_actions") if fits and fresh else real(delivery, secrets)

    _verify_as(patch, verify)


def name_each_press_anew(patch: Patch) -> None:
    """A retry has another id than the first attempt, and its press another time."""
    made = itertools.count()
    _verify_as(patch, lambda real, delivery, secrets: replace(real(delivery, secrets), key=f"p{next(made)}"))


def take_every_press_for_the_first(patch: Patch) -> None:
    """When it was pressed does not matter."""
    _pressed_as(patch, lambda pressed: replace(pressed, at=datetime(2026, 1, 1, tzinfo=UTC)))
    name_each_press_anew(patch)


def tell_what_stands_on_the_button(patch: Patch) -> None:
    """Its label says what it is."""
    _pressed_as(patch, lambda pressed: replace(pressed, button=pressed.button.capitalize()))


def tell_of_no_message(patch: Patch) -> None:
    """The button's value says enough."""
    _pressed_as(patch, lambda pressed: replace(pressed, message=MessageRef("", "")))


def hear_no_presses(patch: Patch) -> None:
    """Nobody waits for them yet."""
    real = SlackConnector.parse

    def parse(delivery: Any, config: Any) -> list[Any]:
        return [
            Ignored("not_used", "a press") if isinstance(told, ButtonPressed) else told
            for told in real(delivery, config)
        ]

    patch.setattr(SlackConnector, "parse", staticmethod(parse))


EXECUTED: dict[Callable[[Patch], None], str] = {
    leave_out_the_facts: "notify-says-each-kind",
    leave_out_the_link: "notify-says-each-kind",
    leave_out_the_id: "notify-says-each-kind",
    say_all_in_one_channel: "notify-says-each-kind",
    say_it_twice_to_be_heard: "notify-says-each-kind",
    keep_quiet_about_tests: "notify-says-each-kind",
    send_text_as_it_comes: "notify-plain-text",
    escape_only_what_is_special: "notify-plain-text",
    put_addresses_in_as_they_come: "notify-plain-text",
    leave_out_lines_with_marks: "notify-plain-text",
    cut_without_a_sign: "notify-fits",
    leave_out_facts_without_a_sign: "notify-fits",
    cut_nothing: "notify-fits",
    keep_the_first_blocks: "notify-fits",
    bear_no_id_that_can_be_found: "notify-once",
    look_for_the_newest: "notify-once",
    be_sure_that_nothing_was_said: "notify-once",
    try_again_what_was_cut: "notify-once",
    say_later_what_could_not_be_said: "notify-order",
    change_by_saying_it_anew: "notify-in-place",
    change_nothing: "notify-in-place",
    change_only_what_phones_show: "notify-in-place",
    put_nothing_under_anything: "notify-in-place",
    change_what_is_gone: "notify-said-anew",
    claim_to_find: "notify-reach-honest",
    look_at_one_page: "notify-reach-honest",
    look_in_the_first_channel: "notify-reach-honest",
    look_for_answers_among_messages: "notify-reach-honest",
    fail_at_what_is_claimed: "capabilities-honest",
    take_a_channels_limit_for_the_accounts: "notify-rate-limit",
    take_the_accounts_limit_for_a_channels: "notify-rate-limit",
    try_again_at_once: "notify-rate-limit",
    take_a_refusal_for_bad_weather: "notify-auth-expired",
    take_a_refusal_for_a_closed_channel: "notify-auth-expired",
    ask_nobody: "notify-auth-expired",
    hammer_a_vendor_that_is_down: "notify-outage-told-once",
    give_up_when_the_vendor_is_down: "notify-outage-told-once",
    take_a_closed_channel_for_dead_credentials: "notify-channel-gone",
    take_a_closed_channel_for_bad_weather: "notify-channel-gone",
    take_a_closed_channel_for_a_bad_message: "notify-channel-gone",
    fail_without_words: "notify-repair-hints",
    name_the_account_by_its_token: "notify-diagnostics-redacted",
    log_the_token: "secrets-never-logged",
    see_who_we_are_before_each_message: "notify-call-budget",
    believe_every_delivery: "webhook-verified",
    believe_a_body_that_was_altered: "webhook-verified",
    name_each_press_anew: "notify-press-told-once",
    take_every_press_for_the_first: "notify-press-told-once",
    tell_what_stands_on_the_button: "notify-press-told-once",
    tell_of_no_message: "notify-press-told-once",
    hear_no_presses: "every-fixture-parses",
}
"""A wrong connector -> the rule that finds it."""


def _told_as(patch: Patch, change: Callable[[Any], Any]) -> None:
    real = blocks.message
    patch.setattr("connectors.slack.connector.message", lambda told, mention: real(change(told), mention))


def _blocks_as(patch: Patch, change: Callable[[list[Any]], list[Any]]) -> None:
    real = blocks._blocks
    patch.setattr(blocks, "_blocks", lambda *given: iter(change(list(real(*given)))))


def _without_header(real: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    def made(*given: Any) -> Iterator[Any]:
        for block in real(*given):
            yield block | {"type": "section"} if block["type"] == "header" else block

    return made


def _verify_as(patch: Patch, verify: Callable[[Any, Any, Any], Any]) -> None:
    real = SlackConnector.verify
    patch.setattr(SlackConnector, "verify", staticmethod(lambda delivery, secrets: verify(real, delivery, secrets)))


def _pressed_as(patch: Patch, change: Callable[[Any], Any]) -> None:
    real = SlackConnector.parse

    def parse(delivery: Any, config: Any) -> list[Any]:
        return [
            ButtonPressed(change(told.pressed)) if isinstance(told, ButtonPressed) else told
            for told in real(delivery, config)
        ]

    patch.setattr(SlackConnector, "parse", staticmethod(parse))


def _made_so(patch: Patch, also: Callable[[Any], Any]) -> None:
    real = SlackConnector.__init__

    def init(self: Any, context: Any) -> None:
        real(self, context)
        also(self)

    patch.setattr(SlackConnector, "__init__", init)


def _call_as(patch: Patch, kind: type[Exception], handle: Handle) -> None:
    call_as(patch, SlackClient, kind, handle)


def _raising(made: Callable[[str], Exception]) -> Callable[[Any, Any], Any]:
    return lambda _again, error: _raise(made(error.text))


def _raise(error: Exception) -> None:
    raise error


def outcome(rule: Rule) -> tuple[Outcome, list[str]]:
    [verdict] = trial_of(SlackConnector).verdicts([rule])
    return verdict.outcome, [finding.text for finding in verdict.findings]


@pytest.mark.parametrize("mutation", EXECUTED, ids=lambda mutation: mutation.__name__)
def test_a_wrong_connector_is_found(mutation: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mutation(monkeypatch)
    came, findings = outcome(replace(BY_ID[EXECUTED[mutation]], static=None))
    assert came is Outcome.FAILED
    assert not any("could not be finished" in text for text in findings), findings


def test_every_rule_about_notifications_has_been_seen_to_fail() -> None:
    assert {rule.id for rule in OURS} <= set(EXECUTED.values())
    assert not any(rule.lacks(capabilities(SlackConnector)) for rule in OURS)


def test_what_reach_does_not_claim_is_not_asked_for(monkeypatch: Patch) -> None:
    """One that can do nothing but say things is sound, too."""
    monkeypatch.setattr(SlackConnector, "reach", lambda self: Reach())
    fail_at_what_is_claimed(monkeypatch)
    for rule in (*OURS, BY_ID["capabilities-honest"]):
        assert outcome(rule) == (Outcome.PASSED, []), rule.id


def test_what_is_quiet_must_not_be_there_twice_where_nobody_can_look(monkeypatch: Patch) -> None:
    monkeypatch.setattr(SlackConnector, "reach", lambda self: Reach(edit=True, thread=True))
    assert outcome(BY_ID["notify-once"]) == (Outcome.PASSED, [])
    be_sure_that_nothing_was_said(monkeypatch)
    came, findings = outcome(BY_ID["notify-once"])
    assert came is Outcome.FAILED
    assert all("task.created" in text for text in findings)
