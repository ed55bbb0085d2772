"""Recent versions of issues, so that a search index can answer from a little while ago."""

from datetime import datetime, timedelta

from sandbox.jira.model import Issue

# The largest lag that can be simulated; older versions are let go.
KEPT = timedelta(hours=1)


class History:
    """Who looked how, when. Only issues changed lately are kept."""

    def __init__(self) -> None:
        self._versions: dict[int, list[tuple[datetime, Issue | None]]] = {}

    def record(self, before: Issue | None, issue_id: int, after: Issue | None, now: datetime) -> None:
        """Remember a change; None stands for "does not exist"."""
        versions = self._versions.setdefault(issue_id, [(datetime.min.replace(tzinfo=now.tzinfo), before)])
        versions.append((now, after))
        while len(versions) > 1 and versions[1][0] < now - KEPT:
            versions.pop(0)

    def changed_since(self, instant: datetime) -> dict[int, Issue | None]:
        """Issues that changed after an instant, as they were then."""
        then: dict[int, Issue | None] = {}
        for issue_id, versions in self._versions.items():
            if versions[-1][0] > instant:
                then[issue_id] = [issue for at, issue in versions if at <= instant][-1]
        return then
