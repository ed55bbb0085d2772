"""What the fake Slack refuses of a message, as Slack's own models do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.clock import ManualClock
from sandbox.inprocess import InProcessTransport
from sandbox.slack import SlackSandbox
from sandbox.vendor import API_TOKEN

Json = dict[str, Any]


@pytest.fixture
def sandbox() -> SlackSandbox:
    return SlackSandbox(clock=ManualClock())


@pytest.fixture
def slack(sandbox: SlackSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    with httpx.Client(transport=InProcessTransport(sandbox.app), base_url=sandbox.url, headers=headers) as client:
        yield client


def text(size: int, kind: str = "plain_text") -> Json:
    return {"type": kind, "text": "x" * size}


def said(slack: httpx.Client, *blocks: Json, method: str = "chat.postMessage", **more: Any) -> Json:
    body = {"channel": "C08DELIVERY", "text": "hello", "blocks": list(blocks), **more}
    answer: Json = slack.post(f"/api/{method}", json=body).json()
    return answer


def button(**changed: Any) -> Json:
    usual = {"type": "button", "action_id": "a", "text": text(75), "value": "x" * 2000}
    return {"type": "actions", "elements": [usual | changed]}


@pytest.mark.parametrize(
    ("fits", "does_not"),
    [
        ({"type": "header", "text": text(150)}, {"type": "header", "text": text(151)}),
        ({"type": "header", "text": text(1)}, {"type": "header", "text": text(1, "mrkdwn")}),
        ({"type": "section", "text": text(3000)}, {"type": "section", "text": text(3001)}),
        ({"type": "section", "text": text(1)}, {"type": "section", "text": text(0)}),
        ({"type": "section", "fields": [text(2000)] * 10}, {"type": "section", "fields": [text(1)] * 11}),
        ({"type": "section", "fields": [text(1)]}, {"type": "section", "fields": [text(2001)]}),
        ({"type": "context", "elements": [text(1)] * 10}, {"type": "context", "elements": [text(1)] * 11}),
        (button(), button(text=text(76))),
        (button(), button(value="x" * 2001)),
        (button(url="https://a.example/"), button(url="https://a.example/" + "x" * 3000)),
    ],
)
def test_a_block_that_is_too_long_is_refused(slack: httpx.Client, fits: Json, does_not: Json) -> None:
    assert said(slack, fits)["ok"]
    assert said(slack, does_not) == {"ok": False, "error": "invalid_blocks"}


def test_a_message_has_fifty_blocks_at_most(slack: httpx.Client) -> None:
    block = {"type": "section", "text": text(1)}
    assert said(slack, *[block] * 50)["ok"]
    assert said(slack, *[block] * 51)["error"] == "invalid_blocks"


def test_the_text_of_a_change_is_short(slack: httpx.Client) -> None:
    ts = said(slack)["ts"]
    assert said(slack, method="chat.update", ts=ts, text="x" * 4000)["ok"]
    assert said(slack, method="chat.update", ts=ts, text="x" * 4001)["error"] == "msg_too_long"


@pytest.mark.parametrize(
    ("status", "answered", "word"),
    [
        (400, 200, "invalid_arguments"),
        (401, 200, "invalid_auth"),
        (403, 200, "missing_scope"),
        (429, 429, "ratelimited"),
        (503, 503, "internal_error"),
    ],
)
def test_what_is_wrong_is_said_in_slacks_words(
    slack: httpx.Client, sandbox: SlackSandbox, status: int, answered: int, word: str
) -> None:
    sandbox.faults.add("error", status=status)
    answer = slack.post("/api/auth.test", json={})
    assert (answer.status_code, answer.json()) == (answered, {"ok": False, "error": word})
