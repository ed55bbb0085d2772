"""Saying it: threads and roots, order, channels that do not wait for each other, what fails and what heals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread

import pytest

from connectors.contract import Conflict, Forbidden, NotFound, RateLimited, Reach, Rejected, Transient
from core.models import Integration, NotificationMessage
from sync import integrations
from sync.failures import MAX_ATTEMPTS
from sync.notifications.fanout import fan_out
from sync.notifications.policy import FAULT_TRIES
from sync.notifications.sending import AT_ONCE
from sync.runtime import Lane, Runtime
from tests.sync.conftest import ManualClock
from tests.sync.notifications.conftest import INCIDENT, TASK, Office, connect, office_of
from tests.sync.notifications.megaphone import TOKEN, Megaphone

LIFE = ("opened", "acknowledged", "resolved")


def live(office: Office, *steps: str, subject_id: str = INCIDENT) -> None:
    """An incident lives through these, each told before the next."""
    for step in steps or LIFE:
        office.incident(step, subject_id)
        office.tick()


# --- threads ------------------------------------------------------------------------------------------


def test_an_incidents_first_message_tells_how_it_stands_and_the_others_are_under_it(
    any_office: Office, megaphone: Megaphone
) -> None:
    any_office.route("incident.*")
    live(any_office)
    root, *under = megaphone.posts.values()
    assert root.says.title == "Resolved: Payments are slow"
    assert root.says.over
    assert root.versions == ["Payments are slow", "Acknowledged: Payments are slow"]
    assert [(post.says.title.split(":")[0], post.under) for post in under] == [
        ("Acknowledged", root.id),
        ("Resolved", root.id),
    ]


def test_every_message_there_bears_the_id_of_its_own_notification(office: Office, megaphone: Megaphone) -> None:
    office.route("incident.*")
    live(office)
    assert megaphone.ids() == [message.id for message in office.messages()]
    assert [m.message_id for m in office.messages()] == list(megaphone.posts)


@pytest.mark.parametrize(
    ("reach", "root", "under"),
    [
        (Reach(), "Payments are slow", [None, None]),
        (Reach(thread=True), "Payments are slow", ["m1", "m1"]),
        (Reach(edit=True), "Resolved: Payments are slow", [None, None]),
    ],
)
def test_what_a_vendor_can_not_do_is_done_without(
    reach: Reach, root: str, under: list[str | None], office: Office, megaphone: Megaphone
) -> None:
    megaphone.reach = reach
    office.route("incident.*")
    live(office)
    assert megaphone.posts["m1"].says.title == root
    assert [megaphone.posts[id_].under for id_ in ("m2", "m3")] == under


def test_each_incident_and_each_channel_has_its_own_thread(office: Office, megaphone: Megaphone) -> None:
    office.route("incident.*")
    office.route("incident.*", channel="bosses")
    for subject_id in (INCIDENT, "INC-26-000002"):
        live(office, "opened", "resolved", subject_id=subject_id)
    roots = [post for post in megaphone.posts.values() if post.under is None]
    assert sorted(post.channel for post in roots) == ["bosses", "bosses", "ops", "ops"]
    for post in megaphone.posts.values():
        if post.under is not None:
            assert megaphone.posts[post.under].channel == post.channel


def test_a_root_that_was_deleted_is_said_anew_and_takes_the_thread(office: Office, megaphone: Megaphone) -> None:
    office.route("incident.*")
    live(office, "opened", "updated")
    megaphone.posts["gone"] = megaphone.posts["m2"]  # so that the next number is free
    megaphone.remove("m1")
    live(office, "acknowledged", "resolved")
    anew = next(post for post in megaphone.posts.values() if post.under is None)
    assert anew.versions == ["Acknowledged: Payments are slow"]
    assert anew.says.title == "Resolved: Payments are slow"
    assert [post.under for post in megaphone.posts.values()][-1] == anew.id
    assert office.states() == ["sent"] * 4


def test_an_integration_that_flaps_has_one_thread(office: Office, megaphone: Megaphone, clock: ManualClock) -> None:
    office.route("integration.sync_status_changed")
    for number in range(20):
        healthy = number % 2
        states = {"from": "failed", "to": "healthy"} if healthy else {"from": "healthy", "to": "failed"}
        office.happens("integration.sync_status_changed", "INT-26-000077", **states)
        office.tick()
        clock.advance(minutes=5)
    root, *under = megaphone.posts.values()
    assert {post.under for post in under} == {root.id}
    assert root.says.over
    clock.advance(minutes=31)
    office.happens("integration.sync_status_changed", "INT-26-000077", **{"from": "healthy", "to": "failed"})
    office.tick()
    assert [post.under for post in megaphone.posts.values()][-1] is None, "nobody looks under an old message"


def test_a_flapping_incident_stays_in_its_thread_in_the_order_of_what_happened(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("incident.*")
    life = ["opened", *["resolved", "reopened"] * 10, "resolved"]
    for step in life:
        office.incident(step, text=step)
        clock.advance(minutes=40)
    office.tick()
    assert [post.under for post in megaphone.posts.values()] == [None] + ["m1"] * 21
    assert [post.says.text for post in list(megaphone.posts.values())[1:]] == life[1:]
    assert megaphone.posts["m1"].says.over


# --- the order ----------------------------------------------------------------------------------------


def test_a_channel_hears_everything_in_its_order_whatever_fails(
    any_office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    any_office.route("incident.*")
    failures = iter(
        [Transient("down", maybe_done=False), RateLimited("slow", clock(), scope="item"), Conflict("busy")] * 3
    )

    def stumble(operation: str, _channel: str) -> None:
        error = next(failures, None) if operation == "send" and len(megaphone.calls) % 2 else None
        if error is not None:
            raise error

    megaphone.happens = stumble
    any_office.happen([("incident.opened", f"INC-26-{n:06d}", {"title": str(n)}) for n in range(30)])
    for _ in range(60):
        any_office.tick()
        clock.advance(seconds=10)
    assert megaphone.said() == [str(n) for n in range(30)]


def test_a_limited_channel_waits_by_itself(office: Office, megaphone: Megaphone, clock: ManualClock) -> None:
    office.route("incident.*", channel="slow")
    office.route("incident.*", channel="quick")
    megaphone.limits["slow"] = clock() + timedelta(seconds=60)
    for number in range(1, 6):
        office.incident("opened", f"INC-26-00000{number}", title=str(number))
        office.tick()
    assert megaphone.said("quick") == list("12345")
    assert megaphone.calls.count(("send", "slow")) == 1, "what waits behind the first is not tried"
    clock.advance(seconds=80)
    office.tick()
    assert megaphone.said("slow") == list("12345")
    assert office.integration().sync_status == "healthy"


def test_a_broken_channel_holds_up_no_other(office: Office, megaphone: Megaphone, clock: ManualClock) -> None:
    for channel in ("a", "b", "c", "quick"):
        office.route("incident.*", channel=channel)
    for channel in ("a", "b", "c"):
        megaphone.broken[channel] = Transient("internal_error", maybe_done=False)
    for number in range(1, 6):
        office.incident("opened", f"INC-26-00000{number}", title=str(number))
        office.tick()
        assert len(megaphone.said("quick")) == number
    megaphone.broken.clear()
    clock.advance(minutes=2)
    office.tick()
    assert [megaphone.said(channel) for channel in ("a", "b", "c")] == [list("12345")] * 3


def test_an_account_that_is_limited_is_left_alone_as_a_whole(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("incident.*", channel="one")
    office.route("incident.*", channel="two")
    megaphone.once("before", RateLimited("ratelimited", clock() + timedelta(seconds=30)))
    office.incident("opened")
    office.tick()
    assert (len(megaphone.calls), megaphone.posts) == (1, {})
    assert office.tick() == set()
    clock.advance(seconds=40)
    office.tick()
    assert megaphone.said("one") == megaphone.said("two") == ["Payments are slow"]
    assert {message.tries for message in office.messages()} == {1}, "a limit is no failure of the message"


def test_another_integration_does_not_wait(
    office: Office, megaphone: Megaphone, other: Megaphone, clock: ManualClock
) -> None:
    elsewhere = connect(office.rt, office.tenant, "bullhorn")
    office.route("incident.*")
    office.route("incident.*", integration_id=elsewhere)
    megaphone.once("before", RateLimited("ratelimited", clock() + timedelta(hours=1)))
    office.incident("opened")
    office.tick()
    assert (megaphone.said(), other.said()) == ([], ["Payments are slow"])


# --- what fails ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [NotFound("channel_not_found"), Forbidden("not_in_channel")])
def test_a_channel_that_is_gone_fails_what_waits_for_it_and_shows(
    error: Exception, any_office: Office, megaphone: Megaphone
) -> None:
    route = any_office.route("incident.*")
    megaphone.broken["ops"] = error
    any_office.happen([("incident.opened", f"INC-26-{n:06d}", {"title": str(n)}) for n in range(50)])
    any_office.tick()
    assert len(megaphone.calls) == 1
    assert {(m.state, m.error_text) for m in any_office.messages()} == {("failed", str(error))}
    assert any_office.causes() == {"channels": "channel_unreachable"}
    assert "the channel ops" in (any_office.integration().sync_text or "")
    assert any_office.integration().sync_status == "degraded"
    megaphone.broken.clear()
    any_office.incident("opened", "INC-26-000099")
    any_office.tick()
    assert any_office.causes() == {}
    assert any_office.integration().sync_status == "healthy"
    assert any_office.routed(route).enabled


def test_one_channel_that_works_does_not_hide_another_that_does_not(office: Office, megaphone: Megaphone) -> None:
    office.route("incident.*", channel="gone")
    broken = office.route("incident.*", channel="gone too")
    office.route("incident.*")
    megaphone.broken = {"gone": NotFound("no"), "gone too": NotFound("no")}
    for _ in range(3):
        office.incident("opened")
        office.tick()
    assert office.integration().sync_code == "channel_unreachable"
    assert "1 more" in (office.integration().sync_text or "")
    office.change(broken, channel="ops")
    assert "1 more" not in (office.integration().sync_text or "")
    megaphone.broken.clear()
    office.incident("updated")
    office.tick()
    assert office.integration().sync_status == "healthy"


def test_an_outage_shows_and_ends_by_itself(office: Office, megaphone: Megaphone, clock: ManualClock) -> None:
    office.route("incident.*")
    megaphone.broken["ops"] = Transient("service_unavailable", maybe_done=False)
    office.incident("opened")
    for _ in range(4):
        office.tick()
        clock.advance(minutes=1)
    assert office.causes() == {"messages": "transient"}
    megaphone.broken.clear()
    office.tick()
    assert (office.causes(), megaphone.said()) == ({}, ["Payments are slow"])


def test_a_message_the_vendor_rejects_fails_alone(office: Office, megaphone: Megaphone) -> None:
    office.route("incident.*")
    megaphone.once("before", Rejected("msg_too_long"))
    office.happen([("incident.opened", f"INC-26-{n:06d}", {"title": str(n)}) for n in range(3)])
    office.tick()
    assert megaphone.said() == ["1", "2"]
    assert [m.error_code for m in office.messages()] == ["rejected", None, None]
    assert office.states() == ["failed", "sent", "sent"]
    assert office.integration().sync_status == "healthy"


def test_a_message_a_connector_breaks_on_does_not_block_its_channel_for_long(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("incident.*")

    def choke(operation: str, _channel: str) -> None:
        if operation == "send" and not megaphone.posts and choking:
            raise ValueError("secret text")

    choking = [True]
    megaphone.happens = choke
    office.incident("opened", "INC-26-000001", title="bad")
    office.incident("opened", "INC-26-000002", title="good")
    for _ in range(FAULT_TRIES):
        office.tick()
        clock.advance(minutes=1)
    choking.clear()
    office.tick()
    assert megaphone.said() == ["good"]
    bad = office.messages()[0]
    assert (bad.state, bad.attempts) == ("unknown", FAULT_TRIES)
    assert "secret" not in (bad.error_text or "")


def test_a_connector_that_ends_the_process_ends_nothing(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("incident.*")
    megaphone.once("before", SystemExit(1))
    office.incident("opened")
    office.tick()
    clock.advance(minutes=1)
    office.tick()
    assert megaphone.said() == ["Payments are slow"]


def test_after_so_many_tries_a_message_is_given_up(office: Office, megaphone: Megaphone, clock: ManualClock) -> None:
    office.route("incident.*")
    megaphone.broken["ops"] = Transient("internal_error", maybe_done=False)
    office.incident("opened")
    for _ in range(MAX_ATTEMPTS + 3):
        office.tick()
        clock.advance(minutes=19)
    [message] = office.messages()
    assert (message.state, message.attempts, message.error_code) == ("failed", MAX_ATTEMPTS, "transient")


def test_dead_credentials_stop_the_integration_and_nothing_is_lost(office: Office, megaphone: Megaphone) -> None:
    office.route("incident.*")
    megaphone.dead_tokens.add(TOKEN["token"])
    office.incident("opened")
    office.tick()
    assert (office.integration().status, office.integration().sync_status) == ("error", "failed")
    assert office.id not in office.tick(), "nobody asks the vendor any more"
    [message] = office.messages(NotificationMessage.event_type.like("incident.%"))
    assert (message.state, message.tries) == ("pending", 0)
    integrations.update(
        office.rt, office.integration(), actor=office.tenant.ann_id, token_id=None, credentials={"token": "new"}
    )
    office.tick()
    assert megaphone.said() == ["Payments are slow"]


def test_an_integration_that_is_configured_to_be_silent_says_nothing_more(office: Office, megaphone: Megaphone) -> None:
    office.route("incident.*")
    office.incident("opened")
    fan_out(office.rt)
    integrations.update(
        office.rt, office.integration(), actor=office.tenant.ann_id, token_id=None, config={"silent": True}
    )
    office.tick()
    assert megaphone.posts == {}
    assert [(m.state, m.error_code) for m in office.messages()] == [("failed", "no_notifier")]


def test_a_task_that_is_said_again_and_again_has_one_thread(office: Office, megaphone: Megaphone) -> None:
    office.route("task.*")
    office.happens("task.created", TASK, title="x", status="backlog")
    office.happens("task.status_changed", TASK, **{"from": "backlog", "to": "done"})
    office.tick()
    assert [post.under for post in megaphone.posts.values()] == [None, "m1"]
    assert megaphone.posts["m1"].says.title == f"{TASK}: backlog → done"


def test_no_credential_is_in_what_is_kept_of_a_failure(rt: Runtime, office: Office, megaphone: Megaphone) -> None:
    office.route("incident.*")
    megaphone.once("before", ValueError(TOKEN["token"]))
    office.incident("opened")
    office.tick()
    kept = [getattr(m, c.key) for m in office.messages() for c in NotificationMessage.__table__.columns]
    with rt.db.read() as session:
        integration = session.get_one(Integration, office.id)
        kept += [integration.sync_text, integration.status_text]
    assert TOKEN["token"] not in str(kept)


def test_a_channel_whose_answer_is_long_in_coming_holds_up_no_other(
    loud: Callable[..., Runtime], any_url: str, rings: list[tuple[Lane, str]], megaphone: Megaphone
) -> None:
    office = office_of(loud(any_url, threads=True), rings)
    for channel in ("slow", "ops", "bosses"):
        office.route("incident.*", channel=channel)
    office.happen([("incident.opened", f"INC-26-{n:06d}", {"title": str(n)}) for n in range(5)])
    answered, others_done = Event(), Event()

    def hang(_operation: str, channel: str) -> None:
        if channel == "slow":
            assert answered.wait(30), "the others never came to their end"
        elif len(megaphone.said("ops")) + len(megaphone.said("bosses")) == 10:
            others_done.set()

    megaphone.answers = hang
    worker = Thread(target=office.tick)
    worker.start()
    assert others_done.wait(30)
    assert len(megaphone.said("slow")) == 1
    answered.set()
    worker.join()
    assert Counter(office.states()) == {"sent": 15}
    for channel in ("slow", "ops", "bosses"):
        assert megaphone.said(channel) == [str(n) for n in range(5)], "in order"


def test_a_revoked_token_is_not_tried_in_every_channel(
    loud: Callable[..., Runtime], any_url: str, rings: list[tuple[Lane, str]], megaphone: Megaphone
) -> None:
    office = office_of(loud(any_url, threads=True), rings)
    for number in range(20):
        office.route("incident.*", channel=f"c{number}")
    office.incident("opened")
    megaphone.dead_tokens = {"megaphone-token-canary"}
    office.tick()
    assert office.integration().status == "error"
    # A turn is tried once more, as credentials may have been renewed meanwhile.
    assert sum(message.attempts for message in office.messages()) <= 2 * AT_ONCE
