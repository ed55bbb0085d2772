"""What deliveries say: each is read by its connector, and put together with what others say of the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from connectors.contract import (
    AccessEnded,
    AlertHeard,
    BadPayload,
    ButtonPressed,
    CodeHeard,
    CodeHint,
    ConnectorError,
    GateHeard,
    Hint,
    Ignored,
    LookAgain,
    MeasureHint,
    Pressed,
    RawDelivery,
    RemoteTask,
    Signal,
    Snapshot,
    WebhookReceiver,
)
from sync.codeheard import CodeSaid
from sync.monitorheard import MonitorSaid
from sync.sessions import Session

UNUSED = {
    "task_source": Ignored("no_items", "The integration's config reads no items."),
    "code_source": Ignored("no_code", "The integration's config reads no code."),
    "measure_source": Ignored("no_measures", "The integration's config reads no measures."),
}
"""What is said of something that has to be asked for, where the config asks for nothing of the kind."""


@dataclass
class Claimed:
    """One delivery in hand, and what it says."""

    id: int
    attempts: int
    raw: RawDelivery
    named: list[str] = field(default_factory=list)
    snapshots: list[RemoteTask] = field(default_factory=list)
    code: CodeSaid = field(default_factory=CodeSaid)
    monitor: MonitorSaid = field(default_factory=MonitorSaid)
    pressed: list[Pressed] = field(default_factory=list)
    access_ended: list[str] = field(default_factory=list)
    ignored: list[Ignored] = field(default_factory=list)
    error: ConnectorError | None = None

    def items(self) -> list[str]:
        """The ids of the items it is about."""
        return [*self.named, *(task.external_id for task in self.snapshots)]

    def questions(self) -> set[object]:
        """What has to be asked for because of it."""
        return {*self.named, *self.code.refs, *(("measures", subject) for subject in self.monitor.subjects)}

    def says_more(self) -> bool:
        """Whether it says anything that is for us besides code."""
        return bool(self.items() or self.monitor or self.pressed or self.access_ended)

    def state(self) -> str:
        """What it is once it has been worked off."""
        return "dead" if self.error else "done" if self.says_more() or self.code else "ignored"

    def not_for_us(self) -> list[dict[str, str]]:
        """What it says that means nothing here, and why."""
        return [{"code": each.code, "text": each.text} for each in self.ignored]

    def forget(self) -> None:
        """As before it was read."""
        blank = Claimed(self.id, self.attempts, self.raw)
        vars(self).update(vars(blank))


def read(one: Claimed, session: Session) -> None:
    """What one delivery says. A payload that can't be read is its own affair, not its neighbours'."""
    receiver = session.connector
    assert isinstance(receiver, WebhookReceiver)
    one.forget()
    try:
        signals: Sequence[Signal] = receiver.parse(one.raw, session.config)
    except BadPayload as error:
        one.error = error
        return
    for signal in signals:
        unused = _unused(signal, session.integration.capabilities)
        if unused is None:
            _put(one, signal)
        else:
            one.ignored.append(unused)


def _unused(signal: Signal, used: Iterable[str]) -> Ignored | None:
    """Why a signal is not for us. Alerts and gates always are: what tells them need not be something that can be
    asked."""
    match signal:
        case Snapshot() | Hint() if "task_source" not in used:
            return UNUSED["task_source"]
        case CodeHeard() | CodeHint() | LookAgain() if "code_source" not in used:
            return UNUSED["code_source"]
        case MeasureHint() if "measure_source" not in used:
            return UNUSED["measure_source"]
    return None


def _put(one: Claimed, signal: Signal) -> None:
    match signal:
        case Snapshot(task):
            one.snapshots.append(task)
        case Hint(external_id):
            one.named.append(external_id)
        case CodeHeard(event):
            one.code.events.append(event)
        case CodeHint(ref):
            one.code.refs.append(ref)
        case LookAgain(text):
            one.code.look_again.append(text)
        case AlertHeard(alert):
            one.monitor.alerts.append(alert)
        case GateHeard(gate):
            one.monitor.gates.append(gate)
        case MeasureHint(subject):
            one.monitor.subjects.append(subject)
        case ButtonPressed(pressed):
            one.pressed.append(pressed)
        case AccessEnded(text):
            one.access_ended.append(text)
        case Ignored():
            one.ignored.append(signal)


def within(most: int, sizes: Iterable[tuple[int, int]]) -> list[int]:
    """The first ids whose bodies have no more bytes than that together; one at least."""
    ids: list[int] = []
    for id_, size in sizes:
        most -= size
        if ids and most < 0:
            break
        ids.append(id_)
    return ids


def parts(batch: Iterable[Claimed], most: int) -> list[list[Claimed]]:
    """Deliveries in parts that ask for so many things at most (a delivery that asks for more is a part of its own);
    what several ask for is asked for once."""
    found: list[tuple[list[Claimed], set[object]]] = []
    home: dict[object, int] = {}
    for one in batch:
        asked = one.questions()
        place = next((home[question] for question in asked if question in home), len(found) - 1)
        if place < 0 or (not asked & found[place][1] and len(asked | found[place][1]) > most):
            place = len(found)
            found.append(([], set()))
        found[place][0].append(one)
        found[place][1].update(asked)
        home.update(dict.fromkeys(asked, place))
    return [part for part, _ in found]
