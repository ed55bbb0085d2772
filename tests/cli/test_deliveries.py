"""Deliveries from the command line: listed, shown, replayed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from cli.context import open_runtime
from core.deliveries import new_row
from core.models import AuditRecord, Delivery
from sandbox.jira import JiraSandbox
from tests.cli.conftest import Place, Turnbuckle


def delivered(integration_id: str, body: bytes = b"{}", **changed: Any) -> int:
    with open_runtime() as runtime, runtime.db.write() as session:
        row = new_row(integration_id, f"{integration_id}:{body!r}", "jira:issue_updated", {}, body, runtime.clock())
        session.add(made := Delivery(**(row | changed)))
        session.flush()
        return made.id


def states() -> list[str]:
    with open_runtime() as runtime, runtime.db.read() as session:
        return list(session.scalars(select(Delivery.state).order_by(Delivery.id)))


@pytest.fixture
def dead(integration_id: str) -> int:
    return delivered(integration_id, b"[1]", state="dead", error_code="bad_payload", error_text="Not an object.")


def test_deliveries_are_listed_and_shown(turnbuckle: Turnbuckle, integration_id: str, dead: int) -> None:
    waiting = delivered(integration_id)
    listed = turnbuckle.json("deliveries", "list", integration_id)
    assert [row["id"] for row in listed["data"]] == [waiting, dead]
    only_dead = turnbuckle.json("deliveries", "list", integration_id, "--state", "dead", "--limit", "1")
    assert [row["id"] for row in only_dead["data"]] == [dead]
    assert "Not an object." in turnbuckle("deliveries", "list", integration_id).stdout
    shown = turnbuckle.json("deliveries", "show", integration_id, str(dead))
    assert (shown["state"], shown["body"]) == ("dead", "[1]")
    assert "bad_payload: Not an object." in turnbuckle("deliveries", "show", integration_id, str(dead)).stdout


def test_dead_deliveries_are_replayed_and_it_is_recorded_by_whom(
    turnbuckle: Turnbuckle, place: Place, integration_id: str, dead: int
) -> None:
    done = turnbuckle.json("deliveries", "replay", integration_id, "--dead", "--as", "ann@example.com")
    assert done == {"replayed": 1, "pending": 0}
    assert states() == ["pending"]
    with open_runtime() as runtime, runtime.db.read() as session:
        last = session.scalars(select(AuditRecord).order_by(AuditRecord.id.desc())).first()
    assert last is not None
    assert (last.action, last.actor) == ("integration.deliveries_replayed", place.ann_id)


def test_a_dry_run_tells_and_changes_nothing(
    turnbuckle: Turnbuckle, integration_id: str, dead: int, jira: JiraSandbox
) -> None:
    issue = str(next(iter(jira.site.issues)))
    good = delivered(
        integration_id, json.dumps({"webhookEvent": "jira:issue_updated", "issue": {"id": issue}}).encode()
    )
    plan = turnbuckle.json("deliveries", "replay", integration_id, str(dead), str(good), "--dry-run")
    assert {each["id"]: each["state"] for each in plan["deliveries"]} == {dead: "dead", good: "done"}
    assert [item["decision"] for item in plan["items"]] == ["created"]
    assert "created" in turnbuckle("deliveries", "replay", integration_id, str(good), "--dry-run").stdout
    assert states() == ["dead", "pending"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("replay",), "name exactly one"),
        (("replay", "--dead", "--from", "2026-04-15"), "name exactly one"),
        (("replay", "--from", "yesterday"), "must be a date"),
        (("replay", "999"), "999"),
        (("list", "--state", "gone"), "must be one of"),
        (("show", "999"), "not found"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    turnbuckle: Turnbuckle, integration_id: str, arguments: tuple[str, ...], says: str
) -> None:
    command, *rest = arguments
    assert says in turnbuckle.error("deliveries", command, integration_id, *rest)


def test_an_integration_is_shown_with_its_health(turnbuckle: Turnbuckle, integration_id: str, dead: int) -> None:
    delivered(integration_id)
    health = turnbuckle.json("integration", "show", integration_id)["health"]
    assert (health["inbox"]["pending"], health["inbox"]["dead"], health["causes"]) == (1, 1, [])
    assert "1 pending" in turnbuckle("integration", "show", integration_id).stdout
