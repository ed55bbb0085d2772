"""Whose webhook URL is it, and which secrets verify it: read from the database, remembered for a few seconds."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from connectors.contract import Secrets, WebhookFacts
from core.clock import Clock, utc_now
from core.db import Database
from core.hook_secrets import HookSecrets
from core.models import Credential, Integration, Subscription
from core.settings import Settings
from core.vault import Vault, VaultError

log = structlog.get_logger(__name__)

TTL = 5.0
"""Seconds an answer is believed: a rotated secret or a disconnect takes effect within them, and a busy integration
costs one query per TTL instead of one per delivery."""

MAX_KNOWN = 10_000
"""Hooks remembered: about a kilobyte each."""

MAX_UNKNOWN = 1_000
"""Ids remembered as unknown. Apart from the known ones, so that somebody who tries ids can't push those out."""

MAX_LOADING = 100
"""Hooks looked up at once; past that the next one is told to come back, so that trying ids can't pile up queries."""


class HooksUnavailable(Exception):
    """It can't be told now whose hook it is."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One integration's webhook URL. `secrets` may lack values: then nothing verifies."""

    integration_id: str
    type: str
    hook_id: str
    secrets: Secrets = field(repr=False)  # asyncio shows results of tasks in its own log lines


class Hooks:
    """The hooks of one process, for the requests of one event loop."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        settings: Settings,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._vault = vault
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._known = _Memory[Hook | None](MAX_KNOWN)
        self._unknown = _Memory[Hook | None](MAX_UNKNOWN)
        self._members = _Memory[tuple[str, ...]](MAX_KNOWN)
        self._loading: dict[str, asyncio.Task[Hook | None]] = {}

    async def find(self, type_: str, facts: WebhookFacts, hook_id: str) -> Hook | None:
        """The hook; None where there is none, or its integration is of another type or disconnected.

        Raises HooksUnavailable when the database or the key ring does not give an answer.
        """
        now = self._monotonic()
        key = f"{type_}/{hook_id}"
        remembered = self._known.get(key, now) or self._unknown.get(key, now)
        if remembered is not None:
            return remembered[1]
        loading = self._loading.get(key)
        if loading is None:
            loading = self._begin(key, type_, facts, hook_id)
        return await asyncio.shield(loading)  # one request that is given up must not fail the others

    def app_secrets(self, type_: str, facts: WebhookFacts) -> Secrets | None:
        """What verifies the webhook of the operator's app at a vendor; None where no secret is set for one."""
        app = self._settings.oauth_apps.get(type_)
        if app is None or not app.webhook_secrets:
            return None
        named = self._app(type_, facts)
        return {name: named.get(name, ()) for name in facts.secrets}

    async def of_account(self, type_: str, account: str) -> tuple[str, ...]:
        """The integrations whose deliveries come to the app's webhook under this account. Ask only for what a verified
        delivery names. Raises HooksUnavailable."""
        now, key = self._monotonic(), f"{type_}/{account}"
        remembered = self._members.get(key, now)
        if remembered is not None:
            return remembered[1]
        members = await asyncio.to_thread(self._load_members, type_, account)
        self._members.put(key, members, now + TTL)
        return members

    def forget_account(self, type_: str, account: str) -> None:
        """Look again next time."""
        self._members.drop(f"{type_}/{account}")

    def forget(self, type_: str, hook_id: str) -> None:
        """Look again next time."""
        self._known.drop(f"{type_}/{hook_id}")

    def _begin(self, key: str, type_: str, facts: WebhookFacts, hook_id: str) -> asyncio.Task[Hook | None]:
        if len(self._loading) >= MAX_LOADING:
            raise HooksUnavailable("too many look-ups at once")
        task = asyncio.create_task(self._load_and_remember(key, type_, facts, hook_id))
        self._loading[key] = task
        task.add_done_callback(lambda _: self._loading.pop(key))
        return task

    async def _load_and_remember(self, key: str, type_: str, facts: WebhookFacts, hook_id: str) -> Hook | None:
        asked_at = self._monotonic()
        hook = await asyncio.to_thread(self._load, type_, facts, hook_id)
        (self._unknown if hook is None else self._known).put(key, hook, asked_at + TTL)
        return hook

    # -- in a thread

    def _load(self, type_: str, facts: WebhookFacts, hook_id: str) -> Hook | None:
        statement = (
            select(Integration.id, Subscription.sealed, Credential.sealed)
            .outerjoin(Subscription, Subscription.integration_id == Integration.id)
            .outerjoin(Credential, Credential.integration_id == Integration.id)
            .where(Integration.hook_id == hook_id, Integration.type == type_, Integration.status != "disconnected")
        )
        try:
            with self._db.read() as session:
                row = session.execute(statement).one_or_none()
            if row is None:
                return None
            return Hook(row[0], type_, hook_id, self._secrets(type_, facts, *row))
        except SQLAlchemyError as error:
            raise HooksUnavailable("the database does not answer") from error
        except VaultError as error:  # the operator has to mend the key ring; vendors retry until then
            log.error("webhook_secrets_locked", error=str(error))
            raise HooksUnavailable("the secrets can't be opened") from error

    def _secrets(
        self, type_: str, facts: WebhookFacts, integration_id: str, subscription: str | None, credential: str | None
    ) -> Secrets:
        found: dict[str, Sequence[str]] = {}
        if "signing" in facts.secrets:
            stored = HookSecrets.opened(self._open(integration_id, "subscription", subscription))
            found["signing"] = stored.valid(self._clock())
        names = [name for name in facts.secrets if name != "signing"]
        if names:
            app = self._app(type_, facts)
            credentials = self._open(integration_id, "credentials", credential)
            for name in names:
                value = credentials.get(name)
                found[name] = (value,) if value else app.get(name, ())
        return found

    def _open(self, integration_id: str, what: str, sealed: str | None) -> Mapping[str, Any]:
        return {} if sealed is None else self._vault.open(sealed, f"integration:{integration_id}:{what}")

    def _app(self, type_: str, facts: WebhookFacts) -> Secrets:
        """The operator's app at the vendor, which signs for every integration whose credentials name none."""
        app = self._settings.oauth_apps.get(type_)
        if app is None:
            return {}
        named = {"client_id": app.client_id, "client_secret": app.client_secret.get_secret_value()}
        return {
            **{name: (value,) for name, value in named.items() if value},
            facts.app_secret: tuple(secret.get_secret_value() for secret in app.webhook_secrets),
        }

    def _load_members(self, type_: str, account: str) -> tuple[str, ...]:
        statement = select(Integration.id).where(
            # Not those whose credentials are still to be proven: anybody could name another's account.
            Integration.type == type_,
            Integration.hook_account == account,
            Integration.status.in_(("active", "error")),
        )
        try:
            with self._db.read() as session:
                return tuple(session.scalars(statement.order_by(Integration.id)))
        except SQLAlchemyError as error:
            raise HooksUnavailable("the database does not answer") from error


T = TypeVar("T")


class _Memory(Generic[T]):
    """Answers with a time to live; past `most` of them, the one unused the longest goes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def get(self, key: str, now: float) -> tuple[float, T] | None:
        """(until when, the answer); None when it has to be asked for."""
        found = self._answers.get(key)
        if found is None or found[0] <= now:
            return None
        self._answers.move_to_end(key)
        return found

    def put(self, key: str, answer: T, until: float) -> None:
        """Remember an answer."""
        self._answers[key] = (until, answer)
        self._answers.move_to_end(key)
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget an answer."""
        self._answers.pop(key, None)
