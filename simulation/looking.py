"""What the conformance kit's bench shows of a world: the platform's rows, its secrets, and all that can be seen."""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

from connectors.contract import CodeEvent, Connector, Measured, Point, Series
from connectors.http import Unlimited
from connectors.kit.bench import Row
from connectors.kit.codepeople import CodePeople
from connectors.kit.notifypeople import NotifyPeople
from connectors.kit.watchpeople import WatchPeople
from core.clock import iso
from core.models import Integration, Subscription
from simulation.codeside import code_side
from simulation.invariants import fingerprint
from simulation.monitorside import watch_side
from simulation.notifierside import notifier_side
from simulation.observed import Watched
from simulation.stage import Stage
from simulation.vendor import TrialVendor
from simulation.world import World, moment
from sync import subscriptions
from sync.code import plain
from sync.configuration import parse_config
from sync.credentials import build, load
from sync.diagnostics import diagnose
from sync.reasons import MESSAGE_STEPS, NEXT_STEPS

SHORTEST_SECRET = 6
"""Characters: what is shorter is found everywhere by chance."""

PUBLIC = frozenset({"cloud_id", "email", "expires_at", "login", "site", "site_url", "username"})
"""Credential fields that say who, where or when: no secret, and shown to support."""

SEEN = (
    "integration",
    "subscription",
    "identity",
    "rate_budget",
    "task",
    "task_history",
    "conflict",
    "binding",
    "event",
    "delivery",
    "sync_run",
    "audit_record",
    "incident",
    "incident_update",
    "measure_series",
    "quality_gate",
    "notification",
)
"""Tables whose rows the API, support or an operator may see; sealed columns and deliveries' bodies aside."""


def integration_of(world: World) -> Integration:
    """The world's integration as it is now."""
    with world.stage.database.read() as session:
        return session.get_one(Integration, world.integration_id)


def _theirs(data: dict[str, Any]) -> dict[str, Any]:
    """Without the repository as it is known here."""
    return {name: value for name, value in data.items() if name != "repository"}


_INCIDENTS_TIMES = ("opened_at", "acknowledged_at", "resolved_at", "last_seen_at", "watermark")


def _timed(row: Row, names: Iterable[str]) -> Row:
    return {**row, **{name: row[name] and moment(row[name]) for name in names}}


def _series(row: Row) -> Series:
    named = {name: row[name] for name in ("subject", "metric", "unit", "branch")}
    return Series(**named, main=bool(row["main"]), dimensions=json.loads(row["dimensions"]))


def _texts(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Credentials as (name, text); those within one by both their names."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", text) for inner, text in _texts(value))
        else:
            yield name, str(value)


class Looking:
    """The part of the bench that only looks."""

    connector: type[Connector]
    _stage: Stage
    _world: World
    _watched: Watched
    _seen: Counter[str]
    _heard: list[str]
    _id: str

    @property
    def vendor(self) -> TrialVendor:
        """People at the vendor."""
        return cast("TrialVendor", self._stage.vendor)  # a trial's stage is made with one

    @property
    def code(self) -> CodePeople:
        """People who write code. Raises TypeError for a side without any."""
        return code_side(self._stage.vendor)

    @property
    def watch(self) -> WatchPeople:
        """What goes on where it is watched. Raises TypeError for a side of which nothing is."""
        return watch_side(self._stage.vendor)

    @property
    def channels(self) -> NotifyPeople:
        """People in channels. Raises TypeError for a side without any."""
        return notifier_side(self._stage.vendor)

    def now(self) -> datetime:
        """What time it is here."""
        return self._stage.clock()

    def row(self) -> Integration:
        """The integration's row, detached."""
        return integration_of(self._world)

    def _table(self, name: str, where: str = "1 = 1", *parameters: Any) -> list[Row]:
        cursor = self._stage.database.driver.execute(
            f"SELECT * FROM {name} WHERE {where} ORDER BY rowid",
            parameters,
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def integration(self) -> Row:
        """The integration's row."""
        return self._table("integration", "id = ?", self._id)[0]

    def tasks(self) -> list[Row]:
        """The tasks, oldest first."""
        return self._table("task")

    def bindings(self) -> list[Row]:
        """The bindings; `refused` as a mapping."""
        return [{**row, "refused": json.loads(row["refused"])} for row in self._table("binding")]

    def history(self) -> list[Row]:
        """The tasks' history."""
        return self._table("task_history")

    def events(self, type_: str = "") -> list[Row]:
        """The events of a type, or all."""
        return self._table("event", "type = ? OR ? = ''", type_, type_)

    def kept(self) -> object:
        """The tasks, what was heard of code, what was watched, and what was said."""
        watched = (self.incidents(), self.measured(), self.gates())
        return self.tasks(), self.code_events(), watched, self._table("notification")

    def code_events(self) -> list[Row]:
        """The events that are told once for their key, without what is ours in them."""
        prefix = len(self._id) + 1
        return [
            {"key": row["key"][prefix:], "type": row["type"], "data": _theirs(json.loads(row["data"]))}
            for row in self._table("event", "key IS NOT NULL")
        ]

    def as_stored(self, event: CodeEvent) -> Row:
        """As `store_events` does it."""
        data = {**plain(event.what), "occurred_at": iso(event.at)}
        return {"key": event.key, "type": event.what.type, "data": data}

    def followed(self) -> Mapping[str, Row]:
        """The repositories by the vendor's ids."""
        shown = ("name", "url", "default_branch", "archived", "state", "reason_code", "reason_text")
        return {row["external_id"]: {name: row[name] for name in shown} for row in self._table("repository")}

    def incidents(self) -> list[Row]:
        """The incidents that are shown."""
        return [_timed(row, _INCIDENTS_TIMES) for row in self._table("incident", "merged_into IS NULL")]

    def incident_lines(self) -> list[Row]:
        """What they are made of."""
        return self._table("incident_update")

    def measured(self) -> list[Measured]:
        """The series, and their points."""
        found: dict[int, list[Point]] = defaultdict(list)
        for point in self._table("measure_point"):
            found[point["series_id"]].append(Point(moment(point["at"]), point["value"]))
        return [Measured(_series(row), found[row["id"]]) for row in self._table("measure_series")]

    def gates(self) -> list[Row]:
        """How branches stand with their gates."""
        rows = [_timed(row, ("at", "failed_at")) for row in self._table("quality_gate")]
        return [{**row, "conditions": json.loads(row["conditions"])} for row in rows]

    def deliveries(self) -> list[Row]:
        """The inbox."""
        return self._table("delivery")

    def runs(self) -> list[Row]:
        """The sync runs."""
        return self._table("sync_run")

    def config(self) -> Any:
        """The config as its model."""
        return parse_config(self.connector, self.row().config)

    def settled(self) -> object:
        """The invariants' fingerprint of the world."""
        return fingerprint(self._world)

    def written(self) -> int:
        """Changes at the vendor that were ours."""
        return sum(not change.by_people for change in self.vendor.journal())

    def diagnostics(self) -> Mapping[str, Any]:
        """The diagnostics document."""
        return diagnose(self._stage.runtime, self._id)

    def next_step(self, code: str) -> str:
        """What to do about a reason code."""
        return NEXT_STEPS.get(code) or MESSAGE_STEPS.get(code, "")

    def secrets(self) -> Mapping[str, str]:
        """What must not be seen."""
        rt = self._stage.runtime
        with rt.db.read() as session:
            opened = load(rt, session, session.get_one(Integration, self._id))
            row = session.get(Subscription, self._id)
            signing = subscriptions.stored_secrets(rt, row) if row is not None else []
        model = self.connector.manifest.credentials[opened.mode]
        hidden = {name for name, field in model.model_fields.items() if "Secret" in str(field.annotation)}
        found = dict(_texts({name: opened.values[name] for name in hidden if opened.values.get(name)}))
        found |= {f"signing {number}": secret for number, secret in enumerate(signing, start=1)}
        for name, value in opened.values.items():
            pairs = {f"{name}:{other}": f"{value}:{found[other]}" for other in hidden & found.keys() if name != other}
            found |= {pair: base64.b64encode(text.encode()).decode() for pair, text in pairs.items()}
        return {name: secret for name, secret in found.items() if len(secret) >= SHORTEST_SECRET}

    def private(self) -> Mapping[str, str]:
        """Credentials that are neither a name nor a time."""
        rt = self._stage.runtime
        with rt.db.read() as session:
            values = load(rt, session, self.row()).values
        account = {self.row().account_id, self.row().account_name}
        shown = {name: value for name, value in _texts(values) if value not in account}
        return {name: value for name, value in shown.items() if len(value) >= SHORTEST_SECRET and name not in PUBLIC}

    def visible(self) -> Iterator[tuple[str, str]]:
        """All that can be seen."""
        yield from (("the log", line) for line in self._heard)
        for name in SEEN:
            for row in self._table(name):
                shown = {key: value for key, value in row.items() if key not in ("sealed", "body")}
                yield f"table {name}", repr(shown)
        yield "the connector's repr", f"{self.instance()!r} {self.instance()!s}"
        yield "the diagnostics", json.dumps(self.diagnostics())
        yield from (("an error of a worker", fault) for fault in self._world.faults)

    def untimed(self) -> list[str]:
        """Calls without a timeout."""
        return self._watched.untimed

    def exercised(self) -> Mapping[str, int]:
        """Methods that returned."""
        return self._seen

    def instance(self) -> Connector:
        """A connector as a worker makes it."""
        rt = self._stage.runtime
        with rt.db.read() as session:
            opened = load(rt, session, self.row())
        made: Connector = build(rt, self.connector, self.config(), opened.mode, opened.values, Unlimited()).connector
        return made

    @contextmanager
    def offline(self) -> Iterator[Callable[[], list[str]]]:
        """No call gets through."""
        shut = self._watched.shut = []
        try:
            yield lambda: list(shut)
        finally:
            self._watched.shut = None
