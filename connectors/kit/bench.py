"""The bench: the platform and the vendor as a rule sees them.

The engine, its database and the front door are the real ones; they live on upper floors, so here are only the shapes.
A rule begins with a world in which one integration is connected, its webhook registered where the vendor allows it.
Of a connector with tasks one item (slot 0, in the first container) is tied to a task; of one with code the history of
two repositories has been read; of one that watches, what was wrong and had been measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from connectors.contract import CodeEvent, Connector, Measured, RawDelivery
from connectors.kit.codepeople import CodePeople
from connectors.kit.notifypeople import NotifyPeople
from connectors.kit.watchpeople import WatchPeople

Row = Mapping[str, Any]
"""A row of one of the platform's tables, by column."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The front door's answer to one delivery: its status, and how many rows it left in the inbox."""

    status: int
    stored: int


@dataclass(frozen=True, slots=True)
class Connected:
    """What came of connecting or changing an integration: an HTTP status and text for a refusal, else 201 and the
    integration's own status."""

    http: int
    text: str
    integration_id: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a worker is struck: at the nth `before_call`, `after_call`, `before_commit` or `after_commit`, and by what
    (`crash`; `cut`: the answer to a call is lost; `pause`: then `meanwhile` happens, what people there do to items, or
    deeds of `codepeople` in a repository or of `watchpeople` to what has that slot)."""

    where: str
    nth: int
    what: str = "crash"
    meanwhile: tuple[tuple[str, int], ...] = ()


class Faults(Protocol):
    """The vendor's plan of failures; kinds and settings as in `sandbox.faults`."""

    def add(self, kind: Any, **settings: Any) -> object:
        """Plan one."""
        ...

    def clear(self) -> int:
        """End them all."""
        ...


class Call(Protocol):
    """One call the vendor received."""

    @property
    def operation(self) -> str:
        """The vendor's name of the endpoint."""
        ...


class Calls(Protocol):
    """What the vendor was asked."""

    def records(self) -> Sequence[Call]:
        """Every call since the last reset, in order."""
        ...

    def reset(self) -> None:
        """Forget them."""
        ...


class Item(Protocol):
    """An item as people at the vendor see it; `values` in the platform's words."""

    @property
    def id(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def values(self) -> Mapping[str, str | None]: ...

    @property
    def create_key(self) -> str | None: ...


class People(Protocol):
    """People at the vendor. Slots pick among the items in the order of their birth; values of status, priority and
    assignee are numbers that pick among what there is."""

    @property
    def faults(self) -> Faults:
        """What goes wrong there."""
        ...

    @property
    def calls(self) -> Calls:
        """What was called there."""
        ...

    @property
    def fixtures(self) -> Path | None:
        """A folder of recorded deliveries."""
        ...

    def create(self, title: str, slot: int) -> str | None: ...
    def edit(self, slot: int, field: str, value: str | int) -> str | None: ...
    def move(self, slot: int, to: int) -> str | None: ...
    def delete(self, slot: int) -> str | None: ...
    def expire(self) -> None: ...
    def plant(self, count: int) -> None: ...
    def wrong_credentials(self) -> dict[str, Any]: ...
    def statuses(self) -> list[str]: ...
    def priorities(self) -> list[str]: ...
    def items(self) -> Mapping[str, Item]: ...


class Bench(Protocol):
    """One connector, connected to its fake vendor, on the real engine."""

    @property
    def connector(self) -> type[Connector]:
        """The class as it is registered on the bench."""
        ...

    @property
    def vendor(self) -> People:
        """People at the vendor, and what can be done to it."""
        ...

    @property
    def code(self) -> CodePeople:
        """The same people, where they write code."""
        ...

    @property
    def watch(self) -> WatchPeople:
        """What goes on there, where it is watched."""
        ...

    @property
    def channels(self) -> NotifyPeople:
        """The same people, where they read what they are told."""
        ...

    # --- worlds and time ---

    def begin(self, *, bound: bool = True, oauth: bool = False) -> None:
        """A new world; without `bound`, without an item; with `oauth`, connected by consent and not by a password."""
        ...

    def wait(self, seconds: float) -> None:
        """Time passes, and nobody works."""
        ...

    def strike(self, seconds: int) -> None:
        """Time passes up to the next full so many seconds since the world began: what is done then is done at the same
        time in every world, whatever was worked before."""
        ...

    def now(self) -> datetime:
        """What time it is here."""
        ...

    def ways_in(self) -> tuple[bool, ...]:
        """Values of `oauth` there are: consent is one where the manifest has OAuth facts."""
        ...

    # --- whatever the connector is about ---

    def subjects(self) -> tuple[str, ...]:
        """What the connector is about: of `task_source`, `code_source`, `alert_source`, `measure_source` and `notifier`
        those it has."""
        ...

    def stir(self, subject: str, text: str) -> None:
        """Something happens there of which a webhook tells: an item has this title, a change is opened, something is
        wrong, or was measured, or a button of a message is pressed."""
        ...

    def kept(self) -> object:
        """All that was ever synced: what must not go when the integration does."""
        ...

    # --- notifications ---

    def route(self, channel: str, *events: str, digest_minutes: int = 0) -> str:
        """Whatever happens (of these names of events) is to be told in a channel; the route's id."""
        ...

    def test_route(self, route_id: str) -> None:
        """Say a test there at once."""
        ...

    def happen(self, type_: str, subject_id: str, **data: Any) -> None:
        """An event of the platform's stream."""
        ...

    def routes(self) -> list[Row]:
        """The routes there are."""
        ...

    def speak(self, *moments: Moment) -> bool:
        """The messages lane; whether any of the moments came."""
        ...

    def notifications(self) -> list[Row]:
        """What was to be said, in that order; `body` as a mapping."""
        ...

    # --- people here ---

    def create(self, title: str, **values: str) -> str:
        """A new task in the context of the first container; its id."""
        ...

    def edit(self, field: str, value: str | None, task_id: str | None = None) -> None:
        """Set a field of a task (the oldest where none is named); an assignee is `ann`, `bob` or None."""
        ...

    def person(self, name: str) -> str:
        """The id here of `ann` or `bob`."""
        ...

    # --- deliveries ---

    def arriving(self) -> list[RawDelivery]:
        """What the vendor has sent and has not arrived: taken off its way, to be delivered or dropped."""
        ...

    def knock(self, deliveries: Iterable[RawDelivery]) -> list[Answer]:
        """Deliver through the real front door."""
        ...

    def empty_inbox(self) -> None:
        """Nothing was ever delivered."""
        ...

    def hear(self) -> None:
        """All that is under way arrives and is worked off."""
        ...

    # --- workers ---

    def pull(self, *moments: Moment) -> bool:
        """The pull lane, when it is due; whether any of the moments came."""
        ...

    def push(self, *moments: Moment) -> bool:
        """The push lane; whether any of the moments came."""
        ...

    def drain(self) -> None:
        """The inbox lane."""
        ...

    def sweep(self) -> None:
        """The search for deleted items, when it is due."""
        ...

    def backfill(self, *moments: Moment) -> bool:
        """The backfill lane, to its end; whether any of the moments came."""
        ...

    def tick(self) -> None:
        """Beat finds what is due, and it is worked."""
        ...

    def resync(self, *moments: Moment) -> None:
        """Every item is pulled again, every repository read, and all that was measured, as by a first sync."""
        ...

    def rest(self) -> list[str]:
        """What is under way arrives, and all due work is done. What is wrong then, by the invariants of sync."""
        ...

    # --- operators ---

    def connect(self, credentials: Mapping[str, Any] | None = None) -> Connected:
        """Connect the same account a second time, or with other credentials."""
        ...

    def reconfigure(self, **config: Any) -> Connected:
        """Change config keys of the integration."""
        ...

    def new_secret(self) -> None:
        """A new signing secret for the webhook; the one before it still verifies."""
        ...

    def forget_secrets(self) -> None:
        """From now on the front door knows other secrets than the vendor signs with."""
        ...

    def disconnect(self) -> None:
        """End the integration."""
        ...

    # --- looking ---

    def integration(self) -> Row: ...
    def tasks(self) -> list[Row]: ...
    def bindings(self) -> list[Row]: ...
    def history(self) -> list[Row]: ...
    def events(self, type_: str = "") -> list[Row]: ...
    def deliveries(self) -> list[Row]: ...
    def runs(self) -> list[Row]: ...

    def code_events(self) -> list[Row]:
        """The code events in the stream, in its order: `key` (the contract's), `type`, and `data` as it is shown, but
        for what is ours in it."""
        ...

    def as_stored(self, event: CodeEvent) -> Row:
        """How the stream shows an event."""
        ...

    def followed(self) -> Mapping[str, Row]:
        """The repositories known here, by the vendor's ids: `name`, and `state` (`backfilling`, `live`, `archived`,
        `gone`, `left_out`)."""
        ...

    def incidents(self) -> list[Row]:
        """The incidents that are shown; times are datetimes."""
        ...

    def incident_lines(self) -> list[Row]:
        """All that is known of incidents."""
        ...

    def measured(self) -> Sequence[Measured]:
        """The series, and all of their points."""
        ...

    def gates(self) -> list[Row]:
        """How branches stand with their gates; times are datetimes."""
        ...

    def config(self) -> Any:
        """The integration's config as its connector's model."""
        ...

    def settled(self) -> object:
        """What must not change any more once both sides agree."""
        ...

    def written(self) -> int:
        """How often the engine changed something at the vendor."""
        ...

    def diagnostics(self) -> Mapping[str, Any]:
        """What support is given about the integration."""
        ...

    def next_step(self, code: str) -> str:
        """What people are told to do about a reason code; empty for one that nobody has thought of."""
        ...

    def secrets(self) -> Mapping[str, str]:
        """Name -> value of everything that must not be seen anywhere."""
        ...

    def private(self) -> Mapping[str, str]:
        """Name -> value of all credentials, but for what tells who the account is."""
        ...

    def visible(self) -> Iterable[tuple[str, str]]:
        """(where, text) of all that outsiders, operators and logs can see."""
        ...

    def untimed(self) -> list[str]:
        """Calls that went out without a timeout."""
        ...

    def exercised(self) -> Mapping[str, int]:
        """How often each method of the connector returned, in this world."""
        ...

    def instance(self) -> Connector:
        """A connector as a worker makes it."""
        ...

    def offline(self) -> AbstractContextManager[Callable[[], list[str]]]:
        """Inside the block, calls to the vendor are noted (and refused); the callable tells which."""
        ...
