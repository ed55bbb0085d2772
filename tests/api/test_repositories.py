"""Source control through the API: repositories, backfills with their progress, deliveries and events of code."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from connectors.contract import CodeHeard, Forbidden, RateLimited
from core.models import Delivery, Event
from sync.runtime import Runtime
from tests.api.conftest import Tenant, client, error_of, token
from tests.sync.conftest import ManualClock
from tests.sync.forge import Following, Forge


@pytest.fixture
def forge(rt: Runtime, clock: ManualClock) -> Forge:
    made = Forge(clock)
    rt.registry.register(made.connector())
    return made


@pytest.fixture
def following(rt: Runtime, forge: Forge, tenant: Tenant) -> Following:
    return Following(rt, forge, tenant)


def data(api: TestClient, path: str, **params: Any) -> Any:
    response = api.get(path, params=params)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def test_repositories_are_listed_with_how_far_they_are_and_why(
    api: TestClient, forge: Forge, following: Following, clock: ManualClock
) -> None:
    for name in ("a", "b", "c"):
        forge.repo(name, events=2)
    forge.broken["b"] = Forbidden("Not allowed.")
    following.follow()
    path = f"/v1/integrations/{following.id}/repositories"
    first, second, third = data(api, path)
    assert (first["name"], first["state"], first["done"], first["total"]) == ("apex/a", "live", 2, 2)
    assert first["last_polled_at"] == "2026-04-15T10:00:00Z"
    assert (second["state"], second["reason"]) == ("failed", {"code": "forbidden", "text": "Not allowed."})
    assert second["next_attempt_at"] == "2026-04-15T10:00:05Z"
    assert third["id"].startswith("RPO-26-")
    page = api.get(path, params={"limit": 2}).json()
    assert [each["name"] for each in page["data"]] == ["apex/a", "apex/b"]
    assert [each["name"] for each in data(api, path, limit=2, cursor=page["meta"]["cursor"])] == ["apex/c"]


def test_a_backfill_shows_how_far_it_is_what_it_waits_for_and_when_it_will_be_done(
    api: TestClient, forge: Forge, following: Following, clock: ManualClock
) -> None:
    forge.repo("a", events=40)
    following.poll()
    clock.advance(minutes=1)
    forge.fails("page", None, RateLimited("5000 an hour", clock() + timedelta(hours=1)))
    following.backfill()
    run = data(api, f"/v1/integrations/{following.id}/syncs")[0]
    assert (run["kind"], run["status"], run["done"], run["total"]) == ("backfill", "running", 10, 40)
    assert run["eta"] == "2026-04-15T10:04:00Z", "a quarter took a minute"
    assert run["error"] == {"code": "rate_limited", "text": "5000 an hour"}
    assert run["repository_id"] == following.repository("a").id
    assert run["records_synced"] == 10


def test_the_history_of_syncs_counts_new_events_as_the_platform_shows_it(
    api: TestClient, forge: Forge, following: Following
) -> None:
    forge.repo("a", events=14)
    following.follow()
    history = data(api, f"/v1/integrations/{following.id}")["sync_history"]
    assert history[0] == {"at": "2026-04-15T10:00:00Z", "status": "success", "records_synced": 14}


def test_a_delivery_and_an_event_tell_of_code(
    api: TestClient, forge: Forge, following: Following, clock: ManualClock
) -> None:
    forge.repo("a", events=1)
    following.follow()
    clock.advance(minutes=1)
    following.hear(CodeHeard(forge.opens("a", 2)))
    [delivery] = following.rows(Delivery)
    told = data(api, f"/v1/integrations/{following.id}/deliveries/{delivery.id}")
    assert (told["state"], told["events"]) == ("done", {"new": 1, "known": 0})
    repository_id = following.repository("a").id
    new, old = data(api, "/v1/events", type="code.*", subject_id=repository_id)
    assert (new["occurred_at"], new["backfilled"], old["backfilled"]) == ("2026-04-15T10:01:00Z", False, True)
    assert following.rows(Event, Event.subject_id == repository_id)


def test_a_dry_run_says_that_there_are_no_items_and_a_replay_of_code_plans_none(
    api: TestClient, forge: Forge, following: Following
) -> None:
    forge.repo("a", events=1)
    following.follow()
    answer = api.post(f"/v1/integrations/{following.id}/sync", params={"dry_run": True})
    assert answer.status_code == 409
    assert "only reads code" in error_of(answer)["message"]
    following.hear(CodeHeard(forge.repos["a"].events[0]))
    path = f"/v1/integrations/{following.id}/deliveries/replay"
    planned = api.post(path, params={"dry_run": True}, json={"from": "2026-04-01"})
    assert planned.status_code == 200, planned.text
    assert (planned.json()["data"]["deliveries"][0]["state"], planned.json()["data"]["items"]) == ("done", [])


def test_a_strangers_repositories_are_not_found(rt: Runtime, app: Any, following: Following, stranger: Tenant) -> None:
    theirs = client(app, token(rt, organization_id=stranger.organization_id, user_id=stranger.ann_id, name="x"))
    assert theirs.get(f"/v1/integrations/{following.id}/repositories").status_code == 404
