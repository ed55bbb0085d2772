"""Work items in our words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from connectors.azure_boards.config import AzureBoardsConfig
from connectors.azure_boards.mapping import NAMES, TITLE_LIMIT, Reader, State, WorkItem
from connectors.azure_refusal import problem_of
from connectors.contract import BadPayload, RemoteUser
from connectors.response import Response
from connectors.texts import one_line
from connectors.times import moment

STATES = [State("Triage", "Proposed"), State("In Test", "InProgress"), State("Building", "InProgress")]
STATES += [State("Checked", "Resolved"), State("Live", "Completed"), State("Dropped", "Removed"), State("Odd", "Else")]


def reader(**config: Any) -> Reader:
    given = {"organization": "acme", "projects": [{"external": "Web"}], **config}
    return Reader(AzureBoardsConfig(**given), "https://dev.azure.com/acme", lambda project, kind: STATES)


def item(**more: Any) -> WorkItem:
    fields = {
        "System.Title": "Fix login",
        "System.State": "New",
        "System.TeamProject": "Web",
        "System.WorkItemType": "Task",
        "System.AreaPath": "Web",
        "System.ChangedDate": "2026-04-15T09:30:11.79Z",
        **more,
    }
    kept = {name: value for name, value in fields.items() if value is not None}
    return msgspec.convert({"id": 4711, "rev": 7, "fields": kept}, WorkItem)


def test_a_work_item_is_known_by_its_number_and_its_revision():
    task = reader().task(item())
    assert (task.external_id, task.key, task.version) == ("4711", "4711", 7)
    assert task.url == "https://dev.azure.com/acme/Web/_workitems/edit/4711"
    assert task.updated_at == datetime(2026, 4, 15, 9, 30, 11, 790000, UTC)


@pytest.mark.parametrize(
    ("state", "here"),
    [
        ("New", "backlog"),
        ("to do", "backlog"),
        ("Committed", "in_progress"),
        ("Resolved", "in_review"),
        ("Closed", "done"),
        ("Removed", "cancelled"),
        ("Triage", "backlog"),
        ("Building", "in_progress"),
        ("In Test", "in_review"),
        ("Checked", "in_review"),
        ("Live", "done"),
        ("Dropped", "cancelled"),
        ("Odd", "backlog"),
        ("renamed since", "backlog"),
    ],
)
def test_every_state_means_something(state, here):
    value = reader().task(item(**{"System.State": state})).values["status"]
    assert value == (here, f"{state}:{here}")


def test_the_config_says_what_a_state_means_whatever_it_usually_does():
    mine = reader(status_map={"resolved": "done"}, status_out={"in_review": "Building"})
    assert mine.status("Web", "Task", "Resolved").here == "done"
    assert mine.status("Web", "Task", "Building").here == "in_review"


def test_azures_own_states_are_known_without_asking():
    def asked(project: str, kind: str) -> list[State]:
        raise AssertionError("nobody has to be asked")

    config = AzureBoardsConfig(organization="acme", projects=[{"external": "Web"}])
    assert Reader(config, "", asked).task(item()).values["status"].here == "backlog"


@pytest.mark.parametrize(
    ("priority", "value"),
    [
        (1, ("critical", "1:critical")),
        (4, ("low", "4:low")),
        (9, ("medium", "9:medium")),
        (2.0, ("high", "2:high")),
        ("P1", ("medium", "P1:medium")),
        (None, ("medium", None)),
    ],
)
def test_priorities(priority, value):
    assert reader().task(item(**{"Microsoft.VSTS.Common.Priority": priority})).values["priority"] == value


@pytest.mark.parametrize(
    ("told", "person"),
    [
        (
            {"id": "2a49", "displayName": "Ann Archer", "uniqueName": "ann@x.io", "descriptor": "aad.x"},
            RemoteUser("2a49", "Ann Archer", "ann@x.io"),
        ),
        ({"id": "2a49", "displayName": "Ann", "uniqueName": "CORP\\ann"}, RemoteUser("2a49", "Ann", None)),
        ("Ann Archer <ann@x.io>", RemoteUser("ann@x.io", "Ann Archer", "ann@x.io")),
        ("Ann <CORP\\ann>", RemoteUser("CORP\\ann", "Ann", None)),
        ("Ann Archer", RemoteUser("Ann Archer", "Ann Archer", None)),
        (None, None),
        ("", None),
    ],
)
def test_a_person_is_told_as_an_object_or_as_text(told, person):
    assert reader().task(item(**{"System.AssignedTo": told})).assignee == person


@pytest.mark.parametrize(
    ("area", "kind", "container"),
    [
        ("Web", "Task", "Web"),
        ("Web\\Team A\\Sub", "Task", "Web\\Team A"),
        ("web\\team a", "Task", "Web\\Team A"),
        ("Web\\Team AB", "Task", "Web"),
        ("Website", "Task", "Website"),
        ("Ops", "Task", "Ops"),
        ("Web", "Epic", "Web (Epic)"),
    ],
)
def test_a_work_item_is_in_the_most_specific_path_and_of_a_type_that_is_synced(area, kind, container):
    mine = reader(projects=[{"external": "Web"}, {"external": "Web\\Team A"}], work_item_types=["task", "Bug"])
    assert mine.task(item(**{"System.AreaPath": area, "System.WorkItemType": kind})).container == container


def test_a_bug_shows_its_repro_steps():
    texts = {"System.Description": "hidden", "Microsoft.VSTS.TCM.ReproSteps": "<p>Click</p>"}
    assert reader().task(item(**texts, **{"System.WorkItemType": "Bug"})).values["description"].here == "Click"
    assert reader().task(item(**texts)).values["description"].here == "hidden"
    assert reader(repro_steps_types=[]).task(item(**texts, **{"System.WorkItemType": "Bug"})).values[
        "description"
    ].here == ("hidden")


def test_our_tag_is_found_among_others():
    assert reader().task(item(**{"System.Tags": "urgent; scrums-tsk-26-000007-3f9ac2; x"})).create_key == (
        "scrums-tsk-26-000007-3f9ac2"
    )
    assert reader().task(item(**{"System.Tags": "urgent"})).create_key is None


@pytest.mark.parametrize(
    ("text", "micro"),
    [("2026-01-01T00:00:00Z", 0), ("2026-01-01T00:00:00.1Z", 100_000), ("2026-01-01T00:00:00.1234567Z", 123_456)],
)
def test_times_have_any_number_of_digits(text, micro):
    assert moment(text) == datetime(2026, 1, 1, 0, 0, 0, micro, UTC)


def test_a_time_in_another_form_is_a_bad_payload():
    with pytest.raises(BadPayload, match="yesterday"):
        moment("yesterday")


def test_a_title_is_one_line_of_255_characters():
    assert one_line(" a\n b ", TITLE_LIMIT) == "a b"
    assert one_line("x" * 300, TITLE_LIMIT) == "x" * 255


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        ({"organization": "https://dev.azure.com/acme"}, "organization"),
        ({"projects": [{"external": "Web\\"}]}, "area path"),
        ({"area": "Web"}, "area"),
    ],
)
def test_a_wrong_config_is_refused_with_its_place(config, wrong):
    with pytest.raises(ValidationError, match=wrong):
        reader(**config)


# --- refusals -------------------------------------------------------------------------------------------


def refused(**body: Any) -> Response:
    return Response(400, {"content-type": "application/json"}, msgspec.json.encode(body), "https://x/")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (
            {
                "message": "TF401320: Rule Error for field State.",
                "customProperties": {
                    "FieldReferenceName": "System.State",
                    "RuleValidationErrors": [{"fieldReferenceName": "System.AssignedTo"}, {}],
                },
            },
            {"System.State", "System.AssignedTo"},
        ),
        ({"message": "TF401320: Rule Error for field State. Error code: HasValues"}, {"System.State"}),
        ({"message": "The identity value 'x' for field 'Assigned To' is an unknown identity."}, {"System.AssignedTo"}),
        ({"message": "Field Microsoft.VSTS.Common.Priority is wrong"}, {"Microsoft.VSTS.Common.Priority"}),
        ({"message": "Something else", "customProperties": None}, set()),
        ({"message": "Odd", "customProperties": [1]}, set()),
    ],
)
def test_a_refusal_names_its_fields_in_data_or_in_words(body, fields):
    assert problem_of(refused(**body), NAMES).fields == fields


def test_a_refusal_that_is_no_json_names_none():
    problem = problem_of(Response(400, {}, b"<html>", "https://x/"), NAMES)
    assert (problem.fields, problem.is_a_race) == (frozenset(), False)


def test_a_failed_test_is_a_race_whatever_its_status():
    assert problem_of(refused(message="VS403351: Test Operation for path /rev failed."), NAMES).is_a_race
    assert problem_of(refused(message="?", typeKey="TestPatchOperationFailedException"), NAMES).is_a_race
