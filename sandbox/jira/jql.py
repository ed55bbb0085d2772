"""Parsing JQL: the part of the language integrations use. Anything else is Jira's 400.

`field op value`, `field IN (…)`, `IS EMPTY`, AND, OR, NOT, parentheses, functions without
arguments, ORDER BY several fields. What the fields mean is in `jql_fields`.
"""

import re
from dataclasses import dataclass

from sandbox.jira.model import JiraError

# Jira Cloud REST v3, POST /search/jql: at most seven order fields.
ORDER_LIMIT = 7
# Jira's text for a query without a restriction.
UNBOUNDED = "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."


class JqlError(JiraError):
    """The query cannot be read or refers to what does not exist: 400 with one sentence."""

    def __init__(self, text: str) -> None:
        super().__init__(400, text)


@dataclass(frozen=True)
class Clause:
    """`field operator values`; operator is one of = != > >= < <= in "not in" is "is not"."""

    field: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Joined:
    """Several conditions joined by "and", "or"; "not" has one."""

    how: str
    parts: tuple["Condition", ...]


Condition = Clause | Joined


@dataclass(frozen=True)
class Query:
    """A parsed query; `order` is (field, descending) in order."""

    where: Condition | None
    order: tuple[tuple[str, bool], ...]

    def clauses(self) -> list[Clause]:
        """Every clause, wherever it stands."""
        return [] if self.where is None else _flat(self.where)


def _flat(condition: Condition) -> list[Clause]:
    if isinstance(condition, Clause):
        return [condition]
    return [clause for part in condition.parts for clause in _flat(part)]


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<sign>>=|<=|!=|!~|[=<>~(),])
    | (?P<word>[^\s=<>!~(),"']+)
    )""",
    re.VERBOSE,
)
_SIGNS = frozenset({"=", "!=", ">", ">=", "<", "<="})


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.lower() == word


_END = _Token("end", "")


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise JqlError(f"Error in the JQL Query: The character at position {position + 1} is not expected.")
        kind = str(match.lastgroup)
        value = match.group(kind)
        tokens.append(_Token(kind, re.sub(r"\\(.)", r"\1", value[1:-1]) if kind == "quoted" else value))
        position = match.end()
    return tokens


def parse(text: str, *, bounded: bool = True) -> Query:
    """Read a query. Raises JqlError; a `bounded` query must restrict something."""
    query = _Parser(_tokens(text)).query()
    if bounded and query.where is None:
        raise JqlError(UNBOUNDED)
    return query


class _Parser:
    """Recursive descent; OR binds weaker than AND, AND weaker than NOT."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def query(self) -> Query:
        where = None
        if self._peek() is not _END and not self._peek().is_word("order"):
            where = self._or()
        order = self._order()
        if self._peek() is not _END:
            raise self._unexpected()
        return Query(where, order)

    def _peek(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def _next(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _accept(self, word: str) -> bool:
        token = self._peek()
        if token.is_word(word) or (token.kind == "sign" and token.text == word):
            self._at += 1
            return True
        return False

    def _need(self, word: str) -> None:
        if not self._accept(word):
            raise self._unexpected(f"Expecting '{word}'")

    def _unexpected(self, expecting: str = "") -> JqlError:
        got = self._peek()
        what = "the end of the query" if got is _END else f"'{got.text}'"
        hint = f" {expecting}." if expecting else ""
        return JqlError(f"Error in the JQL Query: {what} is not expected here.{hint}")

    def _or(self) -> Condition:
        parts = [self._and()]
        while self._accept("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Joined("or", tuple(parts))

    def _and(self) -> Condition:
        parts = [self._term()]
        while self._accept("and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else Joined("and", tuple(parts))

    def _term(self) -> Condition:
        if self._accept("not"):
            return Joined("not", (self._term(),))
        if self._accept("("):
            inside = self._or()
            self._need(")")
            return inside
        return self._clause()

    def _clause(self) -> Clause:
        field = self._operand().lower()
        if self._accept("is"):
            operator = "is not" if self._accept("not") else "is"
            if not (self._accept("empty") or self._accept("null")):
                raise self._unexpected("Expecting EMPTY")
            return Clause(field, operator, ())
        if self._accept("not"):
            self._need("in")
            return Clause(field, "not in", self._list())
        if self._accept("in"):
            return Clause(field, "in", self._list())
        sign = self._peek()
        if sign.kind != "sign" or sign.text not in _SIGNS:
            raise self._unexpected("Expecting an operator")
        self._next()
        return Clause(field, sign.text, (self._operand(),))

    def _list(self) -> tuple[str, ...]:
        self._need("(")
        values = [self._operand()]
        while self._accept(","):
            values.append(self._operand())
        self._need(")")
        return tuple(values)

    def _operand(self) -> str:
        token = self._peek()
        if token.kind not in ("word", "quoted"):
            raise self._unexpected("Expecting a value")
        self._next()
        if token.kind == "word" and self._accept("("):
            self._need(")")
            return token.text + "()"
        return token.text

    def _order(self) -> tuple[tuple[str, bool], ...]:
        if not self._accept("order"):
            return ()
        self._need("by")
        order = [self._order_field()]
        while self._accept(","):
            order.append(self._order_field())
        if len(order) > ORDER_LIMIT:
            raise JqlError(f"The ORDER BY clause has more than {ORDER_LIMIT} fields.")
        return tuple(order)

    def _order_field(self) -> tuple[str, bool]:
        field = self._operand().lower()
        if self._accept("desc"):
            return field, True
        self._accept("asc")
        return field, False
