"""Integrations that only say things are asked whether they still work, before there is something to say."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.contract import Account
from core.models import Credential, Integration, SyncRun
from sync.credentials import load
from sync.runtime import Lane
from sync.work import work
from tests.sync.conftest import ManualClock
from tests.sync.notifications.conftest import Office
from tests.sync.notifications.megaphone import Megaphone


def pull(office: Office) -> SyncRun:
    """The pull lane, and the newest run."""
    work(office.rt, Lane.PULL, office.id)
    with office.rt.db.read() as session:
        found = session.query(SyncRun).order_by(SyncRun.id.desc()).first()
        assert found is not None
        return found


def test_a_token_that_was_revoked_is_noticed_within_the_hour_though_nothing_is_said(
    any_office: Office, megaphone: Megaphone, clock: ManualClock
) -> None:
    assert pull(any_office).status == "success"
    megaphone.dead_tokens = {"megaphone-token-canary"}
    clock.advance(minutes=61)
    assert pull(any_office).status == "failed"
    row = any_office.integration()
    assert (row.status, row.sync_status, row.status_code) == ("error", "failed", "reauth_required")
    megaphone.dead_tokens = set()
    clock.advance(minutes=61)
    assert pull(any_office).status == "success"
    row = any_office.integration()
    assert (row.status, row.sync_status) == ("active", "healthy")


@pytest.mark.parametrize("learned", [{}, {"token": "megaphone-token-canary"}, {"token": "renewed"}], ids=str)
def test_what_the_vendor_says_anew_is_kept_and_nothing_else_is_written(
    learned: dict[str, Any], office: Office, megaphone: Megaphone, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = office.rt.registry.get("megaphone")
    monkeypatch.setattr(connector, "check", lambda _self: Account("megaphone-1", "Apex", learned=learned))
    pull(office)
    with office.rt.db.read() as session:
        opened = load(office.rt, session, session.get_one(Integration, office.id))
        row = session.get_one(Credential, office.id)
    assert opened.values["token"] == learned.get("token", "megaphone-token-canary")
    assert row.version == (2 if learned.get("token") == "renewed" else 1)
