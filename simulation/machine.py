"""The machine a worker runs on: processes that can be interrupted at every commit and every call to a vendor.

These are the seams, and the only ones: the engine's own `Database`, its HTTP transport, its clock. A process is a plain
function call; another one that runs "at the same time" is called at one of the first one's moments. As SQLite has one
writer and the engine holds no transaction across a call, nothing else could happen between two moments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from connectors.http import Transport, WireRequest, WireResponse
from core.db import Database
from simulation.schedule import Interrupt

START = datetime(2026, 4, 15, 10, tzinfo=UTC)

MOST_CALLS = 300
"""Calls to the vendor by one process, far beyond what a schedule's few items can need."""


MOST_CALLS_OF_A_HISTORY = 5_000
"""The same for one that reads a repository's history, of which each change may take several calls."""


class Crashed(BaseException):
    """The process is dead. Not an Exception: nothing in the engine may survive it."""


class Runaway(BaseException):
    """A process that does not stop calling the vendor."""


class VirtualClock:
    """Time that only the world moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on; a wait shorter than the clock's step takes one, or who waits for it would wait for ever."""
        step = timedelta.resolution if seconds > 0 else timedelta(0)
        self.now += max(timedelta(seconds=seconds), step)


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as its holder last saw it; the expiry as SQLite keeps it."""

    fence: int
    until: str


@dataclass
class Process:
    """One run of a worker or a request: its name, what will happen to it, and how far it is. `began` is how many lines
    the vendor's journal had then; `last_call` is the one it made last."""

    name: str
    interrupts: tuple[Interrupt, ...] = ()
    began: int = 0
    dead: bool = False
    used_token: bool = False
    last_call: str = ""
    most_calls: int = MOST_CALLS
    leases: dict[str, Held] = field(default_factory=dict)
    moments: dict[str, int] = field(default_factory=dict)

    def reached(self, where: str) -> Interrupt | None:
        """Count a moment; what is to happen at it. A dead process reaches nothing any more."""
        if self.dead:
            raise Crashed(self.name)
        nth = self.moments.get(where, 0)
        self.moments[where] = nth + 1
        if nth > self.most_calls and where == "before_call":
            raise Runaway(f"{self.name} has called the vendor {nth} times")
        return next((i for i in self.interrupts if i.where == where and i.nth == nth), None)


Happen = Callable[[Process, Interrupt, str], WireResponse | None]
"""Lets an interrupt happen to a process, in the middle of an operation (a call's name, or nothing). What it returns is
answered to a call in the vendor's place."""


class Machine:
    """The processes that run, innermost last, and what happens to them."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.running: list[Process] = []
        self.now = now
        self.happen: Happen = lambda _process, _interrupt, _operation: None
        self.note: Callable[[str], None] = lambda _text: None

    @contextmanager
    def process(self, process: Process) -> Iterator[Process]:
        """Run the block as this process; a crash ends it and is over with it."""
        self.running.append(process)
        try:
            yield process
        except Crashed:
            self.note(f"{process.name} is dead")
        finally:
            self.running.pop()

    def moment(self, where: str, operation: str = "") -> WireResponse | None:
        """The innermost process has come to a moment at which it may be interrupted."""
        if not self.running:
            return None
        process = self.running[-1]
        interrupt = process.reached(where)
        return None if interrupt is None else self.happen(process, interrupt, operation)

    def crash(self, process: Process) -> None:
        """The process is no more."""
        process.dead = True
        raise Crashed(process.name)


_TOKENS = ("SELECT version FROM credential",)
_ITEMS = (
    "SELECT * FROM task",
    "SELECT * FROM binding",
    "SELECT id, state FROM delivery",
    "SELECT cursor FROM integration",
    "SELECT id, status FROM sync_run",
)
_LOG = ("SELECT id FROM delivery", "SELECT log_read_until FROM integration")
_SAID = ("SELECT id, state, tries, message_id FROM notification",)
RESULTS = {
    **{"push": _ITEMS, "inbox": _ITEMS, "pull": _ITEMS, "messages": _SAID},
    **{"refresh": _TOKENS, "log": _LOG, "subscribe": ()},
}
"""Kind of lease -> what only its holder may write."""


class SimulatedDatabase(Database):
    """The real database layer over one SQLite in memory, with a moment before and after every commit.

    It watches the leases: `trespasses` are the transactions of workers whose lease somebody else had taken.
    """

    def __init__(self, machine: Machine) -> None:
        super().__init__("sqlite://")
        self.machine = machine
        self.driver: Any = self.engine.raw_connection().driver_connection
        self.trespasses: list[str] = []

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A write transaction that may never come to its commit, or never get beyond it."""
        process = self.machine.running[-1] if self.machine.running else None
        if process is not None and process.dead:
            raise Crashed(process.name)
        with super().write() as session:
            lost = self._lost(process) if process is not None and process.leases else None
            before = self._results(lost) if lost else None
            yield session
            if lost and before != self._results(lost):
                self.trespasses.append(f"{process and process.name} has lost {lost} and writes")
            self.machine.moment("before_commit")
        if process is not None:
            self._look_at_leases(process)
        self.machine.moment("after_commit")

    def _look_at_leases(self, process: Process) -> None:
        """What the process holds now. Nobody may hold it too; what it gave back is forgotten."""
        holding = set()
        for name, fence, until in self.driver.execute(_LEASES_OF, (process.name,)).fetchall():
            holding.add(name)
            known = process.leases.get(name)
            if known is None or known.fence != fence:
                self._check_alone(process, name)
            process.leases[name] = Held(fence, until)
        for name in [name for name in process.leases if name not in holding]:
            if (None, process.leases[name].fence) in self._holder(name):
                del process.leases[name]

    def _check_alone(self, process: Process, name: str) -> None:
        now = self.machine.now().replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        for other in self.machine.running:
            if other is not process and name in other.leases and other.leases[name].until > now and not other.dead:
                self.trespasses.append(f"{process.name} has got {name}, which {other.name} still has")

    def _lost(self, process: Process) -> str | None:
        """A lease that the process has not given back and another one holds, or held since."""
        for name, held in process.leases.items():
            [(_, newest)] = self._holder(name)
            if newest > held.fence:
                return name
        return None

    def _holder(self, name: str) -> list[Any]:
        found: list[Any] = self.driver.execute("SELECT holder, fence FROM lease WHERE name = ?", (name,)).fetchall()
        return found

    def _results(self, lease: str) -> list[Any]:
        return [self.driver.execute(query).fetchall() for query in RESULTS[lease.partition(":")[0]]]


_LEASES_OF = "SELECT name, fence, expires_at FROM lease WHERE holder = ?"


class SimulatedTransport(Transport):
    """The way to the vendor. `own_effects` says of which hosts' requests take effect inside the inner transport; for
    the others the fake vendor tells when they have."""

    def __init__(self, machine: Machine, database: SimulatedDatabase) -> None:
        self.machine = machine
        self.database = database
        self.inner: Transport
        self.own_effects: Callable[[str], bool] = lambda _host: True
        self.calls_in_transactions: list[str] = []
        self.reset()

    def reset(self) -> None:
        """Nothing is wrong with the vendor, nothing was seen."""
        self.pass_time: Callable[[], None] = lambda: None
        self.down: Callable[[], WireResponse | None] = lambda: None
        self.calls_in_transactions.clear()

    def handle_request(self, request: WireRequest) -> WireResponse:
        """One request, unless the machine has it otherwise."""
        operation = f"{request.method} {request.url.path}"
        if self.database.driver.in_transaction:
            self.calls_in_transactions.append(operation)
        self.pass_time()
        self.machine.note(f"call {operation}")
        instead = self.machine.moment("before_call", operation) or self.down()
        if self.machine.running:
            self.machine.running[-1].last_call = operation
        if "token" in operation and self.machine.running:
            self.machine.running[-1].used_token = True
        if instead is not None:
            return instead
        response = self.inner.handle_request(request)
        if self.own_effects(request.url.host):
            self.machine.moment("after_call", operation)
        return response
