"""The processes of projects: which types their work items have, and which states those."""

from dataclasses import dataclass

from sandbox.tracker import Container, Priority, Status

CATEGORIES = {
    "New": "Proposed",
    "To Do": "Proposed",
    "Approved": "Proposed",
    "Ready for QA": "InProgress",
    "In Test": "InProgress",
    "Active": "InProgress",
    "Doing": "InProgress",
    "In Progress": "InProgress",
    "Committed": "InProgress",
    "Resolved": "Resolved",
    "Closed": "Completed",
    "Done": "Completed",
    "Removed": "Removed",
}
"""State -> category. States have no ids; the last two of the category InProgress are somebody's own."""

STATUSES = [Status(name, name, category) for name, category in CATEGORIES.items()]
PRIORITIES = [Priority(str(number), str(number)) for number in range(1, 5)]


@dataclass(frozen=True)
class Process:
    """Type -> its states, the first being where work items begin. The first type is what people make."""

    types: dict[str, tuple[str, ...]]

    @property
    def usual(self) -> str:
        """The type people make."""
        return next(iter(self.types))

    @property
    def states(self) -> tuple[str, ...]:
        """Every state there is."""
        return tuple(dict.fromkeys(state for states in self.types.values() for state in states))


AGILE = Process(
    {
        "User Story": ("New", "Active", "Resolved", "Closed", "Removed"),
        "Task": ("New", "Active", "Closed", "Removed"),
        "Bug": ("New", "Active", "Resolved", "Closed"),
    }
)
SCRUM = Process(
    {
        "Product Backlog Item": ("New", "Approved", "Committed", "In Test", "Done", "Removed"),
        "Task": ("To Do", "In Progress", "Done", "Removed"),
        "Bug": ("New", "Approved", "Committed", "Done", "Removed"),
    }
)
BASIC = Process({"Issue": ("To Do", "Doing", "Done"), "Task": ("To Do", "Doing", "Done")})

PROJECTS = {"Web": AGILE, "Ops": AGILE, "Lab": SCRUM, "Home": BASIC}
AREAS = frozenset(path.casefold() for path in (*PROJECTS, "Web\\Team A", "Web\\Team B", "Ops\\Night's Watch"))
"""Every area path there is, as paths are compared."""


def containers() -> list[Container]:
    """The projects as containers: their ids are GUIDs."""
    return [
        Container(f"0a0b0c0d-0000-4000-8000-{number:012d}", name, name, process.states)
        for number, (name, process) in enumerate(PROJECTS.items(), 1)
    ]
