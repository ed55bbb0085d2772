"""The Workspace a new ClickUp sandbox starts with: one Space, three Lists of which no two have the same statuses."""

from sandbox.tracker import Container, Priority, Status

WORKSPACE = "90152560096"
SPACE = "90159811234"
FOLDER = "90155500001"

STATUSES = (
    Status("p1_backlog", "to do", "open"),
    Status("p1_progress", "in progress", "custom"),
    Status("p1_review", "in review", "custom"),
    Status("p1_cancelled", "cancelled", "done"),
    Status("p1_complete", "complete", "closed"),
    Status("p2_open", "Open", "open"),
    Status("p2_qa", "In QA", "custom"),
    Status("p2_closed", "Closed", "closed"),
)

LISTS = (
    Container(
        "901523452618",
        "901523452618",
        "Platform",
        ("p1_backlog", "p1_progress", "p1_review", "p1_cancelled", "p1_complete"),
    ),
    Container(
        "901523452619",
        "901523452619",
        "Mobile",
        ("p1_backlog", "p1_progress", "p1_review", "p1_cancelled", "p1_complete"),
    ),
    # No status of it means cancelled, and the marker's field is not there.
    Container("901523452700", "901523452700", "Operations", ("p2_open", "p2_qa", "p2_closed")),
)

PRIORITIES = (Priority("1", "urgent"), Priority("2", "high"), Priority("3", "normal"), Priority("4", "low"))

MARKER_FIELD = "0a52c486-5f05-403b-b4fd-c512ff05131c"
"""A text custom field, which the tasks of the first List have."""

FIELD_LISTS = frozenset({LISTS[0].id})
