"""The sides of fake vendors of messages: what people read in their channels, and do there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.contract import (
    AuthFailed,
    Button,
    ConnectorError,
    Forbidden,
    Line,
    Link,
    NotFound,
    Notification,
    NotificationKind,
    Severity,
)
from simulation.linearside import LinearSide
from simulation.notifierside import NotifierSide, notifier_side
from simulation.slackside import SlackSide
from simulation.teamsside import FlowSide, TeamsSide

BOTH: list[type[NotifierSide]] = [SlackSide, TeamsSide]
ALL: list[type[NotifierSide]] = [*BOTH, FlowSide]
AT = datetime(2026, 4, 1, tzinfo=UTC)


def told(number: int = 1) -> Notification:
    return Notification(
        id=f"NTF-26-{number:06d}",
        kind=NotificationKind.INCIDENT,
        severity=Severity.HIGH,
        title="Payments are slow",
        text="More than 2 s.",
        at=AT,
        facts=(Line("Service", "payments"),),
        link=Link("Open", "https://app.example/1"),
        buttons=(Button("acknowledge", "Acknowledge", "INC-26-000001"),),
    )


@pytest.mark.parametrize("made", ALL)
def test_what_is_said_is_read_in_its_channel(made: type[NotifierSide]) -> None:
    side = made.alone()
    first, second = side.channels
    side.connected().send(told(), "")
    [message] = side.said(first)
    assert side.said(second) == []
    for part in ("Payments are slow", "More than 2 s.", "Service", "payments", "NTF-26-000001"):
        assert part in message.shown
    assert (list(message.links), list(message.calls), message.under, message.edited) == (
        ["https://app.example/1"],
        [],
        None,
        0,
    )


@pytest.mark.parametrize("made", BOTH)
def test_answers_changes_and_presses_are_seen(made: type[NotifierSide]) -> None:
    side = made.alone()
    connector, [home, _] = side.connected(), side.channels
    root = connector.send(told(1), home)
    connector.send(told(2), home, under=root)
    connector.update(root, told(1))
    first, answer = side.said(home)
    assert (first.id, first.edited, answer.under) == (root.id, 1, root.id)
    assert list(first.buttons) == ["acknowledge"]
    side.press(home, first.id, "acknowledge")
    assert len(side.sent()) == 1
    side.erase(home, first.id)
    assert [one.id for one in side.said(home)] == [answer.id]


@pytest.mark.parametrize(("made", "kind"), [(SlackSide, NotFound), (TeamsSide, Forbidden), (FlowSide, NotFound)])
def test_in_a_closed_channel_nothing_is_said_until_it_is_open_again(
    made: type[NotifierSide], kind: type[ConnectorError]
) -> None:
    side = made.alone()
    first, second = side.channels
    side.close(first)
    with pytest.raises(kind):
        side.connected().send(told(), first)
    side.connected().send(told(), second)
    side.reopen(first)
    side.connected().send(told(), first)
    assert [len(side.said(channel)) for channel in (first, second)] == [1, 1]


@pytest.mark.parametrize(("made", "kind"), [(SlackSide, AuthFailed), (TeamsSide, AuthFailed), (FlowSide, Forbidden)])
def test_without_access_nothing_is_said_until_it_is_given_again(
    made: type[NotifierSide], kind: type[ConnectorError]
) -> None:
    side = made.alone()
    connector = side.connected()
    side.end_access()
    for channel in side.channels:
        with pytest.raises(kind):
            connector.send(told(), channel)
    side.give_access()
    connector.send(told(), "")
    assert len(side.said(side.channels[0])) == 1


def test_a_side_without_channels_says_so() -> None:
    with pytest.raises(TypeError, match="LinearSide is no NotifierSide"):
        notifier_side(LinearSide.alone())
