"""Repositories come and go, and the config says which are read."""

from __future__ import annotations

import pytest

from connectors.contract import (
    CodeHeard,
    CodeSyncConfig,
    ProjectMapping,
    TaskSyncConfig,
    Transient,
)
from core.models import Event, Integration, Repository, SyncRun
from sync import farewell, integrations
from sync.repositories import wants_more
from sync.runtime import Lane
from tests.sync.conftest import make_tenant
from tests.sync.forge import Following, rung

# --- repositories come and go -------------------------------------------------------------------------


def test_a_renamed_repository_keeps_its_row_and_its_cursor(rt, forge, team, clock):
    forge.repo("r1", "apex/old", events=5)
    following = Following(rt, forge, team)
    following.follow()
    before = following.repository("r1")
    forge.repos["r1"].name = "other/new"
    clock.advance(minutes=5)
    assert following.poll().status == "success"
    after = following.repository("r1")
    assert (after.id, after.cursor, after.name) == (before.id, before.cursor, "other/new")
    assert len(following.runs("backfill")) == 1


def test_a_repository_that_is_gone_is_a_cause_keeps_its_data_and_carries_on_when_it_is_back(rt, forge, team, clock):
    forge.repo("r1", "apex/payments-worker", events=5)
    forge.repo("r2", events=1)
    following = Following(rt, forge, team)
    following.follow()
    forge.repos["r1"].hidden = True
    clock.advance(minutes=5)
    assert following.poll().status == "success"
    assert following.repository("r1").state == "gone"
    integration = following.integration()
    assert integration.sync_status == "degraded"
    assert integration.sync_text.startswith("apex/payments-worker is not visible any more: ")
    assert len(following.events()) == 6
    forge.repos["r1"].hidden = False
    forge.opens("r1", 6)
    clock.advance(minutes=5)
    following.poll()
    following.assert_complete()
    assert following.integration().sync_status == "healthy"
    assert len(following.runs("backfill")) == 2


def test_a_backfill_of_a_repository_that_goes_ends_and_goes_on_when_it_is_back(rt, forge, team, clock):
    forge.repo("r1", events=30)
    following = Following(rt, forge, team)
    following.poll()
    forge.fails("page", None, Transient("502"))
    following.backfill()
    forge.repos["r1"].hidden = True
    clock.advance(minutes=5)
    following.poll()
    [run] = following.runs("backfill")
    assert (run.status, run.error_code) == ("partial", "gone")
    forge.repos["r1"].hidden = False
    clock.advance(minutes=5)
    following.follow()
    following.assert_complete()
    assert [run.counts["records"] for run in following.runs("backfill")] == [10, 20]


def test_a_name_in_the_config_that_nobody_lists_is_a_cause(rt, forge, team):
    forge.repo("r1", "apex/payments-api")
    following = Following(rt, forge, team, repositories=["payments-api", "payments-worker"])
    following.follow()
    integration = following.integration()
    assert (integration.sync_status, integration.sync_code) == ("degraded", "repositories_missing")
    assert "names payments-worker, which is not visible" in integration.sync_text


def test_an_archived_repository_is_read_once_and_polled_no_more_until_it_is_revived(rt, forge, team, clock):
    forge.repo("r1", events=5, archived=True)
    following = Following(rt, forge, team)
    following.follow()
    assert following.repository("r1").state == "archived"
    following.assert_complete()
    forge.calls.clear()
    clock.advance(minutes=5)
    following.poll()
    assert "page" not in forge.calls
    forge.repos["r1"].archived = False
    forge.opens("r1", 6)
    following.poll()
    following.assert_complete()
    assert following.repository("r1").state == "live"


def test_a_live_repository_that_is_archived_is_read_to_its_end_first(rt, forge, team, clock):
    forge.repo("r1", events=5)
    following = Following(rt, forge, team)
    following.follow()
    forge.opens("r1", 6)
    forge.repos["r1"].archived = True
    clock.advance(minutes=5)
    following.poll()
    following.assert_complete()
    assert following.repository("r1").state == "archived"


def test_a_repository_added_to_the_config_is_backfilled_and_one_taken_out_is_left_alone(rt, forge, team, clock):
    forge.repo("r1", "apex/a", events=5)
    forge.repo("r2", "apex/b", events=5)
    following = Following(rt, forge, team, repositories=["a"])
    following.follow()
    assert len(following.events()) == 5
    following.configure(repositories=["b"])
    following.follow()
    following.assert_complete()
    assert [following.repository(name).state for name in ("r1", "r2")] == ["left_out", "live"]
    assert following.integration().sync_status == "healthy"
    forge.opens("r1", 6)
    clock.advance(minutes=5)
    following.poll()
    assert len(following.events()) == 10
    assert following.hear(CodeHeard(forge.repos["r1"].events[-1])).state == "ignored"
    following.configure(repositories=["a", "b"])
    following.follow()
    following.assert_complete()
    assert len(following.runs("backfill")) == 2, "it carried on where it was left"


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"production_environments": ["live"]}, False),
        ({"poll_seconds": 60}, False),
        ({"events": ["push"]}, False),
        ({"history_days": 30}, False),
        ({"deployments_from": "releases"}, True),
    ],
)
def test_histories_are_read_anew_only_for_a_config_that_wants_more(rt, forge, team, clock, change, again):
    forge.repo("r1", events=5)
    following = Following(rt, forge, team)
    following.follow()
    clock.advance(minutes=5)
    following.configure(**change)
    following.follow()
    assert len(following.runs("backfill")) == 1 + again
    following.assert_complete()


def test_more_kinds_and_a_longer_history_are_read_anew(rt, forge, team):
    forge.repo("r1", events=5)
    following = Following(rt, forge, team, events=["push"], history_days=30)
    following.follow()
    following.configure(events=["push", "release"])
    following.follow()
    following.configure(history_days=60)
    following.follow()
    assert len(following.runs("backfill")) == 3


def test_a_page_read_under_the_old_config_does_not_move_the_cursor_of_the_new_one(rt, forge, team):
    forge.repo("r1", events=30)
    following = Following(rt, forge, team)
    following.poll()
    changes = iter([lambda: None, lambda: following.configure(deployments_from="runs")])
    forge.before_page = lambda: next(changes, lambda: None)()
    following.backfill()
    assert following.repository("r1").revision == 2
    following.follow()
    following.assert_complete()
    # The first page of the first reading, then all of the second.
    assert sum(run.counts["records"] for run in following.runs("backfill")) == 10 + 30


def test_a_repository_configured_while_a_pull_reads_another_is_looked_for_at_once(rt, forge, team, clock):
    forge.repo("r1", "apex/a", events=1)
    forge.repo("r2", "apex/b", events=3)
    following = Following(rt, forge, team, repositories=["a"])
    following.follow()
    clock.advance(minutes=5)

    def configured() -> None:
        forge.before_page = lambda: None
        following.configure(repositories=["a", "b"])

    forge.before_page = configured
    assert following.poll().status == "partial"
    assert (Lane.PULL, following.id) in rung(rt)
    following.follow()
    following.assert_complete()


def test_a_repository_that_another_integration_reads_is_left_to_it_until_it_lets_go(any_rt, forge):
    """The configs differ in what only the connector understands, so they alone do not tell."""
    team = make_tenant(any_rt)
    forge.repo("r1", "apex/a", events=3)
    first = Following(any_rt, forge, team)
    first.follow()
    forge.repo("r2", "apex/b", events=2)
    second = Following(any_rt, forge, team, repositories=["a", "b"], deployments_from="runs")
    second.follow()
    assert sorted(event.data["repository"]["external_id"] for event in second.events()) == ["r1"] * 3 + ["r2"] * 2
    found = second.integration()
    assert (found.sync_status, found.sync_code) == ("degraded", "repositories_double")
    assert found.sync_text.startswith(f"{first.id} (Forge) reads apex/a already, and what happens there would count ")
    assert first.poll().status == "success"
    assert first.integration().sync_text.startswith(f"{second.id} (Forge) reads apex/b already")
    first.configure(repositories=["b"])
    assert first.poll().status == "success"
    assert [row.state for row in first.rows(Repository, Repository.integration_id == first.id)] == ["left_out"]
    second.follow()
    assert second.integration().sync_status == "healthy"
    assert [row.name for row in first.rows(Repository, Repository.integration_id == second.id)] == ["apex/b", "apex/a"]
    assert first.poll().status == "success"
    first.configure(repositories=[])
    first.poll()
    assert first.integration().sync_text.startswith(f"{second.id} (Forge) reads apex/a, apex/b already"), (
        "not: it is gone"
    )


def test_two_servers_of_a_vendor_may_give_one_id_to_two_repositories(rt, forge, team):
    forge.repo("r1", events=2)
    first = Following(rt, forge, team)
    first.follow()
    with rt.db.write() as session:
        session.get_one(Repository, first.repository("r1").id).url = "https://forge.elsewhere.test/apex/r1"
    second = Following(rt, forge, team, deployments_from="runs")
    second.follow()
    assert len(second.events()) == 4


def test_two_workspaces_read_one_repository_each_for_itself(rt, forge, team):
    forge.repo("r1", events=2)
    for tenant in (team, make_tenant(rt)):
        following = Following(rt, forge, tenant)
        following.follow()
        assert following.integration().sync_status == "healthy"
        assert len(following.rows(Event, Event.key.is_not(None), Event.actor == following.id)) == 2


# --- what is asked for --------------------------------------------------------------------------------


def test_a_manual_sync_and_a_disconnection_know_code(rt, forge, team):
    forge.repo("r1", events=30)
    following = Following(rt, forge, team)
    following.poll()
    run = integrations.request_sync(rt, following.id, actor=team.ann_id)
    assert run.status == "running"
    farewell.disconnect(rt, following.integration(), actor=team.ann_id, token_id=None)
    assert {run.status for run in following.rows(SyncRun)} == {"success", "failed"}
    assert rung(rt) == [] or (Lane.BACKFILL, following.id) not in rung(rt)
    assert following.rows(Event, Event.type == "integration.disconnected")


def test_an_integration_without_code_is_never_pulled_for_it(rt, forge, team):
    following = Following(rt, forge, team)
    with rt.db.write() as session:
        session.get_one(Integration, following.id).capabilities = ["webhooks"]
    following.poll()
    assert "repositories" not in forge.calls


class Dual(CodeSyncConfig, TaskSyncConfig):
    """Of a vendor that has items, too."""

    projects: list[ProjectMapping] = []


@pytest.mark.parametrize(
    "items",
    [{"status_map": {"Open": "backlog"}}, {"conflict": {"title": "platform"}}, {"projects": [{"external": "a"}]}],
)
def test_what_items_mean_is_no_reason_to_read_a_history_anew(items):
    assert not wants_more(Dual(), Dual.model_validate(items))
    assert wants_more(Dual(events=["push"]), Dual.model_validate(items))
