"""The control endpoint every fake vendor shares, under `/_control`: look inside, act, break things.

| method, path | body → answer |
|---|---|
| GET `/_control/state` | everything the vendor holds |
| POST `/_control/act` | `{"as": person, "do": action, …arguments}` → what it made |
| GET, PATCH `/_control/settings` | the vendor's switches |
| GET, POST, DELETE `/_control/faults`, DELETE `/_control/faults/{id}` | fault plan; DELETE lifts freezes |
| GET, POST `/_control/clock` | `{"advance_seconds": n}` → `{"now"}` |
| GET, DELETE `/_control/calls` | `{"counts", "calls"}`; `?operation=` filters |
| GET, DELETE `/_control/webhooks` | `{"pending", "deliveries"}` |
| POST `/_control/webhooks/pause`, `/resume`, `/flush` | |

Errors are `{"error": text}` with status 400.
"""

import json
from collections.abc import Callable
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.calls import CallLog
from sandbox.clock import Clock
from sandbox.faults import FaultPlan
from sandbox.webhooks import Dispatcher


class ControlError(ValueError):
    """A control request that makes no sense; the text says what to change."""


class Controlled(Protocol):
    """What a fake vendor lets the control endpoint do."""

    clock: Clock
    faults: FaultPlan
    calls: CallLog
    deliveries: Dispatcher

    def state(self) -> dict[str, Any]:
        """Everything the vendor holds, as JSON."""

    def act(self, person: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do something as a person. Raises ControlError (or another ValueError)."""

    def read_settings(self) -> dict[str, Any]:
        """The switches and their values."""

    def change_settings(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Set switches; returns all of them. Raises ControlError for an unknown one."""


Work = Callable[[Controlled, Request, dict[str, Any]], Any]


def control_routes(controlled: Controlled) -> list[Route]:
    """The routes to mount beside the vendor's own."""
    return [Route(f"/_control{path}", _endpoint(controlled, work), methods=[method]) for method, path, work in _TABLE]


def _endpoint(controlled: Controlled, work: Work) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> JSONResponse:
        try:
            raw = await request.body()
            body = json.loads(raw) if raw else {}
            if not isinstance(body, dict):
                raise ControlError("the body must be a JSON object")
            # In a thread: flushing webhooks waits for a receiver that may call this very server.
            return JSONResponse(await run_in_threadpool(work, controlled, request, body))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return endpoint


def _state(on: Controlled, _: Request, __: dict[str, Any]) -> Any:
    return on.state()


def _act(on: Controlled, _: Request, body: dict[str, Any]) -> Any:
    arguments = dict(body)
    try:
        return on.act(str(arguments.pop("as")), str(arguments.pop("do")), arguments)
    except KeyError as missing:
        raise ControlError(f'"as" and "do" are needed; {missing} is missing') from missing


def _settings(on: Controlled, _: Request, __: dict[str, Any]) -> Any:
    return on.read_settings()


def _change_settings(on: Controlled, _: Request, body: dict[str, Any]) -> Any:
    return on.change_settings(body)


def _faults(on: Controlled, _: Request, __: dict[str, Any]) -> Any:
    return {"faults": [fault.to_json() for fault in on.faults.all()]}


def _add_fault(on: Controlled, _: Request, body: dict[str, Any]) -> Any:
    return on.faults.from_json(body).to_json()


def _clear_faults(on: Controlled, request: Request, _: dict[str, Any]) -> Any:
    chosen = request.path_params.get("id")
    return {"removed": on.faults.clear(None if chosen is None else int(chosen))}


def _clock(on: Controlled, _: Request, __: dict[str, Any]) -> Any:
    return {"now": on.clock.now().isoformat()}


def _advance(on: Controlled, _: Request, body: dict[str, Any]) -> Any:
    seconds = body.get("advance_seconds")
    if not isinstance(seconds, int | float):
        raise ControlError('give {"advance_seconds": number}')
    return {"now": on.clock.advance(seconds).isoformat()}


def _calls(on: Controlled, request: Request, _: dict[str, Any]) -> Any:
    records = on.calls.records(request.query_params.get("operation"))
    return {"counts": on.calls.counts(), "calls": [record.to_json() for record in records]}


def _reset_calls(on: Controlled, _: Request, __: dict[str, Any]) -> Any:
    on.calls.reset()
    return {}


def _webhooks(on: Controlled, _: Request, __: dict[str, Any]) -> Any:
    log = on.deliveries.log()
    return {"pending": on.deliveries.pending(), "deliveries": [delivery.to_json() for delivery in log]}


def _clear_webhooks(on: Controlled, _: Request, __: dict[str, Any]) -> Any:
    on.deliveries.clear_log()
    return {}


def _pause(on: Controlled, _: Request, __: dict[str, Any]) -> Any:
    on.deliveries.pause()
    return {}


def _resume(on: Controlled, _: Request, __: dict[str, Any]) -> Any:
    on.deliveries.resume()
    return {}


def _flush(on: Controlled, _: Request, __: dict[str, Any]) -> Any:
    return {"sent": on.deliveries.flush()}


_TABLE: tuple[tuple[str, str, Work], ...] = (
    ("GET", "/state", _state),
    ("POST", "/act", _act),
    ("GET", "/settings", _settings),
    ("PATCH", "/settings", _change_settings),
    ("GET", "/faults", _faults),
    ("POST", "/faults", _add_fault),
    ("DELETE", "/faults", _clear_faults),
    ("DELETE", "/faults/{id:int}", _clear_faults),
    ("GET", "/clock", _clock),
    ("POST", "/clock", _advance),
    ("GET", "/calls", _calls),
    ("DELETE", "/calls", _reset_calls),
    ("GET", "/webhooks", _webhooks),
    ("DELETE", "/webhooks", _clear_webhooks),
    ("POST", "/webhooks/pause", _pause),
    ("POST", "/webhooks/resume", _resume),
    ("POST", "/webhooks/flush", _flush),
)
