"""The public API as a script would use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.http import HttpClient, Transport, Unlimited
from core.clock import utc_now

PAGE = 100
"""The most the API gives at once."""


class ApiClient:
    """One person's token at `/v1`. Errors are those of the connectors' HTTP client."""

    def __init__(self, url: str, token: str, transport: Transport) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = HttpClient(transport=transport, budget=Unlimited(), now=utc_now, secrets=[token])

    def get(self, path: str, **params: str | int) -> Any:
        """GET; the whole envelope."""
        return self._http.request("GET", f"{self._url}{path}", params=params, headers=self._headers).json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """POST; what is inside `data`."""
        return self._http.request("POST", f"{self._url}{path}", json=body, headers=self._headers).json()["data"]

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        """PATCH; what is inside `data`."""
        return self._http.request("PATCH", f"{self._url}{path}", json=body, headers=self._headers).json()["data"]

    def listed(self, path: str, **params: str | int) -> Iterator[dict[str, Any]]:
        """Every entry of a list, page after page."""
        more: dict[str, str | int] = {}
        while True:
            page = self.get(path, limit=PAGE, **params, **more)
            yield from page["data"]
            if not page["meta"]["has_more"]:
                return
            more = {"cursor": page["meta"]["cursor"]}
