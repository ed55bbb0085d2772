"""What JQL fields mean: a parsed query becomes a test on issues and a sort key.

Dates have minute granularity, and a literal is read in the searching user's profile zone.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import total_ordering
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.jira.jql import Clause, Condition, JqlError, Query
from sandbox.jira.model import STATUS_CATEGORIES, Issue
from sandbox.jira.site import JiraSite
from sandbox.jira.times import millis, whole_minute

Test = Callable[[Issue], bool]

_RELATIVE = re.compile(r"([+-]?\d+)\s*([wdhm])")
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes"}
_LITERALS = ("%Y/%m/%d %H:%M", "%Y-%m-%d %H:%M", "%Y/%m/%d", "%Y-%m-%d")
_MINUTE = timedelta(minutes=1)
_EMPTY_WORDS = frozenset({"empty", "null"})


@dataclass(frozen=True)
class Searcher:
    """Who asks, and when. `account_id` None is anonymous."""

    account_id: str | None
    zone: ZoneInfo
    now: datetime


@dataclass(frozen=True)
class _Field:
    """`read` turns a written value into what `of` gives for an issue; raises JqlError if it means nothing."""

    of: Callable[[JiraSite, Issue], Any]
    read: Callable[[JiraSite, Searcher, str], Any]


def compile_where(site: JiraSite, searcher: Searcher, query: Query) -> Test:
    """The query's condition as a test on an issue. Raises JqlError for unknown fields and values."""
    if query.where is None:
        return lambda _: True
    return _compile(site, searcher, query.where)


def _compile(site: JiraSite, searcher: Searcher, condition: Condition) -> Test:
    if isinstance(condition, Clause):
        return _clause(site, searcher, condition)
    tests = [_compile(site, searcher, part) for part in condition.parts]
    if condition.how == "and":
        return lambda issue: all(test(issue) for test in tests)
    if condition.how == "or":
        return lambda issue: any(test(issue) for test in tests)
    return lambda issue: not tests[0](issue)


def _clause(site: JiraSite, searcher: Searcher, clause: Clause) -> Test:
    if clause.field in DATES:
        return _date_test(searcher, clause)
    if clause.field not in FIELDS:
        raise JqlError(f"Field '{clause.field}' does not exist or you do not have permission to view it.")
    if clause.operator not in ("=", "!=", "in", "not in", "is", "is not"):
        raise JqlError(f"The operator '{clause.operator}' is not supported by the '{clause.field}' field.")
    field = FIELDS[clause.field]
    if clause.operator in ("is", "is not"):
        wanted = frozenset({None})
    else:
        wanted = frozenset(_value(site, searcher, field, text) for text in clause.values)
    negative = clause.operator in ("!=", "not in", "is not")
    return _membership(site, field, wanted, negative)


def _membership(site: JiraSite, field: _Field, wanted: frozenset[Any], negative: bool) -> Test:
    """Equality as JQL has it: a negative comparison does not match an empty field."""

    def test(issue: Issue) -> bool:
        value = field.of(site, issue)
        values = (value or (None,)) if isinstance(value, tuple) else (value,)
        if negative:
            return values != (None,) and wanted.isdisjoint(values)
        return not wanted.isdisjoint(values)

    return test


def _value(site: JiraSite, searcher: Searcher, field: _Field, text: str) -> Any:
    return None if text.lower() in _EMPTY_WORDS else field.read(site, searcher, text)


# Dates


def _date_test(searcher: Searcher, clause: Clause) -> Test:
    of = DATES[clause.field]
    if clause.operator not in _DATE_TESTS or len(clause.values) != 1:
        raise JqlError(f"The operator '{clause.operator}' is not supported by the '{clause.field}' field.")
    return _DATE_TESTS[clause.operator](of, _instant(searcher, clause.field, clause.values[0]))


def _instant(searcher: Searcher, field: str, text: str) -> datetime:
    """The minute a date value means."""
    relative = _RELATIVE.fullmatch(text.strip())
    if relative:
        shift = timedelta(**{_UNITS[relative[2]]: int(relative[1])})
        return whole_minute(searcher.now + shift)
    if text.lower() == "now()":
        return whole_minute(searcher.now)
    for form in _LITERALS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=searcher.zone).astimezone(UTC)
        except ValueError:
            continue
    raise JqlError(
        f"Date value '{text}' for field '{field}' is invalid. Valid formats include: 'yyyy/MM/dd HH:mm', "
        "'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format e.g. '-5d', '4w 2d'."
    )


DateOf = Callable[[Issue], datetime]

# All against whole minutes: `>` the minute is from the next one on.
_DATE_TESTS: Mapping[str, Callable[[DateOf, datetime], Test]] = {
    ">=": lambda of, minute: lambda issue: of(issue) >= minute,
    ">": lambda of, minute: lambda issue: of(issue) >= minute + _MINUTE,
    "<": lambda of, minute: lambda issue: of(issue) < minute,
    "<=": lambda of, minute: lambda issue: of(issue) < minute + _MINUTE,
    "=": lambda of, minute: lambda issue: minute <= of(issue) < minute + _MINUTE,
}
DATES: Mapping[str, DateOf] = {
    "updated": lambda issue: issue.updated,
    "updateddate": lambda issue: issue.updated,
    "created": lambda issue: issue.created,
    "createddate": lambda issue: issue.created,
}


# Everything else


def _unknown(text: str, field: str) -> JqlError:
    return JqlError(f"The value '{text}' does not exist for the field '{field}'.")


def _read_project(site: JiraSite, searcher: Searcher, text: str) -> str:
    for project in site.projects.values():
        named = text.lower() in (project.id, project.key.lower(), project.name.lower())
        if named and project.admits(searcher.account_id):
            return project.id
    raise _unknown(text, "project")


def _read_issue(site: JiraSite, searcher: Searcher, text: str) -> int:
    found = site.find(text)
    if found is None or not site.visible(found, searcher.account_id):
        raise JqlError(f"An issue with key '{text}' does not exist for field 'issuekey'.")
    return found.id


def _by_name(table: Callable[[JiraSite], Mapping[str, Any]], field: str) -> Callable[..., str]:
    def read(site: JiraSite, _: Searcher, text: str) -> str:
        for row in table(site).values():
            if text.lower() in (row.id, row.name.lower()):
                return str(row.id)
        raise _unknown(text, field)

    return read


def _read_category(_: JiraSite, __: Searcher, text: str) -> str:
    for key, (number, name, _colour) in STATUS_CATEGORIES.items():
        if text.lower() in (key, str(number), name.lower()):
            return key
    raise _unknown(text, "statusCategory")


def _read_resolution(site: JiraSite, searcher: Searcher, text: str) -> str | None:
    if text.lower() == "unresolved":
        return None
    return _by_name(lambda s: s.resolutions, "resolution")(site, searcher, text)


def _read_user(site: JiraSite, searcher: Searcher, text: str) -> str | None:
    return searcher.account_id if text.lower() == "currentuser()" else text


def _read_text(_: JiraSite, __: Searcher, text: str) -> str:
    return text


_ISSUE = _Field(lambda _, issue: issue.id, _read_issue)
_TYPE = _Field(lambda _, issue: issue.issuetype, _by_name(lambda s: s.issue_types, "issuetype"))

FIELDS: Mapping[str, _Field] = {
    "project": _Field(lambda _, issue: issue.project, _read_project),
    "key": _ISSUE,
    "issuekey": _ISSUE,
    "issue": _ISSUE,
    "id": _ISSUE,
    "issuetype": _TYPE,
    "type": _TYPE,
    "status": _Field(lambda _, issue: issue.status, _by_name(lambda s: s.statuses, "status")),
    "statuscategory": _Field(lambda site, issue: site.statuses[issue.status].category, _read_category),
    "priority": _Field(lambda _, issue: issue.priority, _by_name(lambda s: s.priorities, "priority")),
    "resolution": _Field(lambda _, issue: issue.resolution, _read_resolution),
    "assignee": _Field(lambda _, issue: issue.assignee, _read_user),
    "reporter": _Field(lambda _, issue: issue.reporter, _read_user),
    "labels": _Field(lambda _, issue: issue.labels, _read_text),
    "parent": _Field(lambda _, issue: issue.parent, _read_issue),
}

# Sort keys are JSON values, so that a page token can carry the place to go on from.
Sortable = int | str
_SORT: Mapping[str, Callable[[JiraSite, Issue], Sortable]] = {
    "updated": lambda _, issue: millis(issue.updated),
    "created": lambda _, issue: millis(issue.created),
    "id": lambda _, issue: issue.id,
    "key": lambda _, issue: _key_order(issue.key),
    "issuekey": lambda _, issue: _key_order(issue.key),
    "priority": lambda site, issue: -list(site.priorities).index(issue.priority) if issue.priority else -99,
    "status": lambda site, issue: site.statuses[issue.status].name,
    "summary": lambda _, issue: issue.summary,
}


def _key_order(key: str) -> str:
    prefix, number = key.rsplit("-", 1)
    return f"{prefix}-{int(number):012d}"


@total_ordering
@dataclass(frozen=True)
class _Descending:
    text: str

    def __lt__(self, other: "_Descending") -> bool:
        return self.text > other.text


@dataclass(frozen=True)
class Order:
    """An ORDER BY, always ending in the id so that it is total."""

    site: JiraSite
    fields: tuple[tuple[str, bool], ...]

    @classmethod
    def of(cls, site: JiraSite, query: Query) -> "Order":
        """Raises JqlError for a field that cannot be sorted by."""
        for name, _ in query.order:
            if name not in _SORT:
                raise JqlError(f"Not able to sort using field '{name}'.")
        last = () if any(name == "id" for name, _ in query.order) else (("id", not query.order),)
        return cls(site, (*query.order, *last))

    def place(self, issue: Issue) -> list[Sortable]:
        """Where an issue stands, as JSON values."""
        return [_SORT[name](self.site, issue) for name, _ in self.fields]

    def key(self, place: list[Sortable]) -> tuple[Any, ...]:
        """A comparable key of a place. Raises ValueError when the place is from another order."""
        return tuple(_directed(value, descending) for value, (_, descending) in zip(place, self.fields, strict=True))


def _directed(value: Sortable, descending: bool) -> Any:
    if not descending:
        return value
    return -value if isinstance(value, int) else _Descending(value)
