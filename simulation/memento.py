"""Putting a fake vendor back to how it was, so that one that was set up once begins many worlds.

The objects stay the same ones and get back what they held. So whoever knows them (the app's routes, listeners, open
closures) need not be made anew, and a vendor's author has nothing to say about his state.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import date, time, timedelta, tzinfo
from enum import Enum
from functools import partial
from pathlib import PurePath
from random import Random
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any
from uuid import UUID

VALUES = (
    *(type(None), str, bytes, int, float, Enum, UUID, PurePath, re.Pattern),
    *(date, time, timedelta, tzinfo),
    *(type, ModuleType, BuiltinFunctionType),
)
"""What cannot change, or is no vendor's."""

LIBRARIES = frozenset({"_thread", "asyncio", "cryptography", "httpx", "starlette", "threading"})
"""Whose objects are tools that hold nothing of what a vendor knows: locks, keys, event loops, the app's routes."""


class Memento:
    """What everything held that could be reached from these objects. Raises TypeError for what cannot be put back."""

    def __init__(self, *roots: Any) -> None:
        self._putting_back: list[Callable[[], object]] = []
        known: dict[int, Any] = {}  # the objects themselves, too, or another one could get the number of one that died
        waiting = list(roots)
        while waiting:
            thing = waiting.pop()
            if isinstance(thing, VALUES) or id(thing) in known or _of_library(thing):
                continue
            known[id(thing)] = thing
            waiting += self._looked_at(thing)

    def put_back(self) -> None:
        """Everything holds again what it held. What was made since is nobody's any more."""
        for put_back in self._putting_back:
            put_back()

    def _looked_at(self, thing: Any) -> Iterable[Any]:
        """Remember what a thing holds, and say what that is."""
        match thing:
            case dict():
                self._putting_back.append(partial(_refill, thing, dict(thing)))
                return [*thing.keys(), *thing.values()]
            case list() | deque():
                self._putting_back.append(partial(_refill_row, thing, tuple(thing)))
            case set():
                self._putting_back.append(partial(_refill, thing, frozenset(thing)))
            case Random():
                self._putting_back.append(partial(thing.setstate, thing.getstate()))
                return ()
            case tuple() | frozenset():
                pass
            case MethodType():
                return (thing.__self__,)
            case FunctionType():
                return [cell.cell_contents for cell in thing.__closure__ or ()]
            case partial():
                return (thing.func, *thing.args, *thing.keywords.values())
            case _:
                return self._fields(thing)
        return list(thing)

    def _fields(self, thing: Any) -> Iterable[Any]:
        own, slots = getattr(thing, "__dict__", None), dict(_slots(thing))
        if own is None and not slots:
            raise TypeError(f"a vendor that holds a {type(thing).__module__}.{type(thing).__name__} can't be put back")
        if not _frozen(thing):
            if own is not None:
                self._putting_back.append(partial(_refill, own, dict(own)))
            self._putting_back += [partial(setattr, thing, name, value) for name, value in slots.items()]
        return [*(own or {}).values(), *slots.values()]


def _frozen(thing: Any) -> bool:
    params = getattr(type(thing), "__dataclass_params__", None)
    return params is not None and bool(params.frozen)


def _of_library(thing: Any) -> bool:
    return type(thing).__module__.partition(".")[0] in LIBRARIES


def _slots(thing: Any) -> Iterator[tuple[str, Any]]:
    for base in type(thing).__mro__:
        for name in vars(base).get("__slots__", ()):
            if hasattr(thing, name):
                yield name, getattr(thing, name)


def _refill(thing: dict[Any, Any] | set[Any], held: Any) -> None:
    thing.clear()
    thing.update(held)


def _refill_row(thing: list[Any] | deque[Any], held: tuple[Any, ...]) -> None:
    thing.clear()
    thing.extend(held)
