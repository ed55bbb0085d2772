"""The connector contract: everything the author of a vendor plugin needs to know, in one file.

A connector is *translation and I/O for one vendor*. It has no database, no queue and no clock of its
own: it gets a `Context`, answers in the value types below, and raises the errors below. The engine
decides what is true; the connector only says what the vendor said and sends what it is told to send.

A connector class names its `manifest` (facts as data), implements `check`, and implements as many
capability protocols as it likes. What it implements is what it can do; nothing else is declared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, SecretStr

if TYPE_CHECKING:
    from connectors.http import HttpClient

CONTRACT_VERSION = 1
"""Raised when a change here breaks plugins that are already written; plugins state what they were written for."""


# --- words ------------------------------------------------------------------------------------------


class Status(StrEnum):
    """The platform's task states; every vendor state maps onto one of them."""

    BACKLOG = "backlog"
    IN_PROGRESS = "in_progress"
    IN_REVIEW = "in_review"
    DONE = "done"
    CANCELLED = "cancelled"


class Priority(StrEnum):
    """The platform's task priorities, lowest first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Category(StrEnum):
    """What kind of tool a vendor is, in the words of the platform's integration page."""

    SOURCE_CONTROL = "Source Control"
    SOURCE_CONTROL_PM = "Source Control + PM"
    PROJECT_MANAGEMENT = "Project Management"
    COMMUNICATION = "Communication"
    MONITORING = "Monitoring"
    QUALITY = "Quality"


class Rule(StrEnum):
    """Who wins when both sides changed one field differently; the loser's value goes into the task's history."""

    LATEST = "latest"
    PLATFORM = "platform"
    EXTERNAL = "external"


TASK_FIELDS = ("title", "description", "status", "priority", "assignee")
"""The fields a task shares with a vendor item, in the order changes are reported."""

JsonObject = dict[str, Any]
"""A JSON object as `json.loads` gives it."""


# --- values: what a connector says ------------------------------------------------------------------


class RemoteValue(NamedTuple):
    """One field of a vendor item, twice.

    `here` is the value in the platform's words (a `Status`, a `Priority`, markdown text …); `there` is the
    vendor's own value in a canonical text form (a status id, a digest of a document …). Changes are
    detected on `there`, so two vendor states that map to one of ours stay apart; `there` must be equal for
    two reads of an unchanged item, and must change whenever `here` would.
    """

    here: str | None
    there: str | None


@dataclass(frozen=True, slots=True)
class RemoteUser:
    """A person at the vendor. `email` is None where the vendor hides it."""

    id: str
    name: str = ""
    email: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """The full state of one vendor item as the vendor gave it at one moment.

    external_id  the vendor's immutable id
    key          what people call it (`APEX-1042`); may change when the item moves
    url          deep link for people
    container    the vendor's project, list or team the item lives in, as `ProjectMapping.external` names it
    version      the vendor's own version, compared only with itself: epoch milliseconds of its last change, or a
                 revision number. A state with a lower version than one already seen is stale.
    updated_at   the vendor's clock at the item's last change (aware); decides the `latest` rule
    values       title, description, status and priority (those the vendor has)
    assignee     the person, or None; the engine maps people
    create_key   the marker we left when we created it, None where there is none
    """

    external_id: str
    key: str
    url: str
    container: str
    version: int
    updated_at: datetime
    values: Mapping[str, RemoteValue]
    assignee: RemoteUser | None = None
    create_key: str | None = None


class GoneReason(StrEnum):
    """Why an item can't be read: proof that it was deleted, or only that we can't see it any more."""

    DELETED = "deleted"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Gone:
    """The answer for an item that can't be read. `DELETED` needs proof; when in doubt say `UNREACHABLE`."""

    external_id: str
    reason: GoneReason
    detail: str = ""


Cursor = JsonObject
"""Where to carry on. Opaque to the engine; stored as JSON in the transaction that stored the page."""


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page of changed items, and the cursor from which to carry on after it.

    `total` is the vendor's estimate of the items of the whole run, None where it gives none.
    """

    tasks: Sequence[RemoteTask]
    cursor: Cursor
    total: int | None = None


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """A task to be created at the vendor, in the platform's words. `container` is the mapped vendor project."""

    container: str
    title: str
    description: str
    status: Status
    priority: Priority
    assignee: RemoteUser | None = None


TaskChanges = Mapping[str, "str | RemoteUser | None"]
"""Field -> new value in the platform's words; `assignee` is a RemoteUser or None (unassign)."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What we believe the vendor holds now: its version, and `there` per field. Lets a vendor with a version
    check refuse a blind overwrite, and others report what was overwritten."""

    version: int
    there: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One field the vendor would not take, for good: `code` for programs, `text` telling an operator what to do."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class TaskWritten:
    """What came of a create or an update.

    remote     the item as the vendor holds it after the write
    sent       field -> `there` as we sent it (canonical). If `remote` differs, somebody changed it meanwhile.
    refused    fields the vendor would not take (a screen without that field, no way to that status)
    overwrote  field -> the value our write replaced, where the vendor tells and it was not the expected one
    """

    remote: RemoteTask
    sent: Mapping[str, str | None]
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    overwrote: Mapping[str, RemoteValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """Who the credentials speak for. `learned` are credential fields found out on the way (a site id), to be kept."""

    id: str
    name: str
    scopes: tuple[str, ...] = ()
    missing_scopes: tuple[str, ...] = ()
    learned: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VendorValue:
    """One status or priority that items can have: the vendor's id and name, and what it means under the config."""

    id: str
    name: str
    here: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of one mapped container: every status and priority its items can have."""

    container: str
    statuses: Sequence[VendorValue]
    priorities: Sequence[VendorValue]


# --- webhooks ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RawDelivery:
    """A webhook request as it came: header names in lower case, the body's raw bytes, our time of arrival (aware)."""

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verified:
    """A believed delivery. `key` is the vendor's id of it, the same on a retry; None: the body's digest is used."""

    key: str | None
    event: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a vendor's handshake wants to hear."""

    body: bytes
    content_type: str = "text/plain"
    status: int = 200


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The delivery held the item's full state with the vendor's own version, and is signed."""

    task: RemoteTask


@dataclass(frozen=True, slots=True)
class Hint:
    """Only "this item changed" (or vanished): the engine refetches it."""

    external_id: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing for us, and why. `code` is counted per integration."""

    code: str
    text: str = ""


Signal = Snapshot | Hint | Ignored
"""What one delivery can mean."""

Secrets = Mapping[str, Sequence[str]]
"""Name -> values that may verify now (newest first; two during a rotation). Names: `WebhookFacts.secrets`."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A webhook registered at the vendor. `secret` is set when the vendor chose it. `expires_at` None: never."""

    external_ids: tuple[str, ...]
    expires_at: datetime | None = None
    secret: SecretStr | None = None


# --- errors are data --------------------------------------------------------------------------------


class ConnectorError(Exception):
    """Base of all that a connector may raise. `code` is stable; the text is for the operator and holds no secret."""

    code: ClassVar[str] = "connector_error"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class AuthFailed(ConnectorError):
    """The credentials are dead: refresh once, then ask for new consent."""

    code = "auth_failed"


class ConsentPending(ConnectorError):
    """The vendor has not confirmed the authorization yet: nothing is wrong, and nothing can be called."""

    code = "consent_pending"


class Forbidden(ConnectorError):
    """The credentials are good but may not do this."""

    code = "forbidden"


class NotFound(ConnectorError):
    """The vendor has no such thing, or hides it from us."""

    code = "not_found"


class Conflict(ConnectorError):
    """The item changed meanwhile: refetch and decide again."""

    code = "conflict"


class RateLimited(ConnectorError):
    """Come back at `until` (aware). `scope` says what is limited: the whole `account`, or one `item`."""

    code = "rate_limited"

    def __init__(self, text: str, until: datetime, scope: str = "account") -> None:
        super().__init__(text)
        self.until = until
        self.scope = scope


class Transient(ConnectorError):
    """It may work later. `maybe_done` is True when the request may have taken effect at the vendor."""

    code = "transient"

    def __init__(self, text: str, maybe_done: bool = True, retry_at: datetime | None = None) -> None:
        super().__init__(text)
        self.maybe_done = maybe_done
        self.retry_at = retry_at


class Rejected(ConnectorError):
    """The vendor understood and said no. `field` is ours where it can be told, else None."""

    code = "rejected"

    def __init__(self, text: str, field: str | None = None) -> None:
        super().__init__(text)
        self.field = field


class BadSignature(ConnectorError):
    """A delivery that must not be believed; `text` says which check failed, never what would have passed."""

    code = "bad_signature"


class BadPayload(ConnectorError):
    """A delivery or an answer that does not have the shape the vendor documents."""

    code = "bad_payload"


# --- configuration ----------------------------------------------------------------------------------


class Config(BaseModel):
    """Base of every connector's config: unknown keys are errors, so that a typo is not a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectMapping(Config):
    """One vendor project (list, team) tied to a delivery context here.

    Inbound: items of `external` become tasks of this service line and project label.
    Outbound: a new task goes to the most specific mapping it fits (project label before service line before
    neither) whose `create` is true.
    """

    external: str = Field(min_length=1, description="The vendor's project, list or team: what people call it.")
    service_line_id: str | None = None
    project_id: str | None = None
    create: bool = Field(True, description="New tasks here are created there.")


class TaskSyncConfig(Config):
    """What every task vendor's config shares; a vendor's model adds its own fields."""

    projects: list[ProjectMapping] = Field(min_length=1)
    status_map: dict[str, Status] = Field(default_factory=dict, description="Vendor status id or name -> ours.")
    status_out: dict[Status, str] = Field(default_factory=dict, description="Ours -> vendor status id or name.")
    priority_map: dict[str, Priority] = Field(default_factory=dict, description="Vendor priority id or name -> ours.")
    priority_out: dict[Priority, str] = Field(default_factory=dict, description="Ours -> vendor priority id or name.")
    conflict: dict[str, Rule] = Field(default_factory=dict, description="Field -> who wins; `latest` where unsaid.")
    poll_seconds: int = Field(300, ge=5, le=86_400)

    told_apart: ClassVar[tuple[Status, ...]] = ()
    """Statuses that may be written as one vendor status, because the connector tells them apart by something else (a
    resolution); what only has the status is read as the first."""


class Credentials(BaseModel):
    """Base of every credential model. Secrets are `SecretStr`, so they show as stars in any repr."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ConfigModel = type[Config]
CredentialsModel = type[Credentials]


# --- the manifest: facts as data --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OAuthFacts:
    """An OAuth 2.0 authorization-code vendor, as data; the flow is the engine's.

    URLs may start with `{name}` of an entry in `Manifest.endpoints`. `grace` is how long a rotated refresh token
    still works; `params` are extra query parameters of the consent page. `revoke_url` (RFC 7009) is told when an
    integration is disconnected; None where the vendor has none.
    """

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...]
    credentials: str = "oauth2"
    params: Mapping[str, str] = field(default_factory=dict)
    pkce: bool = True
    token_body: str = "form"  # noqa: S105 - or "json"
    client_auth: str = "body"  # or "basic"
    grace: timedelta = timedelta(0)
    revoke_url: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookFacts:
    """How a vendor's webhooks behave.

    secrets        what `verify` needs: `signing` is the subscription's own secret, any other name is a field of the
                   credentials
    rejection      the status for a delivery not believed
    accepted       the status for one that is stored, and
    accepted_body  what to say with it, for vendors that show or read it
    app_secret     for `AppWebhookReceiver`: the name under which `verify` gets the secrets of the operator's app
    account        for `AppWebhookReceiver`: the name in `Account.learned` under which `check` tells whose account it
                   is. The vendor must have said so: with an account somebody merely entered, deliveries of others
                   could be had.
    """

    secrets: tuple[str, ...] = ("signing",)
    rejection: int = 401
    accepted: int = 202
    accepted_body: str | None = None
    max_body: int = 5 * 1024 * 1024
    renew_before: timedelta = timedelta(days=7)
    headers_kept: tuple[str, ...] = ()
    app_secret: str = "signing"  # noqa: S105 - a name
    account: str | None = None


@dataclass(frozen=True, slots=True)
class RateFacts:
    """The vendor's sustained rate we allow ourselves: `per_second` calls on average, `burst` at once."""

    per_second: float = 10.0
    burst: int = 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts of one vendor.

    type              the integration type, equal to the connector's folder name
    config            pydantic model of `integration.config`
    credentials       mode -> pydantic model of `integration.credentials`; the first that validates is taken
    endpoints         name -> base URL; operators may point them elsewhere (a sandbox, a proxy)
    refetch_batch     most ids `fetch_tasks` takes in one call of the engine
    create_settle     after an unclear create: how long until a not-found marker is believed (search index lag)
    contract          CONTRACT_VERSION the connector was written for
    """

    type: str
    name: str
    category: Category
    description: str
    config: ConfigModel
    credentials: Mapping[str, CredentialsModel]
    endpoints: Mapping[str, str] = field(default_factory=dict)
    oauth: OAuthFacts | None = None
    webhooks: WebhookFacts | None = None
    rates: RateFacts = RateFacts()
    refetch_batch: int = 100
    create_settle: timedelta = timedelta(seconds=60)
    contract: int = CONTRACT_VERSION


# --- what a connector is given, and what it is ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Context:
    """All a connector may use: its validated config and credentials, HTTP with budget and redaction, the time.

    `now()` is our clock (aware UTC); `http.vendor_now()` is the vendor's, learnt from its answers.
    `endpoints` is the manifest's, after the operator's overrides.
    """

    config: Any
    credentials: Any
    http: HttpClient
    endpoints: Mapping[str, str]
    now: Callable[[], datetime]


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


CAPABILITIES: Mapping[str, type] = {
    "task_source": TaskSource,
    "task_sink": TaskSink,
    "users": UserDirectory,
    "vocabulary": TaskVocabulary,
    "webhooks": WebhookReceiver,
    "webhook_subscriptions": WebhookSubscriber,
    "app_webhooks": AppWebhookReceiver,
}
"""Capability name -> protocol. What a class implements is what `GET /v1/connectors` shows."""


def capabilities(connector: type) -> tuple[str, ...]:
    """The names of the capabilities this connector class implements, in the table's order."""
    return tuple(name for name, protocol in CAPABILITIES.items() if _implements(connector, protocol))


def _implements(connector: type, protocol: type) -> bool:
    methods = [name for name, value in vars(protocol).items() if callable(value) or isinstance(value, staticmethod)]
    return all(callable(getattr(connector, name, None)) for name in methods if not name.startswith("_"))
