"""Keys: fresh ones, and rotation while everything goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from core.clock import utc_now
from core.db import Database
from core.models import Credential, Integration, OAuthAttempt, Subscription, WebhookEndpoint
from core.vault import Vault, new_key
from tests.cli.conftest import Place, Turnbuckle
from webhooks.outbound.endpoints import PLACE, secrets_of
from webhooks.outbound.payload import Secrets

MANY = 250
"""More than two batches."""


def vault(*ring: str) -> Vault:
    return Vault.parse(",".join(ring))


@pytest.fixture
def old() -> str:
    return new_key("old")


@pytest.fixture
def new() -> str:
    return new_key("new")


@pytest.fixture
def home(home: Path, migrated_url: str, old: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On SQLite and again on PostgreSQL, with the old key."""
    monkeypatch.setenv("TURNBUCKLE_DATABASE_URL", migrated_url)
    monkeypatch.setenv("TURNBUCKLE_SECRETS_KEYS", old)
    return home


@pytest.fixture
def sealed(turnbuckle: Turnbuckle, place: Place, migrated_url: str, old: str) -> Iterator[Database]:
    """Many integrations whose secrets are sealed with the old key."""
    database = Database(migrated_url)
    ring, now = vault(old), utc_now()
    with database.write() as session:
        for number in range(MANY):
            id_ = f"INT-26-{number:06d}"
            session.add(_integration(id_, place))
            session.flush()
            secrets = ring.seal({"token": f"secret {number}"}, f"integration:{id_}:credentials")
            session.add(Credential(integration_id=id_, mode="basic", sealed=secrets, version=1, updated_at=now))
        webhook = ring.seal({"secrets": ["s"]}, "integration:INT-26-000000:subscription")
        session.add(
            Subscription(
                integration_id="INT-26-000000", state="active", external_ids=[], sealed=webhook, updated_at=now
            )
        )
        verifier = ring.seal({"verifier": "v"}, "oauth_attempt:digest")
        attempt: dict[str, Any] = {"state_digest": "digest", "integration_id": "INT-26-000000", "actor": place.ann_id}
        attempt |= {"redirect_uri": "http://here", "sealed": verifier, "created_at": now, "expires_at": now}
        session.execute(insert(OAuthAttempt).values(attempt))
        session.add(_endpoint(ring, place))
    yield database
    database.close()


def _endpoint(ring: Vault, place: Place) -> WebhookEndpoint:
    now, id_ = utc_now(), "WHK-26-000001"
    return WebhookEndpoint(
        id=id_,
        organization_id="ORG-26-000001",
        workspace_id=place.workspace_id,
        url="https://example.com/",
        description="",
        events=["*"],
        enabled=True,
        sealed=ring.seal(Secrets((("whsec_c2VjcmV0", None),)).stored(), PLACE.format(id_)),
        listening_since=now,
        created_by=place.ann_id,
        created_at=now,
        updated_at=now,
    )


def _integration(id_: str, place: Place) -> Integration:
    now = utc_now()
    return Integration(
        id=id_,
        organization_id="ORG-26-000001",
        workspace_id=place.workspace_id,
        type="jira",
        name=id_,
        status="active",
        config={},
        capabilities=[],
        routes=[],
        hook_id=id_,
        created_by=place.ann_id,
        created_at=now,
        updated_at=now,
    )


def test_a_new_key_is_an_entry_of_the_ring(turnbuckle: Turnbuckle) -> None:
    ring = turnbuckle("keys", "new", "spring").stdout.strip()
    assert Vault.parse(ring).current == "spring"
    assert turnbuckle("keys", "new").stdout != turnbuckle("keys", "new").stdout
    assert "comma" in turnbuckle.error("keys", "new", "a,b")


def test_after_a_rotation_the_old_key_can_go(
    turnbuckle: Turnbuckle, sealed: Database, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNBUCKLE_SECRETS_KEYS", f"{new},{old}")
    done = turnbuckle.json("keys", "rotate")
    assert done == {
        "key": "new",
        "sealed_anew": {
            "credentials": MANY,
            "webhook secrets": 1,
            "outbound webhook secrets": 1,
            "OAuth consents": 1,
        },
    }
    ring = vault(new)
    with sealed.read() as session:
        for row in session.scalars(select(Credential)):
            secret = ring.open(row.sealed, f"integration:{row.integration_id}:credentials")["token"]
            assert secret == f"secret {int(row.integration_id[-6:])}"
            assert row.version == 1
        webhook = session.scalars(select(Subscription)).one()
        assert ring.open(webhook.sealed, "integration:INT-26-000000:subscription") == {"secrets": ["s"]}
        attempt = session.scalars(select(OAuthAttempt)).one()
        assert ring.open(attempt.sealed, "oauth_attempt:digest") == {"verifier": "v"}
        endpoint = session.scalars(select(WebhookEndpoint)).one()
        assert secrets_of(ring, endpoint).newest == "whsec_c2VjcmV0"


def test_a_second_rotation_has_nothing_to_do(
    turnbuckle: Turnbuckle, sealed: Database, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNBUCKLE_SECRETS_KEYS", f"{new},{old}")
    turnbuckle("keys", "rotate")
    with sealed.read() as session:
        before = session.scalars(select(Credential.sealed)).all()
    assert set(turnbuckle.json("keys", "rotate")["sealed_anew"].values()) == {0}
    with sealed.read() as session:
        assert session.scalars(select(Credential.sealed)).all() == before


def test_a_value_that_does_not_open_is_told_and_does_not_stop_the_others(
    turnbuckle: Turnbuckle, sealed: Database, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = vault(new_key("lost")).seal({"token": "gone"}, "integration:INT-26-000007:credentials")
    with sealed.write() as session:
        session.get_one(Credential, "INT-26-000007").sealed = lost
    monkeypatch.setenv("TURNBUCKLE_SECRETS_KEYS", f"{new},{old}")
    result = turnbuckle.run("keys", "rotate")
    assert result.exit_code == 1
    assert "integration:INT-26-000007:credentials" in result.stderr
    assert "'lost'" in result.stderr
    with sealed.read() as session:
        anew = session.scalar(select(func.count()).where(Credential.sealed.startswith("v1:new:")))
        assert anew == MANY - 1
        assert session.get_one(Credential, "INT-26-000007").sealed == lost
