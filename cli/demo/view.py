"""What the terminal shows: a living view where there is a terminal, plain lines where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.demo.channel import ChannelTool, channels
from cli.demo.comparing import Comparison
from cli.demo.watching import Crossing, Numbers
from cli.demo.world import World

SHOWN = 12
"""Recent crossings that stay in sight."""

THREAD_SHOWN = 5
"""Lines of the thread that is shown of each channel."""

PLAIN_EVERY = 20
"""Looks between two lines of numbers where there is no terminal: five seconds."""


class View(Protocol):
    """Is shown the news a few times a second."""

    def show(self, news: Sequence[Crossing], numbers: Numbers, comparison: Comparison) -> None:
        """These arrived since the last time; this is how things stand."""
        ...


@contextmanager
def view(console: Console, talk: Sequence[ChannelTool]) -> Iterator[View]:
    """The view that fits the terminal. `talk` are the tools whose channels are shown; in plain lines what is said in
    them is among what crosses."""
    if not console.is_terminal:
        yield PlainView(console)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield LiveView(live, talk)


class LiveView:
    """A table of what crossed last, what was said last in each channel, and the numbers."""

    def __init__(self, live: Live, talk: Sequence[ChannelTool]) -> None:
        self._live, self._talk = live, talk
        self._recent: list[Crossing] = []

    def show(self, news: Sequence[Crossing], numbers: Numbers, comparison: Comparison) -> None:
        """Redraw."""
        self._recent = [*self._recent, *news][-SHOWN:]
        spoken = [Text(line, overflow="ellipsis", no_wrap=True) for tool in self._talk for line in _last_said(tool)]
        self._live.update(Group(self._crossings(), *spoken, Panel(_numbers(numbers, comparison))), refresh=True)

    def _crossings(self) -> RenderableType:
        table = Table("time", "", "item", "field", "value", "by", box=None, expand=True)
        for crossing in reversed(self._recent):
            arrow = (
                Text(f"{crossing.tool} → us", "cyan") if crossing.to_us else Text(f"us → {crossing.tool}", "magenta")
            )
            time = crossing.at.astimezone().strftime("%H:%M:%S")
            table.add_row(time, arrow, crossing.item, crossing.field, crossing.value or "-", crossing.how)
        return table


class PlainView:
    """A line per crossing, and now and then one with the numbers."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._looks = 0

    def show(self, news: Sequence[Crossing], numbers: Numbers, comparison: Comparison) -> None:
        """Print the news."""
        for crossing in news:
            arrow = f"{crossing.tool} -> us" if crossing.to_us else f"us -> {crossing.tool}"
            line = f"{crossing.at:%H:%M:%S} {arrow} {crossing.item} {crossing.field}: {crossing.value} ({crossing.how})"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._looks += 1
        if self._looks % PLAIN_EVERY == 0:
            self._console.print(_numbers(numbers, comparison), markup=False, highlight=False, soft_wrap=True)


def _last_said(tool: ChannelTool) -> Iterator[str]:
    """The last thread of each channel, as far as there is room for it."""
    for channel in channels(tool, 1):
        yield from channel if len(channel) <= THREAD_SHOWN else [*channel[:2], *channel[2 - THREAD_SHOWN :]]


def introduce(world: World, console: Console) -> None:
    """Where everything is, and three things to try."""
    url = world.runtime.settings.public_url
    first = world.trackers[0]
    header = f'-H "Authorization: Bearer {world.token}"'
    lines = (
        f"Turnbuckle           {url}/docs",
        *(f"{tool.label + ' sandbox':<20} {tool.url}/_control/state" for tool in world.vendors),
        f"token                {world.token}",
        "",
        "Try, in another terminal:",
        f'  curl {header} "{url}/v1/tasks?workspace_id={world.workspace_id}&limit=3"',
        f"  curl {header} {url}/v1/integrations/{first.integration_id}",
        *(
            f"  curl {header} {url}/v1/integrations/{one.integration_id}/repositories"
            for one in world.connected
            if one.vendor.type == "github"
        ),
        f'  curl {header} {url}/v1/tasks --json \'{{"workspace_id": "{world.workspace_id}", '
        f'"service_line_id": "{first.service_line_id}", "title": "Hello from here"}}\'',
        *([f'  curl {header} "{url}/v1/notifications?workspace_id={world.workspace_id}"'] if world.channels else []),
        "",
    )
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _numbers(numbers: Numbers, comparison: Comparison) -> str:
    agree = f"{comparison.pairs - comparison.unequal} of {comparison.pairs} agree now"
    return (
        f"edits {numbers.edits_here} here + {numbers.edits_there} in the tools · reconciled {numbers.reconciled} · "
        f"echoes suppressed {numbers.echoes} · conflicts {numbers.conflicts} · healed by polling {numbers.healed} · "
        f"calls {numbers.calls} · latency {in_ms(numbers.latency)} · {agree}"
    )


def in_ms(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.0f} ms"
