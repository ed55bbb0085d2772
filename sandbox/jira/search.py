"""Searching issues in pages, through an index that may be behind.

Jira Cloud REST v3, POST /search/jql: pages are followed by an opaque token that names the place to
go on from, so an issue updated while one pages shows up again at its new place.
"""

import base64
import hashlib
import json
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sandbox.jira.jql import parse
from sandbox.jira.jql_fields import Order, Searcher, compile_where
from sandbox.jira.model import Issue, JiraError, Settings
from sandbox.jira.site import JiraSite
from sandbox.jira.times import millis, whole_minute

# Jira Cloud REST v3: page tokens live seven days.
TOKEN_LIFE_MS = 7 * 24 * 3600 * 1000
# Sorted results kept while nothing changes: a handful of clients paging at once.
CACHED_RESULTS = 8
BAD_TOKEN = "The provided next page token is invalid or expired."


@dataclass(frozen=True)
class Page:
    """Issues in order, as the index has them, and how to go on (None at the end)."""

    issues: list[Issue]
    next_token: str | None


@dataclass(frozen=True)
class _Result:
    order: Order
    keys: list[tuple[Any, ...]]
    issues: list[Issue]


class SearchIndex:
    """The search side of one site."""

    def __init__(self, site: JiraSite, settings: Settings) -> None:
        self._site = site
        self._settings = settings
        self._cache: OrderedDict[tuple[Any, ...], _Result] = OrderedDict()

    def page(self, searcher: Searcher, jql: str, size: int, token: str | None, reconcile: frozenset[int]) -> Page:
        """One page. Raises JiraError 400 for a bad query or token."""
        result = self._result(searcher, jql, reconcile)
        start = self._start(result, jql, token)
        issues = result.issues[start : start + size]
        more = start + size < len(result.issues)
        return Page(issues, self._token(jql, result.order.place(issues[-1])) if more else None)

    def place_of(self, jql: str, token: str | None) -> str:
        """A token that goes on from where `token` stands: for an empty page."""
        return token or self._token(jql, None)

    def count(self, searcher: Searcher, jql: str) -> int:
        """How many issues match."""
        return len(self._result(searcher, jql, frozenset()).issues)

    def _result(self, searcher: Searcher, jql: str, reconcile: frozenset[int]) -> _Result:
        if self._settings.search_lag_seconds > 0:
            return self._evaluate(searcher, jql, reconcile)
        key = (jql, searcher.account_id, whole_minute(searcher.now), self._site.generation)
        if key not in self._cache:
            self._cache[key] = self._evaluate(searcher, jql, reconcile)
            while len(self._cache) > CACHED_RESULTS:
                self._cache.popitem(last=False)
        return self._cache[key]

    def _evaluate(self, searcher: Searcher, jql: str, reconcile: frozenset[int]) -> _Result:
        query = parse(jql)
        test = compile_where(self._site, searcher, query)
        order = Order.of(self._site, query)
        allowed = {p.id for p in self._site.projects.values() if p.admits(searcher.account_id)}
        found = [i for i in self._indexed(searcher, reconcile) if i.project in allowed and test(i)]
        keyed = [(order.key(order.place(issue)), issue) for issue in found]
        keyed.sort(key=lambda pair: pair[0])
        return _Result(order, [key for key, _ in keyed], [issue for _, issue in keyed])

    def _indexed(self, searcher: Searcher, reconcile: frozenset[int]) -> list[Issue]:
        """The issues as the index knows them: fresh, or as they were `search_lag_seconds` ago."""
        lag = self._settings.search_lag_seconds
        if lag <= 0:
            return list(self._site.issues.values())
        stale = self._site.history.changed_since(searcher.now - timedelta(seconds=lag))
        for issue_id in reconcile:
            stale.pop(issue_id, None)
        seen = {**self._site.issues, **stale}
        return [issue for issue in seen.values() if issue is not None]

    def _start(self, result: _Result, jql: str, token: str | None) -> int:
        if token is None:
            return 0
        place = self._read(jql, token)
        if place is None:
            return 0
        try:
            return bisect_right(result.keys, result.order.key(place))
        except (TypeError, ValueError) as bad:
            raise JiraError(400, BAD_TOKEN) from bad

    def _token(self, jql: str, place: list[Any] | None) -> str:
        content = {"q": _digest(jql), "a": place, "t": millis(self._site.clock.now())}
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()

    def _read(self, jql: str, token: str) -> list[Any] | None:
        """The place in a token; the query must be the one it was made for."""
        try:
            content = json.loads(base64.urlsafe_b64decode(token))
            query, place, made = content["q"], content["a"], content["t"]
        except (ValueError, KeyError, TypeError) as bad:
            raise JiraError(400, BAD_TOKEN) from bad
        if query != _digest(jql) or millis(self._site.clock.now()) - made > TOKEN_LIFE_MS:
            raise JiraError(400, BAD_TOKEN)
        return None if place is None else list(place)


def _digest(jql: str) -> str:
    return hashlib.sha256(jql.encode()).hexdigest()[:16]
