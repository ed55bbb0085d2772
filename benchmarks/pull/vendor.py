"""A Jira-like server that is never the bottleneck: pages are joined once and sent as they are.

    python -m benchmarks.pull.vendor ITEMS        (says "ready on port N" when it answers)

It knows what a pull calls: `myself`, `search/approximate-count` and `search/jql` with its chain of tokens, and answers
`updated >= "-5m"` as Jira does; and `issue/bulkfetch`, which reads what webhooks name. `POST /_control` sets the
latency; every control answer tells the calls since the last.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.pull.issues import FIRST_ID, changed_at, issue_bytes, priorities, statuses
from tests.services.process import ServiceProcess

ACCOUNT = "712020:5b10a2844c20165700ede200"
SIZES = (1, 5000)
"""Least and most issues of a page."""

AGE = timedelta(hours=1)
"""How long ago the newest issue changed when the server starts."""

_SINCE = re.compile(r'updated >= "-(\d+)m"')
_STATUSES_OF = re.compile(r"/rest/api/3/project/\w+/statuses")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Site:
    """The issues, oldest change first, and the answers made of them."""

    def __init__(self, count: int, site: str, now: datetime) -> None:
        self.times = [changed_at(number, count, now - AGE) for number in range(count)]
        self.issues = [issue_bytes(number, at, site) for number, at in enumerate(self.times)]
        self.url = site
        self.calls = 0
        self.latency = 0.0
        self._page = lru_cache(maxsize=4096)(self._make_page)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body."""
        if path == "/_control":
            return 200, self._control(body)
        self.calls += 1
        match method, path:
            case "GET", "/rest/api/3/myself":
                me = {"accountId": ACCOUNT, "displayName": "Sync", "timeZone": "Etc/UTC", "active": True}
                return 200, json.dumps(me).encode()
            case "GET", "/rest/api/3/field":  # the jira library asks for it
                return 200, b'[{"id":"summary","name":"Summary","clauseNames":["summary"]}]'
            case "GET", "/rest/api/3/priority/search":  # this and the next are asked for when it is connected
                return 200, json.dumps({"values": priorities(self.url), "isLast": True}).encode()
            case "GET", _ if _STATUSES_OF.fullmatch(path):
                return 200, json.dumps([{"statuses": statuses(self.url)}]).encode()
            case "POST", "/rest/api/3/search/approximate-count":
                return 200, json.dumps({"count": len(self.issues)}).encode()
            case "POST", "/rest/api/3/search/jql":
                return 200, self._search(json.loads(body))
            case "POST", "/rest/api/3/issue/bulkfetch":
                return 200, self._fetch(json.loads(body)["issueIdsOrKeys"])
        return 404, b'{"errorMessages":["No such endpoint."],"errors":{}}'

    def _control(self, body: bytes) -> bytes:
        self.latency = json.loads(body).get("latency", self.latency) if body else self.latency
        calls, self.calls = self.calls, 0
        return json.dumps({"calls": calls}).encode()

    def _search(self, search: Mapping[str, Any]) -> bytes:
        size = min(max(search.get("maxResults", 50), SIZES[0]), SIZES[1])
        if token := search.get("nextPageToken"):
            return self._page(int(token), size)
        since = _SINCE.search(search["jql"])
        start = 0
        if since is not None:
            start = bisect_left(self.times, datetime.now(UTC) - timedelta(minutes=int(since[1])))
        return self._page(start, size)

    def _fetch(self, ids: Sequence[str]) -> bytes:
        return b'{"issues":[%b]}' % b",".join(self.issues[int(id_) - FIRST_ID] for id_ in ids)

    def _make_page(self, start: int, size: int) -> bytes:
        end = start + size
        issues = b",".join(self.issues[start:end])
        if end >= len(self.issues):
            return b'{"issues":[%b],"isLast":true}' % issues
        return b'{"issues":[%b],"nextPageToken":"%d","isLast":false}' % (issues, end)


class Connection(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection. Only what our clients send is understood."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            method, target, _ = head.split(b" ", 2)
            self._answer(method.decode(), target.decode().partition("?")[0], body)

    def _answer(self, method: str, path: str, body: bytes) -> None:
        status, content = self._site.answer(method, path, body)
        if self._site.latency and path != "/_control":
            asyncio.get_running_loop().call_later(self._site.latency, self._send, status, content)
        else:
            self._send(status, content)

    def _send(self, status: int, content: bytes) -> None:
        assert self._transport is not None
        date = format_datetime(datetime.now(UTC), usegmt=True)
        head = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not Found'}\r\nDate: {date}\r\nServer: AtlassianEdge\r\n"
            f"Content-Type: application/json;charset=UTF-8\r\nContent-Length: {len(content)}\r\n"
            f"X-AAccountId: {ACCOUNT}\r\nCache-Control: no-cache, no-store, no-transform\r\nVary: Accept-Encoding\r\n"
            "X-Content-Type-Options: nosniff\r\nStrict-Transport-Security: max-age=63072000\r\n\r\n"
        )
        self._transport.writelines((head.encode(), content))


async def serve(count: int) -> None:
    """Answer until the process is ended."""
    loop = asyncio.get_running_loop()
    site: list[Site] = []
    server = await loop.create_server(lambda: Connection(site[0]), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    site.append(Site(count, f"http://127.0.0.1:{port}", datetime.now(UTC)))
    print(f"ready on port {port}", flush=True)
    await server.serve_forever()


# --- for those who start it ---------------------------------------------------------------------------


def control(site: str, latency_ms: float | None = None) -> int:
    """Set the latency. Returns the calls the server got since the last time."""
    body = json.dumps({} if latency_ms is None else {"latency": latency_ms / 1000}).encode()
    with urlopen(Request(f"{site}/_control", data=body)) as answer:
        return int(json.load(answer)["calls"])


@contextmanager
def running(count: int) -> Iterator[str]:
    """The server in a process of its own; its address."""
    command = [sys.executable, "-m", "benchmarks.pull.vendor", str(count)]
    with ServiceProcess(command, ready=r"ready on port \d+", name="bench-vendor") as process:
        port = process.wait_for(r"ready on port (\d+)")[1]
        yield f"http://127.0.0.1:{port}"


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
