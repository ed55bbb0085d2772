"""The Plank connector: it decides which calls to make, and leaves words to `mapping` and deliveries to `webhook`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

from pydantic import SecretStr

from connectors import contract as c
from connectors import words
from connectors.hooks import no_handshake
from connectors.reading import pages, with_email
from turnbuckle_plank import mapping, webhook
from turnbuckle_plank.client import Page, PlankClient
from turnbuckle_plank.config import PlankConfig
from turnbuckle_plank.manifest import MANIFEST


class PlankConnector:
    """Plank, for one integration."""

    manifest: ClassVar[c.Manifest] = MANIFEST

    def __init__(self, context: c.Context) -> None:
        self._config: PlankConfig = context.config
        self._client = PlankClient(context)
        self._boards = self._config.containers

    def check(self) -> c.Account:
        """Whose token it is."""
        me = self._client.me()
        return c.Account(me.id, me.name)

    # --- TaskSource ---------------------------------------------------------------------------------

    def changed_tasks(self, cursor: c.Cursor | None) -> Iterator[c.TaskPage]:
        """Cards by the number of their last change. A board that is new in the config makes us read all of them."""
        known = cursor is not None and set(self._boards) <= set(cursor["boards"])
        since = cursor["since"] if cursor and known else 0
        for page in self._pages(since):
            since = page.cards[-1].seq if page.cards else since
            tasks = [mapping.task(card, self._config) for card in page.cards]
            yield c.TaskPage(tasks, {"since": since, "boards": self._boards}, page.total)

    def _pages(self, since: int) -> Iterator[Page]:
        ask = partial(self._client.cards, self._boards)
        return pages(ask, since, lambda page, since: page.cards[-1].seq if page.more else None)

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, c.RemoteTask | c.Gone]:
        """The cards now. Plank tells what was deleted; what it does not mention we may not see."""
        batch = self._client.batch(ids)
        found: dict[str, c.RemoteTask | c.Gone] = {card.id: mapping.task(card, self._config) for card in batch.cards}
        for id_ in ids:
            reason = c.GoneReason.DELETED if id_ in batch.deleted else c.GoneReason.UNREACHABLE
            found.setdefault(id_, c.Gone(id_, reason))
        return found

    def all_ids(self) -> Iterator[Sequence[str]]:
        """The ids of all cards. One that changes meanwhile comes again, and none is left out."""
        for page in self._pages(0):
            yield [card.id for card in page.cards]

    # --- TaskSink -----------------------------------------------------------------------------------

    def create_task(self, draft: c.TaskDraft, create_key: str) -> c.TaskWritten:
        """One POST; the key is the card's reference."""
        changes = draft.changes()
        card = self._client.create(draft.container, {**mapping.fields(changes, self._config), "ref": create_key})
        return c.TaskWritten(mapping.task(card, self._config), words.sent(changes, self._config.words))

    def find_created(self, create_key: str) -> Sequence[c.RemoteTask]:
        """The cards with the key as their reference, the oldest first."""
        cards = self._client.cards(self._boards, since=0, ref=create_key).cards
        return [mapping.task(card, self._config) for card in sorted(cards, key=lambda card: int(card.id))]

    def update_task(self, external_id: str, changes: c.TaskChanges, expected: c.Expected) -> c.TaskWritten:
        """One PATCH of the revision we know; Plank refuses it (Conflict) when somebody was faster."""
        card = self._client.update(external_id, expected.version, mapping.fields(changes, self._config))
        return c.TaskWritten(mapping.task(card, self._config), words.sent(changes, self._config.words))

    # --- TaskVocabulary -----------------------------------------------------------------------------

    def vocabularies(self) -> list[c.Vocabulary]:
        """Plank has the same lanes and urgencies on every board."""
        lanes, urgencies = self._config.lanes.values(), self._config.urgencies.values()
        return [c.Vocabulary(board, lanes, urgencies) for board in self._boards]

    # --- UserDirectory ------------------------------------------------------------------------------

    def find_user(self, email: str, container: str) -> c.RemoteUser | None:
        """The one person of a board with this address."""
        return with_email(map(mapping.person, self._client.people(container)), email)

    # --- webhooks -----------------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(no_handshake)

    def subscribe(self, url: str, secret: SecretStr) -> c.Subscription:
        """Register, or give the one there is for this address the new secret."""
        return c.Subscription((self._client.register(url, secret.get_secret_value()).id,))

    def renew(self, subscription: c.Subscription, url: str) -> c.Subscription | None:
        """Plank's webhooks do not expire; None when somebody removed ours."""
        known = {hook.id for hook in self._client.hooks() if hook.url == url}
        return subscription if known & set(subscription.external_ids) else None

    def unsubscribe(self, subscription: c.Subscription) -> None:
        """Remove it."""
        for hook_id in subscription.external_ids:
            self._client.unregister(hook_id)
