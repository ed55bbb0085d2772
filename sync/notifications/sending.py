"""Saying what an integration's channels are owed: message by message, each claimed, said and settled.

*Claim* (a transaction): the first message of a channel, if it is due. Its attempt is counted and its time noted before
the call, so that whoever finds it after a crash knows that it may have been said. *Say*: no transaction is open.
*Settle* (a transaction): what came of it, if the lane is still ours.

A channel's messages wait for the first of them, and for nothing else: a channel that is limited, whose first message
has to be tried again, or whose answer is long in coming, holds up no other. An account that is limited holds up all.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as DbSession

from connectors.contract import AuthFailed, ConnectorError, Notifier, RateLimited, Transient
from core.errors import PlatformError
from core.models import Integration, NotificationMessage
from core.vault import VaultError
from sync.failures import FAILED_AFTER, MAX_ATTEMPTS, Fault, backoff, spread
from sync.health import may_work
from sync.leases import Lease, LeaseLost, hold
from sync.notifications import channels, outbox, policy, threads
from sync.notifications.policy import LOST, Unclear, Verdict
from sync.notifications.saying import Said, Saying
from sync.notifications.threads import Thread
from sync.notifications.words import notification
from sync.runtime import Lane, Runtime
from sync.sessions import Session, with_refresh

log = structlog.get_logger()

TURN = timedelta(seconds=20)
"""How long one call of `send_due` goes on: then others who wait for a worker have their turn."""

MOST_SAID = 10_000
"""Messages; also of a turn: a clock that stands still must not make it endless."""

AT_ONCE = 4
"""Channels that are spoken to at once: an answer that is long in coming holds up its own channel, and three others go
on. More would ask for more database connections than a process of twelve lanes has."""

NO_SESSION = timedelta(seconds=30)
"""How long the lane waits when not even a session could be opened: as long as a failed renewal is left alone."""


@dataclass
class _Stop(Exception):
    """Nothing can be said through this account for now."""

    error: ConnectorError


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message in hand, as it was when it was claimed: its `tries`-th attempt. `since` is when one began of which
    nobody knows whether it reached anyone."""

    row: NotificationMessage
    tries: int
    since: datetime | None
    thread: Thread | None


def send_due(rt: Runtime, integration_id: str) -> None:
    """Say what is due in the integration's channels, for one turn. If there is more, the lane is rung again."""
    with hold(rt, f"messages:{integration_id}") as lease:
        if lease is None:
            return
        more = _worked(rt, integration_id, lease)
    if more:
        rt.ring(Lane.MESSAGES, integration_id)


def _worked(rt: Runtime, integration_id: str, lease: Lease) -> bool:
    try:
        return with_refresh(rt, integration_id, Lane.MESSAGES, lambda session: _turn(rt, lease, session))
    except LeaseLost:
        log.warning("messages.lease_lost", integration_id=integration_id)
    except _Stop as stop:
        log.warning("messages.paused", integration_id=integration_id, code=stop.error.code, text=stop.error.text)
    except AuthFailed as error:
        log.warning("messages.auth_failed", integration_id=integration_id, text=error.text)
    except DBAPIError:
        raise  # nothing was claimed, or what was is found again
    except (ConnectorError, PlatformError, VaultError) as error:
        _wait(rt, integration_id, error)
    except Exception as error:  # a connector that can't even be made
        log.exception("messages.fault", integration_id=integration_id)
        _wait(rt, integration_id, Fault(error))
    return False


def _wait(rt: Runtime, integration_id: str, error: ConnectorError | PlatformError | VaultError) -> None:
    """There was no session to work in: nothing was claimed, so the lane itself waits, or every tick would try again."""
    now = rt.clock()
    asked = error.until if isinstance(error, RateLimited) else error.retry_at if isinstance(error, Transient) else None
    with rt.db.write() as db:
        _close_lane(db, integration_id, max(asked or now, now + NO_SESSION))
    log.warning("messages.no_session", integration_id=integration_id, text=str(error))


def _close_lane(db: DbSession, integration_id: str, until: datetime) -> None:
    """Nothing is claimed before the time has come."""
    db.execute(update(Integration).where(Integration.id == integration_id).values(next_messages_at=until))


def _turn(rt: Runtime, lease: Lease, session: Session) -> bool:
    """Whether there may be more to say. Raises _Stop, AuthFailed, LeaseLost."""
    if not isinstance(session.connector, Notifier) or "notifier" in session.config.without():
        _say_nothing(rt, lease, session.integration.id)
        return False
    return _Turn(_Sender(rt, lease, session)).run()


def _say_nothing(rt: Runtime, lease: Lease, integration_id: str) -> None:
    """Its config makes no use of its notifier any more."""
    with rt.db.write() as db:
        lease.guard(db)
        text = f"{integration_id} is not configured to say anything any more."
        outbox.drop_all(db, "no_notifier", text, rt.clock(), NotificationMessage.integration_id == integration_id)


@dataclass
class _Turn:
    """A turn of all channels, in which each has its turn: what has said something goes to the end of the row."""

    sender: _Sender
    waiting: deque[str] = field(default_factory=deque)
    left: int = MOST_SAID

    def run(self) -> bool:
        """Whether there may be more to say. Raises _Stop, AuthFailed, LeaseLost."""
        rt = self.sender.rt
        self.waiting.extend(self.sender.due())
        end = rt.clock() + TURN
        hands = min(len(self.waiting), AT_ONCE if rt.threads else 1)
        if hands < 2:
            self._work(end)
        else:
            with ThreadPoolExecutor(hands, thread_name_prefix="message") as pool:
                # All of them are waited for; what one of them raised is raised then.
                for working in [pool.submit(self._work, end) for _ in range(hands)]:
                    working.result()
        return bool(self.waiting)

    def _work(self, end: datetime) -> None:
        """One hand: a message of the channel that has waited longest, and so on. What ends one hand ends the others,
        too, when they come to it."""
        while self.left > 0 and self.sender.rt.clock() < end:
            try:
                channel = self.waiting.popleft()
            except IndexError:
                return  # the other hands have the rest
            self.left -= 1
            if self.sender.say_next(channel):
                self.waiting.append(channel)


@dataclass
class _Sender:
    """One holder of an integration's messages lane."""

    rt: Runtime
    lease: Lease
    session: Session

    @property
    def id(self) -> str:
        """The integration's."""
        return self.session.integration.id

    def due(self) -> list[str]:
        """The channels in which something is due."""
        with self.rt.db.read() as db:
            return list(db.scalars(outbox.channels_due(self.id, self.rt.clock())))

    def say_next(self, channel: str) -> bool:
        """Say a channel's next message and write down what came of it; False if nothing is due there."""
        claimed = self._claim(channel)
        if claimed is None:
            return False
        saying = _saying(self.session.connector, claimed)
        self.lease.check()
        try:
            said = saying.run()
        except (LeaseLost, DBAPIError):
            raise
        except ConnectorError as error:
            self._failed(claimed, saying, error)
        except Exception as error:
            log.exception("messages.fault", integration_id=self.id, notification_id=claimed.row.id)
            self._failed(claimed, saying, Fault(error))
        else:
            self._settle(claimed, said)
        return True

    # --- claim --------------------------------------------------------------------------------------

    def _claim(self, channel: str) -> Claimed | None:
        """The channel's next message, its attempt counted; None if there is none, or it is not due."""
        now = self.rt.clock()
        with self.rt.db.write() as db:
            self.lease.guard(db)
            if not may_work(db, self.id, Integration.next_messages_at, now):
                return None
            row = _first(db, self.id, channel, now)
            if row is None or row.next_attempt_at > now:
                return None
            since = row.called_at
            row.attempts, row.tries = row.attempts + 1, row.tries + 1
            row.called_at = since or now
            row.next_attempt_at = now + spread(backoff(row.tries), row.id)
            return Claimed(row, row.tries, since, threads.find(db, row))

    # --- settle -------------------------------------------------------------------------------------

    def _settle(self, claimed: Claimed, said: Said) -> None:
        now = self.rt.clock()
        with self.rt.db.write() as db:
            self.lease.guard(db)
            row = _mine(db, claimed)
            if row is not None:
                _end(row, "sent", None, None, now)
                row.called_at = None
                row.message_channel, row.message_id = said.ref.channel, said.ref.id
            threads.bind(db, claimed.row, said.root, now)
            channels.mark_working(db, db.get_one(Integration, self.id), claimed.row.channel, now)
        log.debug("messages.said", integration_id=self.id, notification_id=claimed.row.id)

    def _failed(self, claimed: Claimed, saying: Saying, error: ConnectorError) -> None:
        """Write down what follows. Raises what concerns more than this message."""
        now = self.rt.clock()
        if isinstance(error, AuthFailed):
            self._write(claimed, Verdict("pending", now, counted=False), saying, error)
            raise error
        verdict = policy.judge(
            error,
            claimed.row.id,
            saying.notification.kind,
            claimed.tries,
            now,
            said=saying.maybe_said,
            find=saying.reach.find,
        )
        self._write(claimed, verdict, saying, error)
        if isinstance(error, RateLimited) and error.scope == "account":
            with self.rt.db.write() as db:
                self.lease.guard(db)
                _close_lane(db, self.id, verdict.at)
            raise _Stop(error)

    def _write(self, claimed: Claimed, verdict: Verdict, saying: Saying, error: ConnectorError) -> None:
        now = self.rt.clock()
        with self.rt.db.write() as db:
            self.lease.guard(db)
            row = _mine(db, claimed)
            if row is not None:
                _write_failure(row, verdict, saying, error, now)
            if policy.is_about_the_channel(error):
                self._give_up_channel(db, claimed.row.channel, error, now)
            elif verdict.passing and claimed.tries >= FAILED_AFTER:
                channels.mark_down(db, db.get_one(Integration, self.id), error, now)
        log.warning(
            "messages.failed",
            integration_id=self.id,
            notification_id=claimed.row.id,
            code=error.code,
            text=error.text,
            state=verdict.state,
        )

    def _give_up_channel(self, db: DbSession, channel: str, error: ConnectorError, now: datetime) -> None:
        """All that waits for it would meet the same, one call each."""
        db.flush()
        message = NotificationMessage
        waiting = (message.integration_id == self.id, message.channel == channel, message.state == "pending")
        outbox.drop_all(db, error.code, error.text, now, *waiting)
        channels.mark_broken(db, db.get_one(Integration, self.id), channel, error, now)


def _first(db: DbSession, integration_id: str, channel: str, now: datetime) -> NotificationMessage | None:
    """The channel's first message, after those whose sender died each time."""
    first = outbox.first_in(integration_id, channel).with_for_update()
    while (row := db.scalar(first)) is not None and row.tries >= MAX_ATTEMPTS and row.next_attempt_at <= now:
        _end(row, "unknown", Unclear.code, LOST, now)
        db.flush()
    return row


def _saying(notifier: Notifier, claimed: Claimed) -> Saying:
    row, thread = claimed.row, claimed.thread
    told = notification(row.id, row.kind, row.severity, row.title, row.body, row.event_at)
    if thread is None:
        return Saying(notifier, told, row.channel, since=claimed.since)
    return Saying(notifier, told, row.channel, thread.root, row.id > thread.last, claimed.since)


def _mine(db: DbSession, claimed: Claimed) -> NotificationMessage | None:
    """The message's row, if it is still to be said: its route may have been disabled meanwhile. That no other worker
    has it in hand is the lease's to say."""
    message = NotificationMessage
    return db.scalar(select(message).where(message.id == claimed.row.id, message.state == "pending").with_for_update())


def _write_failure(
    row: NotificationMessage, verdict: Verdict, saying: Saying, error: ConnectorError, now: datetime
) -> None:
    row.called_at = row.called_at if saying.maybe_said else None
    if verdict.state == "pending":
        row.next_attempt_at = verdict.at
        row.tries -= not verdict.counted
        row.error_code, row.error_text = error.code, error.text
        return
    if verdict.state == "failed":
        _end(row, "failed", error.code, error.text, now)
        return
    text = error.text if isinstance(error, Unclear) else f"{LOST} What went wrong: {error.text}"
    _end(row, "unknown", Unclear.code, text, now)


def _end(row: NotificationMessage, state: str, code: str | None, text: str | None, now: datetime) -> None:
    row.state, row.error_code, row.error_text, row.finished_at = state, code, text, now
