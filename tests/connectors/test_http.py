"""The HTTP client: what it sends, what it raises, and what it never shows."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import requests
import structlog
from github import Auth, Github
from github.Requester import HTTPRequestsConnectionClass, Requester
from jira import JIRA, JIRAError

from connectors import http
from connectors.contract import (
    AuthFailed,
    BadPayload,
    Conflict,
    Forbidden,
    NotFound,
    RateLimited,
    Rejected,
    Transient,
)
from connectors.egress import GuardedTransport
from connectors.http import HttpClient, Response, Unlimited
from connectors.requests_adapter import lend
from tests.connectors.server import CUT, HANG, NOON, Scripted, answer, raw_answer, serving, zipped_answer

URL = "https://vendor.test/things?token=in-the-query"
CANARY = "canary/secret+1"
HALF = raw_answer(body=b"half", headers={"Content-Length": "100"})


class Ledger(Unlimited):
    """A budget that writes down what it is told, and refuses when told to."""

    def __init__(self, refuse: RateLimited | None = None) -> None:
        self.refuse = refuse
        self.taken: list[float] = []
        self.parked: list[Any] = []
        self.noted: list[Any] = []

    def take(self, cost: float) -> None:
        if self.refuse:
            raise self.refuse
        self.taken.append(cost)

    def park(self, until, text) -> None:
        self.parked.append(until)

    def note(self, remaining, reset_at) -> None:
        self.noted.append((remaining, reset_at))


def client_of(transport, **options) -> HttpClient:
    options.setdefault("budget", Unlimited())
    return HttpClient(transport=transport, now=lambda: NOON, **options)


@pytest.fixture
def client_for():
    """Builds clients that may reach local servers, each with its own connections."""
    with ExitStack() as closing:

        def build(**options) -> HttpClient:
            return client_of(closing.enter_context(GuardedTransport(["127.0.0.1"])), **options)

        yield build


# --- what it sends ------------------------------------------------------------------------------------


def test_a_request_goes_out_as_it_was_asked_for(client_for):
    with serving(raw_answer(201, b'{"id": 7}')) as server:
        client = client_for()
        got = client.request(
            "POST", f"{server.url}/a?x=1", params={"y": "ä b"}, json={"title": "é"}, headers={"X-Own": "1"}
        )
    (seen,) = server.seen
    assert (seen.method, seen.target) == ("POST", "/a?x=1&y=%C3%A4+b")
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["accept-encoding"] == "gzip, deflate"
    assert seen.headers["x-own"] == "1"
    assert json.loads(seen.body) == {"title": "é"}
    assert (got.status, got.json(), got.headers["content-type"]) == (201, {"id": 7}, "application/json")
    assert client.calls == 1


def test_a_form_is_sent_as_a_form(client_for):
    with serving(raw_answer()) as server:
        client_for().request("POST", server.url, form={"grant_type": "refresh_token", "a": "b&c"})
    assert server.seen[0].body == b"grant_type=refresh_token&a=b%26c"
    assert server.seen[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_zipped_answer_is_unzipped(client_for):
    with serving(zipped_answer(b'{"a": 1}')) as server:
        assert client_for().request("GET", server.url).json() == {"a": 1}


def test_the_environment_adds_neither_proxies_nor_credentials(client_for, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with serving(raw_answer()) as server:
        client_for().request("GET", server.url)
    assert "authorization" not in server.seen[0].headers


def test_cookies_are_not_kept(client_for):
    with serving(raw_answer(headers={"Set-Cookie": "session=1"})) as server:
        client = client_for()
        client.request("GET", server.url)
        client.request("GET", server.url)
    assert "cookie" not in server.seen[1].headers


def test_connections_are_reused_and_the_shared_transport_stays_open():
    with serving(raw_answer()) as server:
        with GuardedTransport(["127.0.0.1"]) as transport:
            for _ in range(3):
                client_of(transport).request("GET", server.url)
    assert len(server.seen) == 3
    assert server.connections == 1


def test_threads_can_share_a_client(client_for):
    with serving(raw_answer()) as server:
        client = client_for()
        threads = [threading.Thread(target=client.request, args=("GET", server.url)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert client.calls == len(server.seen) == 20


# --- what it raises -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AuthFailed),
        (403, Forbidden),
        (404, NotFound),
        (410, NotFound),
        (409, Conflict),
        (412, Conflict),
        (408, Transient),
        (425, Transient),
        (500, Transient),
        (502, Transient),
        (503, Transient),
        (400, Rejected),
        (402, Rejected),
        (422, Rejected),
        (302, Rejected),
        (304, Rejected),
    ],
)
def test_a_status_becomes_its_error_after_one_call(status, error):
    transport = Scripted(answer(status, {"message": "because"}, {"location": "https://elsewhere.test/"}))
    with pytest.raises(error) as raised:
        client_of(transport).request("GET", URL)
    assert type(raised.value) is error
    assert f"GET vendor.test/things answered {status}" in raised.value.text
    assert len(transport.requests) == 1


def test_a_status_the_caller_allows_is_returned():
    got = client_of(Scripted(answer(404, b"gone"))).request("GET", URL, allow={404})
    assert (got.status, got.content) == (404, b"gone")


@pytest.mark.parametrize(("method", "maybe_done"), [("GET", False), ("HEAD", False), ("POST", True), ("PUT", True)])
def test_an_outage_leaves_only_writes_in_doubt(method, maybe_done):
    with pytest.raises(Transient) as raised:
        client_of(Scripted(answer(503, b"", {"Retry-After": "20"}))).request(method, URL)
    assert raised.value.maybe_done is maybe_done
    assert raised.value.retry_at == NOON + timedelta(seconds=20)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "30"}, 30),
        (429, {}, 60),
        (429, {"Retry-After": "0"}, 1),
        (403, {"Retry-After": "90"}, 90),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOON.timestamp()) + 40)}, 40),
    ],
)
def test_a_rate_limit_parks_the_budget_until_the_vendors_time(status, headers, seconds):
    ledger = Ledger()
    with pytest.raises(RateLimited) as raised:
        client_of(Scripted(answer(status, b"slow down", headers)), budget=ledger).request("GET", URL)
    assert raised.value.until == NOON + timedelta(seconds=seconds)
    assert raised.value.scope == "account"
    assert ledger.parked == [raised.value.until]


def test_a_403_with_room_in_the_window_is_a_matter_of_permissions():
    headers = {"X-RateLimit-Remaining": "12", "X-RateLimit-Reset": str(int(NOON.timestamp()) + 40)}
    with pytest.raises(Forbidden):
        client_of(Scripted(answer(403, b"", headers))).request("GET", URL)


def test_a_limit_of_one_item_does_not_park_the_account():
    ledger = Ledger()
    client = client_of(Scripted(answer(429)), budget=ledger, limit_scope=lambda response: "item")
    with pytest.raises(RateLimited) as raised:
        client.request("PUT", URL)
    assert raised.value.scope == "item"
    assert ledger.parked == []


def test_an_exhausted_budget_sends_nothing():
    transport = Scripted(answer())
    client = client_of(transport, budget=Ledger(refuse=RateLimited("wait", NOON)))
    with pytest.raises(RateLimited):
        client.request("GET", URL)
    assert transport.requests == []
    assert client.calls == 0


def test_the_budget_hears_costs_and_the_vendors_window():
    ledger = Ledger()
    headers = {"X-RateLimit-Remaining": "41", "X-RateLimit-Reset": str(int(NOON.timestamp()) + 10)}
    client_of(Scripted(answer(200, b"", headers)), budget=ledger).request("GET", URL, cost=3)
    assert ledger.taken == [3]
    assert ledger.noted == [(41.0, NOON + timedelta(seconds=10))]


@pytest.mark.parametrize(("status", "parks"), [(200, 1), (202, 0)])
def test_a_pause_asked_for_by_an_answer_that_succeeded_is_honoured(status, parks):
    ledger = Ledger()
    client_of(Scripted(answer(status, b"", {"Retry-After": "5"})), budget=ledger).request("GET", URL)
    assert len(ledger.parked) == parks


# --- broken connections -------------------------------------------------------------------------------


def test_a_refused_connection_has_changed_nothing(client_for):
    with serving(raw_answer()) as server:
        closed = server.url
    with pytest.raises(Transient, match="could not connect") as raised:
        client_for().request("POST", closed, json={})
    assert raised.value.maybe_done is False


@pytest.mark.parametrize("reply", [CUT, HANG, HALF], ids=["cut", "hang", "half"])
@pytest.mark.parametrize(("method", "maybe_done"), [("GET", False), ("POST", True), ("DELETE", True)])
def test_a_connection_lost_after_sending_leaves_only_writes_in_doubt(client_for, reply, method, maybe_done):
    with serving(reply) as server:
        with pytest.raises(Transient, match="no whole answer") as raised:
            client_for(read_timeout=0.1).request(method, server.url)
    assert raised.value.maybe_done is maybe_done
    assert len(server.seen) == 1


def test_a_dripping_answer_is_given_up(client_for):
    with serving(raw_answer()) as server:
        with pytest.raises(Transient, match="too long in all"):
            client_for(total_timeout=-1.0).request("GET", server.url)


def test_redirects_are_not_followed(client_for):
    with serving(raw_answer(302, headers={"Location": "/elsewhere"})) as server:
        with pytest.raises(Rejected, match="redirect"):
            client_for().request("GET", f"{server.url}/here")
    assert [seen.target for seen in server.seen] == ["/here"]


def test_an_answer_that_is_too_large_is_refused_while_reading(client_for):
    with serving(zipped_answer(b"0" * 3_000_000)) as server:
        with pytest.raises(BadPayload, match="more than 1 MiB"):
            client_for(max_response_bytes=1024 * 1024).request("GET", server.url)


def test_an_error_that_is_too_large_is_still_that_error(client_for):
    with serving(raw_answer(404, b"x" * 3000)) as server:
        with pytest.raises(NotFound):
            client_for(max_response_bytes=1000).request("GET", server.url)


def test_an_answer_that_can_not_be_unzipped_is_a_bad_payload(client_for):
    with serving(raw_answer(body=b"not zipped", headers={"Content-Encoding": "gzip"})) as server:
        with pytest.raises(BadPayload):
            client_for().request("GET", server.url)


@pytest.mark.parametrize("url", ["https://exa mple..com", "nonsense", "https://[::1", "ftp://vendor.test", "https://"])
def test_an_unusable_address_is_rejected(url):
    with pytest.raises(Rejected):
        client_of(GuardedTransport()).request("GET", url)


@pytest.mark.parametrize("token", [f"{CANARY}“", f"{CANARY}\r\nX-Evil: 1"])
def test_a_credential_http_can_not_carry_is_rejected_without_showing_it(client_for, token):
    with serving(raw_answer()) as server:
        with pytest.raises(Rejected) as raised:
            client_for().request("GET", server.url, headers={"Authorization": f"Bearer {token}"})
    assert "canary" not in raised.value.text
    assert server.seen == []


# --- what answers hold --------------------------------------------------------------------------------


class Thing(msgspec.Struct):
    id: int


def test_decode_takes_only_the_fields_named():
    assert Response(200, {}, b'{"id": 1, "more": [{}]}', "u").decode(Thing) == Thing(1)


@pytest.mark.parametrize("content", [b'{"id": "1"}', b"{}", b"<html>", b"", b"\xff", b"[" * 100_000])
def test_an_unexpected_shape_is_a_bad_payload(content):
    with pytest.raises(BadPayload, match=r"vendor\.test"):
        Response(200, {}, content, URL).decode(Thing)


@pytest.mark.parametrize("content", [b"<html>", b"", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_a_bad_payload(content):
    with pytest.raises(BadPayload, match=r"vendor\.test"):
        Response(200, {}, content, URL).json()


# --- the vendor's clock -------------------------------------------------------------------------------


def test_the_vendors_clock_is_learnt_from_its_answers():
    client = client_of(Scripted(answer(200, b"", {"Date": "Mon, 02 Nov 2026 12:03:00 GMT"})))
    assert client.vendor_now() == NOON
    client.request("GET", URL)
    assert client.clock_offset == timedelta(minutes=3)
    assert client.vendor_now() == NOON + timedelta(minutes=3)


@pytest.mark.parametrize("headers", [{"Date": "yesterday"}, {"Date": "Mon, 02 Nov 2026 11:00:00 GMT", "Age": "3600"}])
def test_a_date_that_is_not_now_teaches_nothing(headers):
    client = client_of(Scripted(answer(200, b"", headers)))
    client.request("GET", URL)
    assert client.clock_offset == timedelta(0)


# --- error texts --------------------------------------------------------------------------------------


def text_of(content: bytes, headers=None, **options) -> str:
    with pytest.raises(Rejected) as raised:
        client_of(Scripted(answer(400, content, headers)), **options).request("GET", URL)
    return raised.value.text


@pytest.mark.parametrize(
    ("content", "headers", "words"),
    [
        (b'{"message": "Bad name"}', None, "Bad name"),
        (b'{"error": "invalid_grant", "error_description": "Token expired"}', None, "Token expired"),
        (b'{"errors": ["a"]}', None, '{"errors": ["a"]}'),
        (b"Retry later\n", None, "Retry later"),
        (b"<html><title>502 Bad &amp; Gateway</title>", {"Content-Type": "text/html"}, "502 Bad & Gateway"),
        (b"<html>", {"Content-Type": "text/html"}, "an HTML page"),
        (b"", None, "no explanation"),
        (b"two\r\nlines \x1b[31m\x00 here", None, "two lines [31m here"),
    ],
)
def test_the_vendors_words_are_in_the_text_on_one_line(content, headers, words):
    assert text_of(content, headers) == f"GET vendor.test/things answered 400: {words}"


def test_a_connector_can_say_how_its_vendor_words_errors():
    words = text_of(b'{"errorMessages": ["No project"]}', errors_text=lambda r: r.json()["errorMessages"][0])
    assert words.endswith(": No project")


def test_long_words_are_cut():
    assert len(text_of(b"x" * 10_000)) < 400


def test_no_secret_shows_in_any_text():
    content = f"bad: {CANARY} {CANARY.replace('/', '%2F').replace('+', '%2B')}".encode()
    assert "canary" not in text_of(content, secrets=[CANARY, ""])
    cut_inside = b"x" * 295 + CANARY.encode()
    assert "canar" not in text_of(cut_inside, secrets=[CANARY])


def test_the_longer_of_two_secrets_is_hidden_whole():
    assert client_of(Scripted(), secrets=["abc", "abcdef"]).redact("abcdef abc") == "*** ***"


def test_what_a_connector_hides_later_shows_no_more_than_its_secrets():
    client = client_of(Scripted(), secrets=["abc"])
    client.hide("/paths/one", "two")
    assert client.redact("abc at host/paths/one?sig=two") == "*** at host***?sig=***"


def test_the_credential_of_the_request_is_hidden_even_when_it_is_no_configured_secret():
    client = client_of(Scripted(answer(400, b"you sent Bearer fresh-token")))
    with pytest.raises(Rejected) as raised:
        client.request("GET", URL, headers={"Authorization": "Bearer fresh-token"})
    assert "fresh-token" not in raised.value.text


def test_an_error_does_not_show_the_request_behind_it(client_for):
    with serving(CUT) as server:
        with pytest.raises(Transient) as raised:
            client_for().request("GET", server.url, headers={"Authorization": CANARY})
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_logs_name_the_call_and_no_secret(caplog):
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as lines:
        client = client_of(Scripted(answer(200, {"secret": CANARY})), secrets=[CANARY])
        client.request("POST", f"https://vendor.test/{CANARY}?{CANARY}", json={"a": CANARY})
    assert lines[0]["host"] == "vendor.test"
    assert lines[0]["status"] == 200
    assert "canary" not in str(lines) + caplog.text


# --- libraries built on requests ----------------------------------------------------------------------

FAULTS = [
    pytest.param(CUT, Transient, id="cut"),
    pytest.param(HANG, Transient, id="hang"),
    pytest.param(raw_answer(429, b"{}", {"Retry-After": "30"}), RateLimited, id="429 with a time"),
    pytest.param(raw_answer(429, b"{}"), RateLimited, id="429"),
]


def jira_over(client: HttpClient, url: str) -> JIRA:
    library = JIRA(
        options={"server": url, "rest_api_version": "3"},
        basic_auth=("ann@x.test", CANARY),
        max_retries=0,
        timeout=(5, 30),
        get_server_info=False,
    )
    library.deploymentType = "Cloud"
    library._session.mount("http://", client.requests_adapter())
    return library


@pytest.fixture
def github_over():
    """Builds a PyGithub whose connections go through a client."""

    def build(client: HttpClient, url: str) -> Github:
        class Connection(HTTPRequestsConnectionClass):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.session.mount("http://", client.requests_adapter())

        Requester.injectConnectionClasses(Connection, Connection)  # type: ignore[arg-type]
        return Github(auth=Auth.Token(CANARY), base_url=url, retry=None, seconds_between_requests=None)

    yield build
    Requester.resetConnectionClasses()


@pytest.mark.parametrize(("reply", "error"), FAULTS)
def test_jiras_library_lets_our_errors_pass_after_one_request(client_for, reply, error):
    with serving(reply) as server:
        client = client_for(read_timeout=0.1, secrets=[CANARY])
        library = jira_over(client, server.url)
        with pytest.raises(error) as raised:
            library.create_issue(
                fields={"project": {"id": "1"}, "summary": "s", "issuetype": {"id": "2"}}, prefetch=False
            )
    assert type(raised.value) is error
    assert getattr(raised.value, "maybe_done", True)
    assert [seen.method for seen in server.seen] == ["POST"]
    assert client.calls == 1


@pytest.mark.parametrize(("reply", "error"), FAULTS)
def test_pygithub_lets_our_errors_pass_after_one_request(client_for, github_over, reply, error):
    with serving(reply) as server:
        client = client_for(read_timeout=0.1)
        library = github_over(client, server.url)
        with pytest.raises(error) as raised:
            library.requester.requestJsonAndCheck("POST", "/repos/o/r/issues", input={"title": "t"})
    assert type(raised.value) is error
    assert getattr(raised.value, "maybe_done", True)
    assert len(server.seen) == client.calls == 1


def test_jiras_library_sends_and_reads_through_the_client(client_for):
    with serving(raw_answer(body=b'{"accountId": "1", "displayName": "Ann"}')) as server:
        client = client_for()
        assert jira_over(client, server.url).myself()["accountId"] == "1"
    assert server.seen[0].headers["authorization"].startswith("Basic ")
    assert server.seen[0].target == "/rest/api/3/myself"
    assert client.calls == 1


def test_jiras_library_turns_other_refusals_into_its_own_error(client_for):
    with serving(raw_answer(400, b'{"errorMessages": ["No such field"]}')) as server:
        with pytest.raises(JIRAError) as raised:
            jira_over(client_for(), server.url).issue("A-1")
    assert (raised.value.status_code, raised.value.text) == (400, "No such field")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, JIRAError), (401, AuthFailed), (404, NotFound), (409, Conflict), (422, Rejected), (503, Transient)],
)
def test_a_library_sees_only_the_refusals_it_is_allowed_and_ours_are_raised_for_others(client_for, status, error):
    with serving(raw_answer(status, b'{"errorMessages": ["No"]}')) as server:
        client = client_for(secrets=[CANARY])
        library = jira_over(client, server.url)
        library._session.mount("http://", client.requests_adapter(allow=(400,)))
        with pytest.raises(error) as raised:
            library.issue("A-1")
    assert type(raised.value) is error
    assert CANARY not in str(raised.value)
    assert len(server.seen) == 1


def test_a_librarys_session_is_lent_the_client_and_our_header_and_nothing_of_the_machine(client_for):
    with serving(raw_answer()) as server:
        client, session = client_for(), requests.Session()
        lend(client, session, "Bearer t", allow=(400,))
        assert session.get(f"{server.url}/x").status_code == 200
        assert session.trust_env is False
    assert server.seen[0].headers["authorization"] == "Bearer t"
    assert client.calls == 1


def test_pygithub_sends_and_reads_through_the_client(client_for, github_over):
    with serving(zipped_answer(b'{"login": "ann", "id": 4}')) as server:
        client = client_for()
        _, data = github_over(client, server.url).requester.requestJsonAndCheck("GET", "/user")
    assert data["login"] == "ann"
    assert client.calls == 1


def test_a_session_does_not_follow_redirects_past_the_client(client_for):
    with serving(raw_answer(302, headers={"Location": "/elsewhere"})) as server, requests.Session() as session:
        session.mount("http://", client_for().requests_adapter())
        got = session.post(server.url, data={"a": "1"})
    assert (got.status_code, got.headers["location"]) == (302, "/elsewhere")
    assert [seen.body for seen in server.seen] == [b"a=1"]


def test_a_session_can_send_text_files_and_pieces(client_for):
    with serving(raw_answer()) as server, requests.Session() as session:
        session.mount("http://", client_for().requests_adapter())
        session.post(server.url, data="tëxt")
        with open(__file__, "rb") as file:
            session.post(server.url, data=file)
        session.post(server.url, data=iter([b"a", b"b"]))
    with open(__file__, "rb") as file:
        assert [seen.body for seen in server.seen] == ["tëxt".encode(), file.read(), b"ab"]


def test_the_exported_names_exist():
    assert all(hasattr(http, name) for name in http.__all__)
