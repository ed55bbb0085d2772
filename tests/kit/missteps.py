"""What wrong connectors do with errors, whatever they are about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectors.contract import Rejected, Transient

Handle = Callable[[Callable[[], Any], Any], Any]
"""Is given what makes the call once more, and the error."""


def call_as(patch: pytest.MonkeyPatch, client: type[Any], kind: type[Exception], handle: Handle) -> None:
    """Every call of the client's (`_call`) that ends with this error is handled otherwise."""
    real = client._call

    def call(self: Any, *given: Any, **more: Any) -> Any:
        try:
            return real(self, *given, **more)
        except kind as error:
            return handle(lambda: real(self, *given, **more), error)

    patch.setattr(client, "_call", call)


def once_more(again: Callable[[], Any], _error: Any) -> Any:
    """The call is made again at once."""
    return again()


def calm(_again: Any, error: Any) -> Any:
    """It is said to be a passing trouble."""
    raise Transient(error.text)


def insist(again: Callable[[], Any], error: Any) -> Any:
    """The call is made nine times."""
    for _ in range(8):
        try:
            return again()
        except Transient as later:
            error = later
    raise error


def terse(_again: Any, _error: Any) -> Any:
    """A refusal says that it is one, and no more."""
    raise Rejected("no")
