"""The practical limit: the same rows by the shortest way there is, with nothing that makes a sync a sync.

A bare HTTP client, msgspec for the needed fields, one upsert of task rows and one of binding rows per page, one commit
per page; fetching, decoding and mapping of the next page go on while this one is written. No look-up of what is there
(the task's id is made of the issue's), no reconcile, events, leases, budgets, cursor or run. The unchanged second pull
reads the versions of a page in one statement and finds nothing to write.

Descriptions become plain text; with `Job.markdown` they become the text our connector makes of them, so that the rows
are the same to the letter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec
import psycopg
import urllib3
from psycopg.types.array import ListBinaryDumper
from sqlalchemy.engine import make_url

from benchmarks.pull.job import Job, Phase, work

FIELDS = ("summary", "description", "status", "priority", "assignee", "project", "resolution", "updated")
STATUSES = {"new": "backlog", "indeterminate": "in_progress", "done": "done"}
PRIORITIES = {"Highest": "critical", "High": "high", "Medium": "medium", "Low": "low", "Lowest": "low"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TASK = (
    "id", "workspace_id", "service_line_id", "project_id", "title", "description", "status", "priority", "assignee_id",
    "external_id", "external_source", "external_url", "changed_at", "version", "created_by", "created_at", "updated_at",
)  # fmt: skip
BINDING = (
    "binding_key", "integration_id", "task_id", "state", "external_id", "external_key", "external_url", "container",
    "base", "watermark", "mapping_rev", "owed", "refused", "attempts", "searches", "agreed_at", "source", "created_at",
)  # fmt: skip
PER_ROW = {
    "id": "text", "title": "text", "description": "text", "status": "text", "priority": "text", "assignee_id": "text",
    "external_id": "text", "external_key": "text", "external_url": "text", "changed_at": "jsonb", "binding_key": "text",
    "task_id": "text", "base": "jsonb", "watermark": "bigint",
}  # fmt: skip
"""Columns whose values differ from row to row, with their types; all others are sent once a page."""


class Named(msgspec.Struct, gc=False):
    name: str
    id: str


class Category(msgspec.Struct, gc=False):
    key: str


class Status(msgspec.Struct, gc=False, rename="camel"):
    id: str
    status_category: Category


class Person(msgspec.Struct, gc=False, rename="camel"):
    account_id: str
    email_address: str | None = None


class Node(msgspec.Struct, gc=False):
    type: str
    text: str = ""
    content: list[Node] = []


N = TypeVar("N")
"""The node of a document: ours with all its formatting, or `Node`."""


class Fields(msgspec.Struct, Generic[N], gc=False):
    summary: str
    updated: str
    status: Status
    priority: Named | None = None
    assignee: Person | None = None
    description: N | None = None


class Issue(msgspec.Struct, Generic[N], gc=False):
    id: str
    key: str
    fields: Fields[N]


class Page(msgspec.Struct, Generic[N], rename="camel"):
    issues: list[Issue[N]]
    next_page_token: str | None = None


@dataclass(frozen=True)
class Rows:
    """A page as columns."""

    keys: list[str]
    watermarks: list[int]
    task: dict[str, Any]
    binding: dict[str, Any]


class Limit:
    """One pull after another with one connection to each side."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._http = urllib3.PoolManager(headers={"Content-Type": "application/json", "Authorization": "Basic eA=="})
        self._database = connect(job.url)
        self._decode, self._text = _with_our_markdown() if job.markdown else _with_plain_text()
        self._now = datetime.now(UTC)
        self._shared = {
            "workspace_id": job.workspace_id,
            "service_line_id": job.line_id,
            "project_id": job.project_id,
            "external_source": "jira",
            "version": 1,
            "created_by": job.integration_id,
            "created_at": self._now,
            "updated_at": self._now,
            "integration_id": job.integration_id,
            "state": "bound",
            "container": "BENCH",
            "mapping_rev": 1,
            "owed": False,
            "refused": "{}",
            "attempts": 0,
            "searches": 0,
            "agreed_at": self._now,
            "source": "SYNC-26-000001",
        }
        self._task = _upsert("task", TASK, "id", "version")
        self._binding = _upsert("binding", BINDING, "binding_key", "watermark")

    def pull(self, unchanged: bool) -> int:
        """Pull everything. `unchanged`: ask first what is known already, and write only the rest."""
        written = 0
        for rows in self._ahead():
            if unchanged:
                known = self._known(rows)
                changed = [at for at, key in enumerate(rows.keys) if known.get(key, -1) < rows.watermarks[at]]
                if not changed:
                    self._database.commit()
                    continue
            self._database.execute(self._task, rows.task | self._shared)
            self._database.execute(self._binding, rows.binding | self._shared)
            self._database.commit()
            written += len(rows.keys)
        return written

    def _known(self, rows: Rows) -> dict[str, int]:
        found = self._database.execute(
            "SELECT binding_key, watermark FROM binding WHERE binding_key = any(%b)", [Texts(rows.keys)]
        )
        return dict(found.fetchall())

    def _ahead(self) -> Iterator[Rows]:
        """Pages as rows, each made while the one before is written."""
        pages = self._pages()
        with ThreadPoolExecutor(1) as fetcher:
            coming = fetcher.submit(next, pages, None)
            while (rows := coming.result()) is not None:
                coming = fetcher.submit(next, pages, None)
                yield rows

    def _pages(self) -> Iterator[Rows]:
        search: dict[str, Any] = {
            "jql": 'project in ("BENCH") ORDER BY updated ASC, id ASC',
            "maxResults": self._job.page_size,
            "fields": FIELDS,
        }
        while True:
            answer = self._http.request(
                "POST", f"{self._job.site}/rest/api/3/search/jql", body=msgspec.json.encode(search)
            )
            page = self._decode(answer.data)
            yield self._rows(page.issues)
            if page.next_page_token is None:
                return
            search["nextPageToken"] = page.next_page_token

    def _rows(self, issues: list[Issue[Any]]) -> Rows:
        job, users = self._job, self._job.users
        browse, prefix = f"{job.site}/browse/", f"{job.integration_id}:"
        ids, keys, urls, titles, texts, statuses, priorities, people = [], [], [], [], [], [], [], []
        changed, bindings, bases, watermarks, issue_ids = [], [], [], [], []
        for issue in issues:
            fields = issue.fields
            at = int((datetime.fromisoformat(fields.updated) - _EPOCH).total_seconds() * 1000)
            text = self._text(fields.description) if fields.description else ""
            status = STATUSES[fields.status.status_category.key]
            priority = PRIORITIES[fields.priority.name] if fields.priority else "medium"
            person = users.get(fields.assignee.email_address or "") if fields.assignee else None
            digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
            base = {
                "title": (fields.summary, fields.summary),
                "description": (digest, digest),
                "status": (status, fields.status.id),
                "priority": (priority, fields.priority.id if fields.priority else None),
                "assignee": (person, fields.assignee.account_id if fields.assignee else None),
            }
            ids.append(f"TSK-26-{issue.id}")
            issue_ids.append(issue.id)
            keys.append(issue.key)
            urls.append(browse + issue.key)
            titles.append(fields.summary)
            texts.append(text)
            statuses.append(status)
            priorities.append(priority)
            people.append(person)
            changed.append(f'{{"title":{at},"description":{at},"status":{at},"priority":{at},"assignee":{at}}}')
            bindings.append(prefix + issue.id)
            bases.append(msgspec.json.encode(base).decode())
            watermarks.append(at)
        task = {
            "id": Texts(ids),
            "title": Texts(titles),
            "description": Texts(texts),
            "status": Texts(statuses),
            "priority": Texts(priorities),
            "assignee_id": Texts(people),
            "external_id": Texts(keys),
            "external_url": Texts(urls),
            "changed_at": Texts(changed),
        }
        binding = {
            "binding_key": Texts(bindings),
            "task_id": task["id"],
            "external_id": Texts(issue_ids),
            "external_key": task["external_id"],
            "external_url": task["external_url"],
            "base": Texts(bases),
            "watermark": watermarks,
        }
        return Rows(bindings, watermarks, task, binding)


class Texts(list[str | None]):
    """A `text[]` parameter in binary form, which is cheaper to make than the text form with its escapes."""


def connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection to the database of a SQLAlchemy URL."""
    parsed = make_url(url)
    connection = psycopg.connect(host=str(parsed.query["host"]), user=parsed.username, dbname=parsed.database)
    connection.adapters.register_dumper(Texts, ListBinaryDumper)
    return connection


def plain(node: Node) -> str:
    """The text of a document, a line per block."""
    parts: list[str] = []
    _gather(node, parts)
    return "".join(parts).strip()


Reading = tuple[Callable[[bytes], Page[Any]], Callable[[Any], str]]
"""How a page is decoded, and what text is made of a document."""


def _with_plain_text() -> Reading:
    return msgspec.json.Decoder(Page[Node]).decode, plain


def _with_our_markdown() -> Reading:
    from connectors.markup.document import Node as FullNode
    from connectors.markup.markdown import to_markdown

    return msgspec.json.Decoder(Page[FullNode]).decode, lambda document: to_markdown(document).text


def _gather(node: Node, parts: list[str]) -> None:
    if node.text:
        parts.append(node.text)
    for child in node.content:
        _gather(child, parts)
    if node.type in ("paragraph", "heading", "codeBlock"):
        parts.append("\n")


def _upsert(table: str, columns: tuple[str, ...], key: str, guard: str) -> str:
    """One statement for a page: arrays for what differs, single values for what does not."""
    varying = [name for name in columns if name in PER_ROW]
    jsons = [name for name in varying if PER_ROW[name] == "jsonb"]
    arrays = ", ".join(f"%({n})s::{'text' if PER_ROW[n] == 'jsonb' else PER_ROW[n]}[]" for n in varying)
    picked = ", ".join(
        f"v.{n}::jsonb" if n in jsons else f"v.{n}" if n in varying else f"%({n})s{'::jsonb' if n == 'refused' else ''}"
        for n in columns
    )
    sets = ", ".join(f"{n} = excluded.{n}" for n in columns if n != key)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {picked} FROM unnest({arrays}) AS v({', '.join(varying)}) "
        f"ON CONFLICT ({key}) DO UPDATE SET {sets} WHERE {table}.{guard} < excluded.{guard}"
    )


def contest(job: Job) -> list[Phase]:
    """The first pull, and an unchanged second one."""
    limit = Limit(job)
    phases = []
    for name, unchanged in (("first", False), ("again", True)):
        with job.phase(name) as phase:
            phase.found["written"] = limit.pull(unchanged)
        phase.records = job.items
        phases.append(phase)
    return phases


if __name__ == "__main__":
    work(contest)
