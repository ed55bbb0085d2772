"""What happens to a message whose sender dies, sleeps too long, or never hears the answer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from threading import Thread

import pytest

from connectors.contract import BadPayload, Forbidden, Notifier, RateLimited, Reach, Transient
from core.models import NotificationMessage
from sync.leases import hold
from sync.notifications import sending
from sync.notifications.policy import LOST
from sync.notifications.saying import Saying
from sync.runtime import Lane, Runtime
from sync.work import work
from tests.sync.conftest import ManualClock
from tests.sync.notifications.conftest import INCIDENT, Office, office_of
from tests.sync.notifications.megaphone import Killed, Megaphone

EDIT_AND_THREAD = Reach(edit=True, thread=True)


def killed(office: Office, megaphone: Megaphone, when: str, operation: str = "send") -> None:
    """A worker dies in a call."""
    megaphone.once(when, Killed(), operation)
    with pytest.raises(Killed):
        office.tick()


def test_a_thousand_are_said_exactly_once_although_workers_die_every_fifty(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    chance = random.Random(7)
    channels = [f"c{number}" for number in range(5)]
    for channel in channels:
        office.route("incident.*", channel=channel)
    told = [
        (f"incident.{step}", f"INC-26-{n:06d}", {"title": f"{n}:{step}"})
        for n in range(50)
        for step in ("opened", "updated", "acknowledged", "resolved")
    ]
    office.happen(told)
    seen = {"before": 0, "after": 0}

    def stumble(when: str) -> Callable[[str, str], None]:
        def fail(operation: str, channel: str) -> None:
            if operation != "send":
                return
            seen[when] += 1
            if seen[when] % 50 == (25 if when == "after" else 0):
                raise Killed
            if when == "before" and chance.random() < 0.1:
                raise RateLimited("ratelimited", clock() + timedelta(seconds=2), scope="item")
            if when == "after" and chance.random() < 0.05:
                raise Transient("The connection was cut.", maybe_done=True)

        return fail

    megaphone.happens, megaphone.answers = stumble("before"), stumble("after")
    deaths = 0
    for _ in range(3000):
        try:
            office.tick()
        except Killed:
            deaths += 1
        clock.advance(seconds=7)
        if not {"pending"} & set(office.states()):
            break
    assert Counter(office.states()) == {"sent": 1000}
    assert deaths >= 20
    assert Counter(Counter(megaphone.ids()).values()) == {1: 1000}, "none twice, none missing"
    for channel in channels:
        assert [title.split(": ")[-1] for title in megaphone.said(channel)] == [data["title"] for _, _, data in told]
    for post in megaphone.posts.values():
        if post.under is not None:
            assert megaphone.posts[post.under].under is None


def test_a_worker_killed_after_saying_it_is_found_out(
    any_office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    any_office.route("task.*")
    any_office.happens("task.created")
    killed(any_office, megaphone, "after")
    [message] = any_office.messages()
    assert (message.state, message.attempts, message.called_at) == ("pending", 1, clock())
    clock.advance(minutes=1)
    any_office.tick()
    [message] = any_office.messages()
    assert (message.state, message.message_id, message.called_at) == ("sent", "m1", None)
    assert len(megaphone.posts) == 1


def test_a_worker_killed_before_saying_it_leaves_it_to_the_next(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("task.*")
    office.happens("task.created")
    killed(office, megaphone, "before")
    clock.advance(minutes=1)
    office.tick()
    assert len(megaphone.posts) == 1
    assert [call for call, _ in megaphone.calls] == ["send", "find", "send"]


def test_a_worker_killed_between_the_root_and_the_thread_says_nothing_twice(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("incident.*")
    office.incident("opened")
    office.tick()
    office.incident("resolved")
    killed(office, megaphone, "after", "update")
    clock.advance(minutes=1)
    office.tick()
    assert [post.under for post in megaphone.posts.values()] == [None, "m1"]
    assert megaphone.posts["m1"].says.over


def test_a_root_is_never_taken_for_the_message_under_it(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("incident.*")
    office.incident("opened")
    office.tick()
    office.incident("resolved")
    killed(office, megaphone, "before")
    clock.advance(minutes=1)
    office.tick()
    assert [m.message_id for m in office.messages()] == ["m1", "m2"]


def test_what_may_have_been_said_is_looked_for_since_the_first_attempt(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("incident.*")
    office.incident("opened")
    megaphone.lose_answer()
    office.tick()
    began = clock()
    megaphone.once("before", Transient("down", maybe_done=False), "find")
    clock.advance(minutes=1)
    office.tick()
    assert office.messages()[0].called_at == began
    clock.advance(minutes=5)
    office.tick()
    assert (office.states(), len(megaphone.posts)) == (["sent"], 1)


@pytest.mark.parametrize(("type_", "subject"), [("task.created", "TSK-26-000001"), ("code.pushed", "RPO-26-000001")])
def test_what_is_better_not_heard_than_twice_is_left_unknown_where_nobody_can_look(
    type_: str, subject: str, office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    megaphone.reach = EDIT_AND_THREAD
    office.route("*")
    office.happens(type_, subject)
    megaphone.lose_answer()
    office.tick()
    clock.advance(hours=1)
    office.tick()
    [message] = office.messages()
    assert (message.state, message.error_code, len(megaphone.posts)) == ("unknown", "unclear", 1)
    assert (message.error_text or "").startswith(LOST)


def test_a_crash_leaves_a_task_unknown_too_where_nobody_can_look(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    megaphone.reach = EDIT_AND_THREAD
    office.route("task.*")
    office.happens("task.created", "TSK-26-000001")
    office.happens("task.created", "TSK-26-000002")
    killed(office, megaphone, "before")
    clock.advance(minutes=1)
    office.tick()
    assert office.states() == ["unknown", "sent"], "the one behind it was not in hand"


@pytest.mark.parametrize(
    ("type_", "subject"),
    [
        ("incident.opened", INCIDENT),
        ("agent.approval_requested", "AGT-26-000001"),
        ("integration.sync_status_changed", "INT-26-000077"),
    ],
)
def test_what_must_be_heard_is_said_again_where_nobody_can_look(
    type_: str, subject: str, office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    megaphone.reach = EDIT_AND_THREAD
    office.route("*")
    office.happens(type_, subject, **{"from": "healthy", "to": "failed"})
    megaphone.lose_answer()
    office.tick()
    clock.advance(minutes=1)
    office.tick()
    assert (office.states(), len(megaphone.posts)) == (["sent"], 2)
    assert len(set(megaphone.ids())) == 1, "both bear the same id"


def test_a_digest_whose_answer_was_lost_is_not_said_twice(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    megaphone.reach = Reach()
    office.route("task.*", digest_minutes=5)
    office.happens("task.created", "TSK-26-000001")
    office.happens("task.created", "TSK-26-000002")
    office.tick()
    clock.advance(minutes=6)
    megaphone.lose_answer()
    office.tick()
    clock.advance(hours=1)
    office.tick()
    assert sorted(office.states()) == ["gathered", "gathered", "unknown"]
    assert len(megaphone.posts) == 1


def test_where_looking_is_not_allowed_it_is_as_if_nobody_could(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("*")
    office.happens("task.created")
    megaphone.lose_answer()
    office.tick()
    megaphone.once("before", Forbidden("missing_scope"), "find")
    clock.advance(minutes=1)
    office.tick()
    assert office.states() == ["unknown"]
    assert office.integration().sync_status == "healthy"


def test_an_answer_nobody_can_read_may_be_a_yes(office: Office, megaphone: Megaphone, clock: ManualClock) -> None:
    office.route("incident.*")
    office.incident("opened")
    megaphone.once("after", BadPayload("no ts in the answer"))
    office.tick()
    clock.advance(minutes=1)
    office.tick()
    assert (office.states(), len(megaphone.posts)) == (["sent"], 1)


def test_a_message_whose_senders_all_die_is_given_up(office: Office, megaphone: Megaphone, clock: ManualClock) -> None:
    office.route("incident.*")
    office.incident("opened", title="deadly")
    office.incident("opened", "INC-26-000002", title="harmless")

    def die(operation: str, _channel: str) -> None:
        if deadly:
            raise Killed

    deadly = [True]
    megaphone.happens = die
    for _ in range(24):
        with pytest.raises(Killed):
            office.tick()
        clock.advance(minutes=20)
    deadly.clear()
    office.tick()
    assert office.states()[0] == "unknown"
    assert megaphone.said() == ["harmless"]


# --- two workers --------------------------------------------------------------------------------------


def test_two_workers_at_once_say_everything_once(
    loud: Callable[..., Runtime], any_url: str, rings: list[tuple[Lane, str]], megaphone: Megaphone
) -> None:
    office = office_of(loud(any_url), rings)
    office.route("incident.*")
    office.happen([("incident.opened", f"INC-26-{n:06d}", {"title": str(n)}) for n in range(60)])
    work(office.rt, Lane.MESSAGES, "events")
    threads = [Thread(target=work, args=(loud(any_url), Lane.MESSAGES, office.id)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    office.tick()
    assert megaphone.said() == [str(n) for n in range(60)]


def test_while_one_worker_has_the_lane_another_leaves_it_alone(office: Office, megaphone: Megaphone) -> None:
    office.route("incident.*")
    office.incident("opened")
    with hold(office.rt, f"messages:{office.id}"):
        office.tick()
        assert megaphone.calls == []
    office.tick()
    assert len(megaphone.posts) == 1


def test_a_worker_that_slept_through_its_lease_writes_nothing_and_says_nothing_more(
    loud: Callable[..., Runtime],
    sqlite_url: str,
    rings: list[tuple[Lane, str]],
    megaphone: Megaphone,
    clock: ManualClock,
) -> None:
    office, second = office_of(loud(sqlite_url), rings), loud(sqlite_url)
    office.route("incident.*")
    office.incident("opened", title="one")
    office.incident("opened", "INC-26-000002", title="two")

    def sleep(_operation: str, _channel: str) -> None:
        megaphone.answers = lambda _operation, _channel: None
        clock.advance(minutes=5)
        work(second, Lane.MESSAGES, office.id)

    megaphone.answers = sleep
    office.tick()
    assert megaphone.said() == ["one", "two"]
    assert office.states() == ["sent", "sent"]
    assert [m.attempts for m in office.messages()] == [2, 1]


def test_a_worker_that_slept_before_its_call_does_not_make_it(
    loud: Callable[..., Runtime],
    sqlite_url: str,
    rings: list[tuple[Lane, str]],
    megaphone: Megaphone,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office, second = office_of(loud(sqlite_url), rings), loud(sqlite_url)
    office.route("incident.*")
    office.incident("opened")
    prepare = sending._saying

    def sleep(notifier: Notifier, claimed: sending.Claimed) -> Saying:
        monkeypatch.setattr(sending, "_saying", prepare)
        clock.advance(minutes=5)
        work(second, Lane.MESSAGES, office.id)
        return prepare(notifier, claimed)

    monkeypatch.setattr(sending, "_saying", sleep)
    office.tick()
    assert len(megaphone.posts) == 1
    assert office.states() == ["sent"]


def test_a_turn_ends_and_another_is_rung_for(
    office: Office, megaphone: Megaphone, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> None:
    office.route("incident.*")
    office.happen([("incident.opened", f"INC-26-{n:06d}", {"title": str(n)}) for n in range(50)])

    def slow(_operation: str, _channel: str) -> None:
        clock.advance(seconds=3)

    megaphone.answers = slow
    work(office.rt, Lane.MESSAGES, "events")
    rings.clear()
    work(office.rt, Lane.MESSAGES, office.id)
    assert rings == [(Lane.MESSAGES, office.id)]
    assert len(megaphone.posts) * 3 - 3 < sending.TURN.total_seconds() <= len(megaphone.posts) * 3
    assert office.tick() == {office.id}
    assert len(office.messages(NotificationMessage.state == "sent")) == 50
