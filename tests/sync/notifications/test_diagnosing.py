"""An integration's diagnostics tell what became of its messages, and not what they say."""

from __future__ import annotations

import json

import pytest

from connectors.contract import Forbidden
from sync.diagnostics import diagnose
from sync.reasons import MESSAGE_STEPS
from tests.sync.notifications.conftest import Office
from tests.sync.notifications.megaphone import Megaphone


def test_they_tell_states_and_of_what_did_not_arrive_why_and_what_to_do(
    any_office: Office, megaphone: Megaphone
) -> None:
    any_office.route("incident.*")
    any_office.route("incident.*", channel="closed")
    megaphone.broken["closed"] = Forbidden("not_in_channel: the app is not in the channel")
    any_office.incident("opened", title="A secret plan failed")
    any_office.tick()
    told = diagnose(any_office.rt, any_office.id)
    [reason] = told["notifications"]["reasons"]
    assert told["notifications"]["by_state"] == {"failed": 1, "sent": 1}
    assert (reason["channel"], reason["kind"], reason["error_code"]) == ("closed", "incident", "forbidden")
    assert reason["next_step"] == MESSAGE_STEPS["forbidden"]
    assert "secret plan" not in json.dumps(told)


@pytest.mark.parametrize("code", ["too_old", "unclear", "route_disabled", "no_notifier", "unfinished", "not_usable"])
def test_every_reason_of_the_engines_own_has_a_next_step(code: str) -> None:
    assert MESSAGE_STEPS[code]
