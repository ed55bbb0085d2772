"""The engine with a notifier that can do little, and with one that can do more: Microsoft Teams by flows and by a bot.

What an operator reads of a flow holds nothing that would start it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from connectors.microsoft_teams.client import secret_parts
from connectors.registry import Registry
from core.errors import Unprocessable
from sandbox.clock import ManualClock as VendorClock
from sandbox.inprocess import InProcessTransport
from sandbox.microsoft_teams import TeamsSandbox
from sandbox.microsoft_teams.sandbox import APP_ID, APP_PASSWORD, CHANNELS, TENANT
from sync import integrations
from sync.notifications.channels import CODE
from sync.runtime import Lane, Runtime
from tests.sync.conftest import ManualClock, Tenant, make_tenant
from tests.sync.notifications.conftest import Office

DELIVERY = CHANNELS["delivery"]
HOST = "teams.sandbox"
BOT = {"app_id": APP_ID, "app_password": APP_PASSWORD, "tenant_id": TENANT}
LIFE = ("opened", "acknowledged", "resolved")


@dataclass
class Side:
    """An engine whose Teams is the fake one."""

    rt: Runtime
    sandbox: TeamsSandbox
    tenant: Tenant
    rings: list[tuple[Lane, str]]

    def office(self, credentials: dict[str, Any], config: dict[str, Any]) -> Office:
        """A workspace whose integration is Teams."""
        made = integrations.create(
            self.rt,
            workspace=self.tenant.workspace,
            actor=self.tenant.ann_id,
            token_id=None,
            type="microsoft_teams",
            name="Teams",
            config=config,
            credentials=credentials,
        )
        return Office(self.rt, self.rings, self.tenant, made.id)

    def flows(self) -> Office:
        """By two flows: the default one and one called incidents."""
        urls = {"incidents": self.sandbox.flow_url("incidents")}
        return self.office({"url": self.sandbox.flow_url("delivery"), "urls": urls}, {"hosts": [HOST]})

    def said(self, channel: str) -> list[str]:
        return [post.texts()[0].partition(" ")[2] for post in self.sandbox.said(channel)]


@pytest.fixture
def side(
    runtime_on: Callable[..., Runtime], sqlite_url: str, clock: ManualClock, rings: list[tuple[Lane, str]]
) -> Iterator[Side]:
    sandbox = TeamsSandbox(clock=VendorClock(clock()))
    sandbox.url = f"http://{HOST}"
    transport = InProcessTransport(sandbox.app)
    rt = runtime_on(sqlite_url, registry=Registry.load([]), transport=transport)
    ways = dict.fromkeys(("login", "bot", "keys"), sandbox.url)
    rt = replace(rt, settings=rt.settings.model_copy(update={"vendor_endpoints": {"microsoft_teams": ways}}))
    yield Side(rt, sandbox, make_tenant(rt), rings)
    transport.close()


def live(office: Office) -> None:
    for step in LIFE:
        office.incident(step)
        office.tick()


def test_a_flow_is_given_each_turn_of_an_incident_as_a_message_of_its_own(side: Side) -> None:
    office = side.flows()
    office.route("incident.*", channel="incidents")
    live(office)
    titles = ["Payments are slow", "Acknowledged: Payments are slow", "Resolved: Payments are slow"]
    assert (side.said("incidents"), side.said("delivery")) == (titles, [])
    assert [(m.state, m.message_channel, m.message_id) for m in office.messages()] == [
        ("sent", "incidents", m.id) for m in office.messages()
    ]


def test_a_bots_first_message_tells_how_an_incident_stands_and_the_others_are_under_it(side: Side) -> None:
    office = side.office(BOT, {"default_channel": DELIVERY})
    office.route("incident.*", channel="")
    live(office)
    root, *under = side.sandbox.said(DELIVERY)
    assert root.texts()[0] == "✅ Resolved: Payments are slow"
    assert [post.root for post in under] == [root.id, root.id]
    assert side.said(DELIVERY)[1:] == ["Acknowledged: Payments are slow", "Resolved: Payments are slow"]


def test_a_flow_that_is_off_is_its_channels_trouble_and_tells_nothing_that_starts_it(
    side: Side, capsys: pytest.CaptureFixture[str]
) -> None:
    office = side.flows()
    office.route("incident.*", channel="incidents")
    office.route("task.*", channel="")
    side.sandbox.act("Ann Archer", "turn_off", {"flow": "incidents"})
    office.incident("opened")
    office.tick()
    office.happens("task.created", title="Write it down")
    office.tick()
    assert office.causes() == {"channels": CODE}
    assert [message.state for message in office.messages()] == ["failed", "sent"]
    shown = f"{office.integration().__dict__} {[m.__dict__ for m in office.messages()]} {capsys.readouterr()}"
    assert "Turn it on in Power Automate" in shown
    secret = [part for name in CHANNELS for part in secret_parts(side.sandbox.flow_url(name))]
    assert [part for part in secret if part in shown] == []


@pytest.mark.parametrize(
    ("credentials", "config", "why"),
    [
        ({"url": "https://a.webhook.office.com/webhookb2/x?sig=CANARY"}, {}, "create a flow in Teams"),
        ({"url": "https://a.logic.azure.com/x?sp=CANARY"}, {}, "no signature"),
        ({"url": "https://a.example/x?sig=CANARY"}, {}, "add it to `hosts`: a.example"),
        ({**BOT, "app_password": "CANARY"}, {"default_channel": DELIVERY}, "AADSTS7000215"),
        (BOT, {}, "No channel is named"),
        (BOT, {"default_channel": "19:x@thread.tacv2"}, "add the app to the team or chat"),
    ],
)
def test_what_can_not_work_is_refused_when_it_is_configured(
    side: Side, credentials: dict[str, str], config: dict[str, str], why: str
) -> None:
    with pytest.raises(Unprocessable, match=why) as refused:
        side.office(credentials, config)
    assert "CANARY" not in str(refused.value)
