"""GraphQL over the one HTTP client: documents from a file beside the connector, and what went wrong as errors.

A file of documents holds named operations and fragments. What is sent is one operation with the fragments it needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

from connectors.contract import BadPayload, ConnectorError, Rejected, Transient
from connectors.http import HttpClient
from connectors.response import Response, plain_words

T = TypeVar("T")

_DEFINITION = re.compile(r"^(query|mutation|fragment) (\w+)", re.MULTILINE)
_SPREAD = re.compile(r"\.\.\.(\w+)")
_COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Document:
    """What is sent for one operation; `reads` if it changes nothing."""

    text: str
    reads: bool


class Problem(msgspec.Struct):
    """One of the `errors` of an answer; `extensions` are the vendor's own."""

    message: str = ""
    extensions: dict[str, Any] | None = None

    def extension(self, name: str) -> str:
        """The text of an extension; "" where there is none."""
        value = (self.extensions or {}).get(name)
        return value if isinstance(value, str) else ""


class PageInfo(msgspec.Struct, frozen=True, rename="camel"):
    """Whether there is more of a connection, and from where."""

    has_next_page: bool = False
    end_cursor: str | None = None


class Page(msgspec.Struct, Generic[T], rename="camel"):
    """Some rows of a connection, as Relay has them."""

    nodes: list[T] = []
    page_info: PageInfo = PageInfo()


class _Answer(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: list[Problem] | None = None


def documents(text: str) -> Mapping[str, Document]:
    """The operations of a file by their names, each with its fragments and without the file's comments."""
    text = _COMMENT.sub("", text)
    starts = list(_DEFINITION.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    parts = {start[2]: text[start.start() : end].strip() for start, end in zip(starts, ends, strict=True)}
    operations = {start[2]: start[1] == "query" for start in starts if start[1] != "fragment"}
    return {name: Document("\n".join(_with_fragments(name, parts)), reads) for name, reads in operations.items()}


def _with_fragments(name: str, parts: Mapping[str, str]) -> list[str]:
    """A definition and, once each, the fragments it spreads."""
    names = [name]
    for known in names:  # grows while it is walked
        names += [spread for spread in dict.fromkeys(_SPREAD.findall(parts[known])) if spread not in names]
    return [parts[known] for known in names]


def problems(response: Response) -> list[Problem]:
    """The `errors` of an answer; none when it has another form (a proxy's page)."""
    try:
        return response.decode(_Answer).errors or []
    except BadPayload:
        return []


def words(response: Response) -> str:
    """What the vendor says is wrong, for `HttpClient.errors_text`."""
    return " ".join(problem.message for problem in problems(response)) or plain_words(response)


class GraphQL:
    """One endpoint. `told` makes an error of what an answer's `errors` say; they may come with a 200 and with data,
    which is not looked at then: half an answer would pass for the whole."""

    def __init__(
        self,
        http: HttpClient,
        url: str,
        known: Mapping[str, Document],
        headers: Callable[[], Mapping[str, str]],
        told: Callable[[Problem], ConnectorError],
    ) -> None:
        self._http, self._url, self._known, self._headers, self._told = http, url, known, headers, told
        http.errors_text = words

    def run(self, operation: str, shape: type[T], at: str = "", /, **variables: Any) -> T:
        """One operation; its `data` in this shape, or only what is `at` a path of names in it (`issueCreate.issue`).
        Raises what `HttpClient.request` and `told` say, and BadPayload."""
        document = self._known[operation]
        body = {"query": document.text, "variables": variables, "operationName": operation}
        try:
            response = self._http.request("POST", self._url, json=body, headers=self._headers(), allow=(400,))
            return self._data(response, shape, at.split(".") if at else [])
        except Transient as error:  # HTTP can't tell a query from a mutation
            raise Transient(error.text, error.maybe_done and not document.reads, error.retry_at) from None

    def pages(self, operation: str, row: type[T], first: int, **variables: Any) -> Iterator[Page[T]]:
        """Every page of the one connection an operation asks for; it takes `$first` and `$after`."""
        after: str | None = None
        while True:
            # The shape is made at run time, of the caller's row: no checker can follow that.
            [page] = self.run(operation, dict[str, Page[row]], first=first, after=after, **variables).values()  # type: ignore[valid-type]
            yield page
            if not page.page_info.has_next_page:
                return
            after = page.page_info.end_cursor

    def rows(self, operation: str, row: type[T], first: int, **variables: Any) -> Iterator[T]:
        """Every row of all pages."""
        for page in self.pages(operation, row, first, **variables):
            yield from page.nodes

    def _data(self, response: Response, shape: type[T], path: Sequence[str]) -> T:
        answer = response.decode(_Answer)
        if answer.errors:
            raise self._told(self._redacted(answer.errors[0]))
        if response.status != 200:
            raise Rejected(self._http.redact(f"It answered {response.status}: {words(response)}"))
        data = answer.data
        try:
            for name in path:
                data = msgspec.json.decode(data, type=dict[str, msgspec.Raw])[name]
            return msgspec.json.decode(data, type=shape)
        except (msgspec.DecodeError, KeyError) as error:
            raise BadPayload(f"It answered an unexpected shape: {error}") from None

    def _redacted(self, problem: Problem) -> Problem:
        """Vendors quote what they were sent."""
        told = {name: self._http.redact(problem.extension(name)) for name in problem.extensions or {}}
        return Problem(self._http.redact(problem.message), told)


class Operation(Generic[T]):
    """An operation as a method of the client whose attribute it is: `issue = Operation("Issue", Issue, "issue")` makes
    `client.issue(id="7")` an Issue. Its keywords are the operation's variables; the rest is as in `GraphQL.run`."""

    def __init__(self, name: str, shape: type[T], at: str = "") -> None:
        self._said = (name, shape, at)

    def __get__(self, client: GraphQL, owner: type[GraphQL]) -> Callable[..., T]:
        return partial(client.run, *self._said)
