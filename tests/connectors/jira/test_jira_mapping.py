"""Configuration, statuses, priorities and times."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.contract import BadPayload, Priority, Status
from connectors.jira import jql
from connectors.jira.config import JiraConfig
from connectors.jira.manifest import MANIFEST
from connectors.jira.mapping import (
    PRIORITY_NAMES,
    SUMMARY_LIMIT,
    Issue,
    Named,
    Reader,
    StatusCategory,
    Transition,
    VendorStatus,
    named,
)
from connectors.jira.workflow import way_of
from connectors.texts import one_line
from connectors.times import epoch_ms, local_minute, moment
from connectors.transitions import best, next_hop
from sync.lint import contradictions

BASE = {"site_url": "https://acme.atlassian.net", "projects": [{"external": "APEX"}]}


def config(**more: Any) -> JiraConfig:
    return JiraConfig.model_validate({**BASE, **more})


def status(name: str, category: str = "indeterminate", id_: str = "7") -> VendorStatus:
    return VendorStatus(id_, name, StatusCategory(category))


# --- configuration --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("https://Acme.atlassian.net/", "https://acme.atlassian.net"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://sandbox:8080", "http://sandbox:8080"),
    ],
)
def test_a_site_is_an_address_without_a_path(given_, kept):
    assert config(site_url=given_).site_url == kept


@pytest.mark.parametrize(
    "change",
    [
        {"site_url": "acme"},
        {"site_url": "http://acme.atlassian.net"},
        {"site_url": "https://acme.atlassian.net/jira"},
        {"site_url": "https://me:secret@acme.atlassian.net"},
        {"site_url": "https://acme.atlassian.net?x=1"},
        {"projects": []},
        {"projects": [{"external": "apex"}]},
        {"projects": [{"external": 'A" OR 1=1'}]},
        {"page_size": 0},
        {"page_size": 1001},
        {"overlap_minutes": 0},
        {"jql_time": "local"},
        {"deployment": "datacenter"},
    ],
)
def test_a_mistake_is_refused_when_it_is_made(change):
    with pytest.raises(ValidationError):
        config(**change)


def test_done_and_cancelled_may_share_a_status_because_the_resolution_tells():
    reader = Reader(config(status_out={"done": "Closed", "cancelled": "Closed"}))
    assert reader.status(status("Closed", "done")).here == "done"
    assert reader.status(status("Closed", "done"), "Duplicate").here == "cancelled"


def test_the_credentials_are_told_apart_by_their_fields():
    oauth, basic = MANIFEST.credentials["oauth2"], MANIFEST.credentials["basic"]
    oauth.model_validate({})
    oauth.model_validate({"client_id": "a", "client_secret": "b"})
    basic.model_validate({"email": "a@b.example", "api_token": "t"})
    for model, fields in (
        (oauth, {"email": "a@b.example", "api_token": "t"}),
        (basic, {}),
        (oauth, {"cloud_id": "../x"}),
    ):
        with pytest.raises(ValidationError):
            model.model_validate(fields)
    assert "secret-canary" not in repr(oauth.model_validate({"access_token": "secret-canary"}))


# --- statuses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "category", "resolution", "ours"),
    [
        ("To Do", "new", "", "backlog"),
        ("Who knows", "undefined", "", "backlog"),
        ("A category of 2031", "later", "", "backlog"),
        ("Doing", "indeterminate", "", "in_progress"),
        ("Code Review", "indeterminate", "", "in_review"),
        ("Testing on stage", "indeterminate", "", "in_review"),
        ("Review wanted", "new", "", "backlog"),
        ("Done", "done", "", "done"),
        ("Done", "done", "Fixed", "done"),
        ("Done", "done", "Won't Do", "cancelled"),
        ("Done", "done", "Won\N{RIGHT SINGLE QUOTATION MARK}t do", "cancelled"),
        ("Doing", "indeterminate", "Won't Do", "in_progress"),
        *((name, "done", "", "cancelled") for name in ("Won't Fix", "CANCELLED", "Canceled", "Duplicate", "Declined")),
    ],
)
def test_jiras_own_words_decide_where_nothing_is_configured(name, category, resolution, ours):
    assert Reader(config()).status(status(name, category), resolution) == (ours, f"7:{ours}")


@pytest.mark.parametrize("key", ["7", "In QA", "in qa", " IN QA "])
def test_a_configured_status_wins_by_id_or_by_name_in_any_case(key):
    reader = Reader(config(status_map={key: "done"}))
    assert reader.status(status("In QA"), "Won't Do").here == "done"


@given(
    st.dictionaries(st.sampled_from(list(Status)), st.sampled_from(["A", "Review", "3", "Won't Do", "E"]), max_size=5)
)
def test_what_is_written_reads_back_as_itself(written):
    if any(contradictions(config(status_out=written))):
        return  # refused when it is configured
    reader = Reader(config(status_out=written))
    for ours, name in written.items():
        if ours is Status.CANCELLED and written.get(Status.DONE) == name:
            continue  # the resolution tells them apart
        if ours is Status.DONE and name == "Won't Do":
            continue
        for category in ("new", "indeterminate", "done"):
            read = reader.status(status(name, category, name if name.isdecimal() else "7"))
            assert read.here == ours


# --- priorities -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("Highest", "critical"),
        ("HIGH", "high"),
        ("Medium", "medium"),
        ("Low", "low"),
        ("Lowest", "low"),
        ("P7", "medium"),
    ],
)
def test_the_usual_priorities(name, ours):
    assert Reader(config()).priority(Named("9", name)) == (ours, f"9:{ours}")


def test_no_priority_counts_as_medium():
    assert Reader(config()).priority(None) == ("medium", None)


def test_configured_priorities_win_and_read_back():
    reader = Reader(config(priority_map={"P2": "high"}, priority_out={"critical": "P1", "low": "10100"}))
    assert reader.priority(Named("1", "p2")).here == "high"
    assert reader.priority(Named("1", "P1")).here == "critical"
    assert reader.priority(Named("10100", "Whatever")).here == "low"


@pytest.mark.parametrize("priority", list(Priority))
def test_every_priority_is_written_as_one_that_reads_back(priority):
    assert Reader(config()).priority(Named("1", PRIORITY_NAMES[priority])).here == priority


# --- issues ---------------------------------------------------------------------------------------------


def issue(**fields: Any) -> Issue:
    made: dict[str, Any] = {
        "summary": "Fix",
        "status": {"id": "3", "name": "Doing", "statusCategory": {"id": 4, "key": "indeterminate"}},
        "issuetype": {"id": "1", "name": "Task"},
        "project": {"id": "1", "key": "APEX"},
        "updated": "2026-04-28T15:55:26.678+0200",
        **fields,
    }
    return msgspec.json.decode(json.dumps({"id": "10042", "key": "APEX-1", "self": "x", "fields": made}), type=Issue)


def test_an_issue_becomes_a_task():
    person = {"accountId": "5b", "displayName": "Ann", "emailAddress": ""}
    task = Reader(config()).task(issue(assignee=person, labels=["debt", "scrums-tsk-26-000001"], priority=None))
    assert (task.external_id, task.key, task.container) == ("10042", "APEX-1", "APEX")
    assert task.url == "https://acme.atlassian.net/browse/APEX-1"
    assert task.updated_at == datetime(2026, 4, 28, 13, 55, 26, 678000, UTC)
    assert task.version == 1777384526678
    assert task.assignee is not None
    assert (task.assignee.id, task.assignee.email) == ("5b", None)
    assert task.create_key == "scrums-tsk-26-000001"
    assert task.values["description"] == ("", None)


@pytest.mark.parametrize("missing", ["emailAddress", "displayName"])
def test_privacy_may_hide_parts_of_a_person(missing):
    person = {"accountId": "5b", "displayName": "Ann", "emailAddress": "a@b.example"}
    del person[missing]
    assert Reader(config()).task(issue(assignee=person)).assignee is not None


def test_a_time_in_another_form_is_a_bad_payload():
    with pytest.raises(BadPayload):
        Reader(config()).task(issue(updated="yesterday"))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 4, 14 * 4))
def test_versions_are_exact_milliseconds_in_any_offset(naive, quarters):
    offset = timedelta(minutes=15 * quarters)
    text = naive.strftime("%Y-%m-%dT%H:%M:%S") + f".{naive.microsecond // 1000:03}"
    sign, rest = "-" if quarters < 0 else "+", abs(offset)
    hours, minutes = divmod(rest.seconds // 60 + rest.days * 1440, 60)
    when = moment(f"{text}{sign}{hours:02}{minutes:02}")
    exact = naive.replace(microsecond=naive.microsecond // 1000 * 1000, tzinfo=UTC) - offset
    assert when == exact
    assert epoch_ms(when) == round(exact.timestamp() * 1000)


@given(st.text(max_size=600))
def test_a_summary_is_one_line_of_at_most_255_characters(text):
    made = one_line(text, SUMMARY_LIMIT)
    assert len(made) <= 255
    assert made == one_line(made, SUMMARY_LIMIT)
    assert "\n" not in made


def test_names_and_ids():
    assert named("10002") == {"id": "10002"}
    assert named("Task") == {"name": "Task"}


# --- JQL ------------------------------------------------------------------------------------------------

WHERE = jql.in_projects(["APEX", "OR"])


def test_project_keys_are_quoted():
    assert WHERE == 'project in ("APEX", "OR")'
    assert jql.labelled('a"b\\') == 'labels = "a\\"b\\\\" ORDER BY id ASC'


@pytest.mark.parametrize(("seconds", "minutes"), [(0, 1), (1, 2), (60, 2), (61, 3), (-600, 1), (86_400, 1441)])
def test_minutes_are_rounded_up_and_never_fewer_than_one(seconds, minutes):
    now = datetime(2026, 5, 4, tzinfo=UTC)
    search = jql.changed_since_minutes(WHERE, now - timedelta(seconds=seconds), now)
    assert f'updated >= "-{minutes}m" ORDER BY updated ASC, id ASC' in search


ZONES = st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))


@given(st.datetimes(datetime(1990, 1, 1), datetime(2036, 1, 1)), ZONES)
def test_a_local_minute_is_never_after_the_moment_however_it_is_read(naive, name):
    start, zone = naive.replace(tzinfo=UTC), ZoneInfo(name)
    local = local_minute(start, zone)
    readings = [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    assert max(readings) <= start
    assert start - min(readings) < timedelta(hours=26)


def test_the_hour_a_clock_change_repeats_is_stepped_over():
    zone = ZoneInfo("America/New_York")
    first, second = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert local_minute(first, zone) == datetime(2026, 11, 1, 0, 30)
    assert local_minute(second, zone) == datetime(2026, 11, 1, 1, 30)


def test_zones_of_half_hours():
    start = datetime(2026, 5, 4, 12, 0, 59, tzinfo=UTC)
    assert '"2026/05/04 17:30"' in jql.changed_since_time(WHERE, start, ZoneInfo("Asia/Kolkata"))


# --- transitions ----------------------------------------------------------------------------------------


def way(id_: str, to: VendorStatus, **fields: Any) -> Transition:
    screen = {name: {"required": True, "name": name, **meta} for name, meta in fields.items()}
    to_json = {"id": to.id, "name": to.name, "statusCategory": {"key": to.category.key}}
    return msgspec.convert({"id": id_, "name": f"Go {id_}", "to": to_json, "fields": screen}, Transition)


RESOLUTIONS = {
    "allowedValues": [{"id": "1", "name": "Done"}, {"id": "2", "name": "Won\N{RIGHT SINGLE QUOTATION MARK}t Do"}]
}
DONE = status("Done", "done")


def choose(target: Status, *ways: Transition, **more: Any) -> Any:
    settings = config(**more)
    return best([way_of(way, target, Reader(settings), settings) for way in ways], target)


def test_the_way_with_the_fewest_questions_then_the_lowest_id():
    found = choose(Status.DONE, way("21", DONE, resolution=RESOLUTIONS), way("9", DONE), way("31", DONE))
    assert found.id == "9"
    assert found.fields == {}


def test_the_configured_status_before_another_that_means_the_same():
    review, qa = status("Review", id_="1"), status("In QA", id_="2")
    assert choose(Status.IN_REVIEW, way("1", review), way("2", qa), status_out={"in_review": "2"}).id == "2"
    assert choose(Status.IN_REVIEW, way("1", review), status_out={"in_review": "Elsewhere"}).id == "1"


def test_resolutions_are_spelt_as_jira_spells_them():
    found = choose(Status.CANCELLED, way("1", DONE, resolution=RESOLUTIONS))
    assert found.fields == {"resolution": {"name": "Won\N{RIGHT SINGLE QUOTATION MARK}t Do"}}
    assert found.lands == ("cancelled", "7:cancelled")


def test_a_field_with_a_default_is_not_asked_for():
    assert choose(Status.DONE, way("1", DONE, team={"hasDefaultValue": True})).missing == ()
    assert choose(Status.DONE, way("1", DONE, team={})).missing == ("team",)


def test_nothing_leads_there():
    assert choose(Status.IN_REVIEW, way("1", DONE)) is None
    assert choose(Status.CANCELLED, way("1", DONE)) is None


def test_the_next_hop_goes_forward_and_not_back_to_where_we_were():
    settings = config()
    todo, doing = status("To Do", "new", "1"), status("Doing", "indeterminate", "2")
    ways = [way_of(one, None, Reader(settings), settings) for one in (way("1", todo), way("2", doing))]
    hop = next_hop(ways, Status.DONE, {"1"})
    assert hop is not None
    assert hop.id == "2"
    assert next_hop(ways[:1], Status.DONE, {"1"}) is None
