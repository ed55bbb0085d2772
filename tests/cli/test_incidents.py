"""Incidents and notifications from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cli.context import open_runtime
from connectors.contract import Alert, AlertRef, AlertState, Config, Severity
from core.models import Integration
from sandbox.slack import SlackSandbox
from sandbox.vendor import API_TOKEN
from sync.incidents.known import Told
from sync.incidents.settle import settle_alerts
from sync.notifications import routes
from sync.notifications.routes import By, NewRoute
from sync.runtime import NEWS, Lane
from sync.work import work
from tests.cli.conftest import Place, Turnbuckle


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackSandbox]:
    """A fake Slack over HTTP."""
    sandbox = SlackSandbox(seed=1)
    with sandbox.serve() as served:
        monkeypatch.setenv("TURNBUCKLE_VENDOR_ENDPOINTS", json.dumps({"slack": {"api": served.url}}))
        yield sandbox


@pytest.fixture
def integration_id(turnbuckle: Turnbuckle, place: Place, slack: SlackSandbox) -> str:
    """An integration with it."""
    options = ("--type", "slack", "--workspace", place.workspace_id, "--name", "Apex on Slack")
    config = ("--config", "default_channel=C08DELIVERY")
    given = json.dumps({"bot_token": API_TOKEN})
    return str(turnbuckle.json("integration", "add", *options, *config, "--credentials", "-", given=given)["id"])


@pytest.fixture
def incident(integration_id: str) -> str:
    """Something is wrong; the incident's id."""
    with open_runtime() as rt, rt.db.write() as session:
        now = rt.clock()
        alert = Alert(AlertRef("7", ""), AlertState.FIRING, Severity.HIGH, "CPU is high", "92 %", "https://x.test", now)
        row = session.get_one(Integration, integration_id)
        [settled] = settle_alerts(session, row, Config(), [Told(alert, "delivery:1")], now)
        return settled.incident_id


def test_an_incident_is_listed_shown_acknowledged_and_resolved(turnbuckle: Turnbuckle, incident: str) -> None:
    [listed] = turnbuckle.json("incidents", "list")
    assert (listed["id"], listed["status"]) == (incident, "open")
    assert "CPU is high" in turnbuckle("incidents", "list").stdout
    assert f"{incident} is acknowledged" in turnbuckle("incidents", "acknowledge", incident, "--note", "Mine.").stderr
    shown = turnbuckle.json("incidents", "show", incident)
    assert [(line["what"], line["text"]) for line in shown["history"]] == [
        ("firing", "92 %"),
        ("acknowledged", "Mine."),
    ]
    assert shown["history_complete"] is True
    turnbuckle("incidents", "resolve", incident)
    assert "resolved" in turnbuckle("incidents", "show", incident).stdout
    assert "Nothing is wrong" in turnbuckle("incidents", "list").stdout
    assert [row["id"] for row in turnbuckle.json("incidents", "list", "--all")] == [incident]
    assert "can't be acknowledged" in turnbuckle.error("incidents", "acknowledge", incident)


def test_an_incident_that_is_not_there(turnbuckle: Turnbuckle, place: Place) -> None:
    assert turnbuckle.error("incidents", "show", "INC-26-000009") == "Incident INC-26-000009 not found."


# --- notifications ------------------------------------------------------------------------------------


@pytest.fixture
def route(integration_id: str, place: Place) -> str:
    """Incidents are told in the default channel."""
    with open_runtime() as rt, rt.db.write() as session:
        new = NewRoute("On call", "", ["incident.*"], "info", 0, enabled=True)
        return routes.create(session, rt, integration_id, new, by=By(place.ann_id)).id


def say(integration_id: str) -> None:
    """A worker hears of it."""
    with open_runtime() as rt:
        work(rt, Lane.MESSAGES, NEWS)
        work(rt, Lane.MESSAGES, integration_id)


def test_what_was_said_is_listed_and_said_again(
    turnbuckle: Turnbuckle, slack: SlackSandbox, integration_id: str, route: str, incident: str
) -> None:
    assert [row["id"] for row in turnbuckle.json("notifications", "routes")] == [route]
    assert "incident.*" in turnbuckle("notifications", "routes").stdout
    say(integration_id)
    [message] = turnbuckle.json("notifications", "list", "--state", "sent")
    assert message["title"] == "CPU is high"
    assert "CPU is high" in turnbuckle("notifications", "list").stdout
    turnbuckle("notifications", "resend", message["id"])
    say(integration_id)
    assert len(slack.said("C08DELIVERY")) == 2


def test_a_test_says_whether_it_arrived(turnbuckle: Turnbuckle, slack: SlackSandbox, route: str) -> None:
    assert "It arrived" in turnbuckle("notifications", "test", route).stderr
    slack.workspace.channels["C08DELIVERY"].archived = True
    failed = turnbuckle.run("notifications", "test", route)
    assert failed.exit_code == 1
    assert "archived" in failed.stderr


def test_what_is_not_there_is_named(turnbuckle: Turnbuckle, place: Place) -> None:
    assert "NRT-26-000009" in turnbuckle.error("notifications", "test", "NRT-26-000009")
    assert "NTF-26-000009" in turnbuckle.error("notifications", "resend", "NTF-26-000009")
    assert "there are pending" in turnbuckle.error("notifications", "list", "--state", "lost")
