"""The HTTP side every fake vendor shares: calls, replies, operations, and the faults around them.

A vendor is a table of `Operation`s whose handlers are plain functions `Call -> Reply`. Reading the
request, striking faults, counting and answering happen here, once.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sandbox.calls import CallLog, CallRecord
from sandbox.clock import Clock
from sandbox.faults import CALL_FAULTS, FREEZE_LIMIT_SECONDS, Fault, FaultKind, FaultPlan, describe

# The key under which a server puts the function that cuts a client's connection into the ASGI scope.
CUT_KEY = "sandbox.cut"
# How often a frozen call looks whether it has been lifted: short enough for tests, idle enough to ignore.
FREEZE_POLL_SECONDS = 0.01


class ConnectionFault(Exception):
    """Raised instead of an answer when there is no real connection to break (in-process use)."""


class ConnectionCut(ConnectionFault):
    """The vendor closed the connection without answering."""


class ConnectionFrozen(ConnectionFault):
    """The vendor never answered."""


@dataclass(frozen=True)
class Call:
    """One request as a handler sees it. `query` holds the last value of each name, `queries` all."""

    operation: str
    method: str
    path: str
    base_url: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    queries: Mapping[str, list[str]]
    query_string: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises ValueError (also for bytes that are not UTF-8)."""
        return json.loads(self.body)


NO_BODY: Any = object()


@dataclass
class Reply:
    """One answer: `body` is JSON data, text (HTML) or NO_BODY."""

    status: int = 200
    body: Any = field(default_factory=lambda: NO_BODY)
    headers: dict[str, str] = field(default_factory=dict)

    def to_response(self) -> Response:
        """The reply as Starlette sends it."""
        if self.body is NO_BODY:
            return Response(status_code=self.status, headers=self.headers)
        if isinstance(self.body, str):
            return Response(self.body, self.status, self.headers, media_type="text/html")
        text = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))
        return Response(text, self.status, self.headers, media_type="application/json")


@dataclass(frozen=True)
class Operation:
    """One endpoint: its name (used by faults and the call log), method, path template and handler. Where one address
    serves many operations (GraphQL), `named` tells a call's own name from its body."""

    name: str
    method: str
    path: str
    handler: Callable[[Call], Reply]
    named: Callable[[bytes], str] | None = None


class Vendor(Protocol):
    """What a fake vendor gives the shared HTTP layer."""

    clock: Clock
    faults: FaultPlan
    calls: CallLog

    def operations(self) -> Sequence[Operation]:
        """Every endpoint the vendor answers."""

    def handle(self, operation: Operation, call: Call) -> Reply:
        """Run the handler with the vendor's locking, authentication and error shapes."""

    def fault_reply(self, fault: Fault) -> Reply:
        """The vendor's own 429 or error answer for a planned fault."""

    def not_found(self, method_known: bool) -> Reply:
        """The answer for an unknown path (404) or an unknown method on a known one (405)."""


class _Cut(Response):
    """Not an answer: breaks the connection when Starlette would send it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cut = scope.get(CUT_KEY)
        if cut is None:
            raise ConnectionCut("the sandbox cut the connection")
        cut()
        # The server learns of its own abort on its next turn; returning earlier would log an error.
        while (await receive())["type"] != "http.disconnect":
            pass


def vendor_app(vendor: Vendor, extra_routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The vendor as an ASGI app; `extra_routes` (the control endpoint) are outside faults and counts."""
    routes: list[BaseRoute] = list(extra_routes)
    for path, operations in _by_path(vendor.operations()).items():
        routes.append(Route(path, _endpoint(vendor, operations), methods=sorted(operations)))
        routes.append(Route(path, _refusal(vendor, method_known=True), methods=_OTHER_METHODS))
    routes.append(Route("/{path:path}", _refusal(vendor, method_known=False), methods=_OTHER_METHODS))
    return Starlette(routes=routes)


_OTHER_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def _by_path(operations: Sequence[Operation]) -> dict[str, dict[str, Operation]]:
    """Operations grouped by path; literal paths first, so `/webhook/failed` is not read as an id."""
    grouped: dict[str, dict[str, Operation]] = {}
    for operation in sorted(operations, key=lambda o: o.path.count("{")):
        grouped.setdefault(operation.path, {})[operation.method] = operation
    return grouped


def _refusal(vendor: Vendor, method_known: bool) -> Callable[[Request], Any]:
    async def endpoint(_: Request) -> Response:
        return vendor.not_found(method_known).to_response()

    return endpoint


def _endpoint(vendor: Vendor, operations: Mapping[str, Operation]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        operation = operations["GET" if request.method == "HEAD" else request.method]
        connected = CUT_KEY in request.scope
        return await _run(vendor, operation, await _call(operation, request), connected)

    return endpoint


async def _call(operation: Operation, request: Request) -> Call:
    queries: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        queries.setdefault(name, []).append(value)
    body = await request.body()
    return Call(
        operation=_name_of(operation, body),
        method=request.method,
        path=request.url.path,
        base_url=str(request.base_url).rstrip("/"),
        params=request.path_params,
        query={name: values[-1] for name, values in queries.items()},
        queries=queries,
        query_string=request.url.query,
        headers=request.headers,
        body=body,
    )


def _name_of(operation: Operation, body: bytes) -> str:
    """The call's own name; the endpoint's where the body says none."""
    try:
        return operation.named(body) if operation.named else operation.name
    except ValueError:  # no JSON: the handler will say so
        return operation.name


async def _run(vendor: Vendor, operation: Operation, call: Call, connected: bool) -> Response:
    """Faults before, the handler, faults after; exactly one line in the call log whatever happens."""
    faults = vendor.faults.take(CALL_FAULTS, call.operation, call.method, call.path)
    status: int | None = None
    try:
        response = await _strike(vendor, faults, "before", connected)
        if response is None:
            reply = vendor.handle(operation, call)
            response = await _strike(vendor, faults, "after", connected) or reply.to_response()
        status = None if isinstance(response, _Cut) else response.status_code
        return response
    finally:
        vendor.calls.add(
            CallRecord(
                vendor.clock.now(),
                call.operation,
                call.method,
                call.path,
                call.query_string,
                status,
                describe(faults),
            )
        )


async def _strike(vendor: Vendor, faults: list[Fault], when: str, connected: bool) -> Response | None:
    """Apply the faults of one moment; the first that replaces the answer wins."""
    for fault in faults:
        if fault.when != when:
            continue
        if fault.kind is FaultKind.LATENCY:
            await vendor.clock.sleep(fault.seconds)
        elif fault.kind is FaultKind.FREEZE:
            await _hang(fault, connected)
        elif fault.kind is FaultKind.CUT:
            return _Cut()
        else:
            return vendor.fault_reply(fault).to_response()
    return None


async def _hang(fault: Fault, connected: bool) -> None:
    """Hold the call until the fault is cleared; real time, because a frozen server has no clock.

    Without a connection (in-process) nobody else could lift it, so the client gives up at once.
    """
    if not connected:
        raise ConnectionFrozen("the sandbox did not answer")
    deadline = time.monotonic() + (fault.seconds or FREEZE_LIMIT_SECONDS)
    while not fault.lifted.is_set() and time.monotonic() < deadline:
        await asyncio.sleep(FREEZE_POLL_SECONDS)
