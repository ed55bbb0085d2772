"""The Linear connector: it decides which calls to make, and leaves words to `mapping` and deliveries to `webhook`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from pydantic import SecretStr

from connectors import chosen_id
from connectors import contract as c
from connectors.hooks import advising, no_handshake
from connectors.linear import webhook
from connectors.linear.client import LinearClient
from connectors.linear.config import LinearConfig
from connectors.linear.manifest import MANIFEST
from connectors.linear.mapping import Issue, Reader
from connectors.reading import Listed, Sight, changed, fetched, with_email
from connectors.times import iso_ms, moment
from connectors.writes import created, drafted, replaced

BELIEVED = timedelta(hours=2)
"""How long a webhook is believed to work without a look: Linear turns failing ones off without a word. The engine
looks in good time before, which is every hour."""

IN_TRASH = "It is in Linear's trash."

ADMIN_HINT = (
    "Only a Linear administrator's API key, or a consent with the scope admin, may register webhooks. Where the app "
    "itself has a webhook nothing is missing; else polling finds every change."
)


class LinearConnector:
    """Linear, for one integration."""

    manifest: ClassVar[c.Manifest] = MANIFEST

    def __init__(self, context: c.Context) -> None:
        self._config: LinearConfig = context.config
        self._http, self._client, self._reader = context.http, LinearClient(context), Reader(context.config)
        self._keys = self._config.containers
        self._mine = {"team": {"key": {"in": self._keys}}}

    def check(self) -> c.Account:
        """Which workspace the credentials are for: a second person's are for the same issues."""
        said = self._client.viewer()
        name = f"{said.viewer.name} at {said.organization.name}"
        return c.Account(said.organization.id, name, learned={"organization_id": said.organization.id})

    # --- TaskSource ---------------------------------------------------------------------------------

    def changed_tasks(self, cursor: c.Cursor | None) -> Iterator[c.TaskPage]:
        """Issues by the time of their last change, the newest first: Linear knows no other order. What changes while
        the pages are read is newer than all of the first, and is found by the next run."""
        return changed(cursor, self._keys, self._search, self._ask)

    def _search(self, since: datetime | None) -> dict[str, Any]:
        if since is None:
            return self._mine
        return self._mine | {"updatedAt": {"gte": iso_ms(since - timedelta(minutes=self._config.overlap_minutes))}}

    def _ask(self, search: dict[str, Any], token: str | None) -> Listed:
        page = self._client.issues(filter=search, first=self._config.page_size, after=token)
        latest = max((moment(issue.updated_at) for issue in page.nodes), default=None)
        tasks = [self._reader.task(issue) for issue in reversed(page.nodes) if not issue.trashed]
        return Listed(tasks, latest, page.page_info.end_cursor if page.page_info.has_next_page else None)

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, c.RemoteTask | c.Gone]:
        """The issues now. One in the trash is proven to be deleted; one that Linear knows nothing of is, too, as long
        as every mapped team can be seen."""
        listed = self._client.issues(filter={"id": {"in": list(ids)}}, first=len(ids), after=None).nodes
        seen = cache(lambda: {team.key for team in self._client.teams(self._keys)})
        sight = Sight("team", lambda key: key in seen(), self._keys)
        return fetched(ids, self._one, sight.gone, map(self._state, listed))

    def _one(self, issue_id: str) -> c.RemoteTask | c.Gone:
        return self._state(self._client.issue(id=issue_id))

    def _state(self, issue: Issue) -> c.RemoteTask | c.Gone:
        return c.Gone(issue.id, c.GoneReason.DELETED, IN_TRASH) if issue.trashed else self._reader.task(issue)

    def all_ids(self) -> Iterator[Sequence[str]]:
        """The ids of all issues in the mapped teams, without those in the trash."""
        for page in self._client.ids(self._mine):
            yield [issue.id for issue in page.nodes if not issue.trashed]

    # --- TaskSink -----------------------------------------------------------------------------------

    def create_task(self, draft: c.TaskDraft, create_key: str) -> c.TaskWritten:
        """One issue, whose id is the key."""
        team = next(self._client.teams([draft.container]), None)
        if team is None:
            raise c.Rejected(f"There is no team {draft.container} in Linear, or the account can't see it.")
        write = self._reader.edit(drafted(draft, "status"), team, {})

        def make(issue_id: str) -> Issue:
            write.body |= {"id": issue_id, "teamId": team.id}
            return created(lambda body: self._client.create(input=body), write, {})

        return write.done(self._reader.task(chosen_id.create("Linear", create_key, make, self._read)))

    def _read(self, issue_id: str) -> Issue:
        return self._client.issue(id=issue_id)

    def find_created(self, create_key: str) -> Sequence[c.RemoteTask]:
        """The issue whose id is the key."""
        issue = chosen_id.find(create_key, self._read)
        return [self._reader.task(issue)] if issue else []

    def update_task(self, external_id: str, changes: c.TaskChanges, expected: c.Expected) -> c.TaskWritten:
        """One mutation, which tells what it replaced; before a change of status a look at the team's states."""
        team = self._client.issue_with_states(id=external_id).team if "status" in changes else None
        write = self._reader.edit(changes, team, expected.there)
        if write.body:
            before, after = self._client.update(external_id, write.body)
        else:
            before = after = self._client.issue(id=external_id)
        if after.trashed:
            raise c.NotFound(IN_TRASH)
        return write.done(self._reader.task(after), replaced(self._reader.task(before), write.sent, expected))

    # --- UserDirectory, TaskVocabulary --------------------------------------------------------------

    def find_user(self, email: str, container: str) -> c.RemoteUser | None:
        """The one active person with this address who can be given issues."""
        found = self._client.people(filter={"email": {"eqIgnoreCase": email}})
        people = [user for user in found if user.active and user.is_assignable]
        return with_email((user.remote for user in people), email)

    def vocabularies(self) -> Iterator[c.Vocabulary]:
        """The states of each mapped team, and Linear's five priorities. Raises NotFound."""
        teams = {team.key: team for team in self._client.teams(self._keys)}
        for key in self._keys:
            if key not in teams:
                raise c.NotFound(f"There is no team {key} in Linear, or the account can't see it.")
            statuses = list(map(self._reader.status, teams[key].states.nodes))
            yield c.Vocabulary(key, statuses, self._reader.priorities.values())

    # --- webhooks -----------------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(no_handshake)
    account = staticmethod(webhook.account)

    @advising(ADMIN_HINT, "Linear")
    def subscribe(self, url: str, secret: SecretStr) -> c.Subscription:
        """A webhook for each mapped team. One registered before is taken over, turned on again if Linear turned it off;
        one of a team that is no longer mapped is removed."""
        fields = {"url": url, "secret": secret.get_secret_value(), "enabled": True}
        fields |= {"label": "Turnbuckle", "resourceTypes": ["Issue"]}
        known, ids = [hook for hook in self._client.webhooks() if hook.url == url], []
        for team in self._client.teams(self._keys):
            ours = next((hook.id for hook in known if hook.team and hook.team.id == team.id), None)
            if ours:
                self._client.update_webhook(id=ours, input=fields)
            ids.append(ours or self._client.create_webhook(input=fields | {"teamId": team.id}).id)
        for hook in known:
            if hook.id not in ids:
                self._client.delete_webhook(hook.id)
        return self._believed(ids)

    def renew(self, subscription: c.Subscription, url: str) -> c.Subscription | None:
        """Looks whether all are there and on. None where one is not: it is registered or turned on again, and a poll
        brings what it did not."""
        well = {hook.id for hook in self._client.webhooks() if hook.url == url and hook.enabled}
        ids = subscription.external_ids
        return self._believed(ids) if ids and well >= set(ids) else None

    def _believed(self, ids: Sequence[str]) -> c.Subscription:
        return c.Subscription(tuple(ids), self._http.vendor_now() + BELIEVED)

    def unsubscribe(self, subscription: c.Subscription) -> None:
        """Remove them; one already gone is success."""
        for hook_id in subscription.external_ids:
            self._client.delete_webhook(hook_id)
