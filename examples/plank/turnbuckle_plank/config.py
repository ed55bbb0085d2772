"""What a Plank integration is configured with, and its credentials."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field, SecretStr

from connectors import contract as c
from connectors.words import FieldWords, Words

LANES = {
    "ideas": c.Status.BACKLOG,
    "doing": c.Status.IN_PROGRESS,
    "checking": c.Status.IN_REVIEW,
    "shipped": c.Status.DONE,
    "dropped": c.Status.CANCELLED,
}
URGENCIES = {
    "now": c.Priority.CRITICAL,
    "soon": c.Priority.HIGH,
    "normal": c.Priority.MEDIUM,
    "someday": c.Priority.LOW,
}


class PlankConfig(c.TaskSyncConfig):
    """`projects[].external` is a board's short name. Lanes and urgencies are named as Plank's API has them."""

    container_form = r"[A-Z]+"
    container_hint = "a board's short name, such as PL"

    @cached_property
    def lanes(self) -> Words[c.Status]:
        """Lanes <-> statuses."""
        return Words(LANES, c.Status.BACKLOG, self.status_map, self.status_out)

    @cached_property
    def urgencies(self) -> Words[c.Priority]:
        """Urgencies <-> priorities."""
        return Words(URGENCIES, c.Priority.MEDIUM, self.priority_map, self.priority_out)

    @property
    def words(self) -> FieldWords:
        """The words of both fields."""
        return {"status": self.lanes, "priority": self.urgencies}


class PlankCredentials(c.Credentials):
    """A personal token: Plank, Settings, Tokens."""

    api_token: SecretStr = Field(min_length=1)
