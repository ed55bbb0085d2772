"""What the clients of REST APIs share: calls below one address with one header, and answers in their shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from connectors.contract import BadPayload
from connectors.http import HttpClient
from connectors.response import Response

T = TypeVar("T")


def member(response: Response, name: str, shape: type[T]) -> T:
    """One member of the object that is the answer, in this shape; all others are skipped unread. Raises BadPayload."""
    found = response.decode(dict[str, msgspec.Raw])
    try:
        return msgspec.json.decode(found[name], type=shape)
    except KeyError:
        raise BadPayload(f"The vendor answered without {name!r}.") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadPayload(f"The vendor answered an unexpected shape in {name!r}: {error}") from None


class RestClient:
    """Calls below `base`. A vendor's client is a subclass with a method for each call that is made; it may have its own
    way of calling. `authorization` is asked for the header with every call. Raises the contract's errors."""

    def __init__(self, http: HttpClient, base: str, authorization: Callable[[], str]) -> None:
        self.http, self._base, self._authorization = http, base, authorization

    def call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
        """One call; `more` is as in `HttpClient.request`."""
        own = {"Authorization": self._authorization(), **(headers or {})}
        return self.http.request(method, self._base + path, headers=own, **more)

    def get(self, path: str, shape: type[T], at: str | None = None, **more: Any) -> T:
        """What is there, in this shape; only the member `at` of it, where that is named."""
        return _in_shape(self.call("GET", path, **more), shape, at)

    def send(self, method: str, path: str, body: Any, shape: type[T], at: str | None = None, **more: Any) -> T:
        """What comes of a JSON body, as `get` gives it."""
        return _in_shape(self.call(method, path, json=body, **more), shape, at)


def _in_shape(response: Response, shape: type[T], at: str | None) -> T:
    return response.decode(shape) if at is None else member(response, at, shape)
