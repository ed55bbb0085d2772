"""What service hooks about code mean. Whether one is believed is tested with Azure Boards', which are the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import connectors.azure_devops
from connectors.azure_devops.config import AzureDevOpsConfig
from connectors.azure_devops.webhook import parse
from connectors.contract import BadPayload, CodeHint, CodeRef, Ignored, RawDelivery, RefKind, Signal

FIXTURES = Path(connectors.azure_devops.__file__).parent / "fixtures"
REPO = "0c0de000-0000-4000-8000-000000000001"
PROJECT = "0a0b0c0d-0000-4000-8000-000000000398"


def delivery(body: Any) -> RawDelivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawDelivery({}, raw, datetime(2026, 4, 15, tzinfo=UTC))


def parse_(given: RawDelivery, **config: Any) -> Sequence[Signal]:
    return parse(given, AzureDevOpsConfig(organization="acme", projects=["Apex"], **config))


def recorded(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text("utf-8"))["body"]
    return body


@pytest.mark.parametrize(
    ("name", "ref"),
    [
        ("pushed", CodeRef(REPO, RefKind.PUSH, "15")),
        ("pull_request_created", CodeRef(REPO, RefKind.CHANGE, "1")),
        ("pull_request_voted_on", CodeRef(REPO, RefKind.CHANGE, "1")),
        ("pull_request_commented", CodeRef(REPO, RefKind.CHANGE, "1")),
        ("merge_attempted", CodeRef(REPO, RefKind.CHANGE, "1")),
        ("build_complete", CodeRef("", RefKind.RUN, f"{PROJECT}/17")),
        ("run_state_changed", CodeRef("", RefKind.RUN, f"{PROJECT}/17")),
    ],
)
def test_each_event_says_what_to_read_again(name: str, ref: CodeRef):
    assert parse_(delivery(recorded(name))) == [CodeHint(ref)]


def test_events_of_boards_are_ignored():
    assert parse_(delivery(recorded("work_item_updated"))) == [Ignored("unsupported", "workitem.updated")]


@pytest.mark.parametrize("name", ["pushed", "pull_request_created", "pull_request_commented", "build_complete"])
def test_an_event_without_what_it_is_about_is_refused(name: str):
    with pytest.raises(BadPayload):
        parse_(delivery({**recorded(name), "resource": {}}))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 5000, b'{"eventType": 7}'])
def test_what_is_no_service_hook_is_refused(body: bytes):
    with pytest.raises(BadPayload):
        parse_(delivery(body))


@pytest.mark.parametrize(
    ("name", "followed", "other"),
    [
        ("pushed", "push", "pull_request"),
        ("pull_request_created", "pull_request", "push"),
        ("run_state_changed", "pipeline", "deployment"),
        ("build_complete", "deployment", "push"),
    ],
)
def test_what_is_not_followed_is_ignored(name: str, followed: str, other: str):
    assert [type(one) for one in parse_(delivery(recorded(name)), events=[followed])] == [CodeHint]
    [ignored] = parse_(delivery(recorded(name)), events=[other])
    assert isinstance(ignored, Ignored)
    assert ignored.code == "not_followed"
