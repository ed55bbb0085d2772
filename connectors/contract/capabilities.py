"""What a connector is given, and what it is: its capabilities, each a small protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from pydantic import SecretStr

from connectors.contract.alerts import Alert, AlertRef
from connectors.contract.code import CodeEvent, CodePage, CodeRef, RemoteRepository
from connectors.contract.hooks import Missed, RawDelivery, Reply, Secrets, Signal, Subscription, Verified
from connectors.contract.manifest import Manifest
from connectors.contract.measures import MeasurePage
from connectors.contract.notifications import MessageRef, Notification, Reach
from connectors.contract.tasks import (
    Account,
    Cursor,
    Expected,
    Gone,
    RemoteTask,
    RemoteUser,
    TaskChanges,
    TaskDraft,
    TaskPage,
    TaskWritten,
    Vocabulary,
)

if TYPE_CHECKING:
    from connectors.http import HttpClient


@dataclass(frozen=True, slots=True)
class Context:
    """All a connector may use: its validated config and credentials, HTTP with budget and redaction, the time.

    `now()` is our clock (aware UTC); `http.vendor_now()` is the vendor's, learnt from its answers.
    `endpoints` is the manifest's, after the operator's overrides. `app` holds what the operator set of the fields that
    the manifest names in `app`; empty where no app is set up.
    """

    config: Any
    credentials: Any
    http: HttpClient
    endpoints: Mapping[str, str]
    now: Callable[[], datetime]
    app: Mapping[str, SecretStr] = field(default_factory=dict)


class Connector(Protocol):
    """The base every connector fulfils."""

    manifest: ClassVar[Manifest]

    def __init__(self, context: Context) -> None: ...

    def check(self) -> Account:
        """Prove that the credentials work, with one cheap call. Raises AuthFailed, Forbidden, Transient."""
        ...


@runtime_checkable
class TaskSource(Protocol):
    """Items can be read."""

    def changed_tasks(self, cursor: Cursor | None) -> Iterator[TaskPage]:
        """Every item changed since the cursor (None: every item), oldest change first, without an upper bound.
        Overlaps rather than misses. Each page's cursor allows carrying on after it."""
        ...

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, RemoteTask | Gone]:
        """The items' state now, freshly read; an entry for every id asked for."""
        ...

    def all_ids(self) -> Iterable[Sequence[str]]:
        """The ids of all items in the mapped projects, in batches; used to suspect deletions, never to prove them."""
        ...


@runtime_checkable
class TaskSink(Protocol):
    """Items can be written."""

    def create_task(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        """Create once, leaving `create_key` in the item. Never retried inside. Raises Transient(maybe_done=True)
        when it is unclear whether the item exists now."""
        ...

    def find_created(self, create_key: str) -> Sequence[RemoteTask]:
        """The items that carry the marker, the one to keep first."""
        ...

    def update_task(self, external_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        """Set these fields and no others."""
        ...


@runtime_checkable
class CodeSource(Protocol):
    """Repositories can be read."""

    def repositories(self) -> Iterable[Sequence[RemoteRepository]]:
        """Those the config names (all the credentials can see, where it names none), as they are now, in batches. One
        that is named and not there is left out: the engine says so. Raises Forbidden, AuthFailed."""
        ...

    def code_events(self, repository: RemoteRepository, cursor: Cursor | None) -> Iterator[CodePage]:
        """What happened in a repository since the cursor (None: in all its history, or `history_days`), in any order,
        of the kinds the config follows. Overlaps rather than misses. Each page's cursor allows carrying on after it,
        and the last one is where the next call begins. Raises NotFound for a repository that is gone or hidden."""
        ...

    def fetch_code(self, refs: Sequence[CodeRef]) -> Sequence[CodeEvent]:
        """All that happened to these, freshly read; nothing for what is not there any more."""
        ...


@runtime_checkable
class UserDirectory(Protocol):
    """People can be found."""

    def find_user(self, email: str, container: str) -> RemoteUser | None:
        """The person with this address who may be assigned items in the container; None when not exactly one."""
        ...


@runtime_checkable
class TaskVocabulary(Protocol):
    """The vendor tells its words, so that a mapping can be checked when it is configured."""

    def vocabularies(self) -> Iterable[Vocabulary]:
        """One for each container of the config. Raises NotFound, Forbidden or Rejected for one that can't be read."""
        ...


@runtime_checkable
class WebhookReceiver(Protocol):
    """Deliveries can be believed and read. Pure: called on the class, without credentials or network."""

    @staticmethod
    def verify(delivery: RawDelivery, secrets: Secrets) -> Verified:
        """Raises BadSignature for anything that can't be believed, malformed headers included."""
        ...

    @staticmethod
    def parse(delivery: RawDelivery, config: Any) -> Sequence[Signal]:
        """What it means for us. Raises BadPayload. An event type not known is Ignored("unsupported")."""
        ...

    @staticmethod
    def handshake(delivery: RawDelivery, secrets: Secrets) -> Reply | None:
        """The answer to a vendor's handshake, None for an ordinary delivery. Raises BadSignature."""
        ...


@runtime_checkable
class AppWebhookReceiver(Protocol):
    """An app at the vendor has one webhook for all accounts that installed it (`POST /webhooks/{type}`). Pure, as
    above; the delivery is verified before."""

    @staticmethod
    def account(delivery: RawDelivery) -> str | None:
        """Whose it is, in the words in which `check` tells `WebhookFacts.account`; None where it does not say."""
        ...


@runtime_checkable
class WebhookSubscriber(Protocol):
    """The vendor lets us register webhooks."""

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """Register, or adopt what is already registered for this URL. Raises Forbidden where the credentials can't."""
        ...

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """Push the expiry out; None when the vendor no longer knows it (subscribe again and poll)."""
        ...

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove; a subscription already gone is success."""
        ...


@runtime_checkable
class DeliveryLog(Protocol):
    """The vendor remembers the deliveries it could not hand over."""

    def missed(self, since: datetime) -> Iterable[Sequence[Missed]]:
        """Those it has failed to deliver since then (aware, our clock), oldest first, in batches. Overlaps rather than
        misses; what we have already is left out by the engine."""
        ...

    def redeliver(self, missed: Missed) -> None:
        """Have one sent again, where the log does not hold it. Raises NotFound when the vendor no longer can."""
        ...


@runtime_checkable
class Notifier(Protocol):
    """People can be told things. Channels are named in the vendor's own words (`C08DELIVERY`); "" is the config's
    default one."""

    def reach(self) -> Reach:
        """What can be done with messages; without a call."""
        ...

    def send(self, notification: Notification, channel: str, under: MessageRef | None = None) -> MessageRef:
        """Say it once, under another message of the channel or by itself. Never retried inside. Raises
        Transient(maybe_done=True) when it is unclear whether it was said, RateLimited(scope="item") when only this
        channel has to wait, NotFound for a channel that is gone or archived, Forbidden for one we may not write to."""
        ...

    def update(self, ref: MessageRef, notification: Notification) -> MessageRef:
        """Let a message say this instead. Raises NotFound when it is not there or can't be changed any more: say it
        anew."""
        ...

    def find_sent(
        self, notification_id: str, channel: str, since: datetime, under: MessageRef | None = None
    ) -> MessageRef | None:
        """The message that bears this id, sent since then (aware, our clock), under that other one if there is one."""
        ...


@runtime_checkable
class AlertSource(Protocol):
    """Monitors can be asked. What webhooks say of alerts is healed by it."""

    def alerts(self) -> Iterator[Sequence[Alert]]:
        """All that is wrong now: every monitor's group that fires, in batches; none that is muted."""
        ...

    def fetch_alerts(self, refs: Sequence[AlertRef]) -> Mapping[AlertRef, Alert]:
        """How these stand now; OVER with the vendor's time of it, also for a monitor that is gone. One the vendor
        can't tell about is left out."""
        ...


@runtime_checkable
class MeasureSource(Protocol):
    """Numbers over time can be read."""

    def measures(self, cursor: Cursor | None) -> Iterator[MeasurePage]:
        """All that was measured since the cursor (None: in all of the config's history), oldest first. Overlaps rather
        than misses; each page's cursor allows carrying on after it."""
        ...

    def measure(self, subjects: Sequence[str]) -> Iterator[MeasurePage]:
        """What was measured of late on these, freshly read; the pages' cursors are not used."""
        ...


CAPABILITIES: Mapping[str, type] = {
    "task_source": TaskSource,
    "task_sink": TaskSink,
    "code_source": CodeSource,
    "notifier": Notifier,
    "alert_source": AlertSource,
    "measure_source": MeasureSource,
    "users": UserDirectory,
    "vocabulary": TaskVocabulary,
    "webhooks": WebhookReceiver,
    "webhook_subscriptions": WebhookSubscriber,
    "app_webhooks": AppWebhookReceiver,
    "delivery_log": DeliveryLog,
}
"""Capability name -> protocol. What a class implements is what `GET /v1/connectors` shows."""


def capabilities(connector: type) -> tuple[str, ...]:
    """The names of the capabilities this connector class implements, in the table's order."""
    return tuple(name for name, protocol in CAPABILITIES.items() if _implements(connector, protocol))


def _implements(connector: type, protocol: type) -> bool:
    methods = [name for name, value in vars(protocol).items() if callable(value) or isinstance(value, staticmethod)]
    return all(callable(getattr(connector, name, None)) for name in methods if not name.startswith("_"))
