"""Record the exchanges a fake vendor has, for checking against the vendor's own API description.

An ASGI middleware around the app; one JSON object a line, secrets left out.
"""

import json
import re
import threading
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECRET_HEADERS = frozenset(
    {"authorization", "private-token", "dd-api-key", "dd-application-key", "cookie", "x-api-key"}
)
_SECRET_VALUES = re.compile(
    r'("(?:access_token|refresh_token|token|client_secret|code|code_verifier|secret)"\s*:\s*)"[^"]*"'
    r'|("value"\s*:\s*)"[^"]*"(?=\s*,\s*"is_secret"\s*:\s*true)'
)
_SECRET_FIELD = re.compile(r"((?:^|&)secret=)[^&]*")
# Not part of any vendor's API: our control endpoint, and pages meant for a person's browser.
_UNRECORDED = ("/_control", "/authorize", "/oauth/authorize", "/browse")


class RecordExchanges:
    """Wraps an app and appends each exchange to a JSONL file."""

    def __init__(self, app: ASGIApp, vendor: str, path: Path) -> None:
        self._app = app
        self._vendor = vendor
        self._path = path
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the exchange through and write it down when it is over."""
        if scope["type"] != "http" or scope["path"].startswith(_UNRECORDED):
            await self._app(scope, receive, send)
            return
        sent, got = bytearray(), bytearray()
        start: list[Message] = []

        async def listen() -> Message:
            message = await receive()
            sent.extend(message.get("body", b""))
            return message

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.append(message)
            got.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, listen, answer)
        if start:
            self._write(scope, bytes(sent), start[0], bytes(got))

    def _write(self, scope: Scope, sent: bytes, start: Message, got: bytes) -> None:
        exchange: dict[str, Any] = {
            "vendor": self._vendor,
            "method": scope["method"],
            "url": _url(scope),
            "request_headers": _headers(scope["headers"]),
            "request_body": _text(sent) or None,
            "status": start["status"],
            "response_headers": _headers(start.get("headers", [])),
            "response_body": _text(got),
        }
        with self._lock, self._path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(exchange) + "\n")


def _url(scope: Scope) -> str:
    host = _headers(scope["headers"]).get("host", "sandbox")
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").split("?")[0]
    query = scope["query_string"].decode("latin-1")
    return f"http://{host}{path}" + (f"?{query}" if query else "")


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    words = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}
    return {name: value for name, value in words.items() if name not in _SECRET_HEADERS}


def _text(body: bytes) -> str:
    starred = _SECRET_VALUES.sub(r'\1\2"***"', body.decode("utf-8", "replace"))
    return _SECRET_FIELD.sub(r"\1***", starred)
