"""Notifications whose worker is killed with SIGKILL time and again: each is in Slack once, in its thread, in order.

A worker is killed when so many more have been said as it may; the moment is anywhere in a call or between the
transactions around it. Slack is busy meanwhile: it limits, it fails, and it loses answers. All of a thousand:

    TURNBUCKLE_KILL_MESSAGES=1000 TURNBUCKLE_KILL_SEED=7 \\
    make test WORKERS=0 ARGS='-s tests/services/test_notify_kill.py'
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from core import events, logs
from core.events import Fact
from core.migrations import upgrade
from core.models import Integration, NotificationMessage
from sandbox.faults import FaultKind
from sandbox.limits import Rate
from sandbox.slack import SlackSandbox
from sandbox.slack.workspace import Said
from sandbox.vendor import API_TOKEN
from sync.notifications import routes
from sync.notifications.routes import By, NewRoute
from sync.runtime import Runtime
from tests.services import hasty
from tests.services.process import ServiceProcess, wait_until

MESSAGES = int(os.environ.get("TURNBUCKLE_KILL_MESSAGES", "100"))
SEED = int(os.environ.get("TURNBUCKLE_KILL_SEED", "20261125"))

EVERY = min(50, MESSAGES // 2)
"""Messages that a worker may say before it is killed."""

CHANNELS = ("C0ALPHA", "C0BRAVO", "C0CHARLIE", "C0DELTA")
STEPS = ("opened", "updated", "acknowledged", "resolved", "reopened")

PATIENCE = 30 + MESSAGES / 2
"""Seconds in which all has to be said."""


class BusySlack(SlackSandbox):
    """Has no limit of its own (a thousand calls would last for twenty minutes); its faults limit instead."""

    rate = Rate(10**9, 60.0)


@dataclass
class Office:
    """A Slack, an integration that speaks there, and the worker that is killed."""

    rt: Runtime
    sandbox: SlackSandbox
    worker: ServiceProcess
    integration_id: str
    ann_id: str

    def rows(self) -> list[NotificationMessage]:
        with self.rt.db.read() as session:
            return list(session.scalars(select(NotificationMessage).order_by(NotificationMessage.id)))

    def posts(self) -> dict[str, list[Said]]:
        """What is in each channel, in order."""
        return {channel: self.sandbox.said(channel) for channel in CHANNELS}

    def said(self) -> int:
        return sum(len(posts) for posts in self.posts().values())

    def wait_for(self, count: int) -> None:
        wait_until(lambda: self.said() >= count, timeout=PATIENCE, what=f"{count} messages")


@pytest.fixture
def office(postgres_url: str, redis_url: str) -> Iterator[Office]:
    logs.set_up(as_json=False, level="WARNING")
    upgrade(postgres_url)
    sandbox = BusySlack(seed=1)
    for channel in CHANNELS:
        sandbox.workspace.open(channel, channel.lower(), sandbox.robot.id)
    with ExitStack() as cleanup:
        url = cleanup.enter_context(sandbox.serve()).url
        env = hasty.environment(postgres_url, redis_url, {"slack": {"api": url}})
        rt = hasty.runtime_of(env)
        cleanup.callback(rt.db.close)
        cleanup.callback(rt.transport.close)
        config = {"default_channel": CHANNELS[0]}
        integration_id, ann_id = hasty.connected(rt, "slack", config, {"bot_token": API_TOKEN})
        worker = cleanup.enter_context(hasty.worker(env, "inbox,messages"))
        cleanup.enter_context(hasty.beat(env))
        yield Office(rt, sandbox, worker, integration_id, ann_id)


def route(office: Office, channel: str) -> None:
    """All of incidents, to a channel."""
    new = NewRoute("", channel, ["incident.*"], "info", 0, enabled=True)
    with office.rt.db.write() as session:
        routes.create(session, office.rt, office.integration_id, new, by=By(office.ann_id))


def happen(office: Office) -> list[str]:
    """Incidents live through all steps, some at once; titles in the order of what happened."""
    count = MESSAGES // len(CHANNELS) // len(STEPS)
    told = [
        (f"incident.{step}", f"INC-26-{number:06d}", {"title": f"{number}:{step}", "severity": "high"})
        for group in range(0, count, 5)
        for step in STEPS
        for number in range(group, min(group + 5, count))
    ]
    with office.rt.db.write() as session:
        integration = session.get_one(Integration, office.integration_id)
        where = (integration.organization_id, integration.workspace_id)
        facts = [Fact(*where, type_, subject, office.ann_id, data) for type_, subject, data in told]
        events.append(session, facts, office.rt.clock())
    return [data["title"] for _, _, data in told]


def plague(sandbox: SlackSandbox) -> None:
    """Some messages are limited, some fail, and of some the answer is lost; looking for them fails, too."""
    faults, post = sandbox.faults, "chat.postMessage"
    faults.add(FaultKind.RATE_LIMIT, operation=post, probability=0.05, count=None, retry_after=1)
    faults.add(FaultKind.ERROR, operation=post, probability=0.03, count=None, status=503)
    faults.add(FaultKind.CUT, operation=post, probability=0.03, count=None, when="after")
    faults.add(FaultKind.ERROR, operation="conversations.*", probability=0.05, count=None, status=503)


def test_each_is_said_once_and_in_order_although_the_worker_is_killed_time_and_again(office: Office) -> None:
    chance, began, kills = random.Random(SEED), time.monotonic(), []
    for channel in CHANNELS:
        route(office, channel)
    plague(office.sandbox)
    titles = happen(office)
    expected = len(titles) * len(CHANNELS)
    for moment in range(EVERY, expected, EVERY):
        office.wait_for(moment)
        time.sleep(chance.uniform(0, 0.05))  # anywhere in a message, not only behind the one that was waited for
        kills.append(office.said())
        office.worker.kill()
        office.worker.start()
    pending = {"pending", "gathering"}
    wait_until(
        lambda: len(rows := office.rows()) == expected and not pending & {row.state for row in rows},
        timeout=PATIENCE,
        what=f"the end: {Counter(row.state for row in office.rows())}",
    )
    took, calls = time.monotonic() - began, dict(office.sandbox.calls.counts())
    print(f"\n{expected} messages, seed {SEED}: killed at {kills}; {took:.0f} s, calls {calls}")

    rows = office.rows()
    assert [(row.id, row.error_code, row.error_text, row.attempts) for row in rows if row.state != "sent"] == []
    assert any(row.attempts > 1 for row in rows), "some were in hand when their worker died"
    _assert_once(office, rows)
    for channel in CHANNELS:
        _assert_order(office, channel, titles)


def _assert_once(office: Office, rows: list[NotificationMessage]) -> None:
    """Each bears its own id, is where its row says, and nothing else is there."""
    posts = {said.ts: said for said in (one for posts in office.posts().values() for one in posts)}
    ids = [said.metadata["event_payload"]["id"] for said in posts.values() if said.metadata]
    assert Counter(Counter(ids).values()) == {1: len(rows)}, "none twice, none missing"
    assert {row.id: row.message_id for row in rows} == dict(zip(ids, posts, strict=True))


def _assert_order(office: Office, channel: str, titles: list[str]) -> None:
    """A channel has all that happened, in order; the first of an incident is the root of all others of it."""
    rows = {row.message_id: row for row in office.rows() if row.channel == channel}
    posts = office.sandbox.said(channel)
    assert [rows[said.ts].title.rpartition(": ")[2] for said in posts] == titles
    threads: dict[str | None, list[Said]] = defaultdict(list)
    for said in posts:
        threads[rows[said.ts].thread_key].append(said)
    for root, *answers in threads.values():
        assert root.thread is None
        assert {said.thread for said in answers} == {root.ts}
        assert root.edited >= 1, "it says how things stand now"
        last = rows[answers[-1].ts].title
        assert last in root.text
