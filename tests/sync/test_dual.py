"""Items and code in one integration, and what a config makes no use of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import Field

from cli.worker import facts
from connectors.contract import (
    CodeHeard,
    CodeSyncConfig,
    ProjectMapping,
    TaskSyncConfig,
)
from connectors.registry import Registry
from core import tasks
from core.errors import Conflict
from core.models import CodeChange, Task
from simulation.toy import BASIC, ToyConnector, ToyVendor
from sync.plan import plan
from sync.push import push
from sync.runtime import NEWS, Lane
from tests.sync.conftest import make_tenant, toy_config
from tests.sync.forge import Following, Forge, rung

# --- items and code in one integration ----------------------------------------------------------------


class DualConfig(TaskSyncConfig, CodeSyncConfig):
    """Items where it names projects, code where it says so."""

    projects: list[ProjectMapping] = Field(default_factory=list)
    owner: str = "apex"
    code: bool = True

    def without(self) -> frozenset[str]:
        items = {"task_source", "task_sink", "vocabulary", "users"} if not self.projects else set()
        return frozenset(items | ({"code_source"} if not self.code else set()))


class _Both:
    """The toy vendor, and of the forge what its half of the connector asks for."""

    def __init__(self, forge: Forge, vendor: ToyVendor) -> None:
        self._forge, self._vendor = forge, vendor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._forge if name in ASKED else self._vendor, name)


ASKED = {"called", "repos", "broken", "before_page", "counts", "page_size"}


@pytest.fixture
def dual(runtime_on, any_url, forge, vendor):
    """Makes an integration with a vendor that has both, by the config's keys."""
    code: Any = forge.connector()

    class Dual(vendor.connector()):
        manifest = replace(ToyConnector.manifest, type="forge", config=DualConfig)
        repositories, code_events, fetch_code = code.repositories, code.code_events, code.fetch_code
        parse = staticmethod(code.parse)

        def __init__(self, context):
            super().__init__(context)
            self.config = context.config

    Dual.vendor = _Both(forge, vendor)
    registry = Registry()
    registry.register(Dual)
    rt = runtime_on(any_url, registry=registry)
    tenant = make_tenant(rt)

    def make(*containers: str, **config: Any) -> Following:
        mapped = toy_config(tenant, *containers) if containers else {}
        return Following(rt, forge, tenant, credentials=BASIC, **mapped, **config)

    return make


def test_items_and_code_are_pulled_in_one_run_each_with_its_own_cursor(dual, forge, vendor, clock):
    vendor.add(title="Item")
    forge.repo("r1", events=3)
    both = dual("TOY")
    both.follow()
    both.assert_complete()
    assert [task.title for task in both.rows(Task)] == ["Item"]
    assert (both.integration().cursor is not None, both.repository("r1").cursor) == (True, {"after": 3})
    vendor.add(title="Another")
    forge.opens("r1", 4)
    clock.advance(minutes=5)
    run = both.poll()
    assert (run.status, run.counts["created"], run.counts["events_new"]) == ("success", 1, 1)


def test_items_that_cant_be_read_do_not_keep_code_from_being_read(dual, forge, vendor, clock):
    forge.repo("r1", events=3)
    both = dual("TOY")
    both.follow()
    forge.opens("r1", 4)
    vendor.fail("changed_tasks", 503)
    clock.advance(minutes=5)
    assert both.poll().status == "partial"
    both.assert_complete()


def test_what_the_config_makes_no_use_of_is_not_touched(dual, forge, vendor, clock):
    vendor.add(title="Item")
    forge.repo("r1", events=3)
    code = dual()
    assert "task_source" not in code.integration().capabilities
    assert code.integration().next_sweep_at is None
    code.follow()
    code.assert_complete()
    assert not [call for call in vendor.calls if call != "check"]
    with pytest.raises(Conflict, match="only reads code"):
        plan(code.rt, code.id)
    assert code.hear(CodeHeard(forge.opens("r1", 4))).state == "done"


def test_code_that_is_taken_out_of_the_config_is_left_and_carries_on_when_it_is_back(dual, forge, vendor, clock):
    forge.repo("r1", events=30)
    both = dual("TOY")
    both.poll()
    both.configure(code=False)
    assert {run.status for run in both.runs("backfill")} == {"failed"}
    forge.calls.clear()
    clock.advance(minutes=5)
    both.follow()
    assert forge.calls == []
    assert both.hear(CodeHeard(forge.repos["r1"].events[0])).outcome["ignored"][0]["code"] == "no_code"
    both.configure(code=True)
    both.follow()
    both.assert_complete()


def test_items_that_are_taken_out_of_the_config_are_written_no_more_and_paid_when_they_are_back(dual, vendor, clock):
    item = vendor.add(title="Item")
    both = dual("TOY")
    both.follow()
    [task] = both.rows(Task)
    mapped = both.integration().config["projects"]
    both.configure(projects=[])
    with both.rt.db.write() as session:
        tasks.change(session, task.id, {"title": "Changed here"}, actor=both.tenant.ann_id, now=clock())
    clock.advance(minutes=5)
    assert (Lane.PUSH, both.id) not in rung(both.rt)
    assert push(both.rt, both.id) == 0
    assert vendor.items[item.id].title == "Item"
    both.configure(projects=mapped)
    assert (Lane.PUSH, both.id) in rung(both.rt)
    assert push(both.rt, both.id) == 1
    assert vendor.items[item.id].title == "Changed here"
    assert [task.title for task in both.rows(Task)] == ["Changed here"], "it is the same task"


def test_the_tick_rings_for_facts_only_when_there_is_news_of_code(rt, forge, team):
    forge.repo("r1", events=2)
    following = Following(rt, forge, team)
    following.poll()
    assert (Lane.FACTS, NEWS) not in rung(rt)
    following.backfill()
    assert (Lane.FACTS, NEWS) in rung(rt)
    facts(rt, NEWS)
    assert [row.number for row in following.rows(CodeChange)] == ["1", "2"]
    assert (Lane.FACTS, NEWS) not in rung(rt)
