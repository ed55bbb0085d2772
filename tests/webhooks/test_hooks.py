"""What is remembered of a hook: little, for seconds, and never against the operator's last word."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, update
from structlog.testing import capture_logs

from core.models import Integration, Subscription
from tests.webhooks.bell import FACTS, HOOK, NOW, VAULT, Door, disconnect, set_secrets, signed
from webhooks import hooks
from webhooks.hooks import TTL, HooksUnavailable
from webhooks.inbox import Arrival


class Queries:
    """Counts the look-ups."""

    def __init__(self, door: Door) -> None:
        self.count = 0
        event.listen(door.db.engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.count += "FROM integration" in statement


@pytest.fixture
def queries(door: Door) -> Queries:
    return Queries(door)


def status(door: Door, secret: str) -> int:
    return door.post(headers=signed(secret=secret)).status


def test_a_busy_hook_is_looked_up_once_in_a_while(door: Door, queries: Queries) -> None:
    assert set(door.post_all([{"headers": signed(), "body": b"{}"}] * 100)) == {202}
    assert door.post().status == 202
    assert queries.count == 1
    door.seconds += TTL
    assert set(door.post_all([{"headers": signed(), "body": b"{}"}] * 100)) == {202}
    assert queries.count == 2


def test_during_a_rotation_both_secrets_verify_and_afterwards_the_new_one(door: Door) -> None:
    assert [status(door, "bell-secret"), status(door, "new")] == [202, 401]
    set_secrets(door.db, "INT-1", "new", "bell-secret")
    door.seconds += TTL
    assert [status(door, "bell-secret"), status(door, "new")] == [202, 202]
    set_secrets(door.db, "INT-1", "new")
    door.seconds += TTL
    assert [status(door, "bell-secret"), status(door, "new")] == [401, 202]


def test_a_disconnect_takes_effect_within_the_time_to_live(door: Door) -> None:
    assert door.post().status == 202
    disconnect(door.db)
    door.seconds += TTL
    assert door.post().status == 404


def test_an_unknown_hook_is_asked_for_once_and_found_when_it_appears(door: Door, queries: Queries) -> None:
    disconnect(door.db)
    assert [door.post().status for _ in range(5)] == [404] * 5
    assert queries.count == 1
    with door.db.write() as session:
        session.execute(update(Integration).values(status="active"))
    door.seconds += TTL
    assert door.post().status == 202


def test_trying_ids_neither_fills_the_memory_nor_pushes_known_hooks_out(
    door: Door, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.post()
    monkeypatch.setattr(door.hooks._unknown, "_most", 10)
    tried = [f"/webhooks/bell/{number:032d}" for number in range(50)]
    assert {door.post(path=path).status for path in tried} == {404}
    assert len(door.hooks._unknown._answers) == 10
    before = queries.count
    assert door.post().status == 202
    assert queries.count == before


def test_known_hooks_have_a_limit_too_and_the_least_used_goes() -> None:
    memory = hooks._Memory(2)
    for key in ("a", "b"):
        memory.put(key, None, until=10)
    memory.get("a", now=1)
    memory.put("c", None, until=10)
    assert [memory.get(key, now=1) is not None for key in "abc"] == [True, False, True]
    assert memory.get("a", now=10) is None, "its time is over"


def test_too_many_look_ups_at_once_say_come_back(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "MAX_LOADING", 5)
    paths = [f"/webhooks/bell/{number:032d}" for number in range(20)]
    statuses = door.post_all([{"path": path, "headers": signed(), "body": b"{}"} for path in paths])
    assert sorted(statuses) == [404] * 5 + [503] * 15


def test_one_request_given_up_does_not_fail_those_who_wait_for_the_same_look_up(door: Door) -> None:
    async def two() -> Any:
        first = asyncio.ensure_future(door.hooks.find("bell", FACTS, HOOK))
        second = asyncio.ensure_future(door.hooks.find("bell", FACTS, HOOK))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert door.runner.run(two()).integration_id == "INT-1"


ANOTHERS = VAULT.seal({"secrets": ["bell-secret"]}, "integration:INT-2:subscription")


@pytest.mark.parametrize("sealed", ["v1:lost-key:AAAA", ANOTHERS], ids=["lost key", "another's"])
def test_secrets_that_do_not_open_are_the_operators_matter_and_the_vendor_comes_back(door: Door, sealed: str) -> None:
    with door.db.write() as session:
        session.execute(update(Subscription).values(sealed=sealed))
    with capture_logs() as logs:
        assert door.post().status == 503
    assert [line["event"] for line in logs] == ["webhook_secrets_locked"]


def test_without_a_subscription_nothing_verifies(door: Door) -> None:
    with door.db.write() as session:
        session.delete(session.get_one(Subscription, "INT-1"))
    assert [status(door, "bell-secret"), status(door, "")] == [401, 401]


def test_a_database_that_does_not_answer_is_not_an_unknown_hook(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise HooksUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(door.hooks, "_load", away)
        assert door.post().status == 503
    assert door.post().status == 202


def test_secrets_and_bodies_do_not_show_where_asyncio_or_a_log_shows_objects(door: Door) -> None:
    hook = door.runner.run(door.hooks.find("bell", FACTS, HOOK))
    assert hook is not None
    assert hook.secrets == {"signing": ("bell-secret",)}
    assert "bell-secret" not in repr(hook)
    assert "canary" not in repr(Arrival("INT-1", "INT-1:1", "rung", {"x": "canary"}, b"canary", NOW))
