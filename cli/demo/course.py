"""The course of the demo: start, watch, come to rest, compare."""

from __future__ import annotations

import threading
import time
from datetime import datetime

from rich.console import Console
from sqlalchemy import exists, func, select

from cli.demo.cast import USUAL, VENDORS
from cli.demo.comparing import Comparison, compare, lost_edits, read_by_api, read_by_database
from cli.demo.ending import conclude
from cli.demo.kinds import crews, outcome
from cli.demo.outcome import Outcome
from cli.demo.people import People
from cli.demo.spoken import route
from cli.demo.stream import StreamWatch
from cli.demo.view import introduce, view
from cli.demo.watching import Watch
from cli.demo.world import World, world
from cli.up import stop_on_signals
from core.clock import utc_now
from core.models import Binding, Delivery, NotificationMessage, SyncCause, SyncRun

LOOK_SECONDS = 0.25
COMPARE_EVERY = 4
"""Looks between two comparisons: one a second."""

QUIET_SECONDS = 60.0
"""How long all ends may take to come to rest. It is five seconds or ten; the rest is for a machine that others keep
busy."""


def run(for_: float | None, seed: int, items: int, everything: bool, console: Console) -> bool:
    """Play the demo; True if all ends were equal at the end, no edit was lost, and every integration is healthy."""
    stop = stop_on_signals()
    with world(seed, items, VENDORS if everything else USUAL) as made:
        for one in made.channels:
            route(made, one)
        introduce(made, console)
        people = People(made, seed)
        cast = [people, *crews(made, seed)]
        watch, stream = Watch(made, people), StreamWatch(made)
        for crew in cast:
            crew.start()
        _watch_until(stop, for_, made, watch, stream, console)
        for crew in cast:
            crew.stop()
        for vendor in made.vendors:
            vendor.sandbox.faults.clear()
        console.print("The people have stopped; waiting for both ends to come to rest ...")
        outcomes = _at_rest(made)
        watch.look()
        stream.look()
        held = read_by_api(made)
        comparison, lost = compare(held, made), list(lost_edits(people.edits, held))
        troubles = [trouble for crew in cast for trouble in crew.troubles]
        return conclude(made, watch.numbers(), stream.arrived, comparison, lost, outcomes, troubles, console)


def _watch_until(
    stop: threading.Event, seconds: float | None, made: World, watch: Watch, stream: StreamWatch, console: Console
) -> None:
    """Show what happens until somebody stops it or the time is over."""
    ends_at = time.monotonic() + seconds if seconds is not None else None
    comparison = Comparison(0, [])
    looks = 0
    with view(console, [one.vendor for one in made.channels]) as shown:
        while not stop.wait(LOOK_SECONDS):
            if ends_at is not None and time.monotonic() >= ends_at:
                return
            if looks % COMPARE_EVERY == 0:
                comparison = compare(read_by_database(made), made)
            looks += 1
            news = sorted([*watch.look(), *stream.look()], key=lambda crossing: crossing.at)
            shown.show(news, watch.numbers(), comparison)


def _at_rest(made: World) -> dict[str, Outcome]:
    """How every integration compares, once nothing is under way in any direction and a poll has looked for what the
    lost webhooks said; or as it is when that lasts too long."""
    stopped_at = utc_now()
    polled = [one for one in made.connected if one.vendor.polled]
    for one in polled:
        made.api.post(f"/v1/integrations/{one.integration_id}/sync", {})  # most poll too seldom to wait for
    deadline = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < deadline:
        # In the order of their way: what has left the sandbox is in the inbox by the time we look there.
        sending = any(vendor.pending() for vendor in made.vendors)
        if _is_quiet(made, stopped_at, len(polled)) and not sending:
            found = _outcomes(made)
            if not any(one.differences for one in found.values()):
                return found
        time.sleep(LOOK_SECONDS)
    return _outcomes(made)


def _outcomes(made: World) -> dict[str, Outcome]:
    return {one.integration_id: outcome(made, one) for one in made.connected}


def _is_quiet(made: World, since: datetime, polled: int) -> bool:
    """Whether so many integrations were polled since then, nothing is owed, unread or unsaid, and all are
    well."""
    runs = select(func.count(SyncRun.integration_id.distinct())).where(
        SyncRun.started_at > since, SyncRun.finished_at.is_not(None)
    )
    owed = exists().where(Binding.owed, Binding.state != "ended")
    told = exists().where(Delivery.state == "pending")
    unsaid = exists().where(NotificationMessage.state == "pending")
    unwell = exists().where(SyncCause.integration_id.is_not(None))
    with made.runtime.db.read() as session:
        return bool(session.scalar(select((runs.scalar_subquery() >= polled) & ~owed & ~told & ~unsaid & ~unwell)))
