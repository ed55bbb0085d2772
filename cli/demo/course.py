"""The course of the demo: start, watch, come to rest, compare."""

from __future__ import annotations

import threading
import time

from rich.console import Console
from sqlalchemy import exists, func, select

from cli.demo.code import CodeWatch, held_here
from cli.demo.comparing import Comparison, compare, lost_edits, read_by_api, read_by_database
from cli.demo.host import Developers
from cli.demo.people import People
from cli.demo.view import introduce, summarize, summarize_code, view
from cli.demo.watching import Watch
from cli.demo.world import TOOLS, World, world
from cli.up import stop_on_signals
from core.clock import utc_now
from core.models import Binding, Delivery, SyncRun

LOOK_SECONDS = 0.25
COMPARE_EVERY = 4
"""Looks between two comparisons: one a second."""

QUIET_SECONDS = 20.0
"""How long both ends may take to come to rest: three polls, with room for a slow machine."""


def run(for_: float | None, seed: int, items: int, everything: bool, console: Console) -> bool:
    """Play the demo; True if both ends were equal in the end and no edit was lost."""
    stop = stop_on_signals()
    with world(seed, items, TOOLS if everything else TOOLS[:2]) as made:
        introduce(made, console)
        people = People(made, seed)
        watch, code = Watch(made, people), CodeWatch(made)
        developers = Developers(made.host.tool, seed)
        people.start()
        developers.start()
        _watch_until(stop, for_, made, watch, code, console)
        developers.stop()
        people.stop()
        console.print("The people have stopped; waiting for both ends to come to rest ...")
        _wait_for_quiet(made)
        watch.look()
        code.look()
        here, there = held_here(made), made.host.tool.held()
        held = read_by_api(made)
        comparison = compare(held, made)
        lost = list(lost_edits(people.edits, held))
        summarize(watch.numbers(), comparison, lost, console)
        summarize_code(code.arrived, here, there, console)
        for trouble in (*people.troubles, *developers.troubles):
            console.print(f"a person was told: {trouble}", markup=False, highlight=False)
    return not comparison.differences and not lost and here == there


def _watch_until(
    stop: threading.Event, seconds: float | None, made: World, watch: Watch, code: CodeWatch, console: Console
) -> None:
    """Show what happens until somebody stops it or the time is over."""
    ends_at = time.monotonic() + seconds if seconds is not None else None
    comparison = Comparison(0, [])
    looks = 0
    with view(console) as shown:
        while not stop.wait(LOOK_SECONDS):
            if ends_at is not None and time.monotonic() >= ends_at:
                return
            if looks % COMPARE_EVERY == 0:
                comparison = compare(read_by_database(made), made)
            looks += 1
            news = sorted([*watch.look(), *code.look()], key=lambda crossing: crossing.at)
            shown.show(news, watch.numbers(), comparison)


def _wait_for_quiet(made: World) -> None:
    """Until nothing is under way in either direction and a poll has looked for what the lost webhooks said."""
    stopped_at = utc_now()
    made.api.post(f"/v1/integrations/{made.host.integration_id}/sync", {})  # it polls too seldom to wait for
    deadline = time.monotonic() + QUIET_SECONDS
    polled = select(func.count(SyncRun.integration_id.distinct())).where(
        SyncRun.started_at > stopped_at, SyncRun.finished_at.is_not(None)
    )
    owed = exists().where(Binding.owed, Binding.state != "ended")
    told = exists().where(Delivery.state == "pending")
    while time.monotonic() < deadline:
        # In the order of their way: what has left the sandbox is in the inbox by the time we look there.
        sending = any(vendor.pending() for vendor in made.vendors)
        with made.runtime.db.read() as session:
            quiet = session.scalar(select((polled.scalar_subquery() == len(made.connected) + 1) & ~owed & ~told))
        if quiet and not sending and held_here(made) == made.host.tool.held():
            return
        time.sleep(LOOK_SECONDS)
