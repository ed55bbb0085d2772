"""Whose webhook URL is it, and which secrets verify it: read from the database, remembered for a few seconds."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from connectors.contract import Secrets, WebhookFacts
from core.db import Database
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
    secrets: Secrets = field(repr=False)  # asyncio shows results of tasks in its own log lines


class Hooks:
    """The hooks of one process, for the requests of one event loop."""

    def __init__(
        self, db: Database, vault: Vault, settings: Settings, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._db = db
        self._vault = vault
        self._settings = settings
        self._monotonic = monotonic
        self._known = _Memory(MAX_KNOWN)
        self._unknown = _Memory(MAX_UNKNOWN)
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
            return Hook(row[0], type_, self._secrets(type_, facts, *row))
        except SQLAlchemyError as error:
            raise HooksUnavailable("the database does not answer") from error
        except VaultError as error:  # the operator has to mend the key ring; vendors retry until then
            log.error("webhook_secrets_locked", error=str(error))
            raise HooksUnavailable("the secrets can't be opened") from error

    def _secrets(
        self, type_: str, facts: WebhookFacts, integration_id: str, subscription: str | None, credential: str | None
    ) -> Secrets:
        found: dict[str, tuple[str, ...]] = {}
        if "signing" in facts.secrets:
            found["signing"] = tuple(self._open(integration_id, "subscription", subscription).get("secrets", ()))
        names = [name for name in facts.secrets if name != "signing"]
        if names:
            app = self._app(type_)
            credentials = self._open(integration_id, "credentials", credential)
            for name in names:
                value = credentials.get(name) or app.get(name)
                found[name] = (value,) if value else ()
        return found

    def _open(self, integration_id: str, what: str, sealed: str | None) -> Mapping[str, Any]:
        return {} if sealed is None else self._vault.open(sealed, f"integration:{integration_id}:{what}")

    def _app(self, type_: str) -> Mapping[str, str]:
        """The operator's app at the vendor, which signs for every integration whose credentials name none."""
        app = self._settings.oauth_apps.get(type_)
        if app is None:
            return {}
        return {"client_id": app.client_id, "client_secret": app.client_secret.get_secret_value()}


class _Memory:
    """Answers with a time to live; past `most` of them, the one unused the longest goes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[str, tuple[float, Hook | None]] = OrderedDict()

    def get(self, key: str, now: float) -> tuple[float, Hook | None] | None:
        """(until when, the answer); None when it has to be asked for."""
        found = self._answers.get(key)
        if found is None or found[0] <= now:
            return None
        self._answers.move_to_end(key)
        return found

    def put(self, key: str, hook: Hook | None, until: float) -> None:
        """Remember an answer."""
        self._answers[key] = (until, hook)
        self._answers.move_to_end(key)
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget an answer."""
        self._answers.pop(key, None)
