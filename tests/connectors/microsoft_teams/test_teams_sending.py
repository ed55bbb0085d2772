"""Said by flows, which tell nothing of it, and by a bot, which changes and answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from connectors.contract import (
    AuthFailed,
    Button,
    ConnectorError,
    Forbidden,
    MessageRef,
    NotFound,
    Notifier,
    RateLimited,
    Reach,
    Rejected,
    Transient,
)
from connectors.microsoft_teams import TeamsConnector
from connectors.microsoft_teams.client import secret_parts
from sandbox.clock import ManualClock
from sandbox.microsoft_teams.sandbox import APP_ID, APP_PASSWORD, CHAT, TENANT
from tests.connectors.microsoft_teams.conftest import AT, DELIVERY, INCIDENTS, Bench, notification


def advance(teams: Bench, seconds: float) -> None:
    assert isinstance(teams.clock, ManualClock)
    teams.clock.advance(seconds)


# --- flows ----------------------------------------------------------------------------------------------


def test_flows_can_only_say_things(teams: Bench) -> None:
    connector = teams.flows()
    assert isinstance(connector, Notifier)
    assert connector.reach() == Reach()
    with pytest.raises(NotFound, match="can't be changed"):
        connector.update(MessageRef("default", "NTF-26-000001"), notification())
    assert connector.find_sent("NTF-26-000001", "", AT) is None


@pytest.mark.parametrize(
    ("named", "config", "name", "there"),
    [
        ("", {}, "default", DELIVERY),
        ("default", {}, "default", DELIVERY),
        ("incidents", {}, "incidents", INCIDENTS),
        ("", {"default_channel": "incidents"}, "incidents", INCIDENTS),
    ],
)
def test_a_channel_is_the_flow_that_posts_in_it(
    teams: Bench, named: str, config: dict[str, str], name: str, there: str
) -> None:
    ref = teams.flows(**config).send(notification(), named)
    assert ref == MessageRef(name, "NTF-26-000001"), "the vendor gives no id"
    assert teams.said(there) == ["🟠 Payments are slow 1"]


def test_what_a_flow_takes_it_posts(teams: Bench) -> None:
    connector = teams.flows()
    connector.send(notification(text="*" * 20_000, buttons=[Button("a", "A", "v")] * 9), "")
    assert [run.failed for run in teams.sandbox.flow("delivery").runs] == [None]


def test_a_flow_that_fails_afterwards_is_accepted_all_the_same(teams: Bench) -> None:
    teams.sandbox.change_settings({"flows_fail": True})
    assert teams.flows().send(notification(), "").id == "NTF-26-000001"
    assert teams.said() == []


def test_the_account_of_flows_is_one_of_the_url_that_does_not_tell_it_and_costs_no_call(teams: Bench) -> None:
    account = teams.flows().check()
    assert (account.id[:5], account.name, account.learned) == ("flow:", "Flows for default, incidents", {})
    assert teams.sandbox.flow("delivery").id not in account.id
    teams.act("sign_anew", flow="delivery")
    assert teams.flows().check().id == account.id, "a new signature is the same flow"
    assert teams.sandbox.calls.counts() == {}


def test_a_channel_without_a_flow_is_not_found_and_a_host_that_is_not_allowed_is_told_nothing(teams: Bench) -> None:
    with pytest.raises(NotFound, match=r"there are default, incidents\. Add its URL"):
        teams.flows().send(notification(), "elsewhere")
    with pytest.raises(NotFound, match="No flow posts in elsewhere"):
        teams.flows(default_channel="elsewhere").check()
    for do in (lambda c: c.check(), lambda c: c.send(notification(), "")):
        with pytest.raises(Rejected, match="it must begin with https"):
            do(teams.flows(hosts=[]))
    assert teams.sandbox.calls.counts() == {}


@pytest.mark.parametrize(
    ("action", "kind", "advice"),
    [
        ("turn_off", NotFound, "Turn it on"),
        ("delete_flow", NotFound, "create a new one"),
        ("sign_anew", Forbidden, "Copy"),
    ],
)
def test_a_flow_that_can_not_be_started_says_what_an_operator_can_do(
    teams: Bench, action: str, kind: type[ConnectorError], advice: str
) -> None:
    connector = teams.flows()
    teams.act(action, flow="delivery")
    with pytest.raises(kind, match=advice):
        connector.send(notification(), "")
    connector.send(notification(2), "incidents")


@pytest.mark.parametrize(
    ("status", "kind", "maybe_done"),
    [
        (403, Forbidden, None),
        (400, Rejected, None),
        (500, Transient, True),
        (502, Transient, True),
        (504, Transient, True),
    ],
)
def test_what_a_flow_answers_is_an_error_of_its_kind(
    teams: Bench, status: int, kind: type[ConnectorError], maybe_done: bool | None
) -> None:
    teams.sandbox.faults.add("error", operation="flow.*", status=status)
    with pytest.raises(kind) as failed:
        teams.flows().send(notification(), "")
    assert getattr(failed.value, "maybe_done", None) is maybe_done


def test_a_flow_that_is_limited_waits_alone_and_as_long_as_it_was_told(teams: Bench) -> None:
    connector = teams.flows()
    teams.sandbox.faults.add("rate_limit", operation="flow.*", retry_after=30)
    with pytest.raises(RateLimited) as limited:
        connector.send(notification(), "")
    assert (limited.value.scope, limited.value.until) == ("item", AT + timedelta(seconds=30))
    connector.send(notification(2), "incidents")


def test_three_messages_at_once_and_one_a_second_is_what_a_flow_is_given(teams: Bench) -> None:
    connector = teams.flows()
    for number in range(3):
        connector.send(notification(number), "")
    with pytest.raises(RateLimited) as limited:
        connector.send(notification(4), "")
    assert (limited.value.scope, limited.value.until) == ("item", AT + timedelta(seconds=3))
    connector.send(notification(5), "incidents")
    advance(teams, 3)
    connector.send(notification(6), "")
    assert teams.sandbox.calls.counts() == {"flow.workflows": 4, "flow.direct": 1}


def test_an_answer_that_is_lost_leaves_it_open_whether_it_was_posted(teams: Bench) -> None:
    teams.sandbox.faults.add("cut", operation="flow.*", when="after")
    with pytest.raises(Transient) as lost:
        teams.flows().send(notification(), "")
    assert lost.value.maybe_done
    assert len(teams.said()) == 1, "nothing is tried again inside"


def answered(status: int) -> Callable[[Bench], object]:
    return lambda teams: teams.sandbox.faults.add("error", operation="flow.*", status=status)


FAILURES: list[Callable[[Bench], object]] = [
    lambda teams: teams.act("sign_anew", flow="delivery"),
    lambda teams: teams.act("delete_flow", flow="delivery"),
    *map(answered, (302, 400, 403, 409, 412, 413, 502)),
    lambda teams: teams.sandbox.faults.add("rate_limit", operation="flow.*"),
    lambda teams: teams.sandbox.faults.add("cut", operation="flow.*"),
]


@pytest.mark.parametrize("failure", FAILURES)
def test_nothing_that_starts_a_flow_shows_in_an_error_or_a_log(
    teams: Bench, failure: Callable[[Bench], object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connector, secret = teams.flows(), secret_parts(teams.sandbox.flow_url("delivery"))
    failure(teams)
    with capture_logs() as logs, pytest.raises(ConnectorError) as failed:
        connector.send(notification(), "")
    shown = f"{failed.value.text} {logs} {caplog.text} {connector!r}"
    assert [part for part in secret if part in shown] == []


def test_what_the_secret_of_a_url_is() -> None:
    parts = secret_parts("https://a.logic.azure.com:443/workflows/0123456789abcdef/triggers/manual?sp=x&sig=ab%2Bc")
    assert parts[1:] == ["/workflows/0123456789abcdef/triggers/manual", "sp=x&sig=ab%2Bc", "0123456789abcdef", "ab+c"]


# --- the bot --------------------------------------------------------------------------------------------


def test_a_bot_can_change_and_answer_but_not_look(teams: Bench) -> None:
    assert teams.bot().reach() == Reach(edit=True, thread=True)
    assert teams.bot().find_sent("NTF-26-000001", "", AT) is None


def test_a_bots_message_is_changed_in_place_and_answered_in_its_thread(teams: Bench) -> None:
    connector = teams.bot()
    root = connector.send(notification(), "")
    answer = connector.send(notification(2, title="Acknowledged"), "", under=root)
    assert connector.update(root, notification(title="Over", over=True, buttons=[])) == root
    first, second = teams.sandbox.said(DELIVERY)
    assert (first.texts()[0], first.edited) == ("✅ Over", 1)
    assert (second.texts()[0], second.root) == ("🟠 Acknowledged", first.id)
    assert root == MessageRef(f"{DELIVERY};messageid={first.id}", first.id)
    assert answer == MessageRef(root.channel, second.id)
    assert connector.update(answer, notification(2, title="Again")) == answer
    assert teams.said() == ["✅ Over", "🟠 Again"]


def test_a_bots_channel_is_the_default_one_a_name_or_an_id_and_a_chat_has_no_threads(teams: Bench) -> None:
    connector = teams.bot()
    for named, there in (("", DELIVERY), ("incidents", INCIDENTS), (INCIDENTS, INCIDENTS)):
        assert connector.send(notification(), named).channel.partition(";")[0] == there
    root = connector.send(notification(), CHAT)
    assert connector.send(notification(2), "", under=root).channel == root.channel == CHAT
    assert len(teams.said(CHAT)) == 2
    for named in ("elsewhere", "Operations"):
        with pytest.raises(NotFound, match="neither the id of a conversation nor a name"):
            connector.send(notification(), named)
    with pytest.raises(NotFound, match="No channel is named"):
        teams.bot(default_channel="").check()


def test_the_account_of_a_bot_is_the_app_and_its_keys_are_learnt(teams: Bench) -> None:
    account = teams.bot().check()
    assert account.id == f"{APP_ID}@{TENANT}"
    assert '"kid": "sandbox-key"' in account.learned["bot_keys"]


@pytest.mark.parametrize(
    ("given", "word"), [({"password": "guessed-password"}, "AADSTS7000215"), ({"tenant": "x.example"}, "AADSTS90002")]
)
def test_a_bot_without_a_token_has_bad_credentials(teams: Bench, given: dict[str, str], word: str) -> None:
    with pytest.raises(AuthFailed, match=word) as refused:
        teams.bot(**given).check()
    assert "guessed-password" not in refused.value.text


@pytest.mark.parametrize("fault", [{"kind": "cut"}, {"kind": "error", "status": 503}])
def test_where_no_token_was_to_be_had_nothing_was_said(teams: Bench, fault: dict[str, object]) -> None:
    teams.sandbox.faults.from_json({**fault, "operation": "token"})
    with pytest.raises(Transient) as failed:
        teams.bot().send(notification(), "")
    assert not failed.value.maybe_done


def test_a_token_is_used_until_shortly_before_it_ends(teams: Bench) -> None:
    connector = teams.bot()
    root = connector.send(notification(), "")
    connector.update(root, notification())
    advance(teams, 54 * 60)
    connector.update(root, notification())
    assert teams.sandbox.calls.counts()["token"] == 1
    advance(teams, 2 * 60)
    connector.update(root, notification())
    assert teams.sandbox.calls.counts()["token"] == 2


def test_a_bot_that_is_not_there_is_told_to_be_added(teams: Bench) -> None:
    teams.act("remove_bot", channel=DELIVERY)
    for do in (lambda c: c.check(), lambda c: c.send(notification(), "")):
        with pytest.raises(Forbidden, match=r"BotNotInConversationRoster.* add it to the team or chat"):
            do(teams.bot())
    with pytest.raises(NotFound, match="add the app"):
        teams.bot().send(notification(), "19:nowhere@thread.tacv2")


def test_a_bot_taken_out_of_its_default_channel_later_can_still_speak_elsewhere(teams: Bench) -> None:
    keys = SecretStr(teams.bot().check().learned["bot_keys"])
    teams.act("remove_bot", channel=DELIVERY)
    assert teams.bot(keys=keys).check().id == f"{APP_ID}@{TENANT}"
    teams.bot(keys=keys).send(notification(), "incidents")
    with pytest.raises(AuthFailed):
        teams.bot(keys=keys, password="ended-in-the-meantime").check()


def test_a_message_that_is_gone_can_not_be_changed(teams: Bench) -> None:
    connector = teams.bot()
    root = connector.send(notification(), "")
    teams.act("erase", channel=DELIVERY, message=root.id)
    with pytest.raises(NotFound, match="MessageNotFound"):
        connector.update(root, notification())


@pytest.mark.parametrize(
    ("status", "kind", "maybe_done"),
    [(412, Transient, False), (502, Transient, True), (504, Transient, True), (401, AuthFailed, None)],
)
def test_what_the_bot_connector_answers_is_an_error_of_its_kind(
    teams: Bench, status: int, kind: type[ConnectorError], maybe_done: bool | None
) -> None:
    teams.sandbox.faults.add("error", operation="bot.*", status=status)
    with pytest.raises(kind) as failed:
        teams.bot().send(notification(), "")
    assert getattr(failed.value, "maybe_done", None) is maybe_done


def test_a_limit_in_a_conversation_is_that_conversations_and_one_of_the_login_the_accounts(teams: Bench) -> None:
    connector = teams.bot()
    teams.sandbox.faults.add("rate_limit", operation="token", retry_after=30)
    with pytest.raises(RateLimited) as account:
        connector.send(notification(), "")
    teams.sandbox.faults.add("rate_limit", operation="bot.begin", retry_after=30)
    with pytest.raises(RateLimited) as item:
        connector.send(notification(), "")
    assert (account.value.scope, item.value.scope) == ("account", "item")
    assert item.value.until == AT + timedelta(seconds=30)


def test_a_bot_says_seven_things_a_second_and_sixty_in_half_a_minute_in_one_conversation(teams: Bench) -> None:
    connector = teams.bot()
    root = connector.send(notification(), "")
    most, limited = until_limited(teams, lambda: connector.send(notification(), "", under=root), 0)
    assert (1 + most, limited.until) == (7, AT + timedelta(seconds=1))
    connector.send(notification(), "incidents")
    advance(teams, 1)
    more, limited = until_limited(teams, lambda: connector.update(root, notification()), 0.25)
    assert (7 + more, limited.until) == (60, AT + timedelta(seconds=30))


def until_limited(teams: Bench, do: Callable[[], object], pause: float) -> tuple[int, RateLimited]:
    """How often it could be done with so many seconds in between, and what stopped it."""
    for times in range(100):
        try:
            do()
        except RateLimited as limited:
            return times, limited
        advance(teams, pause)
    raise AssertionError("nothing stopped it")


@pytest.mark.parametrize("status", [400, 412, 502])
def test_neither_a_password_nor_a_token_shows_in_an_error(teams: Bench, status: int) -> None:
    connector = teams.bot()
    connector.send(notification(), "")
    [token] = [one for one in teams.sandbox.door.tokens if one.startswith("bot-token")]
    echo = f"no {token} and no {APP_PASSWORD}x"
    teams.sandbox.faults.add("error", operation="bot.*", status=status, reason=echo)
    with pytest.raises(ConnectorError, match=r"no \*\*\* and no \*\*\*x"):
        connector.send(notification(), "")
    teams.sandbox.faults.add("error", operation="token", status=401, reason=echo)
    with pytest.raises(AuthFailed, match=r"and no \*\*\*x"):
        teams.bot().send(notification(), "")


# --- both -----------------------------------------------------------------------------------------------


def test_a_card_teams_would_not_show_is_not_sent(teams: Bench) -> None:
    huge = notification(buttons=[Button("a", "A", "v" * 30_000)])
    with pytest.raises(Rejected, match="shorten what its buttons hold"):
        teams.bot().send(huge, "")
    assert teams.sandbox.calls.counts() == {}


@pytest.mark.parametrize("make", [Bench.flows, Bench.bot])
def test_it_works_over_real_http(real: Bench, make: Callable[[Bench], TeamsConnector]) -> None:
    connector = make(real)
    connector.check()
    connector.send(notification(), "")
    assert real.said() == ["🟠 Payments are slow 1"]
