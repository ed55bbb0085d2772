"""Every vendor's scheme, through the real front door: what is good is stored once, and nothing else is stored at all.

One table says, per vendor, how a good delivery is made and what its scheme can and can't tell. Where it has no time
(`stale` is None) an old delivery is a good one, and where it does not cover the body (`covers` is False) another body
is; then the inbox's uniqueness and reading the item again are what protects.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from connectors import signing
from connectors.contract import BadSignature, Category, Config, Credentials, Manifest, RawDelivery
from connectors.microsoft_teams.webhook import BOT_ISSUER
from connectors.registry import BUILT_IN, Registry
from tests.webhooks.bell import (
    NOW,
    Bell,
    Door,
    add_integration,
    only_delivery,
    set_credentials,
    set_secrets,
    stored_count,
)
from tests.webhooks.conftest import MakeDoor

SECRET = "0123456789abcdef0123456789abcdef"
BASE64_SECRET = b64encode(SECRET.encode()).decode()
STANDARD_SECRET = "whsec_" + BASE64_SECRET
BOT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWKS = json.dumps({"keys": [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(BOT_KEY.public_key())) | {"kid": "k1"}]})


class Receiver:
    """A vendor's way: its connector's, or its webhook module's where there is no connector yet."""

    def __init__(self, type_: str) -> None:
        built_in = type_ in BUILT_IN
        self.type = type_
        self.of: Any = Registry.load([]).get(type_) if built_in else import_module(f"connectors.{type_}.webhook")
        self.facts = self.of.manifest.webhooks if built_in else self.of.WEBHOOKS
        self.verify = self.of.verify


azure_boards, azure_devops = Receiver("azure_boards"), Receiver("azure_devops")
github, gitlab, bitbucket = Receiver("github"), Receiver("gitlab"), Receiver("bitbucket")
clickup, linear = Receiver("clickup"), Receiver("linear")
slack, microsoft_teams = Receiver("slack"), Receiver("microsoft_teams")
datadog, sonarcloud = Receiver("datadog"), Receiver("sonarcloud")

Sign = Callable[[bytes, str, datetime, str], dict[str, str]]
"""(body, secret, when, delivery's id) -> the headers of a good delivery."""


class AnyCredentials(Credentials):
    token: SecretStr = SecretStr("")
    signing_secret: SecretStr | None = None
    app_id: str | None = None
    bot_keys: SecretStr | None = None
    outgoing_token: SecretStr | None = None


@dataclass(frozen=True)
class Scheme:
    """One vendor's way. `header` is what proves it, and `broken` forms of it that must be refused; `numbered` says
    whether a header tells the delivery's id; `stale` is an age at which a good signature is too old."""

    module: Receiver
    sign: Sign
    body: Callable[[datetime], bytes]
    header: str
    broken: tuple[str, ...]
    event: str
    secret: str = SECRET
    wrong: str = "guessed-guessed-guessed-guessed."
    rejection: int = 401
    accepted: int = 200
    covers: bool = True
    stale: timedelta | None = None
    numbered: bool = True
    credentials: Mapping[str, str] = field(default_factory=dict)


def plain(**content: Any) -> Callable[[datetime], bytes]:
    return lambda _at: json.dumps(content).encode()


def hex_signed(header: str, prefix: str = "", **more: str) -> Sign:
    def sign(body: bytes, secret: str, at: datetime, id_: str) -> dict[str, str]:
        named = {name.replace("_", "-"): value.format(id=id_) for name, value in more.items()}
        return {header: signing.hmac_hex_sign(body, secret, prefix=prefix), **named}

    return sign


def gitlab_signed(body: bytes, secret: str, at: datetime, id_: str) -> dict[str, str]:
    headers = {"x-gitlab-token": secret, "x-gitlab-event": "Push Hook", "idempotency-key": id_}
    if not secret.startswith("whsec_"):
        return headers
    time = str(int(at.timestamp()))
    signature = signing.standard_webhooks_sign(id_, at, body, secret)
    return headers | {"webhook-id": id_, "webhook-timestamp": time, "webhook-signature": signature}


def slack_signed(body: bytes, secret: str, at: datetime, id_: str) -> dict[str, str]:
    time = str(int(at.timestamp()))
    return {"x-slack-request-timestamp": time, "x-slack-signature": signing.slack_sign(at, body, secret)}


def basic(user: str) -> Sign:
    return lambda body, secret, at, id_: {"authorization": "Basic " + b64encode(f"{user}:{secret}".encode()).decode()}


def teams_signed(body: bytes, secret: str, at: datetime, id_: str) -> dict[str, str]:
    return {"authorization": signing.hmac_base64_sign(body, secret, prefix="HMAC ", base64_keys=True)}


def bot_token(key: rsa.RSAPrivateKey, at: datetime, **changed: Any) -> str:
    issued = int(at.timestamp())
    claims = {"iss": BOT_ISSUER, "aud": "app-1", "iat": issued, "exp": issued + 3600}
    return jwt.encode(claims | {"serviceurl": "https://smba.example/"} | changed, key, "RS256", headers={"kid": "k1"})


def bot_signed(body: bytes, secret: str, at: datetime, id_: str) -> dict[str, str]:
    return {"authorization": f"Bearer {bot_token(BOT_KEY if secret == SECRET else OTHER_KEY, at)}"}


HEX = ("", "zz", "00", "A" * 64, "0" * 63)
PREFIXED = ("", "sha256=", "sha1=" + "0" * 40, "sha256=" + "0" * 64, "sha256=" + "G" * 64, "\xff")
GOOD_BASIC = "Basic " + b64encode(f"turnbuckle:{SECRET}".encode()).decode()
AZURE_BODY = plain(subscriptionId="s-1", notificationId=12, id="e-1", eventType="workitem.updated")

SCHEMES = {
    "github": Scheme(
        github,
        hex_signed("x-hub-signature-256", "sha256=", x_github_delivery="{id}", x_github_event="push"),
        plain(ref="refs/heads/main"),
        "x-hub-signature-256",
        PREFIXED,
        "push",
        accepted=202,
    ),
    "gitlab by token": Scheme(
        gitlab,
        gitlab_signed,
        plain(object_kind="push"),
        "x-gitlab-token",
        ("", "\xff", f" {SECRET}", SECRET.upper()),
        "Push Hook",
        covers=False,
    ),
    "gitlab by signature": Scheme(
        gitlab,
        gitlab_signed,
        plain(object_kind="push"),
        "webhook-signature",
        ("v1", "v1,", "v1,!!!!", "v2," + b64encode(b"0" * 32).decode(), "v1," + b64encode(b"0" * 32).decode()),
        "Push Hook",
        secret=STANDARD_SECRET,
        wrong="whsec_" + b64encode(b"another").decode(),
        stale=timedelta(minutes=6),
    ),
    "bitbucket": Scheme(
        bitbucket,
        hex_signed("x-hub-signature", "sha256=", x_request_uuid="{id}", x_event_key="repo:push"),
        plain(push={}),
        "x-hub-signature",
        PREFIXED,
        "repo:push",
    ),
    "azure_devops": Scheme(
        azure_devops,
        basic("turnbuckle"),
        AZURE_BODY,
        "authorization",
        ("", "Basic", "Basic !", GOOD_BASIC.lower(), GOOD_BASIC.replace("Basic ", "Bearer "), GOOD_BASIC + " "),
        "workitem.updated",
        covers=False,
        numbered=False,
    ),
    "azure_boards": Scheme(
        azure_boards,
        lambda body, secret, at, id_: {"x-turnbuckle-token": secret},
        AZURE_BODY,
        "x-turnbuckle-token",
        ("", "\xff", f" {SECRET}"),
        "workitem.updated",
        covers=False,
        numbered=False,
    ),
    "clickup": Scheme(
        clickup,
        hex_signed("x-signature"),
        plain(event="taskStatusUpdated", task_id="t", webhook_id="w", history_items=[{"id": "2800787326392370170"}]),
        "x-signature",
        HEX,
        "taskStatusUpdated",
        rejection=403,
        numbered=False,
    ),
    "linear": Scheme(
        linear,
        hex_signed("linear-signature", linear_delivery="{id}", linear_event="Issue"),
        lambda at: json.dumps({"type": "Issue", "webhookTimestamp": int(at.timestamp() * 1000)}).encode(),
        "linear-signature",
        HEX,
        "Issue",
        stale=timedelta(hours=25),
    ),
    "slack": Scheme(
        slack,
        slack_signed,
        plain(type="event_callback", event_id="Ev1", team_id="T1", event={"type": "app_mention"}),
        "x-slack-signature",
        ("", "v0=", "v0=zz", "v1=" + "0" * 64, "v0=" + "0" * 64, "\xff"),
        "app_mention",
        stale=timedelta(minutes=6),
        numbered=False,
        credentials={"signing_secret": SECRET},
    ),
    "microsoft_teams outgoing": Scheme(
        microsoft_teams,
        teams_signed,
        lambda at: json.dumps({"type": "message", "id": "1", "timestamp": at.isoformat()}).encode(),
        "authorization",
        ("", "HMAC", "HMAC ", "HMAC !!", "hmac " + b64encode(b"0" * 32).decode(), "HMAC " + b64encode(b"0").decode()),
        "message",
        secret=BASE64_SECRET,
        wrong=b64encode(b"another").decode(),
        stale=timedelta(minutes=6),
        numbered=False,
        credentials={"outgoing_token": BASE64_SECRET},
    ),
    "microsoft_teams bot": Scheme(
        microsoft_teams,
        bot_signed,
        plain(type="message", id="1", serviceUrl="https://smba.example/", conversation={"id": "c"}),
        "authorization",
        (
            "Bearer",
            "Bearer ",
            "Bearer a.b.c",
            "Bearer " + bot_token(OTHER_KEY, NOW),
            "bearer " + bot_token(BOT_KEY, NOW),
        ),
        "message",
        covers=False,
        stale=timedelta(hours=2),
        numbered=False,
        credentials={"app_id": "app-1", "bot_keys": JWKS},
    ),
    "microsoft_teams graph": Scheme(
        microsoft_teams,
        lambda body, secret, at, id_: {},
        plain(value=[{"clientState": SECRET, "changeType": "created"}]),
        "",
        (),
        "created",
        covers=False,
        numbered=False,
    ),
    "datadog": Scheme(
        datadog,
        lambda body, secret, at, id_: {"x-turnbuckle-token": secret},
        plain(event_id="1", alert_cycle_key="c", transition="Triggered", date="1790000000000"),
        "x-turnbuckle-token",
        ("", "\xff", SECRET[:-1]),
        "Triggered",
        covers=False,
        numbered=False,
    ),
    "sonarcloud": Scheme(
        sonarcloud,
        hex_signed("x-sonar-webhook-hmac-sha256", x_sonarqube_project="apex"),
        plain(serverUrl="https://sonarcloud.io", taskId="AX", project={"key": "apex"}),
        "x-sonar-webhook-hmac-sha256",
        HEX,
        "analysis",
        numbered=False,
    ),
}


def connector_of(scheme: Scheme) -> type[Bell]:
    """A connector with a vendor's way, under the vendor's own name, that receives and does nothing else."""
    type_ = scheme.module.type
    manifest = Manifest(
        type=type_,
        name=type_,
        category=Category.MONITORING,
        description="",
        config=Config,
        credentials={"any": AnyCredentials},
        webhooks=scheme.module.facts,
    )
    methods = {name: staticmethod(getattr(scheme.module.of, name)) for name in ("verify", "handshake")}
    if hasattr(scheme.module.of, "account"):
        methods["account"] = staticmethod(scheme.module.of.account)
    return type("Vendor", (Bell,), {"manifest": manifest, **methods})


@dataclass
class At:
    """The front door of one vendor's integration, and that integration's secret."""

    scheme: Scheme
    door: Door
    path: str

    def good(self, *, body: bytes | None = None, secret: str | None = None, age: timedelta = timedelta(0)) -> Any:
        """The body and headers of a delivery of that age."""
        at = NOW - age
        body = self.scheme.body(at) if body is None else body
        headers = self.scheme.sign(body, secret or self.scheme.secret, at, "d-1")
        return body, {"content-type": "application/json", **headers}

    def status(self, body: bytes, headers: Any) -> int:
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        return self.door.post(body, path=self.path, headers=pairs).status

    def refused(self, body: bytes, headers: Any) -> None:
        """The vendor's own refusal, and nothing stored."""
        assert self.status(body, headers) == self.scheme.rejection == self.scheme.module.facts.rejection
        assert stored_count(self.door.db) == 0


def open_door(scheme: Scheme, url: str, make_door: MakeDoor) -> At:
    door = make_door(url)
    connector = connector_of(scheme)
    door.registry.register(connector)
    type_ = connector.manifest.type
    add_integration(door.db, "INT-2", type_=type_, hook_id="v" * 32)
    set_secrets(door.db, "INT-2", scheme.secret)
    if scheme.credentials:
        set_credentials(door.db, "INT-2", **scheme.credentials)
    return At(scheme, door, f"/webhooks/{type_}/" + "v" * 32)


@pytest.fixture(params=SCHEMES)
def vendor(request: pytest.FixtureRequest, sqlite_url: str, make_door: MakeDoor) -> At:
    return open_door(SCHEMES[request.param], sqlite_url, make_door)


def those(condition: Callable[[Scheme], bool]) -> Any:
    """The vendors of which something is true."""
    return pytest.mark.parametrize("vendor", [name for name in SCHEMES if condition(SCHEMES[name])], indirect=True)


def test_a_good_delivery_is_answered_as_the_vendor_wants_and_stored_once(vendor: At) -> None:
    body, headers = vendor.good()
    assert vendor.status(body, headers) == vendor.scheme.accepted == vendor.scheme.module.facts.accepted
    row = only_delivery(vendor.door.db)
    assert (row.body, row.event, row.state) == (body, vendor.scheme.event, "pending")
    assert SECRET not in json.dumps(row.headers)


def test_the_same_delivery_again_is_acknowledged_and_stored_once(vendor: At) -> None:
    body, headers = vendor.good()
    assert {vendor.status(body, headers) for _ in range(3)} == {vendor.scheme.accepted}
    assert stored_count(vendor.door.db) == 1


@those(lambda scheme: scheme.covers)
def test_any_flipped_byte_is_refused(vendor: At) -> None:
    body, headers = vendor.good()
    for place in range(0, len(body), 5):
        flipped = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        vendor.refused(flipped, headers)


@those(lambda scheme: scheme.covers)
def test_the_same_json_in_other_bytes_is_refused(vendor: At) -> None:
    body, headers = vendor.good()
    vendor.refused(json.dumps(json.loads(body), indent=1).encode(), headers)


@those(lambda scheme: bool(scheme.header))
def test_a_missing_header_is_refused(vendor: At) -> None:
    body, headers = vendor.good()
    without = {name: value for name, value in headers.items() if name != vendor.scheme.header}
    if vendor.scheme.header == "webhook-signature":
        without["x-gitlab-token"] = "guessed"  # a server that signs also sends the token, which is enough alone
    vendor.refused(body, without)


def test_a_malformed_header_is_refused(vendor: At) -> None:
    body, headers = vendor.good()
    for broken in vendor.scheme.broken:
        vendor.refused(body, headers | {vendor.scheme.header: broken})


def test_a_wrong_secret_is_refused(vendor: At) -> None:
    if vendor.scheme.header:
        vendor.refused(*vendor.good(secret=vendor.scheme.wrong))
    else:
        vendor.refused(vendor.good()[0].replace(SECRET.encode(), b"guessed"), {})


@those(lambda scheme: scheme.stale is not None)
def test_a_stale_delivery_is_refused(vendor: At) -> None:
    assert vendor.scheme.stale is not None
    vendor.refused(*vendor.good(age=vendor.scheme.stale))
    vendor.refused(*vendor.good(age=-vendor.scheme.stale))


@those(lambda scheme: scheme.stale is None and bool(scheme.header))
def test_where_no_time_is_signed_a_replay_is_only_a_duplicate(vendor: At) -> None:
    body, headers = vendor.good(age=timedelta(days=30))
    assert [vendor.status(body, headers) for _ in range(2)] == [vendor.scheme.accepted] * 2
    assert stored_count(vendor.door.db) == 1


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"\xff\x00", b"{", b"null", b"[" * 100_000, b'{"id": 1e999, "event": {}}']
)
def test_an_odd_body_is_never_a_fault(vendor: At, body: bytes) -> None:
    _, headers = vendor.good(body=body)
    status = vendor.status(body, headers)
    assert status in (vendor.scheme.accepted, vendor.scheme.rejection)
    assert stored_count(vendor.door.db) == (status == vendor.scheme.accepted)


@those(lambda scheme: bool(scheme.header) and not scheme.credentials)
def test_during_a_rotation_both_secrets_verify(vendor: At) -> None:
    set_secrets(vendor.door.db, "INT-2", vendor.scheme.wrong, vendor.scheme.secret)
    statuses = [vendor.status(*vendor.good(secret=secret)) for secret in (vendor.scheme.secret, vendor.scheme.wrong)]
    assert statuses == [vendor.scheme.accepted] * 2


# --- what is particular to one ----------------------------------------------------------------------------

SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)

VECTORS: list[tuple[str, Receiver, str, bytes, dict[str, str], int]] = [
    (
        "GitHub's documentation",
        github,
        "It's a Secret to Everybody",
        b"Hello, World!",
        {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        0,
    ),
    (
        "Atlassian's documentation",
        bitbucket,
        "It's a Secret to Everybody",
        b"Hello World!",
        {"x-hub-signature": "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"},
        0,
    ),
    (
        "Slack's documentation",
        slack,
        "8f742231b10e8888abcd99yyyzzz85a5",
        SLACK_BODY,
        {
            "x-slack-request-timestamp": "1531420618",
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        1531420618,
    ),
    (
        "Standard Webhooks, as GitLab signs",
        gitlab,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        b'{"test": 2432232314}',
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        1614265330,
    ),
    (
        "a GitLab push",
        gitlab,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        b'{"object_kind":"push"}',
        {
            "webhook-id": "d2f1c8b0-6f0e-4a53-9d51-0d5d2d2f1a11",
            "webhook-timestamp": "1790000000",
            "webhook-signature": "v1,49p/QB0hZfT6SvudWrMK3AJO0j5Wiyj6dO1Uwfel2ps=",
        },
        1790000000,
    ),
    (
        "a Linear comment",
        linear,
        "SECRET",
        b'{"action":"create","type":"Comment","webhookTimestamp":1790000000000}',
        {"linear-signature": "e707f23a72c1b3bf539bf5a3f3485641edd46175f78e1142f510bad48dde59ae"},
        1790000000,
    ),
    (
        "a Linear issue",
        linear,
        "lin_wh_test",
        b'{"action":"update","type":"Issue","webhookTimestamp":1767225600000}',
        {"linear-signature": "b624c97a2b1c9b755337b8f84e5eda842d9b967ab761888d1ce245559da1aab1"},
        1767225600,
    ),
    (
        "a ClickUp task",
        clickup,
        "SECRET",
        b'{"event":"taskCreated","task_id":"c0j","webhook_id":"7fa3ec74"}',
        {"x-signature": "d0884e9cb9dee5d97c1b116a7e8848e3c8d53f236e2625dbafd59dbfd496120c"},
        0,
    ),
    (
        "ClickUp's documentation",
        clickup,
        "secret",
        b'{"webhook_id":"7689a169-a000-4985-8676-6902b96d6627","event":"taskCreated","task_id":"c0j"}',
        {"x-signature": "4830bf524f6e29a3e8da953936c6f21c1fea2b9669b825d3e1be293ef3416c8c"},
        0,
    ),
]


@pytest.mark.parametrize("case", VECTORS, ids=[case[0] for case in VECTORS])
def test_published_vectors_verify(case: tuple[str, Receiver, str, bytes, dict[str, str], int]) -> None:
    _, module, secret, body, headers, seconds = case
    at = datetime.fromtimestamp(seconds, NOW.tzinfo) if seconds else NOW
    secrets = {"signing": [secret], "signing_secret": [secret]}
    module.verify(RawDelivery(headers, body, at), secrets)
    with pytest.raises(BadSignature):
        module.verify(RawDelivery(headers, body + b" ", at), secrets)


def test_microsofts_sample_key_signs_as_computed_by_hand() -> None:
    key = "vqF0En+Z0ucuRTM/01o2GuhMH3hKKk/N2bOmlM31zaA="
    header = "HMAC M9Yhjt12wXcorLWW5i/mmel7y7tAuIFGdFXmgtIOVmw="
    signing.hmac_base64(b"Hello, World!", header, [key], prefix="HMAC ", base64_keys=True)
    assert len(b64decode(key)) == 32


def at_(name: str, url: str, make_door: MakeDoor) -> At:
    return open_door(SCHEMES[name], url, make_door)


def test_github_is_told_to_send_json(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("github", sqlite_url, make_door)
    body, headers = here.good(body=b"payload=%7B%7D")
    assert here.status(body, headers | {"content-type": "application/x-www-form-urlencoded"}) == 415
    assert stored_count(here.door.db) == 0


def test_gitlab_never_falls_back_to_the_token_when_a_signature_is_there(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("gitlab by signature", sqlite_url, make_door)
    body, headers = here.good()
    assert headers["x-gitlab-token"] == STANDARD_SECRET
    here.refused(body + b" ", headers)


def test_gitlabs_signed_id_counts_and_not_one_that_anybody_can_change(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("gitlab by signature", sqlite_url, make_door)
    body, headers = here.good()
    for other in ("d-1", "d-2", "d-3"):
        assert here.status(body, headers | {"idempotency-key": other}) == 200
    assert stored_count(here.door.db) == 1


def test_azure_needs_both_proofs_right_where_both_are_sent(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("azure_devops", sqlite_url, make_door)
    body, headers = here.good()
    here.refused(body, headers | {"x-turnbuckle-token": "guessed"})
    assert here.status(body, headers | {"x-turnbuckle-token": SECRET}) == 200


def test_azures_test_messages_without_numbers_are_taken_by_their_own_id(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("azure_devops", sqlite_url, make_door)
    for id_ in ("a", "b", "a"):
        body, headers = here.good(body=json.dumps({"id": id_, "eventType": "git.push"}).encode())
        assert here.status(body, headers) == 200
    assert stored_count(here.door.db) == 2


def test_clickups_deletions_without_history_are_one_within_minutes_and_two_later() -> None:
    body = b'{"event":"taskDeleted","task_id":"t","webhook_id":"w"}'
    headers = {"x-signature": signing.hmac_hex_sign(body, SECRET)}

    def key(after: timedelta) -> str | None:
        return clickup.verify(RawDelivery(headers, body, NOW + after), {"signing": [SECRET]}).key

    assert key(timedelta(0)) == key(timedelta(minutes=5)) != key(timedelta(minutes=15))


def test_clickups_two_events_of_one_change_are_two_deliveries(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("clickup", sqlite_url, make_door)
    for event in ("taskStatusUpdated", "taskUpdated"):
        content = {"event": event, "task_id": "t", "webhook_id": "w", "history_items": [{"id": "9"}]}
        assert here.status(*here.good(body=json.dumps(content).encode())) == 200
    assert stored_count(here.door.db) == 2


def test_a_linear_retry_hours_later_is_still_believed(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("linear", sqlite_url, make_door)
    assert here.status(*here.good(age=timedelta(hours=7))) == 200


def test_slack_hears_its_challenge_only_when_it_signed_it(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("slack", sqlite_url, make_door)
    body, headers = here.good(body=b'{"type":"url_verification","challenge":"abc"}')
    answered = here.door.post(body, path=here.path, headers=headers)
    assert (answered.status, json.loads(answered.body)) == (200, {"challenge": "abc"})
    here.refused(body, headers | {"x-slack-signature": "v0=" + "0" * 64})


def test_slacks_certificate_check_lets_no_command_in(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("slack", sqlite_url, make_door)
    assert here.status(b"ssl_check=1&token=x", {}) == 200
    here.refused(b"ssl_check=1&command=%2Fdeploy", {})


def test_slack_shows_nothing_to_who_clicked(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("slack", sqlite_url, make_door)
    click = {"type": "block_actions", "team": {"id": "T1"}, "user": {"id": "U1"}, "container": {"message_ts": "1.2"}}
    for action_ts in ("10.0", "11.0", "10.0"):
        payload = json.dumps(click | {"actions": [{"action_id": "approve", "action_ts": action_ts}]})
        body, headers = here.good(body=f"payload={payload}".encode())
        answered = here.door.post(body, path=here.path, headers=headers)
        assert (answered.status, answered.body) == (200, b"")
    assert stored_count(here.door.db) == 2


def test_teams_hears_its_validation_token_as_plain_text(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("microsoft_teams graph", sqlite_url, make_door)
    answered = here.door.post(b"", path=here.path, headers={}, query=b"validationToken=%3Cb%3Ea%20b")
    assert (answered.status, answered.body, answered.headers["content-type"]) == (200, b"<b>a b", "text/plain")
    assert here.door.post(b"", path=here.path, headers={}, query=b"validationToken=" + b"x" * 2000).status == 401


def test_teams_answers_a_mention_in_the_channel(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("microsoft_teams outgoing", sqlite_url, make_door)
    body, headers = here.good()
    assert json.loads(here.door.post(body, path=here.path, headers=headers).body)["type"] == "message"


def test_teams_hears_of_a_press_at_once_what_an_invoke_is_answered(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("microsoft_teams bot", sqlite_url, make_door)
    press = json.loads(here.scheme.body(NOW)) | {"type": "invoke", "name": "adaptiveCard/action"}
    body, headers = here.good(body=json.dumps(press).encode())
    for _ in range(2):
        answered = here.door.post(body, path=here.path, headers=headers)
        assert (answered.status, json.loads(answered.body)["statusCode"]) == (200, 200)
    assert stored_count(here.door.db) == 1
    assert only_delivery(here.door.db).event == "adaptiveCard/action"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-app"},
        {"serviceurl": "https://evil.example/"},
        {"aud": ["app-1"]},
    ],
)
def test_a_bots_token_for_something_else_is_refused(
    changed: dict[str, Any], sqlite_url: str, make_door: MakeDoor
) -> None:
    here = at_("microsoft_teams bot", sqlite_url, make_door)
    body, headers = here.good()
    here.refused(body, headers | {"authorization": f"Bearer {bot_token(BOT_KEY, NOW, **changed)}"})


def test_a_bots_token_signed_with_the_public_key_as_a_secret_is_refused(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("microsoft_teams bot", sqlite_url, make_door)
    body, _ = here.good()
    _, claims, _ = bot_token(BOT_KEY, NOW).split(".")
    head = b64encode(b'{"alg":"HS256","kid":"k1","typ":"JWT"}').decode().rstrip("=")
    public = json.loads(JWKS)["keys"][0]["n"].encode()
    for key in (JWKS.encode(), public, b""):
        signature = urlsafe_b64encode(hmac.digest(key, f"{head}.{claims}".encode(), "sha256")).decode().rstrip("=")
        here.refused(body, {"authorization": f"Bearer {head}.{claims}.{signature}"})


def test_without_the_bot_connectors_keys_no_bot_is_believed() -> None:
    body = SCHEMES["microsoft_teams bot"].body(NOW)
    delivery = RawDelivery({"authorization": f"Bearer {bot_token(BOT_KEY, NOW)}"}, body, NOW)
    for keys in ([], ["{}"], ["not json"], ['{"keys": [{"kty": "oct", "k": "AAAA", "kid": "k1"}]}']):
        with pytest.raises(BadSignature):
            microsoft_teams.verify(delivery, {"app_id": ["app-1"], "bot_keys": keys})


def test_one_false_notification_spoils_graphs_whole_batch(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("microsoft_teams graph", sqlite_url, make_door)
    batch = {"value": [{"clientState": SECRET}, {"clientState": "guessed"}]}
    here.refused(json.dumps(batch).encode(), {})


def test_datadogs_unfilled_variables_count_as_absent(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("datadog", sqlite_url, make_door)
    for text in ("one", "two"):
        content = {"event_id": "$ID", "transition": "$ALERT_TRANSITION", "text": text}
        assert here.status(*here.good(body=json.dumps(content).encode())) == 200
    assert stored_count(here.door.db) == 2


def test_sonar_must_name_one_project_in_header_and_body(sqlite_url: str, make_door: MakeDoor) -> None:
    here = at_("sonarcloud", sqlite_url, make_door)
    body, headers = here.good()
    here.refused(body, headers | {"x-sonarqube-project": "another"})
