"""WIQL: the part of the query language that integrations use.

`SELECT [System.Id] FROM WorkItems WHERE … ORDER BY [field] ASC|DESC`, with AND, OR, NOT, brackets, comparisons, IN,
CONTAINS (a whole tag, or a part of a text) and UNDER.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.errors import VendorError

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

_TOKEN = re.compile(r"\s*(?:(\[[^\]]*\])|('(?:[^']|'')*')|(-?\d+)|(@?\w+)|(<>|<=|>=|[=<>(),]))")
_HEAD = re.compile(r"\s*SELECT\s+(.+?)\s+FROM\s+WorkItems\s+WHERE\s+(.+?)(?:\s+ORDER\s+BY\s+(.+))?$", re.I | re.S)
_ORDER = re.compile(r"\s*\[([\w.]+)\]\s*(ASC|DESC)?\s*", re.I)
_DATES = frozenset({"System.ChangedDate", "System.CreatedDate"})
_NUMBERS = frozenset({"System.Id", "System.Rev", "Microsoft.VSTS.Common.Priority"})
_TEXTS = frozenset(
    {
        "System.AreaPath",
        "System.AssignedTo",
        "System.State",
        "System.Tags",
        "System.TeamProject",
        "System.Title",
        "System.WorkItemType",
    }
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def run(query: str, rows: Sequence[Row], *, times: bool, areas: frozenset[str]) -> list[Row]:
    """The rows a query finds, in its order. `times`: dates may have a time; `areas` are the paths there are."""
    head = _HEAD.fullmatch(query.strip())
    if head is None:
        raise _wrong("expecting SELECT … FROM WorkItems WHERE …")
    test = _Parser(head[2], times, areas).parse()
    found = [row for row in rows if test(row)]
    for part in reversed(head[3].split(",") if head[3] else []):
        order = _ORDER.fullmatch(part)
        if order is None:
            raise _wrong(f"can't sort by {part.strip()}")
        name = _known(order[1])
        found.sort(key=lambda row: row[name], reverse=(order[2] or "").upper() == "DESC")
    return found


class _Parser:
    def __init__(self, text: str, times: bool, areas: frozenset[str]) -> None:
        self._tokens, self._at = _tokens(text), 0
        self._times, self._areas = times, areas

    def parse(self) -> Test:
        test = self._either()
        if self._at < len(self._tokens):
            raise _wrong(f"unexpected {self._tokens[self._at]}")
        return test

    def _either(self) -> Test:
        tests = [self._both()]
        while self._take("OR"):
            tests.append(self._both())
        return lambda row: any(test(row) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._take("AND"):
            tests.append(self._one())
        return lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        if self._take("NOT"):
            denied = self._one()
            return lambda row: not denied(row)
        if self._take("("):
            test = self._either()
            self._need(")")
            return test
        return self._condition()

    def _condition(self) -> Test:
        name = _known(self._next().strip("[]"))
        operator = self._next().upper()
        if operator == "IN":
            values = self._list(name)
            return lambda row: row[name] in values
        value = self._value(name)
        if operator == "UNDER":
            return self._under(name, str(value))
        if operator == "CONTAINS":
            return _contains(name, str(value))
        if operator not in _COMPARE:
            raise _wrong(f"no operator {operator}")
        compare = _COMPARE[operator]
        return lambda row: bool(compare(_comparable(row[name]), value))

    def _under(self, name: str, path: str) -> Test:
        if path.casefold() not in self._areas:
            raise VendorError(400, f"TF51011: The specified area path does not exist. The error is caused by «{path}».")
        return lambda row: f"{row[name]}\\".casefold().startswith(f"{path}\\".casefold())

    def _list(self, name: str) -> list[Any]:
        self._need("(")
        values = [self._value(name)]
        while self._take(","):
            values.append(self._value(name))
        self._need(")")
        return values

    def _value(self, name: str) -> Any:
        token = self._next()
        text = token[1:-1].replace("''", "'") if token.startswith("'") else token
        if name in _NUMBERS:
            return int(text)
        return self._date(text) if name in _DATES else text

    def _date(self, text: str) -> datetime:
        if "T" in text and not self._times:
            raise VendorError(
                400, "You cannot supply a time with the date when running a query using date precision.", code="Query"
            )
        try:
            return _comparable(datetime.fromisoformat(text).replace(tzinfo=UTC))
        except ValueError:
            raise _wrong(f"{text} is no date") from None

    def _take(self, word: str) -> bool:
        there = self._at < len(self._tokens) and self._tokens[self._at].upper() == word
        self._at += there
        return there

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise _wrong(f"expecting {word}")

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise _wrong("the query ends too soon")
        self._at += 1
        return self._tokens[self._at - 1]


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _wrong(f"unexpected {text[at:].strip()[:20]}")
        tokens.append(found[0].strip())
        at = found.end()
    return tokens


def _comparable(value: Any) -> Any:
    """Times are compared by the second."""
    return value.replace(microsecond=0) if isinstance(value, datetime) else value


def _contains(name: str, value: str) -> Test:
    if name == "System.Tags":
        return lambda row: value.casefold() in [tag.strip().casefold() for tag in row[name].split(";")]
    return lambda row: value.casefold() in str(row[name]).casefold()


def _known(name: str) -> str:
    if name not in _DATES | _NUMBERS | _TEXTS:
        raise VendorError(400, f"TF51005: The query references a field that does not exist: {name}.", code="Query")
    return name


def _wrong(text: str) -> VendorError:
    return VendorError(400, f"TF51006: The query statement is missing a clause or is wrong: {text}.", code="Query")
