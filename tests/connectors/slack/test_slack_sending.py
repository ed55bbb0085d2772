"""Said once, changed in place, answered in threads, and found again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.contract import (
    AuthFailed,
    Forbidden,
    MessageRef,
    NotFound,
    Notifier,
    RateLimited,
    Reach,
    Rejected,
    Transient,
)
from sandbox.errors import VendorError
from tests.connectors.slack.conftest import AT, DELIVERY, INCIDENTS, Bench, notification


def test_it_is_a_notifier_that_can_do_all(slack: Bench) -> None:
    connector = slack.connector()
    assert isinstance(connector, Notifier)
    assert connector.reach() == Reach(edit=True, thread=True, find=True)


def test_the_account_is_the_workspace(slack: Bench) -> None:
    account = slack.connector().check()
    assert (account.id, account.learned["team_id"]) == ("T0SANDBOX", "T0SANDBOX")
    with pytest.raises(AuthFailed, match="does not know the token"):
        slack.connector("xoxb-wrong").check()


@pytest.mark.parametrize(
    ("named", "there"), [("", DELIVERY), ("incidents", INCIDENTS), (INCIDENTS, INCIDENTS), (DELIVERY, DELIVERY)]
)
def test_a_channel_is_the_default_one_a_name_of_the_configs_or_an_id(slack: Bench, named: str, there: str) -> None:
    ref = slack.connector().send(notification(), named)
    assert ref.channel == there
    assert len(slack.said(there)) == 1


def test_a_message_is_changed_in_place_and_answered_in_its_thread(slack: Bench) -> None:
    connector = slack.connector()
    root = connector.send(notification(), "")
    connector.send(notification(2, title="Acknowledged"), "", under=root)
    assert connector.update(root, notification(title="Over", over=True, buttons=[])) == root
    first, answer = slack.sandbox.said(DELIVERY)
    assert (first.text.splitlines()[0], first.edited, answer.thread) == ("✅ Over", 1, root.id)


def test_a_message_is_found_by_its_notification_where_it_was_said(slack: Bench) -> None:
    connector = slack.connector()
    for number in range(10, 260):
        connector.send(notification(number), "")
    root = connector.send(notification(1), "")
    answer = connector.send(notification(2), "", under=root)
    since = slack.clock.now()
    assert connector.find_sent("NTF-26-000001", "", since) == root
    assert connector.find_sent("NTF-26-000010", "", since) is not None, "on the last of several pages"
    assert connector.find_sent("NTF-26-000002", "", since) is None, "it is no message of the channel's"
    assert connector.find_sent("NTF-26-000002", "", since, under=root) == answer
    assert connector.find_sent("NTF-26-000001", "", since + timedelta(hours=1)) is None
    assert connector.find_sent("NTF-26-000001", "incidents", since) is None


def test_a_message_whose_answer_is_lost_may_have_been_said_and_is_found(slack: Bench) -> None:
    slack.sandbox.faults.add("cut", operation="chat.postMessage", when="after", count=1)
    connector = slack.connector()
    with pytest.raises(Transient) as lost:
        connector.send(notification(), "")
    assert lost.value.maybe_done
    assert len(slack.said()) == 1, "nothing is tried again inside"
    assert connector.find_sent("NTF-26-000001", "", AT) is not None


def test_the_app_joins_a_public_channel_and_is_not_let_into_a_private_one(slack: Bench) -> None:
    slack.act("open_channel", channel="C0PUBLIC", name="public")
    slack.connector().send(notification(), "C0PUBLIC")
    assert len(slack.said("C0PUBLIC")) == 1
    slack.act("open_channel", channel="C0OTHER", name="other")
    with pytest.raises(Forbidden, match="not_in_channel"):
        slack.connector(join=False).send(notification(), "C0OTHER")
    slack.act("open_channel", channel="G0PRIVATE", name="private", private=True)
    with pytest.raises(NotFound, match="/invite"):
        slack.connector().send(notification(), "G0PRIVATE")


def test_a_channel_that_is_archived_or_not_there_is_not_found(slack: Bench) -> None:
    slack.act("archive", channel=DELIVERY)
    for channel, word in (("", "is_archived"), ("C0NOWHERE", "channel_not_found")):
        with pytest.raises(NotFound, match=word):
            slack.connector().send(notification(), channel)


def test_a_message_that_is_gone_can_not_be_changed(slack: Bench) -> None:
    connector = slack.connector()
    root = connector.send(notification(), "")
    slack.act("erase", channel=root.channel, ts=root.id)
    with pytest.raises(NotFound, match="message_not_found"):
        connector.update(root, notification())
    with pytest.raises(NotFound, match="thread_not_found"):
        connector.send(notification(2), "", under=root)
    assert connector.find_sent("NTF-26-000001", "", AT) is None


def test_too_many_messages_are_one_channels_affair_and_too_many_questions_the_accounts(slack: Bench) -> None:
    connector = slack.connector()
    slack.sandbox.faults.add("rate_limit", count=2, retry_after=30)
    with pytest.raises(RateLimited) as channel:
        connector.send(notification(), "")
    with pytest.raises(RateLimited) as account:
        connector.update(MessageRef(DELIVERY, "1.1"), notification())
    assert (channel.value.scope, account.value.scope) == ("item", "account")
    assert channel.value.until == account.value.until == slack.clock.now() + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("token_revoked", AuthFailed),
        ("account_inactive", AuthFailed),
        ("missing_scope", Forbidden),
        ("restricted_action_read_only_channel", Forbidden),
        ("edit_window_closed", NotFound),
        ("ratelimited", RateLimited),
        ("message_limit_exceeded", RateLimited),
        ("internal_error", Transient),
        ("service_unavailable", Transient),
        ("invalid_blocks", Rejected),
        ("a_new_word", Rejected),
    ],
)
def test_what_slack_says_in_a_200_is_an_error_of_its_kind(
    slack: Bench, word: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise VendorError(200, word)

    monkeypatch.setattr(slack.sandbox.workspace, "say", refuse)
    with pytest.raises(kind, match=word):
        slack.connector().send(notification(), "")


def test_it_works_over_real_http(real: Bench) -> None:
    connector = real.connector()
    root = connector.send(notification(), "")
    assert connector.find_sent("NTF-26-000001", "", real.clock.now()) == root
