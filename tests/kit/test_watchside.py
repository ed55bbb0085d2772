"""What a side of a vendor that watches says goes on there: it is what a sound connector reads."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.contract import GateStatus, Measured
from connectors.kit.codepeople import DEEDS
from connectors.kit.watchpeople import WATCH_DEEDS, WATCH_STORY
from connectors.kit.watchreading import points, same
from simulation.datadogside import DatadogSide
from simulation.monitorside import MonitorSide, watch_side
from simulation.sonarcloudside import SonarCloudSide
from simulation.toyside import ToySide


@pytest.fixture
def datadog() -> DatadogSide:
    return DatadogSide.alone()


@pytest.fixture
def sonar() -> SonarCloudSide:
    return SonarCloudSide.alone()


def read(side: MonitorSide, **config: object) -> list[Measured]:
    return [one for page in side.connected(**config).measures(None) for one in page.measured]


def test_what_goes_wrong_is_kept_from_its_beginning_to_its_end(datadog: DatadogSide) -> None:
    for deed, slot in (("fire", 0), ("fire", 1), ("worsen", 0), ("recover", 0), ("fire", 0), ("remove", 1)):
        datadog._ours.advance(60)
        assert datadog.do(deed, slot)
    first, other, again = datadog.wrongs()
    assert (first.monitor, first.scope, first.severity, first.title) == (
        "1003",
        "service:orders",
        "high",
        "Queues are slow",
    )
    assert first.resolved_at is not None
    assert first.resolved_at - first.opened_at == timedelta(minutes=3)
    assert (other.scope, other.severity, other.resolved_at) == ("", "medium", datadog.now())
    assert (again.monitor, again.resolved_at) == ("1003", None)


def test_what_goes_wrong_is_what_a_sound_connector_tells(datadog: DatadogSide) -> None:
    for deed, slot in (("fire", 0), ("fire", 1), ("worsen", 1), ("recover", 0)):
        datadog.do(deed, slot)
    [alert] = [alert for batch in datadog.connected().alerts() for alert in batch]
    [wrong] = [one for one in datadog.wrongs() if one.resolved_at is None]
    assert (alert.ref.monitor, alert.ref.scope, alert.title) == (wrong.monitor, wrong.scope, wrong.title)
    assert (alert.severity, alert.url, alert.at) == (wrong.severity, wrong.url, wrong.opened_at)


def test_what_was_measured_is_what_a_sound_connector_reads(datadog: DatadogSide) -> None:
    config = datadog.grow(2500)
    there, here = points(datadog.measured()), points(read(datadog, **config))
    assert there.keys() == here.keys()
    assert sum(map(len, there.values())) > 5000
    assert None in there["queue_time (seconds) of env:test"].values()
    assert all(same(value, here[name][at]) for name, values in there.items() for at, value in values.items())


def test_every_analysis_is_what_a_sound_connector_reads(sonar: SonarCloudSide) -> None:
    sonar.grow(1100)
    for deed in ("measure", "spoil", "measure"):
        sonar._ours.advance(60)
        sonar.do(deed, 1)
    there, here = points(sonar.measured()), points(read(sonar))
    assert there.keys() == here.keys()
    listed = [name for name in there if not name.startswith("new_coverage")]
    assert len(listed) == 8
    assert all(there[name] == here[name] for name in listed)


def test_gates_are_as_people_left_them(sonar: SonarCloudSide) -> None:
    assert sonar.gates() == []
    stood = []
    for deed in ("spoil", "accept", "fail", "spoil", "measure"):
        assert sonar.do(deed)
        [stands] = sonar.gates()
        stood.append(stands.status)
    failed, passed = GateStatus.FAILED, GateStatus.PASSED
    assert stood == [failed, passed, passed, failed, passed]


def test_what_a_vendor_does_not_have_is_not_done(datadog: DatadogSide, sonar: SonarCloudSide) -> None:
    assert not datadog.do("measure")
    assert not sonar.do("fire")
    assert datadog.gates() == sonar.wrongs() == ()
    with pytest.raises(AssertionError):
        sonar.do("merge")


def test_words_for_deeds_are_no_words_for_code() -> None:
    assert not WATCH_DEEDS.keys() & DEEDS.keys()
    assert {deed for deed, _ in WATCH_STORY} < WATCH_DEEDS.keys()


def test_a_side_of_which_nothing_is_watched_says_what_is_needed() -> None:
    with pytest.raises(TypeError, match="ToySide is no MonitorSide"):
        watch_side(object.__new__(ToySide))
