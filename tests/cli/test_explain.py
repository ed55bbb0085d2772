"""Why does every field of a task have its value?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from cli.context import open_runtime
from core import tasks
from core.models import Binding, Integration, Task
from sandbox.jira import JiraSandbox
from sync.pull import pull
from sync.push import push
from sync.runtime import Runtime
from tests.cli.conftest import Place, Turnbuckle


@pytest.fixture
def runtime(integration_id: str) -> Iterator[Runtime]:
    """The engine's world, after a first sync."""
    with open_runtime() as runtime:
        assert pull(runtime, integration_id) is not None
        yield runtime


@pytest.fixture
def task(runtime: Runtime) -> Task:
    with runtime.db.read() as session:
        return session.scalars(select(Task).order_by(Task.id)).first() or pytest.fail("there is no task")


def field(explanation: dict, name: str) -> dict:
    [found] = [field for field in explanation["fields"] if field["field"] == name]
    return found


def poll(runtime: Runtime, integration_id: str) -> None:
    with runtime.db.write() as session:
        session.get_one(Integration, integration_id).next_pull_at = runtime.clock()
    assert pull(runtime, integration_id) is not None


def test_what_a_vendor_brought_names_the_run(
    turnbuckle: Turnbuckle, runtime: Runtime, jira: JiraSandbox, integration_id: str, task: Task
) -> None:
    jira.person("ann@example.com").edit(str(task.external_id), summary="Renamed in Jira")
    poll(runtime, integration_id)
    explanation = turnbuckle.json("explain", task.id)
    title = field(explanation, "title")
    assert title["value"] == "Renamed in Jira"
    assert title["set_by"] == integration_id
    assert title["brought_by"]["id"].startswith("SYNC-")
    [tie] = explanation["ties"]
    assert tie["item"] == task.external_id
    assert tie["failure"] is None
    assert "Renamed in Jira" in turnbuckle("explain", task.id).stdout


def test_what_is_owed_is_told_until_it_is_paid(
    turnbuckle: Turnbuckle, runtime: Runtime, place: Place, integration_id: str, task: Task
) -> None:
    with runtime.db.write() as session:
        tasks.change(session, task.id, {"title": "Renamed here"}, actor=place.ann_id, now=runtime.clock())
    title = field(turnbuckle.json("explain", task.id), "title")
    assert title["set_by"] == place.ann_id
    assert title["brought_by"] == {"kind": "request", "id": None}
    assert title["ties"][0]["owed"]
    assert title["ties"][0]["agreed_here"] == task.title
    assert "owed to" in turnbuckle("explain", task.id).stdout
    assert push(runtime, integration_id) == 1
    assert not field(turnbuckle.json("explain", task.id), "title")["ties"][0]["owed"]


def test_a_conflict_tells_its_rule_and_the_loser(
    turnbuckle: Turnbuckle, runtime: Runtime, place: Place, jira: JiraSandbox, integration_id: str, task: Task
) -> None:
    with runtime.db.write() as session:
        tasks.change(session, task.id, {"title": "Ours"}, actor=place.ann_id, now=runtime.clock())
    jira.person("ann@example.com").edit(str(task.external_id), summary="Theirs")
    poll(runtime, integration_id)
    title = field(turnbuckle.json("explain", task.id), "title")
    assert title["value"] == "Theirs"
    assert title["rule"] == "conflict_latest"
    assert "the later change won" in turnbuckle("explain", task.id).stdout


def test_a_failure_comes_with_what_to_do(turnbuckle: Turnbuckle, runtime: Runtime, task: Task) -> None:
    with runtime.db.write() as session:
        binding = session.scalars(select(Binding).where(Binding.task_id == task.id)).one()
        binding.owed, binding.failed_at = True, runtime.clock()
        binding.reason_code, binding.reason_text = "forbidden", "The account may not edit APEX-1."
        binding.refused = {"priority": {"value": task.priority, "code": "no_field", "text": "Not on the screen."}}
    explanation = turnbuckle.json("explain", task.id)
    failure = explanation["ties"][0]["failure"]
    assert failure["given_up"]
    assert "Allow the connected account" in failure["next_step"]
    assert field(explanation, "priority")["ties"][0]["refused"]["code"] == "no_field"
    shown = turnbuckle("explain", task.id).stdout
    assert "The account may not edit APEX-1." in shown
    assert "Not on the screen." in shown


def test_a_task_that_no_tool_holds(turnbuckle: Turnbuckle, place: Place) -> None:
    with open_runtime() as runtime, runtime.db.write() as session:
        new = tasks.NewTask(place.workspace_id, "Alone", service_line_id=place.line_id)
        made = tasks.create(session, new, actor=place.ann_id, now=runtime.clock()).task
    assert turnbuckle.json("explain", made.id)["ties"] == []
    assert "No tool holds this task" in turnbuckle("explain", made.id).stdout


def test_a_task_that_is_not_there(turnbuckle: Turnbuckle, place: Place) -> None:
    assert "TSK-26-999999" in turnbuckle.error("explain", "TSK-26-999999")
