"""The side of a fake source control vendor: what people do there, and what there is to tell of it."""

from __future__ import annotations

import pytest

from connectors.contract import CodeEvent
from connectors.kit.codepeople import DEEDS, STORY
from connectors.kit.codereading import counted
from sandbox.errors import VendorError
from simulation.codeside import code_side
from simulation.toyside import ToySide
from tests.kit.forge.side import ForgeSide


@pytest.fixture
def forge() -> ForgeSide:
    return ForgeSide.alone()


def read(side: ForgeSide) -> list[CodeEvent]:
    connector = side.connected()
    repositories = [repository for batch in connector.repositories() for repository in batch]
    return [event for one in repositories for page in connector.code_events(one, None) for event in page.events]


def test_a_story_is_counted_as_a_sound_connector_tells_it(forge: ForgeSide) -> None:
    before = forge.happened_in(forge.repositories()[0].id)
    assert all(forge.do(deed) for deed in STORY)
    there = forge.happened_in(forge.repositories()[0].id)
    told = there - before
    assert told["code.pull_request_opened"] == 4
    assert told["code.deployment_status:failed"] == 1
    assert sum(count for what, count in told.items() if what.startswith("code.commit:")) == 6
    assert counted(event for event in read(forge) if event.repository == forge.repositories()[0].id) == there


def test_what_a_vendor_does_not_have_is_not_done(forge: ForgeSide) -> None:
    assert "rerun" in DEEDS
    assert not forge.do("rerun")
    with pytest.raises(VendorError, match="no change that is open"):
        forge.do("merge")


def test_what_a_vendor_does_not_tell_is_not_missed(forge: ForgeSide, monkeypatch: pytest.MonkeyPatch) -> None:
    forge.do("release")
    repository = forge.repositories()[0].id
    assert forge.happened_in(repository)["code.release:v1.0"] == 1
    monkeypatch.setattr(ForgeSide, "tells_not", frozenset({"code.release"}))
    assert not [what for what in forge.happened_in(repository) if what.startswith("code.release")]


def test_a_repository_that_is_gone_still_happened(forge: ForgeSide) -> None:
    repository = forge.repositories()[1].id
    before = forge.happened_in(repository)
    forge.do("push", 1)
    forge.do("delete", 1)
    assert repository not in [one.id for one in forge.repositories()]
    assert (forge.happened_in(repository) - before).total() == 1


def test_a_hidden_repository_is_not_listed_until_it_is_shown(forge: ForgeSide) -> None:
    listed = [2, 1, 2]
    for deed in ("open", "hide", "show"):
        forge.do(deed, 1 if deed != "open" else 0)
        assert sum(len(batch) for batch in forge.connected().repositories()) == listed.pop(0)


def test_a_side_without_code_says_what_is_needed() -> None:
    with pytest.raises(TypeError, match="ToySide is no CodeSide"):
        code_side(object.__new__(ToySide))
