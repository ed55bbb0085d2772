"""What the clients of REST APIs share: calls below one address with one header, and answers in their shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote

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
    """Calls below `base`. A vendor's client is a subclass with an `Endpoint` for each call that is made, or a method
    where there is more to say; it may have its own way of calling. `authorization` is asked for the header with every
    call. Raises the contract's errors."""

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


class Endpoint(Generic[T]):
    """A call as data, and a method of the client whose attribute it is: `task = Endpoint("GET /task/{}", Task)` makes
    `client.task("7")` a Task. A call is given what stands in the place of each `{}`, which is quoted, and then the JSON
    body, if there is one.

    shape  of the answer; `Response`: the answer as it came
    at     only this member of the answer
    more   keywords of `HttpClient.request`; those of a single call win
    """

    def __init__(self, call: str, shape: type[T], at: str | None = None, **more: Any) -> None:
        self._method, _, self._path = call.partition(" ")
        self._shape, self._at, self._more = shape, at, more

    def __get__(self, client: RestClient, owner: type[RestClient]) -> Callable[..., T]:
        return partial(self._ask, client)

    def _ask(self, client: RestClient, *said: Any, **more: Any) -> T:
        parts = self._path.count("{}")
        if len(said) - parts not in (0, 1):
            raise TypeError(f"{self._path} takes {parts} names and perhaps a body, not {len(said)} things")
        path = self._path.format(*(quote(str(one), safe="") for one in said[:parts]))
        body = {"json": said[parts]} if len(said) > parts else {}
        response = client.call(self._method, path, **{**self._more, **more, **body})
        return cast(T, response) if self._shape is Response else _in_shape(response, self._shape, self._at)
