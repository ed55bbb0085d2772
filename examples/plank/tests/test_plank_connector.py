"""The connector's calls, against the fake Plank."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from turnbuckle_plank import PlankConnector
from turnbuckle_plank.side import PlankSide

from connectors.contract import (
    AuthFailed,
    Conflict,
    Expected,
    Gone,
    GoneReason,
    NotFound,
    Priority,
    RateLimited,
    RemoteTask,
    RemoteUser,
    Status,
    TaskDraft,
    Transient,
    capabilities,
)
from connectors.registry import problems

DRAFT = TaskDraft("PL", "Saw", "Two of *oak*", Status.IN_REVIEW, Priority.HIGH, RemoteUser("U2"))


def expected(task: RemoteTask) -> Expected:
    return Expected(task.version, {name: value.there for name, value in task.values.items()})


def changed(plank: PlankConnector, cursor: dict | None = None) -> tuple[list[str], dict]:
    pages = list(plank.changed_tasks(cursor))
    return [task.values["title"].here or "" for page in pages for task in page.tasks], pages[-1].cursor


def test_it_is_a_sound_connector_for_both_ways() -> None:
    assert problems(PlankConnector) == []
    assert set(capabilities(PlankConnector)) == {
        "task_source",
        "task_sink",
        "users",
        "vocabulary",
        "webhooks",
        "webhook_subscriptions",
    }


def test_a_token_is_proven_by_whose_it_is(plank: PlankConnector) -> None:
    assert plank.check().name == "Sync Robot"


def test_a_wrong_token_is_told_apart_from_an_outage(side: PlankSide) -> None:
    with pytest.raises(AuthFailed):
        side.connected(side.wrong_credentials()).check()
    side.faults.add("error", status=503)
    with pytest.raises(Transient):
        side.connected().check()


def test_a_rate_limit_says_until_when(side: PlankSide, plank: PlankConnector) -> None:
    side.faults.add("rate_limit", retry_after=30)
    with pytest.raises(RateLimited) as limited:
        plank.check()
    assert (limited.value.until - side.now()).total_seconds() == 30


def test_everything_is_read_first_and_then_only_what_changed(side: PlankSide, plank: PlankConnector) -> None:
    side.plant(230)
    titles, cursor = changed(plank)
    assert len(titles) == 230
    assert changed(plank, cursor) == ([], cursor)

    side.sandbox.person("Ann Archer").edit("PL-7", title="Cut")
    assert changed(plank, cursor)[0] == ["Cut"]


def test_a_page_at_a_time_is_enough_to_go_on(side: PlankSide, plank: PlankConnector) -> None:
    side.plant(230)
    first = next(plank.changed_tasks(None))
    rest, _ = changed(plank, dict(first.cursor))
    assert len(first.tasks) + len(rest) == 230


def test_a_board_new_in_the_config_is_read_from_its_beginning(side: PlankSide) -> None:
    side.plant(3)
    _, cursor = changed(side.connected(projects=[{"external": "PL"}]))
    assert len(changed(side.connected(), cursor)[0]) == 3


def test_a_deleted_card_is_proven_and_a_hidden_one_is_not(side: PlankSide, plank: PlankConnector) -> None:
    side.plant(3)
    bob = side.sandbox.person("Bob Baker")
    bob.delete("PL-1")
    planks = side.sandbox.tracker.containers["b2"]
    hidden = bob.create("ST", "Secret")
    side.sandbox.tracker.containers["b2"] = type(planks)("b2", "ST", "Steps", members=frozenset({"U1"}))
    found = plank.fetch_tasks(["1", "2", hidden.id])
    assert found["1"] == Gone("1", GoneReason.DELETED)
    assert isinstance(found["2"], RemoteTask)
    assert found[hidden.id] == Gone(hidden.id, GoneReason.UNREACHABLE)


def test_every_id_is_listed(side: PlankSide, plank: PlankConnector) -> None:
    planted = side.sandbox.plant(205)
    assert [id_ for ids in plank.all_ids() for id_ in ids] == [item.id for item in planted]


def test_a_created_card_says_what_was_sent_and_is_found_by_its_key(plank: PlankConnector) -> None:
    written = plank.create_task(DRAFT, "scrums-tsk-1")
    values = {name: value.there for name, value in written.remote.values.items()}
    assert written.remote.assignee is not None
    assert dict(written.sent) == values | {"assignee": written.remote.assignee.id}
    assert plank.find_created("scrums-tsk-1") == [written.remote]
    assert plank.find_created("scrums-tsk-2") == []


def test_an_update_sets_these_fields_and_no_others(side: PlankSide, plank: PlankConnector) -> None:
    before = plank.create_task(DRAFT, "scrums-tsk-1").remote
    written = plank.update_task(before.external_id, {"status": "done", "assignee": None}, expected(before))
    assert written.remote.values["status"].here == "done"
    assert written.remote.assignee is None
    assert written.remote.values["title"] == before.values["title"]
    assert written.remote.version > before.version


def test_a_card_somebody_else_changed_is_not_written_over(side: PlankSide, plank: PlankConnector) -> None:
    before = plank.create_task(DRAFT, "scrums-tsk-1").remote
    side.sandbox.person("Bob Baker").edit(before.key, title="Saw and sand")
    with pytest.raises(Conflict):
        plank.update_task(before.external_id, {"title": "Drill"}, expected(before))
    assert side.items()[before.external_id].values["title"] == "Saw and sand"


def test_a_card_that_is_gone_can_not_be_written(side: PlankSide, plank: PlankConnector) -> None:
    before = plank.create_task(DRAFT, "scrums-tsk-1").remote
    side.delete(0)
    with pytest.raises(NotFound):
        plank.update_task(before.external_id, {"title": "Drill"}, expected(before))


def test_people_are_found_by_their_address_in_any_case(side: PlankSide, plank: PlankConnector) -> None:
    found = plank.find_user("ANN@apex.test", "PL")
    assert found is not None
    assert found.name == "Ann Archer"
    assert plank.find_user("nobody@apex.test", "PL") is None


def test_a_webhook_is_registered_once_and_removed(side: PlankSide, plank: PlankConnector) -> None:
    plank.subscribe("https://here.test/hook", SecretStr("old"))
    kept = plank.subscribe("https://here.test/hook", SecretStr("new"))
    assert [hook.secret for hook in side.sandbox.hooks.live()] == ["new"]
    assert plank.renew(kept, "https://here.test/hook") == kept
    plank.unsubscribe(kept)
    plank.unsubscribe(kept)
    assert side.sandbox.hooks.live() == []
    assert plank.renew(kept, "https://here.test/hook") is None
