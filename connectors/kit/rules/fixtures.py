"""Recorded deliveries: every one is understood or ignored for a reason; what is new or broken does no harm."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.contract import (
    AccessEnded,
    AlertHeard,
    BadPayload,
    ButtonPressed,
    CodeHeard,
    CodeHint,
    GateHeard,
    Hint,
    Ignored,
    LookAgain,
    MeasureHint,
    RawDelivery,
    Signal,
    Snapshot,
)
from connectors.kit.bench import Bench
from connectors.kit.rule import NOTIFIER, SOURCES, WATCHES, WEBHOOKS, Finding, Rule, Tier

STRANGE_EVENT = "kit.no_such_event"
BROKEN = (
    b"",
    b"{",
    b"[]",
    b"{}",
    b"null",
    b'"text"',
    b"\xff\xfe",
    b"[" * 5000,
    b'{"event": {"a": []}, "issue": 7, "id": null}',
)
"""Bodies no vendor sends; a believed delivery may still hold them, and parsing must not fail in its own way."""

MEANINGS = {
    "task_source": {"snapshot", "hint"},
    "code_source": {"event", "ask"},
    "alert_source": {"firing", "over"},
    "measure_source": {"measure", "gate:passed", "gate:failed"},
    "notifier": {"pressed", "access_ended"},
}
"""What a delivery about an item, code, what is wrong or was measured, or to who says things, can mean."""

ABOUT = {
    "task_source": "an item",
    "code_source": "what happened to code",
    "alert_source": "what is wrong",
    "measure_source": "what was measured",
    "notifier": "a button that was pressed, or access that has ended",
}

STILL = "repeated"
"""What an alert of a kind nobody knows may be: that it is still wrong."""

RECORDED_AT = datetime(2026, 4, 15, 10, tzinfo=UTC)


def every_fixture(bench: Bench) -> Iterator[Finding]:
    """Each recording means what it says it does, and nothing makes `parse` fail."""
    yield from _recordings(bench)
    genuine = []
    for subject in bench.subjects():
        bench.stir(subject, "For parsing")
        genuine += bench.arriving()[-1:]
    for delivery in genuine:
        yield from _unknown_event(bench, delivery)
    for delivery in genuine:
        for body in (*BROKEN, delivery.body[: len(delivery.body) // 2]):
            yield from _survives(bench, replace(delivery, body=body))


def _recordings(bench: Bench) -> Iterator[Finding]:
    folder: Path | None = bench.vendor.fixtures
    files = sorted(folder.glob("*.json")) if folder is not None and folder.is_dir() else []
    expected = []
    for file in files:
        recording = json.loads(file.read_text("utf-8"))
        expected.append(recording["expect"])
        got = _meaning(bench, _delivery(recording))
        if got != recording["expect"]:
            yield Finding(
                f"{file.name} is {got}, and was expected to be {recording['expect']}",
                "Handle this event in `parse`, or correct what the recording expects.",
            )
    for subject in _told(bench):
        if not MEANINGS[subject] & set(expected):
            yield Finding(
                f"there is no recording of a delivery about {ABOUT[subject]}",
                'Record one of each event from the vendor: {"headers": {…}, "body": …, "expect": "hint"} in fixtures/.',
            )
    if not any(word.startswith("ignored:") for word in expected):
        yield Finding("there is no recording of a delivery that is ignored", "Record an event you do not use, too.")


def _told(bench: Bench) -> Sequence[str]:
    """What deliveries are about: numbers need not be told of where alerts are."""
    subjects = bench.subjects()
    return [one for one in subjects if one != "measure_source" or "alert_source" not in subjects]


def _delivery(recording: dict[str, Any]) -> RawDelivery:
    body = recording["body"]
    text = body if isinstance(body, str) else json.dumps(body)
    headers = {name.lower(): value for name, value in recording["headers"].items()}
    return RawDelivery(headers, text.encode(), RECORDED_AT)


def _meaning(bench: Bench, delivery: RawDelivery) -> str:
    """A word of MEANINGS, `look_again` or `ignored:<code>` (of the first signal), or what went wrong."""
    try:
        signals = _parse(bench, delivery)
    except BadPayload as error:
        return f"a bad payload ({error.text})"
    match signals[0] if signals else None:
        case Snapshot():
            return "snapshot"
        case Hint():
            return "hint"
        case CodeHeard():
            return "event"
        case CodeHint():
            return "ask"
        case ButtonPressed():
            return "pressed"
        case AccessEnded():
            return "access_ended"
        case LookAgain():
            return "look_again"
        case AlertHeard(alert):
            return alert.state.value
        case GateHeard(gate):
            return f"gate:{gate.status}" if gate.analysis else "gate:analysis_failed"
        case MeasureHint():
            return "measure"
        case Ignored(code):
            return f"ignored:{code}"
    return "nothing at all"


def _parse(bench: Bench, delivery: RawDelivery) -> Sequence[Signal]:
    connector: Any = bench.connector
    signals: Sequence[Signal] = connector.parse(delivery, bench.config())
    return signals


def _unknown_event(bench: Bench, genuine: RawDelivery) -> Iterator[Finding]:
    bench.knock([genuine])
    event = bench.deliveries()[-1]["event"]
    if not event or event == "unknown":
        yield Finding("`verify` does not tell the event's name", "Give it as `event`: operators filter by it.")
        return
    body = genuine.body.replace(event.encode(), STRANGE_EVENT.encode())
    headers = {name: value.replace(event, STRANGE_EVENT) for name, value in genuine.headers.items()}
    strange = replace(genuine, body=body, headers=headers)
    watches = set(bench.subjects()) <= WATCHES
    if watches and strange == genuine:
        return  # of one kind alone, which nothing in it names
    got = _meaning(bench, strange)
    if got != "ignored:unsupported" and not (watches and got == STILL):
        yield Finding(
            f"an event nobody knows is {got}",
            'Answer Ignored("unsupported", name) for it: vendors add events without asking.',
        )


def _survives(bench: Bench, delivery: RawDelivery) -> Iterator[Finding]:
    try:
        _parse(bench, delivery)
    except BadPayload:
        return
    except Exception as error:  # whatever else it is, it is the finding
        yield Finding(
            f"`parse` failed with {type(error).__name__} on {delivery.body[:40]!r}",
            "Read the body into a typed model and raise BadPayload for what does not fit.",
        )


RULES = (
    Rule(
        "every-fixture-parses",
        Tier.BRONZE,
        "Recorded deliveries parse or are ignored for a reason; unknown events are `unsupported`.",
        executed=every_fixture,
        needs=WEBHOOKS,
        among=SOURCES | NOTIFIER,
    ),
)
