"""What connectors share about deliveries and about registering for them, and the containers of a config."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import pytest
from pydantic import ValidationError

from connectors.contract import BadPayload, Conflict, Forbidden, Hint, Ignored, TaskSyncConfig
from connectors.hooks import advising, hinted, shaped

KNOWN = {"made", "gone"}
IGNORED = {"talk": ("comment", "no part of a task")}


class Item(msgspec.Struct):
    id: str


class BoardConfig(TaskSyncConfig):
    container_form: ClassVar[str] = r"[A-Z]+"
    container_hint: ClassVar[str] = "a board's key, such as WEB"


@pytest.mark.parametrize(
    ("event", "item", "means"),
    [
        ("gone", "7", Hint("7")),
        ("made", 7, Hint("7")),
        ("talk", None, Ignored("comment", "no part of a task")),
        ("moon", "7", Ignored("unsupported", "moon")),
        ("", None, Ignored("unsupported", "")),
    ],
)
def test_a_known_event_names_an_item_to_read_again_and_any_other_says_why_it_is_none(event, item, means):
    assert hinted("Plank", event, item, KNOWN, IGNORED) == [means]


def test_a_known_event_without_an_item_is_a_bad_payload():
    with pytest.raises(BadPayload, match="Plank's made names no item"):
        hinted("Plank", "made", None, KNOWN)


def test_a_part_of_a_body_has_its_shape_or_is_a_bad_payload():
    assert shaped({"id": "7", "more": 1}, Item, "Plank") == Item("7")
    for odd in (None, [], {"id": 7}):
        with pytest.raises(BadPayload, match="Plank's webhook"):
            shaped(odd, Item, "Plank")


def test_who_may_not_register_is_told_first_what_to_do_and_other_errors_stay():
    @advising("Ask an administrator.", "Plank")
    def register(error: Exception | None) -> str:
        if error:
            raise error
        return "registered"

    assert register(None) == "registered"
    with pytest.raises(Forbidden, match=r"Ask an administrator\. Plank said: no") as said:
        register(Forbidden("no"))
    assert said.value.__suppress_context__
    with pytest.raises(Conflict, match=r"^no$"):
        register(Conflict("no"))


def test_a_container_of_another_form_is_refused_with_its_place():
    with pytest.raises(ValidationError, match="'web' is not a board's key, such as WEB") as refused:
        BoardConfig(projects=[{"external": "WEB"}, {"external": "web"}])
    assert refused.value.errors()[0]["loc"] == ("projects",)


def test_a_container_mapped_twice_is_there_once():
    config = BoardConfig(projects=[{"external": name} for name in ("WEB", "OPS", "WEB")])
    assert config.containers == ["OPS", "WEB"]
    assert TaskSyncConfig(projects=[{"external": "any\nthing"}]).containers == ["any\nthing"]
