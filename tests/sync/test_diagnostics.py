"""Diagnostics: enough to see what is wrong, and nothing that must not be seen."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from api.diagnostics import Diagnostics
from core.errors import NotFound
from core.models import Integration
from core.vault import Vault, new_key
from simulation.toy import BASIC, ToyConnector, ToyVendor
from sync import farewell, integrations
from sync.diagnostics import diagnose
from sync.runtime import Lane, Runtime
from sync.work import work
from tests.sync.conftest import Tenant, connect
from tests.sync.engine import Both


@pytest.fixture
def both(any_runtime: Runtime, vendor: ToyVendor) -> Both:
    from tests.sync.conftest import make_tenant

    tenant = make_tenant(any_runtime)
    both = Both(any_runtime, vendor, tenant, connect(any_runtime, tenant))
    vendor.add(title="A title nobody else should read")
    work(both.rt, Lane.PULL, both.id)
    return both


def test_it_tells_states_counts_and_reasons(both: Both, vendor: ToyVendor) -> None:
    both.change(both.task().id, title="Another title")
    vendor.fail("update_task", 403)
    both.push()
    vendor.edit("t1", state="qa")
    both.deliver()
    told = diagnose(both.rt, both.id)
    assert told["integration"]["status"] == "active"
    assert told["connector"] == {"name": "Toy", "contract": 1, "origin": "registered"}
    assert told["credentials"]["mode"] == "basic"
    assert told["webhook"]["state"] == "active"
    assert told["runs"][0]["counts"]["created"] == 1
    assert told["deliveries"]["by_state"] == {"done": 1}
    assert told["bindings"]["by_state"] == {"bound": 1}
    assert told["bindings"]["owed"] == 1
    [reason] = told["bindings"]["reasons"]
    assert reason["reason_code"] == "forbidden"


def test_the_api_shows_every_part_of_it(both: Both) -> None:
    assert set(diagnose(both.rt, both.id)) == set(Diagnostics.model_fields)


def test_it_shows_no_secret_no_body_and_no_text_of_a_task(
    both: Both, vendor: ToyVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.edit("t1", description="A secret plan")
    both.deliver()
    real = ToyConnector.check
    name = f"Toy of {BASIC['password']}"
    monkeypatch.setattr(ToyConnector, "check", lambda self: replace(real(self), name=name))
    row: Any = both.rows(Integration)[0]
    integrations.update(both.rt, row, actor=both.tenant.ann_id, token_id=None, credentials=BASIC)
    text = json.dumps(diagnose(both.rt, both.id))
    assert "Toy of ***" in text
    for hidden in (BASIC["password"], "A title nobody", "A secret plan"):
        assert hidden not in text


def test_it_is_given_although_the_keys_are_lost(both: Both) -> None:
    stranger = replace(both.rt, vault=Vault.parse(new_key("another")))
    assert diagnose(stranger, both.id)["integration"]["status"] == "active"


def test_it_is_given_of_what_has_ended(both: Both) -> None:
    row = both.rows(Integration)[0]
    farewell.disconnect(both.rt, row, actor=both.tenant.ann_id, token_id=None)
    told = diagnose(both.rt, both.id)
    assert (told["integration"]["status"], told["credentials"], told["webhook"]) == ("disconnected", None, None)


def test_there_is_none_of_what_does_not_exist(runtime: Runtime, tenant: Tenant) -> None:
    with pytest.raises(NotFound):
        diagnose(runtime, "INT-26-999999")
