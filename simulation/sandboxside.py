"""Any sandbox built on the tracker store, and the connector that is shipped for it, as the simulator's vendor.

A new vendor's side subclasses `SandboxSide` and says what is in its class attributes: the connector, the sandbox, how
statuses and priorities there read here, in which header a delivery's id is, and the integration's credentials.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

import httpx
from pydantic import SecretStr, ValidationError

from connectors.contract import TASK_FIELDS, Config, Connector, Context, Credentials, Hint, RawDelivery, Snapshot
from connectors.http import HttpClient, Transport, Unlimited
from core.settings import OAuthApp
from sandbox.calls import CallLog
from sandbox.faults import FaultPlan
from sandbox.inprocess import InProcessTransport
from sandbox.tracker import Change as Told
from sandbox.tracker import Item as TrackerItem
from sandbox.vendor import API_TOKEN, CLIENT_ID, CLIENT_SECRET, WRONG_TOKEN, TrackerSandbox
from simulation.machine import Machine, VirtualClock
from simulation.memento import Memento
from simulation.schedule import Conditions
from simulation.surroundings import Caught, Dated, SkewedClock
from simulation.vendor import PEOPLE, Change, Item

NAMES = {"Ann Archer": "ann", "Bob Baker": "bob", "Cleo Carter": "eve"}
"""Who is who: people there -> the simulator's names."""

EDITOR = "Bob Baker"
"""Who does what people do there."""


class SandboxSide:
    """People at a fake vendor, and what the simulator may do to it.

    status_names, priority_names   every one that can occur there, by its name -> ours; "" is no priority
    delivery_header                the header with the id of a delivery, in lower case
    token_field                    the field of the credentials that holds the API token
    last_calls                     `METHOD path` patterns of the calls that end a write
    fixtures                       a folder with recorded deliveries, one JSON file each
    tells_deletions                whether a webhook tells of a deleted item
    """

    name: ClassVar[str]
    connector_class: ClassVar[type[Connector]]
    sandbox_class: ClassVar[type[TrackerSandbox]]
    status_names: ClassVar[Mapping[str, str]]
    priority_names: ClassVar[Mapping[str, str]]
    delivery_header: ClassVar[str]
    token_field: ClassVar[str] = "api_token"
    last_calls: ClassVar[tuple[str, ...]] = ()
    calls_of_a_write: int = 1
    fixtures: Path | None = None
    begins_skewed = True
    tells_deletions: bool = True

    def __init__(self, clock: VirtualClock, machine: Machine) -> None:
        self._ours = clock
        self._clock = SkewedClock(clock)
        self._caught = Caught(clock)
        self.sandbox = self.sandbox_class(clock=self._clock, sender=self._caught)
        self._sandbox_is_ours()
        self.prepare(self.sandbox)
        self.transport: Transport = Dated(InProcessTransport(self.sandbox.app), self._clock)
        self._person = self.sandbox.person(EDITOR)
        self._since = 0

    # --- outside of worlds: for an author's own tests ---

    @classmethod
    def alone(cls) -> Self:
        """A side with a clock of its own."""
        clock = VirtualClock()
        return cls(clock, Machine(clock))

    def connected(self, credentials: Mapping[str, Any] | None = None, **config: Any) -> Any:
        """The connector as the engine would make it, calling the sandbox: with the side's credentials and config
        unless others are given."""
        facts = self.connector_class.manifest
        given = dict(self.api_token() if credentials is None else credentials)
        context = Context(
            config=self.made_config(**config),
            credentials=_first_that_fits(facts.credentials.values(), given),
            http=HttpClient(transport=self.transport, budget=Unlimited(), now=self._ours),
            endpoints=dict.fromkeys(facts.endpoints, self.sandbox.url),
            now=self._ours,
        )
        return self.connector_class(context)

    def made_config(self, **config: Any) -> Config:
        """The config with both containers mapped, and with what is given."""
        projects = [{"external": container} for container in self.containers]
        return self.connector_class.manifest.config.model_validate({"projects": projects, **self.config(), **config})

    # --- what a vendor may have otherwise ---

    def config(self) -> dict[str, Any]:
        """What the config has besides projects and conflict rules."""
        return {"poll_seconds": 60}

    def api_token(self) -> dict[str, Any]:
        """Credentials with the robot's API token."""
        return {self.token_field: API_TOKEN}

    def wrong_credentials(self) -> dict[str, Any]:
        """Credentials of nobody."""
        return {name: WRONG_TOKEN if value == API_TOKEN else value for name, value in self.api_token().items()}

    def text_there(self, markdown: str) -> str:
        """A description as people there would have written it."""
        return markdown

    def text_here(self, description: str) -> str:
        """A description there in our words."""
        return description

    def writes_blindly(self, where: str, operation: str) -> bool:
        """A vendor that checks versions, or tells what was replaced, leaves no such moment."""
        return False

    def external_id(self, item: TrackerItem) -> str:
        """An item's id, as the connector tells it."""
        return item.id

    def key(self, item: TrackerItem) -> str:
        """What people call an item."""
        return item.key

    def marker(self, item: TrackerItem) -> str | None:
        """The mark our connector left in an item."""
        return item.marker

    def prepare(self, sandbox: TrackerSandbox) -> None:
        """Make the sandbox ready, once for all worlds."""

    # --- the integration ---

    @property
    def containers(self) -> tuple[str, str]:
        """The first two containers, as the config names them."""
        first, second, *_ = self.sandbox.tracker.containers.values()
        return first.key, second.key

    def connector(self) -> type[Connector]:
        """The one that is shipped."""
        return self.connector_class

    def own_effects(self, host: str) -> bool:
        """Every request takes effect inside the transport."""
        return True

    def settings(self) -> dict[str, Any]:
        """Where the sandbox is, and our app there."""
        endpoints = dict.fromkeys(self.connector_class.manifest.endpoints, self.sandbox.url)
        values: dict[str, Any] = {"vendor_endpoints": {self.name: endpoints}}
        if self.sandbox.oauth is not None:
            app = OAuthApp(client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET))
            values["oauth_apps"] = {self.name: app}
        return values

    def credentials(self, conditions: Conditions) -> dict[str, Any]:
        """The API token, or tokens where the vendor has an authorization server."""
        return self.consent() if conditions.oauth and self.sandbox.oauth else self.api_token()

    def consent(self) -> dict[str, Any]:
        """New credentials, as after a consent."""
        if self.sandbox.oauth is None:
            return self.api_token()
        tokens = self.sandbox.grant()
        given = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "access_token": tokens["access_token"]}
        if "refresh_token" in tokens:
            ends = self._ours() + timedelta(seconds=tokens["expires_in"])
            given |= {"refresh_token": tokens["refresh_token"], "expires_at": ends.isoformat()}
        return given

    # --- worlds ---

    def dump(self) -> Memento:
        """All that the sandbox holds, and what surrounds it."""
        return Memento(self)

    def load(self, dumped: Memento) -> None:
        """Begin with what the sandbox held."""
        dumped.put_back()
        self._since = len(self.sandbox.tracker.journal)

    def _sandbox_is_ours(self) -> None:
        """The people both sides know have the addresses they have here."""
        users = self.sandbox.tracker.users
        for user in tuple(users.values()):
            address = PEOPLE.get(NAMES.get(user.name, ""))
            if address:
                users[user.id] = replace(user, email=address)

    def make_difficult(self, conditions: Conditions) -> None:
        """Bring about the conditions a tracker can have."""
        self._clock.skew = timedelta(seconds=conditions.skew)
        self.sandbox.settings.search_lag_seconds = conditions.lag
        self.sandbox.settings.page_limit = conditions.page

    def calm(self) -> None:
        """Its listing has caught up."""
        self.sandbox.settings.search_lag_seconds = 0

    def now(self) -> datetime:
        """The vendor's clock."""
        return self._clock.now()

    def tells_of_absence(self, delivery: RawDelivery) -> bool:
        """Whether a delivery is about an item that is not there (any more)."""
        there = {self.external_id(item) for item in self.sandbox.tracker.items.values()}
        return any(item not in there for item in self._told_of(delivery))

    def _told_of(self, delivery: RawDelivery) -> list[str]:
        told = []
        signals = self.connector_class.parse(delivery, self.made_config())  # type: ignore[attr-defined]  # a receiver
        for signal in signals:
            if isinstance(signal, Snapshot):
                told.append(signal.task.external_id)
            elif isinstance(signal, Hint):
                told.append(signal.external_id)
        return told

    def ends_a_write(self, operation: str) -> bool:
        """Whether this call is the last that a write consists of."""
        return any(fnmatchcase(operation, pattern) for pattern in self.last_calls)

    def cut(self, operation: str) -> NoReturn:
        """The answer is lost."""
        raise httpx.ReadError(f"the connection was cut during {operation}")

    # --- people ---

    def create(self, title: str, slot: int) -> str | None:
        """Make an item."""
        return self.external_id(self._person.create(self.containers[slot % 2], title))

    def edit(self, slot: int, field: str, value: str | int) -> str | None:
        """Set a field."""
        item = self._pick(slot)
        if item is None:
            return None
        self._set(item, field, value)
        return self.external_id(item)

    def _set(self, item: TrackerItem, field: str, value: str | int) -> None:
        self._person.edit(item.id, **{field: self._there(item, field, value)})

    def _there(self, item: TrackerItem, field: str, value: str | int) -> str | None:
        """A drawn value in the vendor's words; numbers choose among what there is."""
        choices: Sequence[str | None]
        match field:
            case "status":
                choices = [status.name for status in self.sandbox.tracker.statuses_of(item.container)]
            case "priority":
                choices = [name or None for name in self.priority_names]
            case "assignee":
                choices = [None, *NAMES]
            case "description":
                return self.text_there(str(value))
            case _:
                return str(value)
        return choices[int(value) % len(choices)]

    def move(self, slot: int, to: int) -> str | None:
        """Move an item to the other container."""
        item = self._pick(slot)
        if item is None:
            return None
        home = self.sandbox.tracker.containers[item.container].key
        self._person.move(item.id, self.containers[1 - self.containers.index(home)])
        return self.external_id(item)

    def delete(self, slot: int) -> str | None:
        """Put an item into the trash."""
        item = self._pick(slot)
        if item is not None:
            self._person.delete(item.id)
        return self.external_id(item) if item else None

    def restore(self) -> str | None:
        """Bring back what was deleted last."""
        trash = list(self.sandbox.tracker.trash)
        return self.external_id(self._person.restore(trash[-1])) if trash else None

    def _pick(self, slot: int) -> TrackerItem | None:
        items = list(self.sandbox.tracker.items.values())
        return items[slot % len(items)] if items else None

    def expire(self) -> None:
        """Access tokens end now, where tokens end."""
        if self.sandbox.oauth is not None and self.sandbox.oauth.rules.refresh_life:
            self.sandbox.oauth.end_access()

    def sent(self) -> list[RawDelivery]:
        """What was sent since the last time."""
        self.sandbox.deliver()
        deliveries, self._caught.deliveries = self._caught.deliveries, []
        return deliveries

    def delivery_key(self, delivery: RawDelivery) -> str:
        """The vendor's id of a delivery, the same on a retry."""
        return delivery.headers[self.delivery_header]

    # --- looking ---

    @property
    def faults(self) -> FaultPlan:
        """What is planned to go wrong."""
        return self.sandbox.faults

    @property
    def calls(self) -> CallLog:
        """What the vendor was asked."""
        return self.sandbox.calls

    def statuses(self) -> list[str]:
        """Every status that can occur there, by name."""
        return list(dict.fromkeys(status.name for status in self.sandbox.tracker.statuses.values()))

    def priorities(self) -> list[str]:
        """Every priority that can occur there, by name."""
        return [priority.name for priority in self.sandbox.tracker.priorities.values()]

    def plant(self, count: int) -> None:
        """Ready-made items in the first container; nobody is told."""
        self.sandbox.plant(count, self.containers[0])

    def items(self) -> dict[str, Item]:
        """The items that are there."""
        return {self.external_id(item): self._item(item) for item in self.sandbox.tracker.items.values()}

    def happened(self) -> int:
        """How many lines the journal has."""
        return len(self.sandbox.tracker.journal) - self._since

    def journal(self) -> Sequence[Change]:
        """All that happened since the world began."""
        return [self._line(told) for told in self.sandbox.tracker.journal[self._since :]]

    def _line(self, told: Told) -> Change:
        before = self._item(told.before) if told.before else None
        after = self._item(told.after) if told.after else None
        asked = self._asked(told, before, after)
        return Change(self.external_id(told.item), before, after, asked, told.who != self.sandbox.robot.id)

    def _asked(self, told: Told, before: Item | None, after: Item | None) -> frozenset[str]:
        """The fields somebody wanted to be set, whether or not they were so already."""
        return told.asked & frozenset(TASK_FIELDS)

    def _item(self, item: TrackerItem) -> Item:
        tracker = self.sandbox.tracker
        values: dict[str, str | None] = {
            "title": item.title,
            "description": self.text_here(item.description),
            "status": self._status(item),
            "priority": self._priority(item),
            "assignee": self._assignee(item),
        }
        container = tracker.containers[item.container].key
        return Item(self.external_id(item), self.key(item), container, values, self.marker(item))

    def _status(self, item: TrackerItem) -> str:
        return self.status_names[self.sandbox.tracker.statuses[item.status].name]

    def _assignee(self, item: TrackerItem) -> str | None:
        return NAMES.get(self.sandbox.tracker.users[item.assignee].name) if item.assignee else None

    def _priority(self, item: TrackerItem) -> str | None:
        """A priority here; where an item has none, what the connector makes of that."""
        if item.priority is None:
            return self.priority_names.get("", None)
        return self.priority_names[self.sandbox.tracker.priorities[item.priority].name]


def _first_that_fits(models: Iterable[type[Credentials]], given: Mapping[str, Any]) -> Credentials:
    """The credentials in the first mode that takes them, as the engine chooses it. Raises ValueError."""
    for model in models:
        try:
            return model.model_validate(given)
        except ValidationError:
            continue
    raise ValueError("no credentials model of the manifest takes these credentials")
