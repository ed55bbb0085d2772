"""The connector on the real engine: what only shows when both are at work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.clickup import ClickUpConnector
from connectors.http import WireRequest
from core.models import Integration
from sandbox.clickup import WORKSPACE
from sandbox.clickup.render import assignees
from simulation.bench import trial_of
from sync import oauth
from sync.pull import pull


@pytest.fixture
def bench() -> Iterator[Any]:
    """One integration, one task tied to an item in ClickUp."""
    trial = trial_of(ClickUpConnector)
    assert trial.open_bench is not None
    with trial.open_bench() as opened:
        yield opened


def hook(bench: Any) -> Any:
    [only] = bench.vendor.sandbox.hooks.live()
    return only


@pytest.mark.parametrize("health", ["failing", "suspended"])
def test_a_webhook_clickup_gave_up_is_healed_within_ten_minutes_and_a_poll_brings_what_it_missed(bench, health):
    hooks = bench.vendor.sandbox.hooks
    enabled = health == "failing"
    hooks.change(hook(bench).id, enabled=enabled, extra={"status": health, "fail_count": 100})
    bench.vendor.edit(0, "title", "Unheard")
    bench.arriving()  # dropped, if it was sent at all
    bench.reconfigure(poll_seconds=86_400)
    bench.wait(601)
    bench.tick()
    bench.tick()
    assert (hook(bench).enabled, hook(bench).extra["status"]) == (True, "active")
    assert bench.tasks()[0]["title"] == "Unheard"
    bench.vendor.edit(0, "title", "Heard")
    bench.hear()
    assert bench.tasks()[0]["title"] == "Heard"


def test_one_change_told_by_two_events_costs_one_look(bench):
    hooks = bench.vendor.sandbox.hooks
    hooks.change(hook(bench).id, events=frozenset({"*"}))
    bench.vendor.edit(0, "status", 1)
    told = bench.arriving()
    assert len(told) == 2
    bench.vendor.calls.reset()
    bench.knock(told)
    bench.drain()
    assert [call.operation for call in bench.vendor.calls.records()] == ["getTask"]
    assert {row["state"] for row in bench.deliveries()} == {"done"}


def test_an_edit_of_the_same_field_between_base_and_write_is_decided_by_the_rule_not_written_over(bench):
    bench.wait(60)
    bench.edit("title", "Ours, the older")
    bench.wait(60)
    bench.vendor.edit(0, "title", "Theirs, the newer")
    bench.push()  # the look shows it
    bench.wait(60)
    bench.push()
    [item] = bench.vendor.items().values()
    assert item.values["title"] == bench.tasks()[0]["title"] == "Theirs, the newer"
    assert "Ours, the older" in {line["old"] for line in bench.history()}


def test_assigning_here_leaves_who_else_is_assigned_there(bench):
    sandbox = bench.vendor.sandbox
    [task_id] = bench.vendor.items()
    sandbox.person("Bob Baker").edit(task_id, assignee="Bob Baker", extra={"others": ("186",)})
    bench.hear()
    bench.edit("assignee", "ann")
    bench.push()
    assert assignees(sandbox.tracker.items[task_id]) == ["183", "186"]
    assert bench.tasks()[0]["assignee_id"] == bench.person("ann")


def test_an_archived_task_stays_tied_to_its_task_through_a_sweep(bench):
    [task_id] = bench.vendor.items()
    bench.vendor.sandbox.person("Bob Baker").edit(task_id, extra={"archived": True})
    bench.arriving()
    bench.sweep()
    assert [row["state"] for row in bench.bindings()] == ["bound"]
    assert bench.tasks()[0]["status"] == "backlog"


def test_a_consent_brings_a_token_that_lasts_until_the_person_takes_it_back(bench):
    rt, sandbox = bench._stage.runtime, bench.vendor.sandbox
    bench.disconnect()
    made = bench.connect({})
    assert made.status == "pending_auth"
    page = oauth.start(rt, made.integration_id, bench.person("ann"))
    assert "code_challenge" not in page
    answer = bench.vendor.transport.handle_request(WireRequest("GET", page))
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    connected = oauth.complete(rt, "clickup", back["code"][0], back["state"][0])
    assert (connected.status, connected.account_id) == ("active", WORKSPACE)
    bench.wait(400 * 86_400)
    assert pull(rt, connected.id).status == "success"
    sandbox.oauth.revoke(sandbox.robot.id)
    bench.wait(3600)
    pull(rt, connected.id)
    with rt.db.read() as session:
        assert session.get_one(Integration, connected.id).status == "error"
