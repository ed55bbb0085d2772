"""Webhook endpoints from the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.context import open_runtime
from cli.worker import notify
from core import events
from core.events import Fact
from core.models import Workspace
from sync.runtime import NEWS
from tests.cli.conftest import Place, Turnbuckle
from tests.connectors.server import LocalServer, raw_answer, serving
from webhooks.outbound import endpoints
from webhooks.outbound.endpoints import By


@pytest.fixture
def receiver() -> Iterator[LocalServer]:
    with serving(raw_answer(200)) as server:
        yield server


@pytest.fixture
def hook(turnbuckle: Turnbuckle, place: Place, receiver: LocalServer) -> str:
    """An endpoint of the workspace."""
    with open_runtime() as rt, rt.db.write() as session:
        made, _secret = endpoints.create(
            session,
            rt,
            by=By(place.ann_id),
            organization_id=organization_of(place),
            workspace_id=place.workspace_id,
            url=f"{receiver.url}/hook",
            description="",
            names=["task.*"],
        )
    return made.id


def organization_of(place: Place) -> str:
    with open_runtime() as rt, rt.db.read() as session:
        return session.get_one(Workspace, place.workspace_id).organization_id


def happen(place: Place) -> None:
    """A task changes, and a worker hears of it."""
    organization = organization_of(place)
    with open_runtime() as rt:
        fact = Fact(organization, place.workspace_id, "task.updated", "TSK-26-000001", place.ann_id, {})
        with rt.db.write() as session:
            events.append(session, [fact], rt.clock())
        notify(rt, NEWS)


def work(hook: str) -> None:
    """A worker hears of the endpoint."""
    with open_runtime() as rt:
        notify(rt, hook)


def test_endpoints_are_listed_and_shown(turnbuckle: Turnbuckle, place: Place, hook: str) -> None:
    happen(place)
    [listed] = turnbuckle.json("webhooks", "list", "--workspace", place.workspace_id)
    shown = turnbuckle.json("webhooks", "show", hook)
    assert listed["id"] == shown["id"] == hook
    assert "sealed" not in shown
    assert [each["state"] for each in shown["deliveries"]] == ["pending"]
    assert "task.*" in turnbuckle("webhooks", "list").stdout
    assert "task.updated" in turnbuckle("webhooks", "show", hook).stdout


def test_nothing_to_list(turnbuckle: Turnbuckle, place: Place) -> None:
    assert "no webhook endpoints" in turnbuckle("webhooks", "list").stdout
    assert turnbuckle.error("webhooks", "show", "WHK-26-000009") == "Webhook WHK-26-000009 not found."


def test_a_test_tells_what_the_endpoint_answered(turnbuckle: Turnbuckle, hook: str, receiver: LocalServer) -> None:
    assert "took it" in turnbuckle("webhooks", "test", hook).stderr
    assert turnbuckle.json("webhooks", "test", hook)["status"] == 200
    receiver.reply = lambda _seen: raw_answer(500)
    failed = turnbuckle.run("webhooks", "test", hook)
    assert failed.exit_code == 1
    assert "answered 500" in failed.stderr


def test_deliveries_are_sent_again(turnbuckle: Turnbuckle, place: Place, hook: str, receiver: LocalServer) -> None:
    happen(place)
    work(hook)
    [delivery] = turnbuckle.json("webhooks", "show", hook)["deliveries"]
    assert turnbuckle.json("webhooks", "redeliver", hook)["deliveries"] == 0
    assert turnbuckle.json("webhooks", "redeliver", hook, delivery["id"])["deliveries"] == 1
    work(hook)
    assert turnbuckle.json("webhooks", "redeliver", hook, "--all", "--since", "2020-01-01")["deliveries"] == 1
    work(hook)
    assert [seen.headers["webhook-id"] for seen in receiver.seen] == [delivery["id"]] * 3


def test_a_redelivery_without_bounds_is_refused(turnbuckle: Turnbuckle, hook: str) -> None:
    assert "--since" in turnbuckle.error("webhooks", "redeliver", hook, "--all")
    assert "not both" in turnbuckle.error("webhooks", "redeliver", hook, "EVT-1", "--since", "2026-01-01")
