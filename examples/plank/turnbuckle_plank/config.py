"""What a Plank integration is configured with, and its credentials."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field, SecretStr

from connectors.contract import Credentials, Priority, Status, TaskSyncConfig
from connectors.words import FieldWords, Words

LANES = {
    "ideas": Status.BACKLOG,
    "doing": Status.IN_PROGRESS,
    "checking": Status.IN_REVIEW,
    "shipped": Status.DONE,
    "dropped": Status.CANCELLED,
}
URGENCIES = {"now": Priority.CRITICAL, "soon": Priority.HIGH, "normal": Priority.MEDIUM, "someday": Priority.LOW}


class PlankConfig(TaskSyncConfig):
    """`projects[].external` is a board's short name. Lanes and urgencies are named as Plank's API has them."""

    @cached_property
    def lanes(self) -> Words[Status]:
        """Lanes <-> statuses."""
        return Words(LANES, Status.BACKLOG, self.status_map, self.status_out)

    @cached_property
    def urgencies(self) -> Words[Priority]:
        """Urgencies <-> priorities."""
        return Words(URGENCIES, Priority.MEDIUM, self.priority_map, self.priority_out)

    @property
    def words(self) -> FieldWords:
        """The words of both fields."""
        return {"status": self.lanes, "priority": self.urgencies}


class PlankCredentials(Credentials):
    """A personal token: Plank, Settings, Tokens."""

    api_token: SecretStr = Field(min_length=1)
