"""Counting what a database is asked to do."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import event

from core.db import Database


class Statements:
    """Counts statements and commits: all of them, and the statements of each transaction that stores pages (all that
    arrived while the one before was at it), which is one of whose statements has `mark` in it. A statement run for a
    list of parameter sets counts as many times."""

    def __init__(self, database: Database, mark: str) -> None:
        self.total = self.commits = 0
        self.per_write: Counter[int] = Counter()
        self._mark = mark
        event.listen(database.engine, "before_cursor_execute", self._executed)
        event.listen(database.engine, "commit", self._committed)
        event.listen(database.engine, "rollback", self._ended)

    def reset(self) -> None:
        """Start anew."""
        self.total = self.commits = 0
        self.per_write.clear()

    def found(self) -> dict[str, Any]:
        """How many transactions stored pages, the usual and the highest number of statements of one, and all statements
        and commits there were."""
        usual = self.per_write.most_common(1)[0][0]
        return {
            "writes": self.per_write.total(),
            "statements_per_write": usual,
            "statements_max": max(self.per_write),
            "statements": self.total,
            "commits": self.commits,
        }

    def _executed(
        self, connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool
    ) -> None:
        count = len(parameters) if executemany else 1
        self.total += count
        connection.info["statements"] = connection.info.get("statements", 0) + count
        connection.info["page"] = connection.info.get("page", False) or self._mark in statement

    def _committed(self, connection: Any) -> None:
        self.commits += 1
        self._ended(connection)

    def _ended(self, connection: Any) -> None:
        count, page = connection.info.pop("statements", 0), connection.info.pop("page", False)
        if page:
            self.per_write[count] += 1
