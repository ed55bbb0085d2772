"""A fake vendor made of the kit: who may call, limits, pages, webhooks, OAuth, and the control endpoint."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from sandbox.auth import ApiToken
from sandbox.clock import ManualClock
from sandbox.errors import VendorError
from sandbox.hooks import EVERYTHING
from sandbox.inprocess import InProcessTransport
from sandbox.paging import by_cursor, by_number, by_offset
from sandbox.vendor import API_TOKEN, CLIENT_ID, CLIENT_SECRET
from tests.sandbox.kit import Plain, Receiver

URL = "http://plain.sandbox"
BEARER = {"Authorization": f"Bearer {API_TOKEN}"}
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def vendor(receiver: Receiver) -> Plain:
    return Plain(clock=ManualClock(), sender=receiver)


@pytest.fixture
def client(vendor: Plain) -> httpx.Client:
    return httpx.Client(transport=InProcessTransport(vendor.app), base_url=URL, headers=BEARER)


# --- who may call -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [None, "", "Bearer", "Bearer wrong", API_TOKEN, f"Digest {API_TOKEN}", "Basic %%%", "Basic " + "QQ=="],
)
def test_whoever_has_no_good_token_is_refused(vendor: Plain, sent: str | None) -> None:
    stranger = httpx.Client(transport=InProcessTransport(vendor.app), base_url=URL)
    answer = stranger.get("/items", headers={} if sent is None else {"Authorization": sent})
    assert answer.status_code == 401
    assert "wrong" in answer.json()["message"]


def test_a_token_is_taken_as_a_password_of_any_user(vendor: Plain, client: httpx.Client) -> None:
    assert client.get("/items", auth=("", API_TOKEN), headers={"Authorization": ""}).status_code == 200


def test_a_token_ends_and_is_good_for_its_scopes_only(vendor: Plain, client: httpx.Client) -> None:
    ends = vendor.clock.now().replace(year=2027)
    vendor.door.add(ApiToken("reader", "U1", frozenset({"read"}), ends))
    as_reader = {"Authorization": "Bearer reader"}
    assert client.get("/items", headers=as_reader).status_code == 200
    refused = client.post("/items", headers=as_reader, json={"title": "A"})
    assert (refused.status_code, refused.json()["message"]) == (403, "The scope write is needed.")
    vendor.clock.set(ends)
    assert client.get("/items", headers=as_reader).status_code == 401


# --- answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"title": ""}', b"\xff"])
def test_a_bad_body_is_refused(client: httpx.Client, body: bytes) -> None:
    assert client.post("/items", content=body).status_code == 400


def test_unknown_paths_and_methods_have_the_vendors_own_errors(client: httpx.Client) -> None:
    assert client.get("/nowhere").json() == {"message": "Not found."}
    assert client.delete("/items").status_code == 405


def test_a_planned_failure_looks_like_the_vendors(vendor: Plain, client: httpx.Client) -> None:
    vendor.faults.add("error", status=503, reason="Closed for stocktaking.", operation="list", retry_after=9)
    answer = client.get("/items")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "9")
    assert answer.json() == {"message": "Closed for stocktaking."}
    vendor.faults.add("rate_limit", retry_after=7)
    assert client.get("/items").headers["Retry-After"] == "7"
    assert client.get("/items").status_code == 200


def test_calls_to_one_address_are_told_apart_where_the_vendor_has_only_one(vendor: Plain, client: httpx.Client) -> None:
    vendor.faults.add("error", status=500, operation="issueUpdate")
    answers = [client.post("/graphql", json={"operationName": name}) for name in ("issues", "issueUpdate", "issues")]
    assert [answer.status_code for answer in answers] == [200, 500, 200]
    assert vendor.calls.counts() == {"issues": 2, "issueUpdate": 1}
    assert client.post("/graphql", content=b"{").status_code == 400
    assert vendor.calls.count("graphql") == 1


# --- limits -------------------------------------------------------------------------------------------


def test_calls_are_counted_down_to_a_refusal_and_the_next_window_is_new(vendor: Plain, client: httpx.Client) -> None:
    vendor.change_settings({"enforce_limits": True, "limits_scale": 0.005})
    left = [client.get("/items").headers["X-RateLimit-Remaining"] for _ in range(3)]
    refused = client.get("/items")
    assert (left, refused.status_code, refused.headers["Retry-After"]) == (["2", "1", "0"], 429, "60")
    vendor.clock.advance(60)
    assert client.get("/items").headers["X-RateLimit-Remaining"] == "2"


def test_nothing_is_counted_unless_somebody_asks_for_it(client: httpx.Client) -> None:
    assert "X-RateLimit-Remaining" not in client.get("/items").headers


# --- pages --------------------------------------------------------------------------------------------


def read_all(client: httpx.Client, size: int) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = client.get("/items", params={"size": size, **({"cursor": cursor} if cursor else {})}).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


def test_pages_hold_everything_once_also_when_some_are_short_or_empty(vendor: Plain, client: httpx.Client) -> None:
    vendor.plant(25)
    everything = [item.title for item in vendor.tracker.items.values()]
    vendor.faults.add("empty_page", skip=1)
    vendor.faults.add("empty_page")
    vendor.faults.add("short_page", count=2)
    assert read_all(client, size=10) == everything
    vendor.change_settings({"page_limit": 3})
    assert read_all(client, size=10) == everything


def test_where_there_is_nowhere_to_put_them_no_items_are_planted(vendor: Plain) -> None:
    vendor.tracker.containers.clear()
    assert vendor.plant(3) == []


def test_what_changes_while_one_pages_comes_again_and_nothing_is_left_out(vendor: Plain, client: httpx.Client) -> None:
    vendor.plant(6)
    first = client.get("/items", params={"size": 3}).json()
    vendor.person("Bob Baker").edit("ONE-1", title="Again")
    rest = client.get("/items", params={"size": 9, "cursor": first["next"]}).json()["items"]
    assert rest == ["Planted 4", "Planted 5", "Planted 6", "Again"]


@pytest.mark.parametrize("cursor", ["x", "e30", "eyJ9", "\u00e9"])
def test_a_cursor_nobody_gave_out_is_refused(client: httpx.Client, cursor: str) -> None:
    assert client.get("/items", params={"cursor": cursor}).status_code == 400


def test_pages_by_offset_number_and_cursor_end_where_the_rows_end() -> None:
    rows = list(range(5))
    assert (by_offset(rows, 0, 2).next, by_offset(rows, 3, 2).next, by_offset(rows, 9, 2).rows) == (2, None, [])
    assert [list(by_number(rows, number, 2).rows) for number in (1, 2, 3)] == [[0, 1], [2, 3], [4]]
    assert (by_number(rows, 0, 2, first=0).next, by_number(rows, 3, 2).next) == (1, None)
    first = by_cursor(rows, None, 4, lambda row: [row, "x"])
    assert by_cursor(rows, first.next, 4, lambda row: [row, "x"]).rows == [4]
    with pytest.raises(VendorError):
        by_offset(rows, -1, 2)


# --- webhooks -----------------------------------------------------------------------------------------


def test_a_hook_hears_what_it_asked_for_signed_with_its_own_secret(vendor: Plain, receiver: Receiver) -> None:
    vendor.hooks.register("https://all.test", "U4", secret="s1")
    vendor.hooks.register("https://deleted.test", "U4", secret="s2", events=frozenset({"item.deleted"}))
    vendor.hooks.register("https://second.test", "U4", secret="s3", events=frozenset({EVERYTHING}), container="c2")
    bob = vendor.person("Bob Baker")
    bob.create("ONE", "A")
    bob.delete("ONE-1")
    vendor.deliver()
    assert [(url, headers["X-Secret"]) for url, headers, _ in receiver.got] == [
        ("https://all.test", "s1"),
        ("https://all.test", "s1"),
        ("https://deleted.test", "s2"),
    ]
    assert json.loads(receiver.got[2][2]) | {"delivery": ""} == {
        "hook": "2",
        "delivery": "",
        "id": "1",
        "kind": "deleted",
    }


def test_a_delivery_is_tried_again_under_the_same_id(vendor: Plain, receiver: Receiver) -> None:
    vendor.hooks.register("https://all.test", "U4")
    receiver.status = None
    vendor.person("Bob Baker").create("ONE", "A")
    vendor.deliver()
    receiver.status = 204
    vendor.clock.advance(60)
    vendor.deliver()
    (_, first, body), (_, second, again) = receiver.got
    assert (first["X-Attempt"], second["X-Attempt"]) == ("0", "1")
    assert body == again


def test_a_hook_expires_is_changed_and_removed(vendor: Plain, receiver: Receiver) -> None:
    ending = vendor.hooks.register("https://ends.test", "U4", expires=vendor.clock.now().replace(year=2027))
    kept = vendor.hooks.register("https://kept.test", "U4")
    vendor.hooks.change(kept.id, enabled=False)
    vendor.clock.advance(366 * 24 * 3600)
    vendor.person("Bob Baker").create("ONE", "A")
    vendor.deliver()
    assert receiver.got == []
    assert [hook.id for hook in vendor.hooks.live("U4")] == [kept.id]
    vendor.hooks.remove(kept.id)
    for gone in (kept.id, ending.id):
        with pytest.raises(VendorError):
            vendor.hooks.remove(gone)


def test_an_address_that_is_none_is_refused(vendor: Plain) -> None:
    with pytest.raises(VendorError) as refused:
        vendor.hooks.register("here", "U4")
    assert refused.value.field == "url"


# --- OAuth --------------------------------------------------------------------------------------------


def consent(client: httpx.Client, **more: str) -> dict[str, str]:
    """What the browser is sent back with."""
    query = {
        "client_id": CLIENT_ID,
        "redirect_uri": "https://here.test/back",
        "response_type": "code",
        "scope": "read write",
        "state": "st",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    answer = client.get("/oauth/authorize", params=query | more)
    assert answer.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def token(client: httpx.Client, **fields: str) -> httpx.Response:
    app = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return client.post("/oauth/token", data=app | fields)


def exchange(client: httpx.Client, code: str, verifier: str = VERIFIER) -> httpx.Response:
    more = {"redirect_uri": "https://here.test/back", "code_verifier": verifier}
    return token(client, grant_type="authorization_code", code=code, **more)


def test_a_consent_becomes_tokens_that_work(vendor: Plain, client: httpx.Client) -> None:
    back = consent(client)
    assert back["state"] == "st"
    tokens = exchange(client, back["code"]).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert client.post("/items", headers=bearer, json={"title": "A"}).status_code == 201
    vendor.clock.advance(tokens["expires_in"])
    assert client.get("/items", headers=bearer).status_code == 401


def test_a_code_works_once_and_only_for_who_asked(client: httpx.Client) -> None:
    code = consent(client)["code"]
    assert exchange(client, code, "w" * 43).json()["error"] == "invalid_grant"
    assert exchange(client, code).status_code == 200
    assert exchange(client, code).json()["error"] == "invalid_grant"


def test_a_refresh_token_is_rotated_and_using_an_old_one_ends_the_grant(vendor: Plain, client: httpx.Client) -> None:
    first = vendor.grant()
    second = token(client, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    vendor.clock.advance(29)
    assert token(client, grant_type="refresh_token", refresh_token=first["refresh_token"]).status_code == 200
    vendor.clock.advance(1)
    assert token(client, grant_type="refresh_token", refresh_token=first["refresh_token"]).status_code == 400
    again = token(client, grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert again.json()["error"] == "invalid_grant"
    assert client.get("/items", headers={"Authorization": f"Bearer {second['access_token']}"}).status_code == 401


def test_an_app_may_prove_itself_by_basic_authorization_and_revoke(vendor: Plain, client: httpx.Client) -> None:
    tokens = vendor.grant()
    asked = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert client.post("/oauth/token", data=asked, auth=(CLIENT_ID, "wrong")).status_code == 401
    assert client.post("/oauth/token", data=asked, auth=(CLIENT_ID, CLIENT_SECRET)).status_code == 200
    client.post("/oauth/revoke", json={"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "token": "unknown"})
    fields = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "token": tokens["access_token"]}
    assert client.post("/oauth/revoke", json=fields).status_code == 200
    assert client.get("/items", headers={"Authorization": f"Bearer {tokens['access_token']}"}).status_code == 401


def test_a_person_is_asked_on_a_page_and_may_say_no(vendor: Plain, client: httpx.Client) -> None:
    vendor.change_settings({"consent": "form"})
    query = urlencode({"client_id": CLIENT_ID, "redirect_uri": "https://here.test/", "response_type": "code"})
    page = client.get(f"/oauth/authorize?{query}&scope=read")
    assert "Ann Archer" in page.text
    assert consent(client, decision="deny")["error"] == "access_denied"


# --- people and the control endpoint ------------------------------------------------------------------


def control(client: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    return client.request(method, f"/_control{path}", json=body).json()


def test_people_act_through_the_control_endpoint(vendor: Plain, client: httpx.Client) -> None:
    made = control(client, "POST", "/act", {"as": "Ann Archer", "do": "create", "container": "ONE", "title": "A"})
    control(client, "POST", "/act", {"as": "Ann Archer", "do": "transition", "item": made["key"], "status": "Shut"})
    control(client, "POST", "/act", {"as": "Bob Baker", "do": "edit", "item": "1", "fields": {"priority": "High"}})
    [item] = control(client, "GET", "/state")["items"]
    assert (item["title"], item["status"], item["priority"], item["revision"]) == ("A", "Shut", "High", 3)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"as": "Nobody", "do": "create"}, "nobody called"),
        ({"as": "Ann Archer", "do": "explode"}, "use one of assign, create"),
        ({"as": "Ann Archer", "do": "edit", "item": "9"}, "no item '9'"),
        ({"as": "Ann Archer", "do": "create", "container": "ONE"}, "missing 1 required"),
        ({"do": "create"}, "is missing"),
    ],
)
def test_an_act_that_makes_no_sense_says_why(client: httpx.Client, body: dict[str, str], says: str) -> None:
    assert says in control(client, "POST", "/act", body)["error"]


def test_switches_are_checked_before_any_is_turned(vendor: Plain, client: httpx.Client) -> None:
    refused = control(client, "PATCH", "/settings", {"search_lag_seconds": 5, "page_limit": "many"})
    assert "page_limit must be of type int" in refused["error"]
    assert vendor.settings.search_lag_seconds == 0
    assert control(client, "PATCH", "/settings", {"search_lag_seconds": 5})["search_lag_seconds"] == 5
    assert "unknown setting" in control(client, "PATCH", "/settings", {"nonsense": 1})["error"]


def test_no_secret_is_in_the_state(vendor: Plain, client: httpx.Client) -> None:
    vendor.hooks.register("https://all.test", "U4", secret="hook-canary")
    tokens = vendor.grant()
    text = json.dumps(control(client, "GET", "/state"))
    assert not [s for s in ("hook-canary", API_TOKEN, CLIENT_SECRET, tokens["access_token"]) if s in text]


def test_it_is_served_over_http_with_webhooks_sent_by_itself() -> None:
    heard, told = Plain(clock=ManualClock()), Plain()
    with heard.serve() as receiving, told.serve() as served:
        told.hooks.register(f"{receiving.url}/items", "U4")
        httpx.post(f"{served.url}/items", headers=BEARER, json={"title": "A"}).raise_for_status()
        assert told.deliveries.wait_idle()
    assert [attempt.status for d in told.deliveries.log() for attempt in d.attempts] == [401]
    assert heard.calls.counts() == {"create": 1}
