"""Who is told what in the demo's channels, and whether every notification is exactly one message there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cli.demo.channel import INCIDENTS, ChannelTool, Said
from cli.demo.outcome import Outcome
from cli.demo.world import Connected, World

ROUTES: tuple[Mapping[str, Any], ...] = (
    {"name": "On call", "channel": INCIDENTS, "events": ["incident.*", "integration.sync_status_changed"]},
    {"name": "Quality", "events": ["quality.*"]},
    {"name": "New tasks", "events": ["task.created"], "digest_minutes": 1},
)
"""The routes through each tool. A channel that is not named is the tool's default one."""

AT_REST = frozenset({"sent", "skipped", "gathering", "gathered"})
"""States in which nothing is wrong and nothing is under way: what is gathered waits for its digest."""


def route(world: World, one: Connected[ChannelTool]) -> None:
    """Make the routes, as anybody would."""
    for body in ROUTES:
        world.api.post("/v1/notification-routes", {"integration_id": one.integration_id, **body})


def check(world: World, one: Connected[ChannelTool]) -> Outcome:
    """Every notification that was sent beside the messages there."""
    listed = list(
        world.api.listed("/v1/notifications", workspace_id=world.workspace_id, integration_id=one.integration_id)
    )
    said = one.vendor.said()
    counts = Counter(row["state"] for row in listed)
    waiting = f", {counts['gathering']} wait for the next digest" if counts["gathering"] else ""
    brought = f"{counts['sent']} notifications said, {counts['gathered']} of them in digests{waiting}"
    threads = sum(message.root is None for message in said)
    return Outcome(brought, f"{len(said)} messages in {threads} threads", list(differences(listed, said, one.vendor)))


def differences(listed: Sequence[Mapping[str, Any]], said: Sequence[Said], vendor: ChannelTool) -> Iterator[str]:
    """Where notifications and messages are not one to one. A message bears the id of what it says."""
    there = Counter((one.place, one.id, one.bears) for one in said)
    here = Counter[tuple[str, str, str | None]]()
    for row in listed:
        if row["state"] not in AT_REST:
            yield f"{row['id']} ({row['title']}) is {row['state']}: {row['error']}"
        if row["state"] == "sent":
            place = row["message"]
            here[vendor.thread(place["channel"]), place["id"], row["id"]] += 1
    for (place, id_, bears), count in sorted((here - there).items()):
        yield f"{bears} was sent {count} times, and is no such message in {place} ({id_})"
    for (place, id_, bears), count in sorted((there - here).items(), key=str):
        yield f"a message in {place} ({id_}) is none that was sent: it bears {bears}, {count} times too often"
