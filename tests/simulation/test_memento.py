"""What a memento puts back, into which objects, and what it refuses."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from simulation.memento import Memento


@dataclass
class Holder:
    held: Any


@dataclass(slots=True)
class Slotted:
    held: Any


@dataclass(frozen=True)
class Frozen:
    held: Any = field(default_factory=list)


@pytest.mark.parametrize("wrap", [Holder, Slotted, Frozen, lambda held: {1: held}, lambda held: (held,), lambda h: [h]])
@pytest.mark.parametrize(
    ("thing", "change"),
    [
        ({"a": 1}, lambda thing: thing.update(a=2, b=3)),
        ([1, 2], lambda thing: thing.pop()),
        ({1, 2}, lambda thing: thing.add(3)),
        (deque([1, 2], maxlen=2), lambda thing: thing.append(3)),
        (Counter("aab"), lambda thing: thing.update("ab")),
        (OrderedDict(a=1, b=2), lambda thing: thing.move_to_end("a")),
        (Holder(1), lambda thing: setattr(thing, "held", 2)),
        (Holder(1), lambda thing: setattr(thing, "new", 2)),
        (Slotted(1), lambda thing: setattr(thing, "held", 2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_changed_is_put_back_wherever_it_is(
    wrap: Callable[[Any], Any], thing: Any, change: Callable[[Any], object]
) -> None:
    memento = Memento(wrap(thing))
    before = repr(thing), repr(getattr(thing, "__dict__", None))
    for _ in range(2):  # it can be put back as often as it is needed
        change(thing)
        assert (repr(thing), repr(getattr(thing, "__dict__", None))) != before
        memento.put_back()
        assert (repr(thing), repr(getattr(thing, "__dict__", None))) == before


def test_chance_begins_again_where_it_was() -> None:
    chance = Random(1)
    memento = Memento(Holder(chance))
    first = [chance.random() for _ in range(3)]
    memento.put_back()
    assert [chance.random() for _ in range(3)] == first


def test_what_a_listener_holds_is_put_back() -> None:
    told, heard = [1], Holder([2])
    told_too = Holder([3])

    def listener() -> list[int]:
        return told

    class Ear:
        held = None

        def listen(self) -> None:
            self.held = 1

    ear = Ear()
    memento = Memento([listener, heard, ear.listen], {"x": told_too})
    told.append(2)
    heard.held.append(3)
    told_too.held = None
    ear.listen()
    memento.put_back()
    assert (told, heard.held, told_too.held, ear.held) == ([1], [2], [3], None)


def test_things_that_know_each_other_come_to_an_end() -> None:
    one, other = Holder(None), Holder(None)
    one.held, other.held = other, one
    memento = Memento(one)
    other.held = None
    memento.put_back()
    assert other.held is one


def test_what_it_cannot_put_back_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r"holds a builtins\.generator"):
        Memento(Holder(number for number in range(3)))
