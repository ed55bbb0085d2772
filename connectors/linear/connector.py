"""The Linear connector: it decides which calls to make, and leaves words to `mapping` and deliveries to `webhook`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from pydantic import SecretStr

from connectors.chosen_id import GENERATIONS, id_of
from connectors.contract import (
    Account,
    Context,
    Cursor,
    Expected,
    Forbidden,
    Gone,
    GoneReason,
    Manifest,
    NotFound,
    Rejected,
    RemoteTask,
    RemoteUser,
    Subscription,
    TaskChanges,
    TaskDraft,
    TaskPage,
    TaskWritten,
    Transient,
    Vocabulary,
)
from connectors.linear import webhook
from connectors.linear.client import LinearClient
from connectors.linear.config import LinearConfig
from connectors.linear.manifest import MANIFEST
from connectors.linear.mapping import Issue, Reader, Team
from connectors.reading import Listed, Sight, changed, fetched
from connectors.times import iso_ms, moment
from connectors.writes import Write, drafted, replaced, taken

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

    manifest: ClassVar[Manifest] = MANIFEST

    def __init__(self, context: Context) -> None:
        self._config: LinearConfig = context.config
        self._http = context.http
        self._client = LinearClient(context)
        self._reader = Reader(context.config)
        self._keys = sorted({project.external for project in self._config.projects})
        self._mine = {"team": {"key": {"in": self._keys}}}

    def check(self) -> Account:
        """Which workspace the credentials are for: a second person's are for the same issues."""
        said = self._client.viewer()
        name = f"{said.viewer.name} at {said.organization.name}"
        return Account(said.organization.id, name, learned={"organization_id": said.organization.id})

    # --- TaskSource ---------------------------------------------------------------------------------

    def changed_tasks(self, cursor: Cursor | None) -> Iterator[TaskPage]:
        """Issues by the time of their last change, the newest first: Linear knows no other order. What changes while
        the pages are read is newer than all of the first, and is found by the next run."""
        return changed(cursor, self._keys, self._search, self._ask)

    def _search(self, since: datetime | None) -> dict[str, Any]:
        if since is None:
            return self._mine
        return self._mine | {"updatedAt": {"gte": iso_ms(since - timedelta(minutes=self._config.overlap_minutes))}}

    def _ask(self, search: dict[str, Any], token: str | None) -> Listed:
        page = self._client.issues(search, self._config.page_size, token)
        latest = max((moment(issue.updated_at) for issue in page.nodes), default=None)
        tasks = [self._reader.task(issue) for issue in reversed(page.nodes) if not issue.trashed]
        return Listed(tasks, latest, page.page_info.end_cursor if page.page_info.has_next_page else None)

    def fetch_tasks(self, ids: Sequence[str]) -> Mapping[str, RemoteTask | Gone]:
        """The issues now. One in the trash is proven to be deleted; one that Linear knows nothing of is, too, as long
        as every mapped team can be seen."""
        listed = self._client.issues({"id": {"in": list(ids)}}, first=len(ids)).nodes
        seen = cache(lambda: {team.key for team in self._client.teams(self._keys)})
        sight = Sight("team", lambda key: key in seen())
        return fetched(
            ids,
            lambda issue_id: self._state(self._client.issue(issue_id)),
            lambda issue_id, text: sight.gone(issue_id, text, self._keys),
            map(self._state, listed),
        )

    def _state(self, issue: Issue) -> RemoteTask | Gone:
        return Gone(issue.id, GoneReason.DELETED, IN_TRASH) if issue.trashed else self._reader.task(issue)

    def all_ids(self) -> Iterator[Sequence[str]]:
        """The ids of all issues in the mapped teams, without those in the trash."""
        for page in self._client.ids(self._mine):
            yield [issue.id for issue in page.nodes if not issue.trashed]

    # --- TaskSink -----------------------------------------------------------------------------------

    def create_task(self, draft: TaskDraft, create_key: str) -> TaskWritten:
        """One issue, whose id is the key. That it is there already only shows when it is made again: then it is left to
        be found. One that somebody put into the trash keeps its id, and the next generation is made."""
        team = self._team(draft.container)
        write = self._reader.edit(drafted(draft, "status"), team, {})
        for generation in range(GENERATIONS):
            issue_id = id_of(create_key, generation)
            try:
                made = self._create({"id": issue_id, "teamId": team.id}, write)
                return write.done(self._reader.task(made))
            except Rejected as refusal:
                held = self._held(issue_id)
                if held is None:
                    raise
                if not held.trashed:
                    raise Transient(f"{held.identifier} was created before: {refusal.text}") from None
        raise Rejected(f"{GENERATIONS} issues of this task are in Linear's trash; empty it, or make a new task.")

    def _create(self, fixed: dict[str, Any], write: Write) -> Issue:
        made = taken(lambda: self._client.create(fixed | write.body), write, {}, {"title"})
        assert made is not None  # the title is not left out
        return made

    def _held(self, issue_id: str) -> Issue | None:
        try:
            return self._client.issue(issue_id)
        except NotFound:
            return None

    def _team(self, key: str) -> Team:
        for team in self._client.teams([key]):
            return team
        raise Rejected(f"There is no team {key} in Linear, or the account can't see it.")

    def find_created(self, create_key: str) -> Sequence[RemoteTask]:
        """The issue whose id is the key."""
        for generation in range(GENERATIONS):
            issue = self._held(id_of(create_key, generation))
            if issue is None or not issue.trashed:
                return [self._reader.task(issue)] if issue else []
        return []

    def update_task(self, external_id: str, changes: TaskChanges, expected: Expected) -> TaskWritten:
        """One mutation, which tells what it replaced; before a change of status a look at the team's states."""
        team = self._client.issue(external_id, states=True).team if "status" in changes else None
        write = self._reader.edit(changes, team, expected.there)
        if write.body:
            before, after = self._client.update(external_id, write.body)
        else:
            before = after = self._client.issue(external_id)
        if after.trashed:
            raise NotFound(IN_TRASH)
        return write.done(self._reader.task(after), replaced(self._reader.values(before), write.sent, expected))

    # --- UserDirectory, TaskVocabulary --------------------------------------------------------------

    def find_user(self, email: str, container: str) -> RemoteUser | None:
        """The one active person with this address who can be given issues."""
        people = [user for user in self._client.people(email) if user.active and user.is_assignable]
        return RemoteUser(people[0].id, people[0].name, people[0].email) if len(people) == 1 else None

    def vocabularies(self) -> Iterator[Vocabulary]:
        """The states of each mapped team, and Linear's five priorities. Raises NotFound."""
        teams = {team.key: team for team in self._client.teams(self._keys)}
        for key in self._keys:
            if key not in teams:
                raise NotFound(f"There is no team {key} in Linear, or the account can't see it.")
            statuses = list(map(self._reader.status, teams[key].states.nodes))
            yield Vocabulary(key, statuses, self._reader.priorities.values())

    # --- webhooks -----------------------------------------------------------------------------------

    verify = staticmethod(webhook.verify)
    parse = staticmethod(webhook.parse)
    handshake = staticmethod(webhook.handshake)
    account = staticmethod(webhook.account)

    def subscribe(self, url: str, secret: SecretStr) -> Subscription:
        """A webhook for each mapped team. One registered before is taken over, turned on again if Linear turned it off;
        one of a team that is no longer mapped is removed."""
        try:
            known = [hook for hook in self._client.webhooks() if hook.url == url]
            fields = {
                "url": url,
                "label": "Turnbuckle",
                "resourceTypes": ["Issue"],
                "enabled": True,
                "secret": secret.get_secret_value(),
            }
            ids = []
            for team in self._client.teams(self._keys):
                ours = [hook for hook in known if hook.team is not None and hook.team.id == team.id]
                if ours:
                    self._client.update_webhook(ours[0].id, fields)
                ids.append(ours[0].id if ours else self._client.create_webhook(fields | {"teamId": team.id}))
            for hook in known:
                if hook.id not in ids:
                    self._client.delete_webhook(hook.id)
        except Forbidden as error:
            raise Forbidden(f"{ADMIN_HINT} Linear said: {error.text}") from None
        return Subscription(tuple(ids), self._http.vendor_now() + BELIEVED)

    def renew(self, subscription: Subscription, url: str) -> Subscription | None:
        """Looks whether all are there and on. None where one is not: it is registered or turned on again, and a poll
        brings what it did not."""
        well = {hook.id for hook in self._client.webhooks() if hook.url == url and hook.enabled}
        if not subscription.external_ids or not well >= set(subscription.external_ids):
            return None
        return Subscription(subscription.external_ids, self._http.vendor_now() + BELIEVED)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove them; one already gone is success."""
        for hook_id in subscription.external_ids:
            self._client.delete_webhook(hook_id)
