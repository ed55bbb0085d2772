"""Service hooks: subscriptions, what they are told, and what becomes of those whose receiver fails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.azure.forms import stamp
from sandbox.clock import Clock
from sandbox.errors import VendorError
from sandbox.hooks import Hook, Hooks
from sandbox.webhooks import Delivery, DeliveryState, Dispatcher

MASK = "********"
ENABLED = "enabled"
TRANSIENT = frozenset({408, 502, 503, 504})
"""Statuses after which Azure tries again; any other failure puts a subscription on probation."""

_RESULTS = {DeliveryState.DELIVERED: "succeeded", DeliveryState.FAILED: "failed"}


@dataclass
class Notification:
    """One event on its way to one subscription; `number` counts within the subscription."""

    hook: str
    number: int
    event: Mapping[str, Any]
    created: datetime

    def to_json(self, delivery: Delivery) -> dict[str, Any]:
        """As Azure's log has it: the event lacks what tells one delivery of it from another."""
        last = delivery.attempts[-1] if delivery.attempts else None
        answer = "" if last is None else last.error or f"HTTP {last.status}"
        result = _RESULTS.get(delivery.state, "pending")
        details = {"event": self.event, "requestAttempts": len(delivery.attempts), "errorMessage": answer}
        return {
            "id": self.number,
            "subscriptionId": self.hook,
            "eventId": self.event["id"],
            "createdDate": stamp(self.created),
            "status": "queued" if result == "pending" else "completed",
            "result": result,
            "details": details,
        }


@dataclass
class ServiceHooks:
    """The subscriptions of an organization, on the kit's `hooks`. `publishers` names the events each tells of, and with
    which version of what they hold."""

    hooks: Hooks
    clock: Clock
    lock: Any
    publishers: Mapping[str, Mapping[str, str]]
    dispatcher: Dispatcher
    new_guid: Callable[[], str]
    log: dict[str, Notification] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    # The API

    def register(self, owner: str, body: Mapping[str, Any]) -> Hook:
        """A new subscription. Raises VendorError."""
        values = self._read(body)
        return self.hooks.register(values.pop("url"), owner, **values)

    def replace(self, hook_id: str, body: Mapping[str, Any]) -> Hook:
        """Other inputs, and enabled again if that is asked for. A masked password stays what it was."""
        values = self._read(body)
        if values["secret"] == MASK:
            del values["secret"]
        return self.hooks.change(hook_id, **values)

    def to_json(self, hook: Hook, url: str) -> dict[str, Any]:
        """A subscription, its password masked."""
        inputs, event = {**hook.extra["inputs"], "url": hook.url}, next(iter(hook.events))
        if hook.secret:
            inputs["basicAuthPassword"] = MASK
        return {
            "id": hook.id,
            "url": f"{url}/_apis/hooks/subscriptions/{hook.id}",
            "status": hook.extra["status"],
            "publisherId": self._of(event)[0],
            "eventType": event,
            "resourceVersion": self._of(event)[1],
            "consumerId": "webHooks",
            "consumerActionId": "httpRequest",
            "publisherInputs": {"projectId": hook.container or ""},
            "consumerInputs": inputs,
        }

    def notifications(
        self, hooks: list[str], result: str | None, start: datetime, end: datetime
    ) -> list[dict[str, Any]]:
        """Of some subscriptions, those made in a stretch of time that came to a result, oldest first."""
        made = [(self.log[sent.id], sent) for sent in self.dispatcher.log() if sent.id in self.log]
        found = [one.to_json(sent) for one, sent in made if one.hook in hooks and start <= one.created <= end]
        return [one for one in found if result in (None, one["result"])]

    # What happens

    def tell(self, event: str, project: str, resource: Any, text: str) -> None:
        """Tell everybody who wants to know of an event of a project."""
        guid, now = self.new_guid(), self.clock.now()
        publisher, version = self._of(event)

        def body(hook: Hook, delivery_id: str) -> dict[str, Any]:
            number = self._numbers[hook.id] = self._numbers.get(hook.id, 0) + 1
            told = {
                "id": guid,
                "eventType": event,
                "publisherId": publisher,
                "message": {"text": text},
                "detailedMessage": {},
                "resource": resource,
                "resourceVersion": version,
                "resourceContainers": {
                    "collection": {"id": guid},
                    "account": {"id": guid},
                    "project": {"id": project},
                },
                "createdDate": stamp(now),
            }
            self.log[delivery_id] = Notification(hook.id, number, told, now)
            return {"subscriptionId": hook.id, "notificationId": number, **told}

        self.hooks.tell(event, body, project)

    def _of(self, event: str) -> tuple[str, str]:
        """The publisher of an event and its version. Raises VendorError 400."""
        for publisher, events in self.publishers.items():
            if event in events:
                return publisher, events[event]
        raise VendorError(400, f"TF400898: The event type {event!r} is not known.", code="ArgumentException")

    def on_settled(self, delivery: Delivery) -> None:
        """What a failure means for the subscription: 410 disables it at once, and any other that is not transient puts
        it on probation, where its events are lost."""
        notification, status = self.log.get(delivery.id), delivery.attempts[-1].status
        delivered = delivery.state is not DeliveryState.FAILED
        if delivered or notification is None or status is None or status in TRANSIENT:
            return
        with self.lock:
            self.disable(notification.hook, "disabledBySystem" if status == 410 else "onProbation")

    def disable(self, hook_id: str, status: str) -> None:
        """From now on nothing is sent. A subscription removed meanwhile stays removed."""
        for hook in self.hooks.live():
            if hook.id == hook_id:
                self.hooks.change(hook_id, enabled=False, extra={**hook.extra, "status": status})

    def _read(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A subscription's body as the fields of a hook. Raises VendorError 400."""
        publisher, consumer = body.get("publisherInputs") or {}, body.get("consumerInputs") or {}
        event = str(body.get("eventType"))
        if self._of(event)[0] != body.get("publisherId"):
            raise VendorError(400, f"TF400898: The publisher has no event {event!r}.", code="ArgumentException")
        for line in filter(None, str(consumer.get("httpHeaders") or "").split("\n")):
            if " " in line.partition(":")[2]:
                raise VendorError(
                    400, "VS403106: The value of a header must not hold blanks.", code="ArgumentException"
                )
        status = body.get("status") or ENABLED
        kept = {name: value for name, value in consumer.items() if name not in ("url", "basicAuthPassword")}
        return {
            "url": str(consumer.get("url") or ""),
            "secret": str(consumer.get("basicAuthPassword") or ""),
            "events": frozenset({event}),
            "container": publisher.get("projectId") or None,
            "enabled": status == ENABLED,
            "extra": {"status": status, "inputs": kept},
        }
