"""Notifications on the conformance kit's bench: routes and events by the engine's own hand, and the lane that says
them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from connectors.contract import Button, ConnectorError, Notification, NotificationKind, Notifier, Severity
from connectors.kit.bench import Moment, Row
from core import events
from core.events import Fact
from simulation.looking import Looking
from simulation.schedule import Interrupt, Step
from simulation.world import moment
from sync.notifications import again, routes
from sync.notifications.routes import By, NewRoute

PRESSABLE = "NTF-26-900000"
"""The notification whose button is pressed; no world comes to that number by itself."""

BUTTON = "acknowledge"

MOST_TURNS = 60
"""Turns of the lane until all must have been said: each failure doubles the wait, up to a quarter of an hour."""


class Speaking(Looking):
    """The part of the bench that tells people things."""

    def route(self, channel: str, *names: str, digest_minutes: int = 0) -> str:
        """A route of the workspace's."""
        rt = self._stage.runtime
        new = NewRoute(
            name="",
            channel=channel,
            events=names or ("*",),
            least_severity=Severity.INFO.value,
            digest_minutes=digest_minutes,
            enabled=True,
        )
        with rt.db.write() as session:
            return routes.create(session, rt, self._id, new, by=self._by()).id

    def test_route(self, route_id: str) -> None:
        """A test, said at once."""
        again.send_test(self._stage.runtime, route_id, by=self._by())

    def _by(self) -> By:
        return By(self._world.beginning.tenant.people["ann"])

    def happen(self, type_: str, subject_id: str, **data: Any) -> None:
        """An event of the workspace's."""
        rt, workspace = self._stage.runtime, self._world.beginning.tenant.workspace
        actor = self._world.beginning.tenant.people["ann"]
        fact = Fact(workspace.organization_id, workspace.id, type_, subject_id, actor, data)
        with rt.db.write() as session:
            events.append(session, [fact], rt.clock())

    def speak(self, *moments: Moment) -> bool:
        """The messages lane."""
        before = self._world.disturbances
        self._world.take(Step("speak", interrupts=_struck(moments)))
        return self._world.disturbances > before

    def say_on(self) -> None:
        """All that is new, and all that waits, is said, when it is due."""
        if not self.routes():
            return
        self.speak()
        for _ in range(MOST_TURNS):
            due = [row["next_attempt_at"] for row in self.notifications() if row["state"] in ("pending", "gathering")]
            closed = self.integration()["next_messages_at"]
            if not due or self.integration()["status"] != "active":
                return
            self._stage.clock.now = max(self._stage.clock.now, moment(max([*due, *([closed] if closed else [])])))
            self.speak()

    def notifications(self) -> list[Row]:
        """What was to be said."""
        rows = self._table("notification")
        return [{**row, "body": json.loads(row["body"])} for row in sorted(rows, key=lambda row: str(row["id"]))]

    def routes(self) -> list[Row]:
        """The routes there are."""
        return self._table("notification_route")

    def press(self) -> None:
        """Somebody presses a button, of a message that is said when there is none yet: the platform says none with
        buttons by itself."""
        people, [home, _] = self.channels, self.channels.channels
        if not (pressable := [one for one in people.said(home) if BUTTON in one.buttons]):
            notifier = self.instance()
            assert isinstance(notifier, Notifier)
            with suppress(ConnectorError):  # then there is none to be pressed
                notifier.send(_with_button(self), home)
            pressable = [one for one in people.said(home) if BUTTON in one.buttons]
        if pressable:
            people.press(home, pressable[0].id, BUTTON)


def _with_button(bench: Speaking) -> Notification:
    return Notification(
        id=PRESSABLE,
        kind=NotificationKind.APPROVAL,
        severity=Severity.HIGH,
        title="Something can be pressed",
        text="",
        at=bench._stage.clock(),
        buttons=(Button(BUTTON, "Acknowledge", "INC-26-000001"),),
    )


def _struck(moments: Iterable[Moment]) -> tuple[Interrupt, ...]:
    return tuple(Interrupt(one.where, one.nth, one.what) for one in moments)
