"""Jira as the simulator's vendor: the stateful sandbox, called in-process, and the connector that is shipped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import httpx
from pydantic import SecretStr

import connectors.jira
from connectors.contract import Connector, RawDelivery
from connectors.http import Transport
from connectors.jira import JiraConnector
from core.settings import OAuthApp
from core.tasks import MARKER
from sandbox.calls import CallLog
from sandbox.faults import FaultPlan
from sandbox.inprocess import InProcessTransport
from sandbox.jira import CLIENT_ID, CLIENT_SECRET, Issue, JiraSandbox, Person, adf
from sandbox.jira.model import SiteEvent
from sandbox.jira.seed import SERVICE_ACCOUNT
from sandbox.jira.site import JiraSite
from simulation.machine import Machine, VirtualClock
from simulation.memento import Memento
from simulation.schedule import Conditions
from simulation.surroundings import Caught, Dated, SkewedClock
from simulation.vendor import PEOPLE, Change, Item

URL = "http://jira"
STATUSES = {
    "To Do": "backlog",
    "In Progress": "in_progress",
    "In Review": "in_review",
    "Done": "done",
    "Won't Do": "cancelled",
}
PRIORITIES = {"Highest": "critical", "High": "high", "Medium": "medium", "Low": "low", "Lowest": "low"}
ACCOUNTS = {"Ann Archer": "ann", "Bob Baker": "bob", "Cleo Carter": "eve"}


class JiraSide:
    """People at a Jira site, and what the simulator may do to it."""

    name = "jira"
    containers = ("APEX", "BETA")
    calls_of_a_write = 3
    begins_skewed = True
    tells_deletions = True
    fixtures: Path | None = Path(connectors.jira.__file__).with_name("fixtures")

    def __init__(self, clock: VirtualClock, machine: Machine) -> None:
        self._ours = clock
        self._clock = SkewedClock(clock)
        self._caught = Caught(clock)
        self.jira = JiraSandbox(clock=self._clock, sender=self._caught)
        self._site_is_ours(self.jira.site)
        self.faults: FaultPlan = self.jira.faults
        self.calls: CallLog = self.jira.calls
        self.transport: Transport = Dated(InProcessTransport(self.jira.app), self._clock)
        self._person = Person(self.jira.site, "Bob Baker")
        self._journal: list[Change] = []
        self._known = self.items()

    # --- the integration ---

    def connector(self) -> type[Connector]:
        """The one that is shipped."""
        return JiraConnector

    def own_effects(self, host: str) -> bool:
        """Every request takes effect inside the transport."""
        return True

    def settings(self) -> dict[str, Any]:
        """Where the sandbox is, and our app there."""
        app = OAuthApp(client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET))
        return {"vendor_endpoints": {"jira": {"api": URL, "auth": URL}}, "oauth_apps": {"jira": app}}

    def config(self) -> dict[str, Any]:
        """The site; a poll every minute."""
        return {"site_url": URL, "poll_seconds": 60}

    def credentials(self, conditions: Conditions) -> dict[str, Any]:
        """An administrator's API token, or tokens."""
        if conditions.oauth:
            return self.consent()
        email, token = self.jira.basic_auth
        return {"email": email, "api_token": token}

    def consent(self) -> dict[str, Any]:
        """Tokens as after a consent."""
        tokens = self.jira.grant()
        ends = self._ours() + timedelta(seconds=tokens["expires_in"])
        return {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "access_token": tokens["access_token"],
            "refresh_token": tokens["refresh_token"],
            "expires_at": ends.isoformat(),
        }

    def wrong_credentials(self) -> dict[str, Any]:
        """A token Jira never made."""
        return {"email": self.jira.basic_auth[0], "api_token": "no-such-token"}

    def statuses(self) -> list[str]:
        """The names of the workflow's statuses."""
        return list(STATUSES)

    def priorities(self) -> list[str]:
        """The names of the site's priorities."""
        return list(PRIORITIES)

    # --- worlds ---

    def dump(self) -> Memento:
        """All that the site holds, and what is known of its issues."""
        return Memento(self)

    def load(self, dumped: Memento) -> None:
        """Begin with what the site held."""
        dumped.put_back()
        self._journal = []

    def _site_is_ours(self, site: JiraSite) -> None:
        """Its service account is an administrator, people both sides know have the addresses they have here, and there
        is a second project."""
        site.url = URL
        site.users[SERVICE_ACCOUNT] = replace(site.users[SERVICE_ACCOUNT], admin=True)
        for account, user in tuple(site.users.items()):
            address = PEOPLE.get(ACCOUNTS.get(user.display_name, ""))
            if address:
                site.users[account] = replace(user, email=address)
        apex = site.project("APEX")
        site.projects["10009"] = replace(apex, id="10009", key="BETA", name="Beta")
        site.start_numbers({"10009": 0})
        site.listeners.append(self._heard)

    def plant(self, count: int) -> None:
        """Ready-made issues, without webhooks."""
        self.jira.plant(count)
        self._known = self.items()

    def make_difficult(self, conditions: Conditions) -> None:
        """Bring about the conditions a Jira can have."""
        self._clock.skew = timedelta(seconds=conditions.skew)
        self.jira.settings.search_lag_seconds = conditions.lag

    def calm(self) -> None:
        """Its search has caught up."""
        self.jira.settings.search_lag_seconds = 0

    def now(self) -> datetime:
        """The vendor's clock."""
        return self._clock.now()

    def ends_a_write(self, operation: str) -> bool:
        """An update may be several calls: none is known to be the last."""
        return operation == "POST /rest/api/3/issue"

    def writes_blindly(self, where: str, operation: str) -> bool:
        """The changelog tells what was replaced."""
        return False

    def cut(self, operation: str) -> NoReturn:
        """The answer is lost."""
        raise httpx.ReadError(f"the connection was cut during {operation}")

    # --- people ---

    def create(self, title: str, slot: int) -> str | None:
        """Make an issue."""
        return str(self._person.create(self.containers[slot % 2], title).id)

    def edit(self, slot: int, field: str, value: str | int) -> str | None:
        """Set a field; a status by a transition, if one leads there."""
        issue = self._pick(slot)
        if issue is None:
            return None
        if field == "status":
            ways = self._person.reachable(issue)
            self._person.transition(issue, ways[int(value) % len(ways)])
            return issue
        match field:
            case "title":
                self._person.edit(issue, summary=str(value))
            case "priority":
                self._person.edit(issue, priority=list(PRIORITIES)[int(value) % len(PRIORITIES)])
            case "assignee":
                self._person.assign(issue, (None, *ACCOUNTS)[int(value) % (len(ACCOUNTS) + 1)])
            case _:
                self._person.edit(issue, **{field: str(value)})
        return issue

    def move(self, slot: int, to: int) -> str | None:
        """Move an issue to the other project."""
        issue = self._pick(slot)
        if issue is None:
            return None
        home = self.items()[issue].container
        self._person.move(issue, self.containers[1 - self.containers.index(home)])
        return issue

    def delete(self, slot: int) -> str | None:
        """Delete an issue."""
        issue = self._pick(slot)
        if issue is not None:
            self._person.delete(issue)
        return issue

    def restore(self) -> str | None:
        """What Jira deletes is gone."""
        return None

    def _pick(self, slot: int) -> str | None:
        issues = list(self.jira.site.issues)
        return str(issues[slot % len(issues)]) if issues else None

    def expire(self) -> None:
        """Access tokens end now."""
        self.jira.oauth.end_access()

    def sent(self) -> list[RawDelivery]:
        """What was sent since the last time."""
        self.jira.deliver()
        deliveries, self._caught.deliveries = self._caught.deliveries, []
        return deliveries

    def delivery_key(self, delivery: RawDelivery) -> str:
        """Jira's id of a delivery, the same on a retry."""
        return delivery.headers["x-atlassian-webhook-identifier"]

    def tells_of_absence(self, delivery: RawDelivery) -> bool:
        """Whether a delivery is about an issue that is not there."""
        return int(json.loads(delivery.body)["issue"]["id"]) not in self.jira.site.issues

    # --- looking ---

    def items(self) -> dict[str, Item]:
        """The issues that are there."""
        return {str(id_): self._item(issue) for id_, issue in self.jira.site.issues.items()}

    def happened(self) -> int:
        """How many lines the journal has."""
        return len(self._journal)

    def journal(self) -> Sequence[Change]:
        """All that happened since the world began."""
        return self._journal

    def _heard(self, event: SiteEvent) -> None:
        issue = str(event.issue.id)
        before = self._known.pop(issue, None)
        after = None if event.kind == "jira:issue_deleted" else self._item(event.issue)
        if after is not None:
            self._known[issue] = after
        if before == after:
            return
        old: Mapping[str, str | None] = before.values if before else {}
        asked = frozenset(name for name, value in (after.values if after else {}).items() if old.get(name) != value)
        self._journal.append(Change(issue, before, after, asked, event.actor != SERVICE_ACCOUNT))

    def _item(self, issue: Issue) -> Item:
        site = self.jira.site
        values: dict[str, str | None] = {
            "title": issue.summary,
            "description": adf.plain(issue.description),
            "status": STATUSES[site.statuses[issue.status].name],
            "priority": PRIORITIES[site.priorities[issue.priority].name] if issue.priority else None,
            "assignee": ACCOUNTS.get(site.users[issue.assignee].display_name, "eve") if issue.assignee else None,
        }
        marker = next((label for label in issue.labels if label.startswith(MARKER)), None)
        return Item(str(issue.id), issue.key, site.projects[issue.project].key, values, marker)
