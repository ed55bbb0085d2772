"""A backfill whose worker is killed with SIGKILL ten times: complete at the end, with nothing in it twice.

The moments are random, by a seed that is printed: so many events are stored, and then up to a fifth of a second, in
which the worker may be fetching, writing or between the two. Longer, or with other moments:

    TURNBUCKLE_KILL_PULLS=10000 TURNBUCKLE_KILL_SEED=7 make test WORKERS=0 ARGS='-s tests/services/test_code_kill.py'
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
from sqlalchemy import func, select

from connectors.contract import Context
from connectors.github import GitHubConnector
from connectors.github.config import GitHubConfig, TokenCredentials
from connectors.http import HttpClient, Unlimited
from core import logs
from core.clock import utc_now
from core.migrations import upgrade
from core.models import (
    CodeChange,
    CodeCommit,
    CodeDeployment,
    CodePipelineRun,
    CodeRelease,
    CodeReview,
    Event,
    Repository,
    SyncRun,
)
from intelligence.facts import MODELS
from intelligence.projection import rebuild
from sandbox.code.values import Pull, Repo
from sandbox.vendor import API_TOKEN
from sync.reading import remote
from sync.runtime import Runtime
from tests.services import hasty
from tests.services.github import REPOSITORY, UnlimitedGitHub, told_by
from tests.services.process import ServiceProcess, wait_until

PULLS = int(os.environ.get("TURNBUCKLE_KILL_PULLS", "300"))
SEED = int(os.environ.get("TURNBUCKLE_KILL_SEED", "20261125"))
KILLS = 10

LATEST = 0.85
"""Share of the history after which nobody is killed any more: the tenth must find something to kill."""

PATIENCE = 60 + PULLS / 20
"""Seconds the whole backfill may take."""

GROWTH = 30
"""MiB by which the worker that reads the end may be larger than the one that read the beginning: both hold two batches
of pages, whatever was read before."""


@dataclass
class Backfill:
    """A history that a worker reads, and the worker."""

    rt: Runtime
    sandbox: UnlimitedGitHub
    worker: ServiceProcess
    integration_id: str = ""
    peaks: list[float] = field(default_factory=list)

    @property
    def repo(self) -> Repo:
        """What the host holds."""
        return self.sandbox.host.repo(REPOSITORY)

    def stored(self) -> int:
        """Events in the stream."""
        return int(self.scalar(select(func.count()).select_from(Event).where(Event.key.is_not(None))))

    def scalar(self, statement: Any) -> Any:
        with self.rt.db.read() as session:
            return session.scalar(statement)

    def rows(self, model: Any, *where: Any) -> list[Any]:
        with self.rt.db.read() as session:
            return list(session.scalars(select(model).where(*where)))

    def look(self) -> None:
        """Note how large the worker's children are."""
        try:
            children = psutil.Process(self.worker.pid).children()
            sizes = [child.memory_info().rss / 2**20 for child in children]
        except psutil.NoSuchProcess:
            return  # it is being started
        self.peaks[-1] = max([self.peaks[-1], *sizes])

    def wait_for(self, events: int) -> None:
        """Until a worker has stored so many, and the present one has asked the vendor for something."""
        calls = self.calls()

        def holds() -> bool:
            self.look()
            return self.stored() >= events and self.calls() > calls

        wait_until(holds, timeout=PATIENCE, what=f"{events} events")

    def calls(self) -> int:
        """Calls the vendor got."""
        return sum(self.sandbox.calls.counts().values())

    def killed(self) -> None:
        """Kill the worker, and start another."""
        self.worker.kill()
        self.peaks.append(0)
        self.worker.start()


@contextmanager
def following(database_url: str, broker_url: str) -> Iterator[Backfill]:
    """A worker and a beat, and an integration whose repository has a history nobody has read."""
    upgrade(database_url)
    sandbox = UnlimitedGitHub(seed=1)
    sandbox.plant_history(PULLS)
    with ExitStack() as cleanup:
        url = cleanup.enter_context(sandbox.serve()).url
        env = hasty.environment(database_url, broker_url, {"github": {"api": url}})
        rt = hasty.runtime_of(env)
        cleanup.callback(rt.db.close)
        cleanup.callback(rt.transport.close)
        config = {"organization": "apex-digital", "repositories": [REPOSITORY]}
        integration_id, _ = hasty.connected(rt, "github", config, {"token": API_TOKEN})
        worker = cleanup.enter_context(hasty.worker(env, "push,inbox,pull,backfill,facts"))
        cleanup.enter_context(hasty.beat(env))
        yield Backfill(rt, sandbox, worker, integration_id, [0])


@pytest.fixture
def history(postgres_url: str, redis_url: str) -> Iterator[Backfill]:
    logs.set_up(as_json=False, level="WARNING")
    with following(postgres_url, redis_url) as made:
        yield made


def test_a_backfill_killed_at_ten_random_moments_is_complete_and_has_nothing_twice(history: Backfill) -> None:
    chance = random.Random(SEED)
    expected = told_by(history.repo)
    moments = sorted(chance.sample(range(1, int(expected.total() * LATEST)), KILLS))
    print(f"\n{PULLS} pull requests, {expected.total()} events, seed {SEED}: killed after {moments}")
    began, found = time.monotonic(), []
    for moment in moments:
        history.wait_for(moment)
        time.sleep(chance.uniform(0, 0.2))  # anywhere in a page, not only behind the commit that was waited for
        found.append(history.stored())
        history.killed()
    wait_until(lambda: _ended(history), timeout=PATIENCE, what="the end of the backfill")
    took = time.monotonic() - began
    print(f"{took:.0f} s, {history.calls()} calls; at the kills {found} were stored; MiB {_rounded(history.peaks)}")

    # On a busy machine several may be killed over one write, before any of them has done it.
    assert len(set(found)) > KILLS / 4, "they were killed at different places of the history"
    _assert_events(history, expected)
    _assert_progress(history, expected.total())
    _assert_facts(history)
    assert history.peaks[-1] < history.peaks[0] + GROWTH


def _ended(history: Backfill) -> bool:
    """The history is read, and what is made of it, too."""
    history.look()
    running = select(SyncRun.id).where(SyncRun.kind == "backfill", SyncRun.status != "running")
    if history.scalar(running) is None:
        return False
    made = sum(history.scalar(select(func.count()).select_from(model)) for model in (CodeCommit, CodeReview))
    return bool(made == len(_history(history.repo)) + len(history.repo.reviews))


def _rounded(values: list[float]) -> list[int]:
    return [round(value) for value in values]


# --- what there has to be -----------------------------------------------------------------------------


def _assert_events(history: Backfill, expected: Counter[str]) -> None:
    """As many of each type as the host holds, and the keys of a reading that nobody disturbed, each once."""
    events = history.rows(Event, Event.key.is_not(None))
    assert Counter(event.type for event in events) == expected
    keys = [event.key.removeprefix(f"{history.integration_id}:") for event in events]
    assert len(keys) == len(set(keys))
    assert set(keys) == _undisturbed(history)
    assert all(event.backfilled for event in events)


def _undisturbed(history: Backfill) -> set[str]:
    """What the connector tells of the repository by itself."""
    rt = history.rt
    http = HttpClient(transport=rt.transport, budget=Unlimited(), now=utc_now)
    context = Context(
        config=GitHubConfig(organization="apex-digital"),
        credentials=TokenCredentials(token=API_TOKEN),
        http=http,
        endpoints={"api": history.sandbox.url},
        now=utc_now,
        app={},
    )
    [row] = history.rows(Repository)
    pages = GitHubConnector(context).code_events(remote(row), None)
    return {event.key for page in pages for event in page.events}


def _assert_progress(history: Backfill, events: int) -> None:
    """x of y, and the counts of the run."""
    [run] = history.rows(SyncRun, SyncRun.kind == "backfill")
    [repository] = history.rows(Repository)
    assert (run.status, run.error_code) == ("success", None)
    assert (run.done, run.total) == (PULLS, PULLS)
    assert (repository.state, repository.done, repository.total) == ("live", PULLS, PULLS)
    assert run.counts["events_new"] == events
    assert run.counts["records"] == events + run.counts.get("events_known", 0)
    assert run.attempts > KILLS / 2


def _assert_facts(history: Backfill) -> None:
    """What the host holds, by its own words; and what a look at the whole stream at once makes of it."""
    repo, rows = history.repo, history.rows
    bots = {user.id for user in history.sandbox.tracker.users.values() if user.name.endswith("[bot]")}
    changes = {str(number): _pull(repo, pull, bots) for number, pull in repo.pulls.items()}
    assert {row.number: _change(row) for row in rows(CodeChange)} == changes
    reviews = {str(one.id): one.state for one in repo.reviews.values()}
    assert {_last(row.id): row.state for row in rows(CodeReview)} == reviews
    deployments = {str(one.id): (one.environment, one.sha, one.state) for one in repo.deployments.values()}
    assert {_last(row.id): (row.environment, row.sha, row.state) for row in rows(CodeDeployment)} == deployments
    assert {_last(row.id): row.state for row in rows(CodePipelineRun)} == {
        str(run.id): run.state for run in repo.runs.values()
    }
    assert sorted(row.sha for row in rows(CodeCommit)) == sorted(_history(repo))
    assert sorted(row.tag for row in rows(CodeRelease)) == sorted(one.tag for one in repo.releases.values())
    folded = _all_facts(history)
    rebuild(history.rt.db)
    assert _all_facts(history) == folded


def _change(row: CodeChange) -> tuple[Any, ...]:
    return row.title, row.opened_at, row.merged_at, row.closed_at, row.merge_sha, row.first_review_at


def _pull(repo: Repo, pull: Pull, bots: set[str]) -> tuple[Any, ...]:
    merged, closed = (pull.closed if pull.state == state else None for state in ("merged", "closed"))
    others = [one for one in repo.reviews_of(pull.number) if one.author not in {pull.author, *bots}]
    reviewed = min((one.at for one in others), default=None)
    return pull.title, pull.created, merged, closed, pull.merge_sha, reviewed


def _history(repo: Repo) -> list[str]:
    return [commit.sha for commit in repo.history(repo.branches[repo.default])]


def _last(id_: str) -> str:
    return id_.rpartition(":")[2]


def _all_facts(history: Backfill) -> dict[str, list[tuple[Any, ...]]]:
    with history.rt.db.read() as session:
        everything = {model.__tablename__: select(model.__table__).order_by(model.id) for model in MODELS}
        return {name: [tuple(row) for row in session.execute(rows)] for name, rows in everything.items()}
