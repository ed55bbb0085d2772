"""Lets libraries built on `requests` (jira, PyGithub) send through our HTTP client."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from http.client import responses as reasons
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

if TYPE_CHECKING:
    from connectors.http import HttpClient, Response

_OF_THE_BODY = frozenset({"content-length", "transfer-encoding"})
"""Headers about how the session meant to send the body; the client sets its own."""


class ClientAdapter(BaseAdapter):
    """A `requests` transport adapter over an `HttpClient`: mount it for "https://" and "http://".

    Raises what `HttpClient.pass_through` raises. None of it is a `requests` error, so no library takes it for
    something to retry. Timeouts, proxies and certificates of the session are not used: the client has its own.
    """

    def __init__(self, client: HttpClient, allow: Collection[int] | None = None) -> None:
        super().__init__()
        self._client, self._allow = client, allow

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send what the session prepared, once."""
        headers = {name: _text(value) for name, value in request.headers.items() if name.lower() not in _OF_THE_BODY}
        method, url = request.method or "GET", request.url or ""
        return _answer(request, self._client.pass_through(method, url, headers, _bytes(request.body), self._allow))

    def close(self) -> None:
        """Nothing to close: connections belong to the client's transport."""


def lend(
    client: HttpClient, session: requests.Session, authorization: str, allow: Collection[int] | None = None
) -> None:
    """Let a library's session send through a client, with this header and no settings of the machine's. `allow` is as
    in `HttpClient.requests_adapter`."""
    session.trust_env = False
    session.headers["Authorization"] = authorization
    for scheme in ("https://", "http://"):
        session.mount(scheme, ClientAdapter(client, allow))


class _Answer(requests.Response):
    """An answer the session doesn't follow elsewhere: a redirect would take the request past `allow_redirects`."""

    @property
    def is_redirect(self) -> bool:
        return False


def _answer(request: requests.PreparedRequest, response: Response) -> requests.Response:
    answer = _Answer()
    answer.status_code = response.status
    answer.headers = CaseInsensitiveDict(response.headers)
    answer.encoding = get_encoding_from_headers(answer.headers)
    answer.reason = reasons.get(response.status, "")
    answer.url = response.url
    answer.request = request
    answer.raw = io.BytesIO(response.content)
    answer._content = response.content
    return answer


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _bytes(body: Any) -> bytes | None:
    """The body as bytes; `requests` also takes text, open files and iterables of bytes."""
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode("utf-8")
    if hasattr(body, "read"):
        return _bytes(body.read())
    return b"".join(body)
