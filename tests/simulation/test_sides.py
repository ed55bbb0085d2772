"""Which vendors can be simulated, and the side that any sandbox on the kit gets."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints

import pytest
from turnbuckle_plank import PlankConnector
from turnbuckle_plank.side import PlankSide
from typer.testing import CliRunner

from cli.main import app
from simulation.jiraside import JiraSide
from simulation.run import run
from simulation.schedule import Conditions, Schedule, Step
from simulation.sides import ENTRY_POINTS, SIDES, UnknownSide, names, side
from simulation.stage import Stage
from simulation.vendor import PEOPLE
from simulation.world import World


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if two plugins were installed, one of which would take Jira's place."""
    points = EntryPoints(
        [
            EntryPoint("plank", "turnbuckle_plank.side:PlankSide", ENTRY_POINTS),
            EntryPoint("jira", "turnbuckle_plank.side:PlankSide", ENTRY_POINTS),
        ]
    )
    real = importlib.metadata.entry_points
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **want: points.select(**want) or real(**want))


@pytest.mark.usefixtures("installed")
def test_a_plugins_vendor_is_found_and_takes_no_built_in_ones_place() -> None:
    assert names() == [*SIDES, "plank"]
    assert side("plank") is PlankSide
    assert side("jira") is JiraSide


def test_a_vendor_nobody_knows_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownSide, match="there are: toy, jira"):
        side("trello")
    result = CliRunner().invoke(app, ["simulate", "--vendor", "trello"])
    assert result.exit_code == 2
    assert "toy, jira" in result.output


@pytest.mark.usefixtures("installed")
def test_a_plugins_vendor_is_simulated_from_the_command_line() -> None:
    result = CliRunner().invoke(app, ["simulate", "--vendor", "plank", "--schedules", "3"])
    assert result.exit_code == 0, result.output
    assert "3 schedules with plank" in result.output


# --- the side of a sandbox ----------------------------------------------------------------------------


@pytest.fixture
def plank() -> PlankSide:
    return PlankSide.alone()


def test_items_are_told_in_our_words(plank: PlankSide) -> None:
    item = plank.create("Saw", 1)
    for field, value in (("status", 2), ("priority", 0), ("assignee", 3), ("description", "Oak")):
        plank.edit(0, field, value)
    assert item is not None
    assert dict(plank.items()[item].values) == {
        "title": "Saw",
        "description": "Oak",
        "status": "in_review",
        "priority": "critical",
        "assignee": "eve",
    }
    assert plank.items()[item].container == plank.containers[1]
    assert [change.by_people for change in plank.journal()] == [True] * 5


def test_both_sides_know_the_same_people_by_their_addresses(plank: PlankSide) -> None:
    connector = plank.connected()
    assert [connector.find_user(address, "PL") is not None for address in PEOPLE.values()] == [True, True]
    assert connector.find_user("cleo@apex.test", "PL") is None


def test_a_delivery_of_what_is_gone_tells_of_its_absence(plank: PlankSide) -> None:
    plank.sandbox.hooks.register("https://here.test", plank.sandbox.robot.id)
    plank.create("Saw", 0)
    created = plank.sent()
    assert [plank.tells_of_absence(delivery) for delivery in created] == [False]
    plank.delete(0)
    assert [plank.tells_of_absence(delivery) for delivery in created + plank.sent()] == [True, True]
    plank.restore()
    assert not plank.tells_of_absence(created[0])


def test_only_the_last_call_of_a_write_ends_it(plank: PlankSide) -> None:
    assert plank.ends_a_write("PATCH /v2/cards/1")
    assert not plank.ends_a_write("GET /v2/cards")


def test_what_the_engine_writes_is_not_taken_for_peoples_edits() -> None:
    stage = Stage(PlankSide)
    worlds: list[World] = []
    steps = (Step("here_edit", 0, "title", "H1"), Step("push"))
    result = run(stage, Schedule(0, Conditions(), steps), seen=worlds.append)
    assert result.violations == ()
    [change] = [change for change in worlds[0].vendor.journal() if not change.by_people]
    assert (change.asked, change.after and change.after.values["title"]) == ({"title"}, "H1")


class Deaf(PlankConnector):
    """A Plank that cannot tell of anything."""

    verify = None
    parse = None
    handshake = None
    subscribe = None


def test_a_vendor_without_webhooks_is_polled_before_its_world_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deaf, "manifest", replace(PlankConnector.manifest, webhooks=None))
    monkeypatch.setattr(PlankSide, "connector_class", Deaf)
    stage = Stage(PlankSide)
    for seed in (0, 1):  # every second world is left without a poll where nothing is missing
        steps = (Step("there_create", 1, "title", "T1"), Step("there_delete", 0))
        assert run(stage, Schedule(seed, Conditions(), steps)).violations == ()
