"""Buttons: a press is heard once, and says who pressed what."""

from __future__ import annotations

import json
from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.notifyreading import home
from connectors.kit.rule import NOTIFIER_HEARD, Finding, Rule, Tier

PRESSED = "notification.button_pressed"


def press_told_once(bench: Bench) -> Iterator[Finding]:
    """A press that is delivered three times is one event; pressed once more, it is another."""
    bench.stir("notifier", "Pressed")
    deliveries = bench.arriving()
    answers = bench.knock(delivery for delivery in deliveries for _ in range(3))
    if sum(answer.stored for answer in answers) != len(deliveries):
        yield Finding(
            f"one press sent three times was stored {sum(answer.stored for answer in answers)} times",
            "Give as `key` the vendor's id of it, the same on a retry.",
        )
    bench.drain()
    yield from _told(bench, 1)
    bench.wait(5)
    bench.stir("notifier", "Pressed once more")
    bench.hear()
    yield from _told(bench, 2)


def _told(bench: Bench, times: int) -> Iterator[Finding]:
    told = [json.loads(row["data"]) for row in bench.events(PRESSED)]
    if len(told) != times:
        yield Finding(
            f"{times} presses were told {len(told)} times", "Make a ButtonPressed of each, with the time of the press."
        )
        return
    [pressable] = [one for one in bench.channels.said(home(bench)) if one.buttons]
    last = told[-1]
    if (last["button"], last["message"]["id"]) != (pressable.buttons[0], pressable.id) or not last["by"]:
        yield Finding(
            f"a press is told as {last['button']!r} of {last['message']['id']!r} by {last['by']!r}",
            "Tell the button's id, its value, the message as `send` answered it, and who pressed.",
        )


RULES = (
    Rule(
        "notify-press-told-once",
        Tier.SILVER,
        "A button's press that is delivered three times is told once, with who pressed what.",
        executed=press_told_once,
        needs=NOTIFIER_HEARD,
    ),
)
