"""One webhook for all accounts that installed the operator's app: verified first, then routed by what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, event, select, update

from connectors.contract import Category, Config, Manifest, RawDelivery, WebhookFacts
from connectors.github import webhook as github
from connectors.slack import webhook as slack
from core.models import Delivery, Integration
from core.settings import OAuthApp, Settings
from tests.webhooks.bell import NOW, Bell, BellCredentials, Door, add_integration, disconnect, sign, stored_count

PATH = "/webhooks/carillon"
BODY = b'{"tower": "T1"}'


class Carillon(Bell):
    """A bell whose app hangs in many towers."""

    manifest = Manifest(
        type="carillon",
        name="Carillon",
        category=Category.MONITORING,
        description="Rings in many places.",
        config=Config,
        credentials={"token": BellCredentials},
        webhooks=WebhookFacts(account="tower"),
    )

    @staticmethod
    def account(delivery: RawDelivery) -> str | None:
        return json.loads(delivery.body).get("tower")


@pytest.fixture
def tower(door: Door) -> Door:
    """A door with the app's secrets set, and two integrations in tower T1, one in T2."""
    app = OAuthApp(client_id="c", client_secret=SecretStr("s"), webhook_secrets=[SecretStr("new"), SecretStr("old")])
    door.hooks._settings = door.hooks._settings.model_copy(update={"oauth_apps": {"carillon": app}})
    door.registry.register(Carillon)
    for id_, account in (("INT-11", "T1"), ("INT-12", "T1"), ("INT-13", "T2")):
        add_integration(door.db, id_, type_="carillon", hook_id=id_ * 4)
        hang(door, id_, account)
    return door


def hang(door: Door, id_: str, account: str | None, status: str = "active") -> None:
    with door.db.write() as session:
        mine = update(Integration).where(Integration.id == id_)
        session.execute(mine.values(hook_account=account, status=status))


def post(door: Door, body: bytes = BODY, *, secret: str = "new", key: str = "d-1", **request: Any) -> int:
    headers = {"x-bell-signature": sign(body, secret), "x-bell-event": "rung", "x-bell-delivery": key}
    return door.post(body, **({"path": PATH, "headers": headers} | request)).status


def keys(door: Door) -> list[str]:
    with door.db.read() as session:
        return sorted(session.scalars(select(Delivery.dedupe_key)))


def test_one_delivery_makes_a_row_for_every_integration_of_its_account(tower: Door) -> None:
    assert post(tower) == 202
    assert keys(tower) == ["INT-11:d-1", "INT-12:d-1"]
    assert post(tower) == 202
    assert stored_count(tower.db) == 2
    assert (tower.count("accepted", "carillon"), tower.count("duplicate", "carillon")) == (1, 1)


def test_what_came_by_an_integrations_own_url_already_is_not_stored_again(tower: Door) -> None:
    own = {"path": "/webhooks/carillon/" + "INT-11" * 4}
    headers = {"x-bell-signature": sign(BODY), "x-bell-event": "rung", "x-bell-delivery": "d-1"}
    assert tower.post(BODY, **own, headers=headers).status == 202
    assert post(tower) == 202
    assert keys(tower) == ["INT-11:d-1", "INT-12:d-1"]


def test_both_of_the_apps_secrets_verify_and_no_other(tower: Door) -> None:
    assert [post(tower, secret=secret) for secret in ("new", "old", "bell-secret", "s")] == [202, 202, 401, 401]


def test_a_delivery_of_an_account_nobody_connected_is_never_acknowledged(tower: Door) -> None:
    for body in (b'{"tower": "T9"}', b"{}"):
        assert post(tower, body) == 404
    assert stored_count(tower.db) == 0
    assert tower.count("unclaimed", "carillon") == 2


def test_nothing_is_looked_up_for_what_is_not_believed(tower: Door) -> None:
    asked: list[str] = []
    event.listen(tower.db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    assert post(tower, secret="guessed") == 401
    assert asked == []


@pytest.mark.parametrize("status", ["pending_auth", "disconnected"])
def test_an_account_that_was_not_proven_or_is_no_more_gets_nothing(tower: Door, status: str) -> None:
    hang(tower, "INT-12", "T1", status)
    assert post(tower) == 202
    assert keys(tower) == ["INT-11:d-1"]


def test_an_integration_that_waits_for_credentials_still_gets_its_deliveries(tower: Door) -> None:
    hang(tower, "INT-13", "T2", "error")
    assert post(tower, b'{"tower": "T2"}') == 202
    assert keys(tower) == ["INT-13:d-1"]


def test_an_integration_that_joins_is_found_within_seconds(tower: Door) -> None:
    assert post(tower) == 202
    add_integration(tower.db, "INT-14", type_="carillon", hook_id="INT-14" * 4)
    hang(tower, "INT-14", "T1")
    tower.seconds += 5
    assert post(tower, key="d-2") == 202
    assert "INT-14:d-2" in keys(tower)


def test_one_member_that_vanished_holds_up_none_of_the_others(tower: Door) -> None:
    assert post(tower, key="first") == 202
    with tower.db.write() as session:
        session.execute(delete(Delivery).where(Delivery.integration_id == "INT-12"))
        session.execute(delete(Integration).where(Integration.id == "INT-12"))
    assert post(tower, key="second") == 202
    assert keys(tower) == ["INT-11:first", "INT-11:second"]


def test_a_row_that_can_not_be_stored_for_one_means_none_is_acknowledged(
    tower: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webhooks.inbox import Arrival, Inbox, Stored

    real = Inbox.store

    async def store(self: Inbox, arrival: Arrival) -> Stored:
        return Stored.NOT if arrival.integration_id == "INT-12" else await real(self, arrival)

    monkeypatch.setattr(Inbox, "store", store)
    assert post(tower) == 503
    monkeypatch.undo()
    assert post(tower) == 202
    assert keys(tower) == ["INT-11:d-1", "INT-12:d-1"]


def test_a_handshake_is_answered_at_the_apps_url_too(tower: Door) -> None:
    assert post(tower, b"hello you") == 200


def test_without_an_app_or_its_secret_there_is_no_such_webhook(door: Door) -> None:
    door.registry.register(Carillon)
    assert post(door) == 404
    app = OAuthApp(client_id="c", client_secret=SecretStr("s"))
    door.hooks._settings = door.hooks._settings.model_copy(update={"oauth_apps": {"carillon": app}})
    assert post(door) == 404
    assert post(door, path="/webhooks/bell") == 404


def test_an_app_needs_no_oauth_client_and_what_is_not_set_verifies_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNBUCKLE_OAUTH_APPS__CARILLON__WEBHOOK_SECRETS", '["new"]')
    monkeypatch.setenv("TURNBUCKLE_OAUTH_APPS__CARILLON__FIELDS__APP_ID", "42")
    apps = Settings().oauth_apps
    assert apps["carillon"].fields["app_id"].get_secret_value() == "42"
    door.hooks._settings = door.hooks._settings.model_copy(update={"oauth_apps": apps})
    facts = WebhookFacts(secrets=("signing", "client_secret"))
    assert door.hooks.app_secrets("carillon", facts) == {"signing": ("new",), "client_secret": ()}


def test_a_get_at_the_apps_url_is_no_delivery(tower: Door) -> None:
    assert post(tower, method="GET") == 405


@pytest.mark.parametrize(
    ("body", "whose"),
    [
        (b'{"installation": {"id": 7}}', "7"),
        (b'{"installation": {}}', None),
        (b'{"installation": {"id": true}}', None),
        (b"[]", None),
    ],
)
def test_github_says_whose_by_its_installation(body: bytes, whose: str | None) -> None:
    assert github.account(RawDelivery({}, body, NOW)) == whose


@pytest.mark.parametrize(
    ("body", "whose"),
    [
        (b'{"type": "event_callback", "team_id": "T1"}', "T1"),
        (b'payload={"type": "block_actions", "team": {"id": "T2"}}', "T2"),
        (b"command=%2Fdeploy&team_id=T3&trigger_id=1", "T3"),
        (b'{"team_id": "T1", "authorizations": [{"enterprise_id": "E1", "is_enterprise_install": true}]}', "E1"),
        (b"command=%2Fdeploy&team_id=T3&enterprise_id=E2&is_enterprise_install=true", "E2"),
        (b"{}", None),
        (b"\xff", None),
    ],
)
def test_slack_says_whose_by_its_team_or_the_organization_that_installed(body: bytes, whose: str | None) -> None:
    assert slack.account(RawDelivery({}, body, NOW)) == whose


def test_a_disconnected_member_is_forgotten(tower: Door) -> None:
    assert post(tower, b'{"tower": "T2"}') == 202
    disconnect(tower.db, "INT-13")
    tower.seconds += 5
    assert post(tower, b'{"tower": "T2"}', key="d-2") == 404
