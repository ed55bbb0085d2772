"""Every verdict of the front door, and what is stored of a delivery."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.webhooks.bell import (
    HOOK,
    MAX_BODY,
    NOW,
    PATH,
    Door,
    add_integration,
    ask,
    disconnect,
    only_delivery,
    set_credentials,
    sign,
    signed,
    stored_count,
    stored_keys,
)
from tests.webhooks.conftest import MakeDoor
from webhooks.bodies import Bodies
from webhooks.receive import BIG_BODY

BODY = b'{"rung": 3}'
GOOD = signed(BODY)
SIGNATURE = (b"x-bell-signature", sign(BODY).encode())
TOO_BIG = b"x" * (MAX_BODY + 1)


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in GOOD.items() if key != name}


def with_(**more: str) -> dict[str, str]:
    return GOOD | {name.replace("_", "-"): value for name, value in more.items()}


VERDICTS: list[tuple[str, dict[str, Any], int, str]] = [
    ("a good delivery", {}, 202, "accepted"),
    ("a good delivery in parts", {"body": [BODY[:3], b"", BODY[3:]]}, 202, "accepted"),
    ("a good delivery that names its encoding", {"headers": with_(content_encoding="identity")}, 202, "accepted"),
    ("a flipped byte", {"body": b'{"rung": 2}'}, 401, "rejected"),
    ("a missing signature", {"headers": without("x-bell-signature")}, 401, "rejected"),
    ("no headers at all", {"headers": {}}, 401, "rejected"),
    ("a malformed signature", {"headers": with_(x_bell_signature="sha256=zz")}, 401, "rejected"),
    ("a signature with another prefix", {"headers": with_(x_bell_signature="sha1=00")}, 401, "rejected"),
    ("a signature with odd bytes", {"headers": [(b"x-bell-signature", b"\xff\x00\xfe")]}, 401, "rejected"),
    ("a wrong secret", {"headers": signed(BODY, secret="guessed")}, 401, "rejected"),
    ("two signatures, the first good", {"headers": [SIGNATURE, (b"X-Bell-Signature", b"sha256=00")]}, 401, "rejected"),
    ("two signatures, the last good", {"headers": [(b"X-Bell-Signature", b"sha256=00"), SIGNATURE]}, 401, "rejected"),
    ("a handshake", {"body": b"hello you", "headers": signed(b"hello you")}, 200, "handshake"),
    ("a handshake by query", {"query": b"validation=a%20b"}, 200, "handshake"),
    ("a handshake not signed", {"body": b"hello you", "headers": {}}, 401, "rejected"),
    ("too large by its length", {"headers": with_(content_length=str(MAX_BODY + 1))}, 413, "refused"),
    ("too large by an absurd length", {"headers": with_(content_length="9" * 6000)}, 413, "refused"),
    ("too large without a length", {"body": [TOO_BIG[:1000], TOO_BIG[1000:], b"more"]}, 413, "refused"),
    ("too large beyond its length", {"body": TOO_BIG, "headers": with_(content_length="10")}, 413, "refused"),
    ("a length that is no number", {"headers": with_(content_length="-1")}, 400, "refused"),
    ("a query without end", {"query": b"&".join([b"a=b"] * 200)}, 400, "refused"),
    ("a packed body", {"headers": with_(content_encoding="gzip")}, 415, "refused"),
    ("a body packed twice", {"headers": with_(content_encoding="identity, br")}, 415, "refused"),
    ("GET", {"method": "GET"}, 405, "refused"),
    ("PUT", {"method": "PUT"}, 405, "refused"),
    ("an unknown hook", {"path": "/webhooks/bell/" + "n" * 32}, 404, "refused"),
    ("another type's path", {"path": f"/webhooks/mute/{HOOK}"}, 404, "refused"),
    ("a plugin's mistake", {"headers": with_(x_bell_fault="1")}, 503, "fault"),
    ("a plugin that exits", {"headers": with_(x_bell_exit="1")}, 503, "fault"),
]


@pytest.mark.parametrize(
    ("request_", "status", "verdict"), [case[1:] for case in VERDICTS], ids=[case[0] for case in VERDICTS]
)
def test_each_request_gets_its_verdict_and_a_2xx_has_a_row(
    door: Door, request_: dict[str, Any], status: int, verdict: str
) -> None:
    answered = door.post(**({"body": BODY, "headers": GOOD} | request_))
    assert answered.status == status
    assert stored_count(door.db) == (verdict == "accepted")
    type_ = "mute" if "mute" in request_.get("path", "") else "bell"
    assert door.count(verdict, type_) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/",
        "/webhooks/bell",
        "/webhooks/bell/",
        "/webhooks/bell/short",
        f"/webhooks/gong/{HOOK}",
        f"{PATH}/",
        f"{PATH}/more",
        f"/webhooks/../webhooks/bell/{HOOK}",
        f"/webhooks/bell/{HOOK}\n",
        "/webhooks/bell/" + "h" * 5000,
    ],
)
def test_a_path_that_is_no_hook_is_not_found(door: Door, path: str) -> None:
    assert door.post(path=path).status == 404
    assert door.post(path=path, method="GET").status == 404
    assert stored_count(door.db) == 0


def test_every_refusal_has_the_platforms_envelope(door: Door) -> None:
    for _, request_, status, verdict in VERDICTS:
        if verdict not in ("accepted", "handshake"):
            answered = door.post(**({"body": BODY, "headers": GOOD} | request_))
            error = json.loads(answered.body)["error"]
            assert error["status"] == status
            assert set(error) == {"code", "message", "status"}
            assert answered.headers["content-length"] == str(len(answered.body))


def test_every_rejection_is_the_same_bytes(door: Door) -> None:
    rejected = [request for _, request, _, verdict in VERDICTS if verdict == "rejected"]
    assert len({door.post(**({"body": BODY, "headers": GOOD} | request)).body for request in rejected}) == 1


def test_a_duplicate_is_acknowledged_and_stored_once(any_door: Door) -> None:
    headers = signed(BODY, key="again")
    assert [any_door.post(BODY, headers=headers).status for _ in range(3)] == [202, 202, 202]
    assert stored_keys(any_door.db) == ["INT-1:again"]
    assert (any_door.count("accepted"), any_door.count("duplicate")) == (1, 2)


def test_an_id_used_again_for_another_body_is_reported_and_the_first_is_kept(any_door: Door) -> None:
    with capture_logs() as logs:
        for body in (b"first", b"first", b"second"):
            assert any_door.post(body, headers=signed(body, key="same")).status == 202
        any_door.settle()  # the comparison comes after the answer
    assert only_delivery(any_door.db).body == b"first"
    assert any_door.value("turnbuckle_webhook_changed_duplicates_total") == 1
    assert [line["dedupe_key"] for line in logs if line["event"] == "delivery_id_reused"] == ["INT-1:same"]


def test_without_a_vendors_id_the_bodys_digest_makes_it_one(door: Door) -> None:
    for body in (b"one", b"one", b"two"):
        assert door.post(body, headers=signed(body, key=None)).status == 202
    assert stored_keys(door.db) == [f"INT-1:{sha256(body).hexdigest()}" for body in (b"one", b"two")]


def test_an_empty_id_is_none(door: Door) -> None:
    for body in (b"one", b"two"):
        assert door.post(body, headers=signed(body, key="")).status == 202
    assert stored_count(door.db) == 2


def test_an_id_no_index_takes_is_replaced_by_its_digest(any_door: Door) -> None:
    for key in ("k" * 5000, "k" * 5000, "l" * 5000):
        assert any_door.post(BODY, headers=signed(BODY, key=key)).status == 202
    assert len(stored_keys(any_door.db)) == 2
    assert all(len(key) < 100 for key in stored_keys(any_door.db))


def test_a_row_holds_the_raw_body_and_the_named_headers_only(any_door: Door) -> None:
    body = bytes(range(256))
    headers = signed(body, key="d-1", authorization="Bearer canary", cookie="canary", user_agent="Bell/1")
    assert any_door.post(body, headers=headers).status == 202
    row = only_delivery(any_door.db)
    assert row.body == body
    assert row.headers == {"content-type": "application/json", "x-bell-event": "rung"}
    assert (row.integration_id, row.dedupe_key, row.event, row.state) == ("INT-1", "INT-1:d-1", "rung", "pending")
    assert (row.received_at, row.next_attempt_at, row.attempts) == (NOW, NOW, 0)
    assert (row.outcome, row.error_code, row.finished_at) == (None, None, None)


def test_text_no_database_takes_is_stored_in_a_form_it_does(any_door: Door) -> None:
    headers = [(name.encode(), value.encode()) for name, value in signed(BODY, key=None).items()]
    headers = [pair for pair in headers if pair[0] != b"x-bell-event"]
    headers += [(b"x-bell-event", b"a\x00b" + b"\xff" * 400), (b"x-bell-delivery", b"id\x00")]
    assert any_door.post(BODY, headers=headers).status == 202
    row = only_delivery(any_door.db)
    assert row.event.startswith("a\ufffdb")
    assert len(row.event) == 200


def test_a_big_body_is_verified_like_a_small_one(door: Door) -> None:
    body = b"b" * (BIG_BODY + 1)
    assert door.post([body[:100_000], body[100_000:]]).status == 202
    assert door.post(body, headers=signed(b"other")).status == 401
    assert only_delivery(door.db).body == body


def test_an_empty_body_is_a_body(door: Door) -> None:
    assert door.post(b"").status == 202
    assert door.post(b"", headers=signed(b"other")).status == 401


def test_a_handshake_is_answered_with_what_the_connector_says_and_is_no_page(door: Door) -> None:
    answered = door.post(query=b"validation=%3Cscript%3E")
    assert answered.body == b"<script>"
    assert answered.headers["content-type"] == "text/plain"
    assert answered.headers["x-content-type-options"] == "nosniff"


def test_a_reply_that_is_no_http_is_a_fault_and_not_sent(door: Door) -> None:
    add_integration(door.db, "INT-2", type_="mute", hook_id="m" * 32)
    assert door.post(path="/webhooks/mute/" + "m" * 32).status == 503
    assert door.count("fault", "mute") == 1


def test_a_reply_to_a_delivery_is_said_in_place_of_the_manifests_also_when_it_comes_again(door: Door) -> None:
    headers = signed(BODY, key="d-1") | {"x-bell-reply": "rung"}
    answers = [door.post(BODY, headers=headers) for _ in range(2)]
    heard = [(one.status, one.body, one.headers["content-type"]) for one in answers]
    assert heard == [(200, b"rung", "text/plain")] * 2
    assert stored_count(door.db) == 1


def test_a_plugins_mistake_is_logged_with_its_traceback_and_the_vendor_is_told_to_come_back(door: Door) -> None:
    with capture_logs() as logs:
        answered = door.post(headers=signed(b"{}", x_bell_fault="1"))
    assert answered.headers["retry-after"] == "5"
    assert [(line["event"], line["exc_info"], line["type"]) for line in logs] == [("webhook_fault", True, "bell")]


def test_the_manifest_names_the_statuses(door: Door) -> None:
    add_integration(door.db, "INT-2", type_="chime", hook_id="c" * 32)
    path = "/webhooks/chime/" + "c" * 32
    good = door.post(path=path, headers=signed(b"{}", secret="app-secret"))
    bad = door.post(path=path, headers=signed(b"{}", secret="guessed"))
    assert (good.status, bad.status) == (200, 204)
    assert bad.body == b""
    assert "content-length" not in bad.headers


def test_the_operators_app_signs_where_the_credentials_name_none(door: Door) -> None:
    add_integration(door.db, "INT-2", type_="chime", hook_id="c" * 32)
    add_integration(door.db, "INT-3", type_="chime", hook_id="d" * 32)
    set_credentials(door.db, "INT-2", token="t")
    set_credentials(door.db, "INT-3", token="t", client_secret="own-secret")

    def status(hook: str, secret: str) -> int:
        return door.post(path=f"/webhooks/chime/{hook * 32}", headers=signed(b"{}", secret=secret)).status

    assert [status("c", "app-secret"), status("c", "own-secret")] == [200, 204]
    assert [status("d", "app-secret"), status("d", "own-secret")] == [204, 200]


def test_a_disconnected_integration_has_no_hook(any_door: Door) -> None:
    disconnect(any_door.db)
    assert any_door.post().status == 404
    assert stored_count(any_door.db) == 0


def test_a_sender_who_knows_no_hook_makes_us_read_nothing(door: Door) -> None:
    # The body never comes: an answer shows that it was not waited for.
    assert door.post([], path="/webhooks/bell/" + "n" * 32, then="wait").status == 404


def test_a_body_that_does_not_come_is_given_up(sqlite_url: str, make_door: MakeDoor) -> None:
    door = make_door(sqlite_url, bodies=Bodies(seconds=0.05))
    answered = door.post([], headers=GOOD, then="wait")
    assert answered.status == 408
    assert answered.headers["connection"] == "close"


def test_who_hangs_up_is_not_answered_and_leaves_nothing(door: Door) -> None:
    assert door.runner.run(ask(door.receiver, headers=GOOD, body=[])) is None
    assert stored_count(door.db) == 0


def test_bodies_beyond_what_may_be_held_are_told_to_come_back(sqlite_url: str, make_door: MakeDoor) -> None:
    bodies = Bodies(max_held=100_000)
    door = make_door(sqlite_url, bodies=bodies)
    assert door.post(b"x" * 100_001).status == 503
    assert door.post([], headers=GOOD, path="/webhooks/bell/unknown-unknown-unknown").status == 404
    assert door.runner.run(ask(door.receiver, headers=GOOD, body=[])) is None
    assert bodies.held == 0, "every share is given back"
    assert door.post(b"x" * 100_000).status == 202
    assert door.count("unavailable") == 1


def test_it_works_below_a_prefix(door: Door) -> None:
    assert door.post(path=f"/turnbuckle{PATH}", root_path="/turnbuckle").status == 202
