"""What ClickUp's tasks mean here, and the words to write. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from connectors.clickup.client import Page
from connectors.clickup.config import ClickUpConfig
from connectors.clickup.mapping import Reader, Task
from connectors.contract import Priority, Status, VendorValue

LIST = "901523452618"
RECORDED: dict[str, Any] = {
    "id": "86c9w41hk",
    "custom_id": "DEV-42",
    "name": "Fix login",
    "description": "Steps…",
    "markdown_description": "**Steps**…\n",
    "status": {"id": "p90_x", "status": "in progress", "color": "#4194f6", "orderindex": 1, "type": "custom"},
    "priority": {"id": "2", "priority": "high", "color": "#f8ae00", "orderindex": "2"},
    "assignees": [{"id": 190, "username": "Bob", "email": "bob@example.com"}, {"id": 183, "username": None}],
    "tags": [{"name": "urgent-ish", "tag_fg": "#fff"}, {"name": "Scrums-TSK-26-018841-0a1b"}],
    "date_created": "1742634731523",
    "date_updated": "1776247260523",
    "date_closed": None,
    "custom_fields": [{"id": "f1", "name": "Scrums ID", "type": "short_text"}, {"id": "f2", "value": {"a": [1]}}],
    "list": {"id": LIST, "name": "Platform", "access": True},
    "url": "https://app.clickup.com/t/86c9w41hk",
}


def reader(**config: Any) -> Reader:
    return Reader(ClickUpConfig(workspace_id="1", projects=[{"external": LIST}], **config))


def read(_reader: Reader | None = None, **fields: Any):
    task = msgspec.json.decode(msgspec.json.encode({**RECORDED, **fields}), type=Task)
    return (_reader or reader()).task(task)


def status(name: str, kind: str, **config: Any) -> str | None:
    return read(reader(**config), status={"status": name, "type": kind}).values["status"].here


def test_a_task_reads_with_its_immutable_id_its_custom_id_and_the_vendors_time():
    task = read()
    assert (task.external_id, task.key, task.container) == ("86c9w41hk", "DEV-42", LIST)
    assert task.version == 1776247260523
    assert task.updated_at.isoformat() == "2026-04-15T10:01:00.523000+00:00"
    assert task.values["title"] == ("Fix login", "Fix login")
    assert task.values["description"].here == "**Steps**…"
    assert task.values["status"] == ("in_progress", "in progress:in_progress")
    assert task.values["priority"] == ("high", "2:high")
    assert task.create_key == "scrums-tsk-26-018841-0a1b"


def test_without_a_custom_id_a_task_is_called_by_its_id():
    assert read(custom_id=None).key == "86c9w41hk"
    assert read(url=None).url == "https://app.clickup.com/t/86c9w41hk"


def test_a_task_that_was_never_changed_has_the_time_of_its_birth():
    assert read(date_updated=None).version == 1742634731523
    assert read(date_updated="").version == 1742634731523


def test_of_several_assignees_the_one_with_the_lowest_id_is_read_whatever_their_order():
    people = RECORDED["assignees"]
    for order in (people, people[::-1]):
        assignee = read(assignees=order).assignee
        assert assignee is not None
        assert (assignee.id, assignee.name, assignee.email) == ("183", "", None)
    assert read(assignees=[]).assignee is None


@pytest.mark.parametrize(
    ("name", "kind", "here"),
    [
        ("to do", "open", "backlog"),
        ("planned", "unstarted", "backlog"),
        ("Backlog", "custom", "backlog"),
        ("doing", "custom", "in_progress"),
        ("Code Review", "custom", "in_review"),
        ("in QA", "custom", "in_review"),
        ("shipped", "done", "done"),
        ("complete", "closed", "done"),
        ("Cancelled", "closed", "cancelled"),
        ("won\N{RIGHT SINGLE QUOTATION MARK}t do", "done", "cancelled"),
        ("whatever", "a type of next year", "in_progress"),
    ],
)
def test_statuses_mean_what_their_type_and_name_say(name, kind, here):
    assert status(name, kind) == here


def test_the_operators_map_comes_first_then_what_is_written():
    assert status("complete", "closed", status_map={"Complete": "cancelled"}) == "cancelled"
    assert status("ready", "custom", status_out={"in_review": "Ready"}) == "in_review"


def test_the_status_to_write_is_the_configured_one_if_the_list_has_it_else_the_first_of_that_meaning():
    words = reader(status_out={"in_review": "in qa"}).statuses
    has = [words.value("1", "In QA", "custom"), words.value("2", "review", "custom")]
    assert words.choose(Status.IN_REVIEW, has) == VendorValue("1", "In QA", "in_review")
    assert words.choose(Status.IN_REVIEW, has[1:]) == VendorValue("2", "review", "in_review")
    assert words.choose(Status.CANCELLED, has) is None


def written(reader: Reader, value: Priority) -> str | None:
    chosen = reader.priorities.choose(value, reader.priorities.values())
    return chosen and chosen.name


def test_priorities_read_and_write_by_name_or_number_and_none_is_medium():
    assert read(priority=None).values["priority"] == ("medium", "none:medium")
    assert read(priority={"id": "1", "priority": "urgent"}).values["priority"].here == "critical"
    assert [written(reader(), value) for value in Priority] == ["low", "normal", "high", "urgent"]
    assert written(reader(priority_out={"medium": "4"}), Priority.MEDIUM) == "low"
    assert reader(priority_map={"none": "low"}).priorities.value("none").here == "low"
    assert written(reader(priority_map={"urgent": "high"}), Priority.CRITICAL) is None


def test_the_marker_may_be_in_the_configured_custom_field():
    fields = [{"id": "f1", "type": "short_text", "value": "scrums-tsk-26-000007-ffff"}]
    assert read(reader(marker_field="f1"), custom_fields=fields, tags=[]).create_key == "scrums-tsk-26-000007-ffff"
    assert read(reader(marker_field="f9"), custom_fields=fields, tags=[]).create_key is None
    assert read(reader(marker_field="f2"), tags=[]).create_key is None  # another type of field


def test_markdown_that_renders_alike_is_the_same_description():
    mine = read(markdown_description="- a\n- __b__").values["description"]
    theirs = read(markdown_description="* a\r\n* **b**\n").values["description"]
    assert mine.there == theirs.there
    assert mine.there != read(markdown_description="- a\n- c").values["description"].there
    assert read(markdown_description="", description="").values["description"] == ("", None)


def test_a_long_title_is_known_by_a_digest_so_that_it_can_be_expected():
    value = read(name="x" * 300).values["title"]
    assert value.here == "x" * 300
    assert value.there is not None
    assert len(value.there) < 255


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"projects": [{"external": "Platform"}]}, "not a List's id"),
        ({"projects": [{"external": str(number)} for number in range(101)]}, "more than 100 Lists"),
        ({"workspace_id": "apex"}, "workspace_id"),
        ({"workspaceid": "1"}, "Extra inputs"),
    ],
)
def test_a_config_that_can_not_work_is_refused_with_the_way_to_mend_it(config, words):
    with pytest.raises(ValidationError, match=words):
        ClickUpConfig(**{"workspace_id": "1", "projects": [{"external": LIST}], **config})


@pytest.mark.parametrize(
    ("tasks", "told", "last"),
    [(100, None, False), (99, None, True), (0, None, True), (100, True, True), (3, False, False), (0, False, True)],
)
def test_a_page_is_the_last_when_it_says_so_or_is_short_or_empty(tasks, told, last):
    task = msgspec.json.decode(msgspec.json.encode(RECORDED), type=Task)
    assert Page([task] * tasks, told).last is last
