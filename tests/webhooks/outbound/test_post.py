"""One call: what it sends, what it makes of the answer, and how much of that it keeps."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from connectors.contract import Rejected
from connectors.http import Transport, WireResponse, default_transport
from tests.connectors.server import CUT, NOON, LocalServer, Scripted, Seen, raw_answer, serving
from webhooks.outbound import post as posting
from webhooks.outbound.post import KEPT, MOST_READ, Result, post
from webhooks.outbound.schedule import Outcome

PUBLIC, PRIVATE = "93.184.216.34", "10.0.0.5"


class Stream:
    """The connection an answer came over."""

    def __init__(self, peer: str) -> None:
        self.peer = peer

    def get_extra_info(self, name: str) -> Any:
        return (self.peer, 443) if name == "server_addr" else None


class Gone(Stream):
    """One that was reset meanwhile."""

    def get_extra_info(self, name: str) -> Any:
        raise OSError("not connected")


def answered(body: bytes = b"", status: int = 500, peer: str = PUBLIC, **headers: str) -> WireResponse:
    return WireResponse(status, headers=headers, content=body, extensions={"network_stream": Stream(peer)})


def sent(transport: Transport, url: str = "https://example.com/hook", **more: Any) -> Result:
    return post(transport, url, b'{"a":1}', {"webhook-id": "m"}, now=NOON, **more)


def test_the_beginning_of_a_public_answer_is_kept_readable_and_without_secrets() -> None:
    body = b"bad \x00signature\x1b[31m: whsec_abc\n" + b"x" * 5000
    result = sent(Scripted(answered(body)), secrets=["whsec_abc"])
    assert result.answer is not None
    assert result.answer.startswith("bad signature[31m: ***\nxxx")
    assert len(result.answer.encode()) <= KEPT


def test_no_part_of_a_secret_is_left_at_the_cut() -> None:
    secret = "s" * 60
    body = b"x" * (KEPT - 30) + secret.encode()
    answer = sent(Scripted(answered(body)), secrets=[secret]).answer
    assert answer is not None
    assert "ss" not in answer


def test_what_a_private_address_answers_is_not_kept() -> None:
    result = sent(Scripted(answered(b"internal", peer=PRIVATE)))
    assert (result.status, result.answer) == (500, None)


def test_without_a_known_peer_nothing_is_kept() -> None:
    assert sent(Scripted(WireResponse(500, content=b"who am I"))).answer is None


def test_a_peer_that_is_gone_is_not_known() -> None:
    answer = answered(b"who am I")
    answer.extensions["network_stream"] = Gone(PUBLIC)
    assert sent(Scripted(answer)).answer is None


def test_an_answer_is_asked_for_unpacked_and_never_unpacked() -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    script = Scripted(answered(bomb, **{"content-encoding": "gzip"}))
    result = sent(script)
    assert script.requests[0].headers["accept-encoding"] == "identity"
    assert result.answer is not None
    assert "000" not in result.answer


def test_an_address_that_is_refused_is_told_in_the_guards_words() -> None:
    result = sent(Scripted(Rejected("intranet is not a public address as seen from here")))
    assert (result.outcome, result.status) == (Outcome.FORBIDDEN_ADDRESS, None)
    assert "not a public address" in result.text


def test_a_wish_to_wait_is_read_from_busy_answers_only() -> None:
    busy = sent(Scripted(answered(status=503, **{"retry-after": "60"})))
    assert busy.wish is not None
    assert (busy.wish - NOON).total_seconds() == 60
    assert sent(Scripted(answered(status=500, **{"retry-after": "60"}))).wish is None


def over_http(reply: Callable[[Seen], bytes] | bytes) -> tuple[Result, LocalServer]:
    transport = default_transport(["127.0.0.1"])
    with serving(reply) as server:
        result = sent(transport, f"{server.url}/hook")
    transport.close()
    return result, server


def test_a_success_whose_body_breaks_off_is_a_success() -> None:
    result, _ = over_http(raw_answer(200, b"short", headers={"Content-Length": "5000"}))
    assert (result.outcome, result.status) == (Outcome.DELIVERED, 200)


class Endless(httpx.SyncByteStream):
    """An answer without end, 64 KiB at a time."""

    def __init__(self) -> None:
        self.taken, self.closed = 0, False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.taken += 1
            yield b"x" * 65_536

    def close(self) -> None:
        self.closed = True


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    endless = Endless()
    assert sent(Scripted(WireResponse(200, stream=endless))).outcome is Outcome.DELIVERED
    assert (endless.taken, endless.closed) == (MOST_READ // 65_536 + 1, True)


def test_an_answer_that_takes_too_long_in_all_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "TIMEOUT", -1.0)
    endless = Endless()
    assert sent(Scripted(WireResponse(200, stream=endless))).outcome is Outcome.DELIVERED
    assert (endless.taken, endless.closed) == (1, True)


def test_a_cut_connection_is_unreachable() -> None:
    result, _ = over_http(CUT)
    assert (result.outcome, result.status) == (Outcome.UNREACHABLE, None)


def test_a_slow_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(posting.TIMEOUTS, "read", 0.2)

    def reply(_seen: Seen) -> bytes:
        time.sleep(0.5)
        return raw_answer(200)

    result, server = over_http(reply)
    assert (result.outcome, result.status) == (Outcome.TIMEOUT, None)
    assert 150 <= result.latency_ms < 500
    assert len(server.seen) == 1
