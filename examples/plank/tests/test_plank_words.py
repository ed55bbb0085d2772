"""What a card's words mean here, and what ours are there."""

from __future__ import annotations

import pytest
from turnbuckle_plank.config import LANES, URGENCIES, PlankConfig
from turnbuckle_plank.mapping import fields

from connectors.contract import Priority, Rejected, Status
from connectors.words import sent


def config(**more: object) -> PlankConfig:
    return PlankConfig.model_validate({"projects": [{"external": "PL"}], **more})


def test_every_word_there_has_a_meaning_and_every_value_here_a_word() -> None:
    assert {config().lanes.here(lane) for lane in LANES} == set(Status)
    assert {config().urgencies.here(urgency) for urgency in URGENCIES} == set(Priority)


@pytest.mark.parametrize("status", Status)
def test_what_is_written_reads_back_as_what_was_meant(status: Status) -> None:
    lane = fields({"status": status.value}, config())["lane"]
    assert config().lanes.read(lane).here == status.value
    assert sent({"status": status.value}, config().words)["status"] == config().lanes.read(lane).there


def test_a_lane_of_ones_own_can_be_mapped_both_ways() -> None:
    mapped = config(status_map={"glueing": "in_progress"}, status_out={"in_progress": "glueing"})
    assert mapped.lanes.here("Glueing") is Status.IN_PROGRESS
    assert fields({"status": "in_progress"}, mapped) == {"lane": "glueing"}
    assert mapped.lanes.here("doing") is Status.IN_PROGRESS


def test_a_lane_nobody_knows_is_backlog_and_stays_as_it_is() -> None:
    assert config().lanes.read("glueing") == ("backlog", "glueing:backlog")


def test_a_status_no_lane_means_can_not_be_written() -> None:
    with pytest.raises(Rejected, match="name the one to write in status_out"):
        fields({"status": "in_progress"}, config(status_map={"doing": "done"}))
