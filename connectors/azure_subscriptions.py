"""Azure's service hooks at the vendor: registered, kept alive, and asked for what they failed to deliver.

A subscription is for one event of one project, so an integration has several. Azure does not tell the secret of one it
has; so each carries a digest of it, by which one that needs nothing is known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec
from pydantic import SecretStr

from connectors.azure import AzureClient
from connectors.azure_hooks import USER, handshake, verify
from connectors.contract import Missed, NotFound, RawDelivery, Subscription
from connectors.hooks import advising

ENABLED = "enabled"

MOST_NOTIFICATIONS = 100
"""Asked for at once: each holds a whole event."""

SLACK = timedelta(minutes=1)
"""Azure's clock is known to a second or so; what is read twice does no harm."""

SHORTEST = timedelta(seconds=1)
"""A stretch of time that is not halved further. Azure has no pages here."""

PERMISSION = (
    "The account may not register webhooks: give it the permissions to view and edit subscriptions in the mapped "
    "projects (project administrators have them). Until then polling finds every change."
)

RESOURCE_VERSIONS = {
    "ms.vss-code.git-pullrequest-comment-event": "2.0",
    "ms.vss-pipelines.run-state-changed-event": "5.1-preview.1",
}
"""Event -> the version in which it tells of things, where it is not 1.0."""

_PATH = "_apis/hooks/subscriptions"

_Place = tuple[str, str]
"""A project's id, an event."""


class Hook(msgspec.Struct, rename="camel"):
    """A subscription; the inputs are texts."""

    id: str
    event_type: str
    status: str = ENABLED
    publisher_inputs: dict[str, str | None] = {}
    consumer_inputs: dict[str, str | None] = {}

    @property
    def place(self) -> _Place:
        """What it listens to."""
        return self.publisher_inputs.get("projectId") or "", self.event_type


class _Details(msgspec.Struct):
    event: dict[str, Any] = {}


class _Notification(msgspec.Struct, rename="camel"):
    id: int
    subscription_id: str
    created_date: datetime
    details: _Details | None = None


class _Notifications(msgspec.Struct):
    results: list[_Notification] = []


class ServiceHooks:
    """The subscriptions of one integration: each event of each project. `events`: event -> its publisher (`tfs`:
    repositories, builds and work items)."""

    def __init__(self, client: AzureClient, projects: Sequence[str], events: Mapping[str, str]) -> None:
        self._client, self._projects, self._events = client, projects, events

    @advising(PERMISSION, "Azure")
    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """One for each place. What is registered for this address already is enabled and given the secret; what listens
        to anything else there is removed. Raises Forbidden."""
        wanted = self._wanted()
        kept: dict[_Place, str] = {}
        for hook in self._all():
            if hook.consumer_inputs.get("url") != url:
                continue
            if hook.place not in wanted or hook.place in kept:
                self._remove(hook.id)
                continue
            kept[hook.place] = hook.id
            body = self._body(hook.place, url, secret)
            if hook.status != ENABLED or hook.consumer_inputs.get("httpHeaders") != _marked(secret):
                self._client.call("PUT", f"{_PATH}/{hook.id}", json={**body, "id": hook.id, "status": ENABLED})
        for place in wanted:
            if place not in kept:
                body = self._body(place, url, secret)
                kept[place] = self._client.send("POST", _PATH, body, Hook).id
        return Subscription(tuple(kept[place] for place in wanted))

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """They never expire, but Azure disables those whose deliveries fail, and loses what happens meanwhile: None for
        one that is not well, which `subscribe` heals."""
        well = {h.place for h in self._all() if h.id in subscription.external_ids and self._is_well(h, url)}
        return subscription if well >= set(self._wanted()) else None

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove them; those already gone are fine."""
        for hook_id in subscription.external_ids:
            self._remove(hook_id)

    def missed(self, since: datetime, now: datetime) -> Iterator[Sequence[Missed]]:
        """What could not be delivered since then, oldest first. Azure keeps it for about 14 days."""
        places = set(self._wanted())
        ids = [h.id for h in self._all() if h.place in places and h.consumer_inputs.get("basicAuthUsername") == USER]
        offset = self._client.http.clock_offset
        if ids:
            yield from self._failed(ids, since + offset - SLACK, now + offset + SLACK, now)

    def _failed(self, ids: list[str], start: datetime, end: datetime, now: datetime) -> Iterator[Sequence[Missed]]:
        """Those of a stretch of time; of its halves where they may not be all. Azure doesn't say in which order."""
        query = {
            "subscriptionIds": ids,
            "resultType": "failed",
            "minCreatedDate": start.isoformat(),
            "maxCreatedDate": end.isoformat(),
            "maxResults": MOST_NOTIFICATIONS,
            "includeDetails": True,
        }
        found = self._client.call("POST", "_apis/hooks/notificationsquery", json=query).decode(_Notifications).results
        if len(found) >= MOST_NOTIFICATIONS and end - start > SHORTEST:
            middle = start + (end - start) / 2
            yield from self._failed(ids, start, middle, now)
            yield from self._failed(ids, middle, end, now)
        elif found:
            yield [_missed(one, now) for one in sorted(found, key=lambda one: one.created_date)]

    def _wanted(self) -> list[_Place]:
        return [(self._client.project(name).id, event) for name in self._projects for event in self._events]

    def _all(self) -> list[Hook]:
        found: list[Hook] = []
        for publisher in dict.fromkeys(self._events.values()):
            params = {"publisherId": publisher, "consumerId": "webHooks"}
            found += self._client.get(_PATH, list[Hook], "value", params=params)
        return found

    def _is_well(self, hook: Hook, url: str) -> bool:
        return hook.status == ENABLED and hook.consumer_inputs.get("url") == url

    def _remove(self, hook_id: str) -> None:
        self._client.call("DELETE", f"{_PATH}/{hook_id}", allow=(404,))

    def _body(self, place: _Place, url: str, secret: SecretStr) -> dict[str, Any]:
        """The secret travels as the password of Basic auth: Azure shows headers to whoever may see subscriptions, and
        passwords to nobody."""
        project, event = place
        return {
            "publisherId": self._events[event],
            "eventType": event,
            "resourceVersion": RESOURCE_VERSIONS.get(event, "1.0"),
            "consumerId": "webHooks",
            "consumerActionId": "httpRequest",
            "publisherInputs": {"projectId": project},
            "consumerInputs": {
                "url": url,
                "basicAuthUsername": USER,
                "basicAuthPassword": secret.get_secret_value(),
                "httpHeaders": _marked(secret),
                "resourceDetailsToSend": "",  # all: what is left of an update with less does not name its item
                "messagesToSend": "none",
                "detailedMessagesToSend": "none",
            },
        }


class Subscribed:
    """What a connector with service hooks of Azure's inherits: WebhookReceiver's checks, WebhookSubscriber and
    DeliveryLog. Its constructor sets `hooks`, and `now` to the context's."""

    hooks: ServiceHooks
    now: Callable[[], datetime]

    verify = staticmethod(verify)
    handshake = staticmethod(handshake)

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """One for each event of each project; what is registered for the address is adopted."""
        return self.hooks.subscribe(url, secret)

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """None when Azure lost or disabled one of them."""
        return self.hooks.renew(subscription, url)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove them."""
        self.hooks.unsubscribe(subscription)

    def missed(self, since: datetime) -> Iterator[Sequence[Missed]]:
        """What Azure could not deliver since then."""
        return self.hooks.missed(since, self.now())

    def redeliver(self, missed: Missed) -> None:
        """Azure's log holds all it can tell, and sends nothing again."""
        raise NotFound(f"Azure does not have the delivery {missed.ref} any more.")


def _marked(secret: SecretStr) -> str:
    """A header that tells by which secret a subscription speaks, to those who know it."""
    return "X-Turnbuckle-Secret:" + blake2b(secret.get_secret_value().encode(), digest_size=8).hexdigest()


def _missed(notification: _Notification, now: datetime) -> Missed:
    """The delivery as it would have come: the log leaves out the two ids that tell it from others."""
    event = notification.details.event if notification.details else {}
    ids = {"subscriptionId": notification.subscription_id, "notificationId": notification.id}
    key = f"{notification.subscription_id}/{notification.id}"
    delivery = RawDelivery({}, json.dumps({**event, **ids}).encode(), now) if event else None
    return Missed(key, key, str(event.get("eventType") or "unknown"), delivery)
