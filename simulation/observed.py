"""What a connector does while it is examined: which of its methods returned, what is logged, what goes out."""

from __future__ import annotations

import contextlib
import io
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import structlog

from connectors.contract import CAPABILITIES, Connector, capabilities
from connectors.http import Transport, WireRequest, WireResponse


def observed(connector: type[Connector], seen: Counter[str]) -> type[Connector]:
    """The same connector, counting in `seen` how often each method of its capabilities returned."""
    methods = {"check"} | {name for cap in capabilities(connector) for name in _methods(CAPABILITIES[cap])}
    counted = {name: _counted(connector, name, seen) for name in methods}
    counted["__module__"] = connector.__module__
    return type(connector.__name__, (connector,), counted)


def _methods(protocol: type) -> list[str]:
    return [name for name in vars(protocol) if not name.startswith("_")]


def _counted(connector: type, name: str, seen: Counter[str]) -> Any:
    plain: Callable[..., Any] = getattr(connector, name)

    @wraps(plain)
    def counting(*args: Any, **named: Any) -> Any:
        answer = plain(*args, **named)
        seen[name] += 1
        return answer

    static = any(isinstance(vars(base).get(name), staticmethod) for base in connector.__mro__)
    return staticmethod(counting) if static else counting


class Watched(Transport):
    """The way to the vendor, noting what goes out without a timeout, and shut while `shut` is set."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.untimed: list[str] = []
        self.shut: list[str] | None = None

    def handle_request(self, request: WireRequest) -> WireResponse:
        """Pass one request on."""
        call = f"{request.method} {request.url.path}"
        timeouts = request.extensions.get("timeout") or {}
        if not timeouts or any(timeouts.get(kind) is None for kind in ("connect", "read", "pool")):
            self.untimed.append(call)
        if self.shut is not None:
            self.shut.append(call)
            return WireResponse(503, text="nobody may call now")
        return self._inner.handle_request(request)


@contextlib.contextmanager
def listening(heard: list[str]) -> Iterator[None]:
    """Everything logged or printed meanwhile goes into `heard`, down to the debug lines, and nowhere else."""
    usual = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
            _keeping(heard),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    root, handler = logging.getLogger(), _Handler(heard)
    level, handlers = root.level, root.handlers[:]
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    finally:
        heard.append(printed.getvalue())
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**usual)


def _keeping(heard: list[str]) -> Callable[[Any, str, Any], Any]:
    def keep(_logger: Any, _name: str, line: Any) -> Any:
        heard.append(str(line))
        return line

    return keep


class _Handler(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.append(self.format(record))
