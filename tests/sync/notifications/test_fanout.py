"""Who is told what: the stream looked at exactly once, routes, severities, windows, floods, tenants."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

import pytest
from sqlalchemy import func, select

from connectors.contract import NotFound
from core import events
from core.events import Told
from core.models import NotificationMessage, NotificationRoute, NotificationThread
from sync import farewell
from sync.notifications import fanout, outbox, routes
from sync.notifications.fanout import FLOOD, fan_out, gather
from sync.notifications.policy import STALE
from sync.notifications.routes import By
from sync.runtime import NEWS, Lane, Runtime
from sync.scheduler import tick
from tests.sync.conftest import ManualClock
from tests.sync.notifications.conftest import INCIDENT, TASK, Office, connect, office_of
from tests.sync.notifications.megaphone import Killed, Megaphone, fields


def test_an_event_is_said_once_in_each_channel_that_wants_it(any_office: Office, megaphone: Megaphone) -> None:
    any_office.route("incident.*")
    any_office.route("*", channel="all")
    any_office.route("task.*", channel="tasks")
    any_office.incident("opened")
    any_office.happens("task.created", title="x", status="backlog")
    any_office.tick()
    any_office.tick()
    assert megaphone.said("ops") == ["Payments are slow"]
    assert megaphone.said("all") == ["Payments are slow", f"{TASK}: new task"]
    assert megaphone.said("tasks") == [f"{TASK}: new task"]
    assert any_office.states() == ["sent"] * 4


def test_what_is_said_leads_to_the_platform_and_names_what_it_is_about(office: Office, megaphone: Megaphone) -> None:
    office.route("incident.*")
    office.incident("opened", scope="host:a")
    office.tick()
    [post] = megaphone.posts.values()
    assert post.says.link is not None
    assert post.says.link.url == f"https://app.apex.test/incidents/{INCIDENT}"
    assert fields(post) == {"Incident": INCIDENT, "Severity": "high", "Status": "opened", "Where": "host:a"}
    assert post.says.id == office.messages()[0].id


def test_what_is_less_bad_than_a_route_wants_is_not_told(office: Office, megaphone: Megaphone) -> None:
    office.route("incident.*", least_severity="high")
    for number, severity in enumerate(("low", "medium", "high", "critical")):
        office.incident("opened", f"INC-26-00000{number}", title=severity, severity=severity)
    office.tick()
    assert megaphone.said() == ["high", "critical"]


def test_nothing_of_before_a_route_was_there_is_told(office: Office, megaphone: Megaphone) -> None:
    office.incident("opened", title="long ago")
    route = office.route("incident.*")
    office.incident("opened", title="now")
    office.tick()
    office.change(route, enabled=False)
    office.incident("opened", title="meanwhile")
    office.tick()
    office.change(route, enabled=True)
    office.incident("opened", title="again")
    office.tick()
    assert megaphone.said() == ["now", "again"]


def test_a_new_route_does_not_hear_what_others_have_yet_to_hear(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("incident.*")
    office.incident("opened", title="before")
    clock.advance(seconds=1)
    office.route("incident.*", channel="new")
    office.incident("opened", "INC-26-000002", title="after")
    office.tick()
    assert (megaphone.said(), megaphone.said("new")) == (["before", "after"], ["after"])


def test_history_that_was_read_later_is_no_news(office: Office) -> None:
    office.route("*")
    now, tenant = office.rt.clock(), office.tenant
    facts = [
        Told(
            tenant.organization_id,
            tenant.workspace.id,
            "incident.opened",
            INCIDENT,
            office.id,
            {"title": "x"},
            key,
            now,
            old,
        )
        for key, old in (("a", True), ("b", False))
    ]
    with office.rt.db.write() as session:
        events.append_new(session, facts, now)
    office.tick()
    assert len(office.messages()) == 1


def test_another_workspaces_events_are_nobodys_business(
    office: Office, rings: list[tuple[Lane, str]], megaphone: Megaphone
) -> None:
    stranger = office_of(office.rt, rings)
    office.route("*")
    stranger.route("*", channel="theirs")
    stranger.incident("opened", title="secret")
    stranger.happen([("incident.opened", INCIDENT, {"title": "everybody's"})], workspace_id=None)
    office.tick()
    assert (megaphone.said("ops"), megaphone.said("theirs")) == ([], ["secret"])


def test_what_fails_can_not_tell_of_itself_and_says_so(office: Office, megaphone: Megaphone, other: Megaphone) -> None:
    elsewhere = connect(office.rt, office.tenant, "bullhorn")
    office.tick()
    office.route("integration.*")
    office.route("integration.*", integration_id=elsewhere)
    office.happens("integration.sync_status_changed", office.id, **{"from": "healthy", "to": "failed", "text": "gone"})
    office.tick()
    assert (megaphone.said(), other.said()) == ([], ["Megaphone is failed"])
    [skipped] = office.messages(NotificationMessage.state == "skipped")
    assert skipped.error_code == "own_integration"
    assert office.id in (skipped.error_text or "")


def test_two_that_fail_do_not_tell_each_other_of_it_for_ever(
    office: Office, megaphone: Megaphone, other: Megaphone, clock: ManualClock
) -> None:
    elsewhere = connect(office.rt, office.tenant, "bullhorn")
    office.route("integration.*")
    office.route("integration.*", integration_id=elsewhere)
    megaphone.broken["ops"] = other.broken["ops"] = NotFound("channel_not_found")
    office.happens("integration.sync_status_changed", "INT-26-000099", **{"from": "healthy", "to": "failed"})
    for _ in range(20):
        office.tick()
        clock.advance(minutes=1)
    assert len(megaphone.calls) + len(other.calls) <= 4


# --- exactly once -------------------------------------------------------------------------------------


def test_killed_before_its_commit_a_look_at_the_stream_did_nothing(
    any_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_office.route("incident.*")
    any_office.incident("opened")

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(fanout, "_insert", die)
        with pytest.raises(Killed):
            fan_out(any_office.rt)
    assert any_office.messages() == []
    fan_out(any_office.rt)
    fan_out(any_office.rt)
    assert len(any_office.messages()) == 1


def test_two_workers_that_look_at_once_queue_everything_once(any_office: Office) -> None:
    any_office.route("incident.*")
    any_office.happen([("incident.opened", f"INC-26-{n:06d}", {"title": str(n)}) for n in range(200)])
    barrier = Barrier(4)

    def look() -> None:
        barrier.wait()
        fan_out(any_office.rt)

    threads = [Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [message.title for message in any_office.messages()] == [str(n) for n in range(200)]


def test_the_tick_rings_only_when_there_is_something_to_say(office: Office, rings: list[tuple[Lane, str]]) -> None:
    def rung() -> list[str]:
        rings.clear()
        tick(office.rt)
        return [subject for lane, subject in rings if lane is Lane.MESSAGES]

    office.incident("opened")
    assert rung() == [], "nobody listens"
    office.route("incident.*")
    assert rung() == []
    office.incident("opened")
    assert rung() == [NEWS]
    fan_out(office.rt)
    assert rung() == [office.id]


# --- windows ------------------------------------------------------------------------------------------


def test_a_window_is_said_in_one_message_when_it_ends(
    any_office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    any_office.route("task.*", digest_minutes=15)
    for number in range(1, 4):
        any_office.happens("task.created", f"TSK-26-00000{number}", status="backlog")
        any_office.tick()
        clock.advance(minutes=4)
    assert megaphone.said() == []
    assert set(any_office.states()) == {"gathering"}
    clock.advance(minutes=3)
    any_office.tick()
    any_office.tick()
    [post] = megaphone.posts.values()
    assert post.says.title.startswith("3 things happened")
    assert len(post.says.text.splitlines()) == 3
    assert sorted(any_office.states()) == ["gathered"] * 3 + ["sent"]
    assert {m.digest_id for m in any_office.messages() if m.state == "gathered"} == {post.says.id}


def test_a_window_begins_with_the_first_event_after_the_one_before(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("task.*", digest_minutes=10)
    for number in range(4):
        office.happens("task.created", f"TSK-26-00000{number}")
        office.happens("task.created", f"TSK-26-00001{number}")
        office.tick()
        clock.advance(minutes=11)
        office.tick()
    assert [title.split(" from")[0] for title in megaphone.said()] == ["2 things happened"] * 4


def test_one_thing_in_a_window_is_said_as_itself(office: Office, megaphone: Megaphone, clock: ManualClock) -> None:
    office.route("task.*", digest_minutes=10)
    office.happens("task.created")
    office.tick()
    clock.advance(minutes=11)
    office.tick()
    assert megaphone.said() == [f"{TASK}: new task"]


def test_a_window_outlives_a_restart(
    loud: Callable[..., Runtime],
    sqlite_url: str,
    rings: list[tuple[Lane, str]],
    megaphone: Megaphone,
    clock: ManualClock,
) -> None:
    office = office_of(loud(sqlite_url), rings)
    office.route("task.*", digest_minutes=10)
    office.happens("task.created")
    office.happens("task.created", "TSK-26-000002")
    office.tick()
    clock.advance(minutes=60)
    office.tick(loud(sqlite_url))
    assert len(megaphone.posts) == 1


def test_two_workers_that_end_a_window_make_one_message(any_office: Office, clock: ManualClock) -> None:
    any_office.route("task.*", digest_minutes=10)
    any_office.happen([("task.created", f"TSK-26-{n:06d}", {}) for n in range(50)])
    fan_out(any_office.rt)
    clock.advance(minutes=11)
    barrier = Barrier(3)

    def end() -> None:
        barrier.wait()
        gather(any_office.rt)

    threads = [Thread(target=end) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(any_office.messages(NotificationMessage.event_type == "digest")) == 1


def test_a_flood_of_tasks_does_not_keep_an_incident_waiting(office: Office, megaphone: Megaphone) -> None:
    office.route("*")
    office.happen([("task.created", f"TSK-26-{n:06d}", {}) for n in range(3000)])
    office.incident("opened")
    office.tick()
    assert len(megaphone.posts) == FLOOD + 2
    assert megaphone.said()[FLOOD] == "Payments are slow"
    assert megaphone.said()[-1].startswith(f"{3000 - FLOOD} things happened")


# --- the end of things --------------------------------------------------------------------------------


def test_what_could_not_be_said_for_a_day_is_no_news_any_more(
    office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    office.route("incident.*")
    megaphone.limits["ops"] = clock() + 2 * STALE
    office.incident("opened")
    office.tick()
    assert office.states() == ["pending"]
    clock.advance(days=1, seconds=1)
    office.tick()
    [message] = office.messages()
    assert (message.state, message.error_code, message.error_text) == ("failed", "too_old", outbox.TOO_OLD)


def test_a_disabled_route_does_not_say_what_it_had_queued(office: Office, megaphone: Megaphone) -> None:
    route = office.route("incident.*")
    office.incident("opened")
    fan_out(office.rt)
    office.change(route, enabled=False)
    office.tick()
    assert megaphone.said() == []
    assert [(m.state, m.error_code) for m in office.messages()] == [("failed", "route_disabled")]


def test_old_messages_and_threads_are_thrown_out(office: Office, clock: ManualClock) -> None:
    office.route("incident.*")
    office.incident("opened")
    office.tick()
    clock.advance(days=office.rt.settings.retention_days + 1)
    tick(office.rt)
    with office.rt.db.read() as session:
        counts = [
            session.scalar(select(func.count()).select_from(m)) for m in (NotificationMessage, NotificationThread)
        ]
    assert counts == [0, 0]


def test_a_disconnected_integration_says_nothing_and_its_routes_queue_nothing(
    office: Office, megaphone: Megaphone
) -> None:
    office.route("*")
    office.incident("opened")
    fan_out(office.rt)
    farewell.disconnect(office.rt, office.integration(), actor=office.tenant.ann_id, token_id=None)
    office.incident("opened", "INC-26-000002")
    office.tick()
    assert megaphone.said() == []
    assert [(m.state, m.error_code) for m in office.messages()] == [("failed", "disconnected")]


def test_a_route_and_its_messages_go_together(office: Office) -> None:
    route = office.route("*")
    office.incident("opened")
    fan_out(office.rt)
    with office.rt.db.write() as session:
        routes.remove(session, office.rt, route, by=By("USR-26-000001"))
    with office.rt.db.read() as session:
        assert session.get(NotificationRoute, route) is None
    assert office.messages() == []
