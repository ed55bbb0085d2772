"""Markers as ids, and back."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.chosen_id import GENERATIONS, PREFIX, create, find, id_of, key_of
from connectors.contract import NotFound, Rejected, Transient
from core.tasks import create_key

OWN = st.text("0123456789abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=19)


@given(OWN, st.integers(0, GENERATIONS - 1))
def test_every_marker_comes_back_out_of_its_id(own, generation):
    assert key_of(id_of(PREFIX + own, generation)) == PREFIX + own


@given(OWN)
def test_an_id_is_a_uuid_of_version_4_and_the_same_every_time(own):
    made = id_of(PREFIX + own)
    assert str(UUID(made)) == made
    assert (UUID(made).version, UUID(made).variant) == (4, "specified in RFC 4122")
    assert made == id_of(PREFIX + own)


@given(OWN, OWN)
def test_two_markers_never_share_an_id(one, other):
    ids = {id_of(PREFIX + key, generation) for key in (one, other) for generation in range(GENERATIONS)}
    assert len(ids) == GENERATIONS * len({one, other})


@pytest.mark.parametrize("task_id", ["TSK-26-000001", "TSK-99-ZZZZZZ"])
def test_every_marker_of_the_platform_fits(task_id):
    key = create_key(task_id, "a-hook-id")
    assert key_of(id_of(key)) == key


def test_other_peoples_ids_are_no_markers():
    assert sum(key_of(str(uuid4())) is not None for _ in range(1000)) <= 2  # one in 16,384 passes the check by chance
    for other in ("", "10001", "ENG-42", "00000000-0000-1000-8000-000000000000", "é" * 32):
        assert key_of(other) is None


@pytest.mark.parametrize("key", ["26-018841", PREFIX + "x" * 21, PREFIX + "A", PREFIX + "é"])
def test_what_is_no_marker_or_does_not_fit_is_told(key):
    with pytest.raises(ValueError, match="can't be made an id"):
        id_of(key)


KEY = PREFIX + "26-018841"


@dataclass
class Thing:
    id: str
    identifier: str = "K-1"
    trashed: bool | None = None


class Shelf:
    """Things by the ids their makers chose; it takes no id twice."""

    def __init__(self, *things: Thing, closed: bool = False) -> None:
        self.things, self.closed = {thing.id: thing for thing in things}, closed

    def make(self, id_: str) -> Thing:
        if self.closed or id_ in self.things:
            raise Rejected("no")
        return self.things.setdefault(id_, Thing(id_))

    def read(self, id_: str) -> Thing:
        if id_ not in self.things:
            raise NotFound(id_)
        return self.things[id_]


def test_a_thing_is_made_once_and_found_by_its_key():
    shelf = Shelf()
    assert find(KEY, shelf.read) is None
    made = create("Plank", KEY, shelf.make, shelf.read)
    assert made.id == id_of(KEY)
    assert find(KEY, shelf.read) is made
    with pytest.raises(Transient, match="K-1 was created before"):
        create("Plank", KEY, shelf.make, shelf.read)


def test_a_thing_in_the_trash_keeps_its_id_and_the_next_generation_is_made():
    shelf = Shelf(Thing(id_of(KEY), trashed=True))
    assert find(KEY, shelf.read) is None
    made = create("Plank", KEY, shelf.make, shelf.read)
    assert made.id == id_of(KEY, 1)
    assert find(KEY, shelf.read) is made


def test_generations_end():
    shelf = Shelf(*(Thing(id_of(KEY, generation), trashed=True) for generation in range(GENERATIONS)))
    with pytest.raises(Rejected, match="Plank's trash"):
        create("Plank", KEY, shelf.make, shelf.read)
    assert find(KEY, shelf.read) is None


def test_what_is_refused_for_another_reason_stays_refused():
    with pytest.raises(Rejected, match="no"):
        create("Plank", KEY, Shelf(closed=True).make, Shelf().read)
