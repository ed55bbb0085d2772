"""What a doorbell in a lane means: one plain function per lane, the same for Celery, tests and the simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sync.backfill import backfill
from sync.confirm import confirm
from sync.inbound import drain
from sync.notifications.lane import messages
from sync.pull import pull
from sync.push import push
from sync.runtime import Lane, Runtime
from sync.subscriptions import keep_subscription
from sync.sweep import sweep


def work(rt: Runtime, lane: Lane, integration_id: str) -> None:
    """Do what is due in this lane of an integration. Rung in vain, it returns after one query or two."""
    LANES[lane](rt, integration_id)


def _pull(rt: Runtime, integration_id: str) -> None:
    confirm(rt, integration_id)
    keep_subscription(rt, integration_id)
    pull(rt, integration_id)
    sweep(rt, integration_id)


def _push(rt: Runtime, integration_id: str) -> None:
    push(rt, integration_id)


def _drain(rt: Runtime, integration_id: str) -> None:
    drain(rt, integration_id)


def _backfill(rt: Runtime, integration_id: str) -> None:
    backfill(rt, integration_id)


LANES: Mapping[Lane, Callable[[Runtime, str], None]] = {
    Lane.PUSH: _push,
    Lane.INBOX: _drain,
    Lane.MESSAGES: messages,
    Lane.PULL: _pull,
    Lane.BACKFILL: _backfill,
}
