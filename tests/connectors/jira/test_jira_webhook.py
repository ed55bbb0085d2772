"""Believing and reading deliveries, and registering webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.contract import BadPayload, BadSignature, Forbidden, Hint, Ignored, RawDelivery, Rejected, Subscription
from connectors.jira import JiraConnector
from connectors.jira.config import BasicCredentials, JiraConfig
from connectors.jira.webhook import SUBSCRIBED
from connectors.signing import hmac_hex_sign
from sandbox.clock import ManualClock
from sandbox.inprocess import InProcessTransport
from sandbox.jira import CLIENT_ID, CLIENT_SECRET, ApiToken, JiraSandbox
from tests.connectors.jira.conftest import Bench

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECRETS = {"signing": ["new-secret", "old-secret"], "client_secret": [CLIENT_SECRET], "client_id": [CLIENT_ID]}
CONFIG = JiraConfig(site_url="https://acme.atlassian.net", projects=[{"external": "APEX"}])
URL = "https://turnbuckle.example/webhooks/jira/abc"


def body(**more: Any) -> bytes:
    fields = {"timestamp": int(NOON.timestamp() * 1000), "webhookEvent": "jira:issue_updated", "issue": {"id": "10042"}}
    return json.dumps({**fields, **more}).encode()


def delivery(raw: bytes, **headers: str) -> RawDelivery:
    return RawDelivery({name.replace("_", "-"): value for name, value in headers.items()}, raw, NOON)


def signed(raw: bytes, secret: str = "new-secret") -> RawDelivery:
    return delivery(
        raw, x_hub_signature=hmac_hex_sign(raw, secret, prefix="sha256="), x_atlassian_webhook_identifier="abc"
    )


def bearer(secret: str = CLIENT_SECRET, **claims: Any) -> str:
    now = int(NOON.timestamp())
    return "Bearer " + jwt.encode({"iss": CLIENT_ID, "iat": now, "exp": now + 180, **claims}, secret, algorithm="HS256")


@pytest.mark.parametrize("secret", ["new-secret", "old-secret"])
def test_an_administrators_webhook_is_believed_by_its_signature(secret):
    verified = JiraConnector.verify(signed(body(), secret), SECRETS)
    assert (verified.key, verified.event) == ("abc", "jira:issue_updated")


def test_an_apps_webhook_is_believed_by_its_token():
    verified = JiraConnector.verify(delivery(body(), authorization=bearer()), SECRETS)
    assert (verified.key, verified.event) == (None, "jira:issue_updated")


def test_the_vendors_own_vector():
    raw, secret = b"Hello World!", "It's a Secret to Everybody"
    header = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    assert JiraConnector.verify(delivery(raw, x_hub_signature=header), {"signing": [secret]}).event == "unknown"


UNSIGNED = "Bearer " + jwt.encode({"iss": CLIENT_ID, "exp": 9e9, "iat": 0}, "", algorithm="none")


@pytest.mark.parametrize(
    "bad",
    [
        delivery(body()),
        delivery(body(), x_hub_signature=""),
        delivery(body(), x_hub_signature="sha256="),
        delivery(body(), x_hub_signature=hmac_hex_sign(body(), "new-secret", "sha1", "sha1=")),
        delivery(body(), x_hub_signature=hmac_hex_sign(body(), "new-secret", prefix="sha256=").upper()),
        delivery(body(), x_hub_signature=hmac_hex_sign(body(), "wrong", prefix="sha256=")),
        delivery(body() + b" ", x_hub_signature=hmac_hex_sign(body(), "new-secret", prefix="sha256=")),
        # A signature that does not match is not made good by a token.
        delivery(body(), x_hub_signature="sha256=00", authorization=bearer()),
        delivery(body(), authorization="Bearer"),
        delivery(body(), authorization="Bearer \udcff"),
        delivery(body(), authorization=bearer("another-secret-of-enough-bytes-0123456789")),
        delivery(body(), authorization=bearer(iss="somebody")),
        delivery(body(), authorization=bearer(exp=int(NOON.timestamp()) - 3600)),
        delivery(
            body(),
            authorization=UNSIGNED,
        ),
        signed(body(timestamp=int((NOON - timedelta(hours=25)).timestamp() * 1000))),
        signed(body(timestamp=10**30)),
    ],
)
def test_anything_else_is_not(bad):
    with pytest.raises(BadSignature):
        JiraConnector.verify(bad, SECRETS)


def test_without_secrets_nothing_is_believed():
    for one in (signed(body()), delivery(body(), authorization=bearer())):
        with pytest.raises(BadSignature):
            JiraConnector.verify(one, {})


@given(st.integers(0, len(body()) * 8 - 1))
def test_a_flipped_bit_is_noticed(bit):
    raw = bytearray(body())
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadSignature):
        JiraConnector.verify(RawDelivery(signed(body()).headers, bytes(raw), NOON), SECRETS)


@given(st.binary(max_size=200))
def test_no_body_crashes(raw):
    JiraConnector.verify(signed(raw), SECRETS)
    try:
        JiraConnector.parse(signed(raw), CONFIG)
    except BadPayload:
        pass


@pytest.mark.parametrize(
    "event",
    [
        "jira:issue_created",
        "jira:issue_updated",
        "jira:issue_deleted",
        "comment_created",
        "comment_updated",
        "comment_deleted",
    ],
)
def test_an_event_of_an_issue_is_a_hint_and_nothing_more(event):
    raw = body(webhookEvent=event, issue={"id": "10042", "fields": {"description": "h1. wiki", "summary": "Ours?"}})
    assert JiraConnector.parse(signed(raw), CONFIG) == [Hint("10042")]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("issue_property_set", "property"),
        ("sprint_started", "unsupported"),
        ("jira:version_released", "unsupported"),
        ("", "unsupported"),
    ],
)
def test_other_events_are_ignored_by_name(event, code):
    (signal,) = JiraConnector.parse(signed(body(webhookEvent=event)), CONFIG)
    assert isinstance(signal, Ignored)
    assert signal.code == code


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b"\xff", b'{"webhookEvent": 1}', b'{"webhookEvent":"jira:issue_updated"}']
)
def test_a_body_of_another_shape_is_a_bad_payload(raw):
    with pytest.raises(BadPayload):
        JiraConnector.parse(signed(raw), CONFIG)


def test_there_is_no_handshake():
    assert JiraConnector.handshake(signed(body()), SECRETS) is None


# --- what the sandbox sends -----------------------------------------------------------------------------


class Inbox:
    def __init__(self) -> None:
        self.deliveries: list[RawDelivery] = []

    def send(self, url: str, headers: dict[str, str], raw: bytes) -> int:
        lower = {name.lower(): value for name, value in headers.items()}
        self.deliveries.append(RawDelivery(lower, raw, self.clock.now()))
        return 202

    clock: ManualClock


@pytest.fixture
def hooked():
    """A sandbox in this process whose webhooks land in a list."""
    clock, inbox = ManualClock(), Inbox()
    inbox.clock = clock
    sandbox = JiraSandbox(clock=clock, sender=inbox)
    transport = InProcessTransport(sandbox.app)
    yield Bench(sandbox, "http://jira", transport, clock), inbox
    transport.close()


def admin(jira: Bench) -> BasicCredentials:
    jira.sandbox.site.tokens.append(ApiToken(jira.ann.account_id, "ann-token"))
    return BasicCredentials(email="ann@example.com", api_token="ann-token")


@pytest.mark.parametrize("mode", ["oauth2", "basic"])
def test_every_delivery_of_an_issues_life_is_believed_and_read(hooked, mode):
    jira, inbox = hooked
    connector = jira.connector(jira.oauth() if mode == "oauth2" else admin(jira))
    connector.subscribe(URL, SecretStr("new-secret"))
    issue = jira.ann.create("APEX", "Made")
    jira.ann.edit(issue.key, summary="Edited")
    jira.ann.transition(issue.key, "Done")
    jira.ann.comment(issue.key, "Well done")
    jira.ann.move(issue.key, "OPS")
    jira.ann.delete(issue.key)
    jira.sandbox.deliver()
    assert len(inbox.deliveries) == 6
    keys = set()
    for one in inbox.deliveries:
        verified = JiraConnector.verify(one, SECRETS)
        assert verified.event in SUBSCRIBED
        keys.add(verified.key)
        assert JiraConnector.parse(one, CONFIG) == [Hint(str(issue.id))]
    assert len(keys) == 6


def test_a_retry_has_the_key_of_the_first_attempt(hooked):
    jira, inbox = hooked
    jira.connector(jira.oauth()).subscribe(URL, SecretStr("s"))
    jira.sandbox.faults.add("webhook_double")
    jira.ann.create("APEX", "Made")
    jira.sandbox.deliver()
    first, again = (JiraConnector.verify(one, SECRETS) for one in inbox.deliveries)
    assert first.key == again.key


# --- subscriptions --------------------------------------------------------------------------------------


def test_oauth_registers_one_webhook_for_all_projects_and_adopts_it(jira: Bench):
    connector = jira.connector(jira.oauth())
    made = connector.subscribe(URL, SecretStr("s"))
    assert made.expires_at is not None
    assert abs(made.expires_at - jira.clock.now() - timedelta(days=30)) < timedelta(minutes=1)
    again = connector.subscribe(URL, SecretStr("s"))
    assert again.external_ids == made.external_ids
    (hook,) = jira.sandbox.hub.live()
    assert hook.jql == 'project in ("APEX", "OPS")'
    assert hook.events == set(SUBSCRIBED)


def test_a_webhook_for_other_projects_is_replaced(jira: Bench):
    old = jira.connector(jira.oauth(), projects=[{"external": "APEX"}]).subscribe(URL, SecretStr("s"))
    connector = jira.connector(jira.oauth())
    assert connector.renew(old, URL) is None
    new = connector.subscribe(URL, SecretStr("s"))
    assert new.external_ids != old.external_ids
    assert len(jira.sandbox.hub.live()) == 1


def test_renewing_pushes_the_expiry_out_until_it_is_gone(still: Bench):
    credentials = still.oauth()
    connector = still.connector(credentials)
    made = connector.subscribe(URL, SecretStr("s"))
    still.sandbox.settings.access_token_seconds = 90 * 24 * 3600
    connector = still.connector(still.oauth())
    still.clock.advance(7 * 24 * 3600)
    renewed = connector.renew(made, URL)
    assert renewed is not None
    assert made.expires_at is not None
    assert renewed.expires_at == made.expires_at + timedelta(days=7)
    still.clock.advance(31 * 24 * 3600)
    assert connector.renew(made, URL) is None


def test_removing_is_success_also_when_it_is_gone(jira: Bench):
    connector = jira.connector(jira.oauth())
    made = connector.subscribe(URL, SecretStr("s"))
    for _ in range(2):
        connector.unsubscribe(made)
    assert jira.sandbox.hub.live() == []


def test_one_app_can_have_one_address_only(jira: Bench):
    jira.connector(jira.oauth()).subscribe(URL, SecretStr("s"))
    with pytest.raises(Rejected, match="single URL per app"):
        jira.connector(jira.oauth()).subscribe(URL + "2", SecretStr("s"))


def test_a_token_without_the_right_to_register_says_what_to_do(jira: Bench):
    with pytest.raises(Forbidden, match=r"only a Jira administrator.*polling finds every change.*Administer Jira"):
        jira.connector().subscribe(URL, SecretStr("s"))


def test_an_administrators_token_registers_a_signed_webhook(jira: Bench):
    connector = jira.connector(admin(jira))
    made = connector.subscribe(URL, SecretStr("one"))
    assert made.expires_at is None
    assert connector.renew(made, URL) == made
    again = connector.subscribe(URL, SecretStr("two"))
    (hook,) = jira.sandbox.hub.admin.values()
    assert (str(hook.id), hook.secret, hook.jql) == (again.external_ids[0], "two", 'project in ("APEX", "OPS")')
    for _ in range(2):
        connector.unsubscribe(again)
    assert connector.renew(again, URL) is None
    assert isinstance(again, Subscription)
