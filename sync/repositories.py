"""Which repositories an integration reads: the vendor's listing settled with what is known.

A repository is known by the vendor's immutable id, so renames and transfers keep its row. A new one is read from the
start by a backfill of its own; one that is listed no more is said to be gone, and what was read of it stays; one that
comes back carries on where it stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session as DbSession

from connectors.contract import CodeSource, CodeSyncConfig, Config, RemoteRepository, TaskSyncConfig
from core import ids
from core.models import Integration, Repository, SyncRun
from sync.code import LEFT_OUT, repository_key
from sync.doubles import read_by_others
from sync.failures import FAILED_AFTER
from sync.health import Cause, Trouble, clear_causes, raise_cause
from sync.leases import Lease
from sync.runs import new_run
from sync.sessions import Session

BACKFILLING, LIVE, ARCHIVED, GONE = "backfilling", "live", "archived", "gone"
READ = (BACKFILLING, LIVE, ARCHIVED)
"""States of those that the vendor listed when it was last asked."""

PASSING = frozenset({"transient", "rate_limited"})
"""Codes of failures that pass by themselves; any other needs somebody's hand and is told at once."""

SHOWN = 3
"""Names told in a sentence."""

READ_STAYS = frozenset({*CodeSyncConfig.model_fields, *TaskSyncConfig.model_fields})
"""Config keys by which a repository that is read already is not read anew, unless `wants_more` says so: what is
followed, how often, and what items mean."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing came to: how many repositories are read, and how many of them are new."""

    repositories: int
    new: int


def ask(lease: Lease, source: CodeSource) -> list[RemoteRepository]:
    """All that the vendor lists now, each once. Raises what the connector raises, LeaseLost."""
    listed: dict[str, RemoteRepository] = {}
    for batch in source.repositories():
        listed.update((one.external_id, one) for one in batch)
        lease.extend()
    return list(listed.values())


def settle(
    db: DbSession, integration: Integration, session: Session, listed: Sequence[RemoteRepository], now: datetime
) -> Listed:
    """Bring the rows in line with the listing, open backfills, and say what is missing."""
    words = words_of(session.config)
    rows = {row.external_id: row for row in _rows(db, integration.id)}
    began = now + session.clock_offset()
    theirs = _theirs(db, integration, rows, listed)
    ours = [one for one in listed if one.external_id not in theirs]
    new = [one for one in ours if one.external_id not in rows]
    made = _new_rows(db, integration.id, new, words, began, now)
    for one in ours:
        if one.external_id in rows:
            _listed(rows[one.external_id], one, words, began, now)
    there = {one.external_id for one in ours}
    for row in rows.values():
        if row.external_id in theirs:
            _set(row, now, {"state": LEFT_OUT})
        elif row.external_id not in there:
            _not_listed(row, words, now)
    db.flush()
    everything = [*rows.values(), *made]
    _open_backfills(db, integration, everything, now)
    doubles = {one.name: theirs[one.external_id] for one in listed if one.external_id in theirs}
    _tell_missing(db, integration, words, everything, doubles, now)
    return Listed(len(there), len(made))


def _theirs(
    db: DbSession, integration: Integration, rows: Mapping[str, Repository], listed: Sequence[RemoteRepository]
) -> Mapping[str, Integration]:
    """Those that are not read here (any more, or yet), and by another integration: they are left to it."""
    unread = [one for one in listed if one.external_id not in rows or rows[one.external_id].state not in READ]
    return read_by_others(db, integration, unread, READ)


def words_of(config: Config) -> tuple[str, ...]:
    """The repositories the config names; none: all there are."""
    return tuple(config.repositories) if isinstance(config, CodeSyncConfig) else ()


def word_for(words: Iterable[str], name: str) -> str | None:
    """The config's word that means a repository of this name, which may have owners before it."""
    folded = f"/{name.casefold()}"
    return next((word for word in words if folded.endswith(f"/{word.casefold()}")), None)


def _rows(db: DbSession, integration_id: str) -> Sequence[Repository]:
    mine = select(Repository).where(Repository.integration_id == integration_id).order_by(Repository.id)
    return db.scalars(mine.with_for_update()).all()


def _new_rows(
    db: DbSession,
    integration_id: str,
    listed: Sequence[RemoteRepository],
    words: Sequence[str],
    began: datetime,
    now: datetime,
) -> list[Repository]:
    made = [
        Repository(
            id=id_,
            repository_key=repository_key(integration_id, one.external_id),
            integration_id=integration_id,
            external_id=one.external_id,
            name=one.name,
            url=one.url,
            default_branch=one.default_branch,
            archived=one.archived,
            named=word_for(words, one.name),
            state=BACKFILLING,
            revision=1,
            cursor=None,
            history_until=began,
            next_poll_at=now,
            failures=0,
            created_at=now,
            updated_at=now,
        )
        for id_, one in zip(ids.take(db, "RPO", now, len(listed)), listed, strict=True)
    ]
    db.add_all(made)
    return made


def _listed(row: Repository, one: RemoteRepository, words: Sequence[str], began: datetime, now: datetime) -> None:
    """A known repository is there, maybe under another name."""
    seen = {
        "name": one.name,
        "url": one.url,
        "default_branch": one.default_branch,
        "archived": one.archived,
        # One that was renamed there keeps the word by which it was found, as long as the config has it.
        "named": word_for(words, one.name) or (row.named if row.named in words else None),
    }
    _set(row, now, seen)
    if row.state == LEFT_OUT:
        # What happened meanwhile is read, but nobody wanted to hear of it.
        _set(row, now, {"history_until": began})
    if row.state in (GONE, LEFT_OUT):
        _set(row, now, {"state": LIVE if row.backfilled_at else BACKFILLING, "next_poll_at": now, "failures": 0})
        _set(row, now, {"reason_code": None, "reason_text": None})
    elif row.state == ARCHIVED and not one.archived:
        _set(row, now, {"state": LIVE})


def _not_listed(row: Repository, words: Sequence[str], now: datetime) -> None:
    wanted = not words or row.named in words or word_for(words, row.name) is not None
    _set(row, now, {"state": GONE if wanted else LEFT_OUT})


def _set(row: Repository, now: datetime, values: Mapping[str, Any]) -> None:
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    if changed:
        row.updated_at = now


# --- backfills ----------------------------------------------------------------------------------------


def _open_backfills(db: DbSession, integration: Integration, rows: Sequence[Repository], now: datetime) -> None:
    """A run for each history that is to be read; those of repositories that are not there end."""
    mine = (SyncRun.integration_id == integration.id, SyncRun.kind == "backfill", SyncRun.status == "running")
    going = {run.repository_id: run for run in db.scalars(select(SyncRun).where(*mine))}
    wanted = [row for row in rows if row.state == BACKFILLING and row.id not in going]
    for row, run_id in zip(wanted, ids.take(db, "SYNC", now, len(wanted)), strict=True):
        run = new_run(integration.id, run_id, "schedule", integration.id, now)
        run.kind, run.repository_id = "backfill", row.id
        db.add(run)
    for row in rows:
        if row.state != BACKFILLING and row.id in going:
            run = going[row.id]
            run.status = "partial" if run.counts.get("pages") else "failed"
            run.finished_at = now
            run.error_code, run.error_text = row.state, _ended(row)


def _ended(row: Repository) -> str:
    if row.state == GONE:
        return f"{row.name} is not visible any more. If it comes back, it is read on from where this stopped."
    return f"{row.name} is not in the config any more."


def wants_more(old: Config, new: Config) -> bool:
    """Whether repositories that were read under the old config have to be read anew under the new one: there is more to
    follow, or something only the connector knows the meaning of has changed."""
    if not (isinstance(old, CodeSyncConfig) and isinstance(new, CodeSyncConfig)):
        return True
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    if any(before[key] != after[key] for key in after.keys() - READ_STAYS):
        return True
    longer = old.history_days is not None and (new.history_days is None or new.history_days > old.history_days)
    return longer or bool(new.kinds() - old.kinds())


def read_anew(db: DbSession, integration_id: str, now: datetime) -> None:
    """Every repository is read from its start once more; the next listing opens the backfills."""
    db.execute(
        update(Repository)
        .where(Repository.integration_id == integration_id)
        .values(
            cursor=None,
            revision=Repository.revision + 1,
            # What happened since it was last read to its end is still news.
            history_until=func.coalesce(Repository.polled_at, Repository.history_until),
            backfilled_at=None,
            done=None,
            total=None,
            next_poll_at=now,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    db.execute(
        update(Repository)
        .where(Repository.integration_id == integration_id, Repository.state.in_(READ))
        .values(state=BACKFILLING)
        .execution_options(synchronize_session=False)
    )


def leave_out_all(db: DbSession, integration_id: str, now: datetime) -> None:
    """The config makes no use of code any more: nothing is read, what was read stays."""
    mine = (Repository.integration_id == integration_id, Repository.state != LEFT_OUT)
    row = update(Repository).where(*mine).values(state=LEFT_OUT, updated_at=now)
    db.execute(row.execution_options(synchronize_session=False))
    run = update(SyncRun).where(
        SyncRun.integration_id == integration_id, SyncRun.kind == "backfill", SyncRun.status == "running"
    )
    ended = {"error_code": LEFT_OUT, "error_text": "The config makes no use of code any more.", "finished_at": now}
    db.execute(run.values(status="failed", **ended).execution_options(synchronize_session=False))


# --- what is wrong ------------------------------------------------------------------------------------


def _tell_missing(
    db: DbSession,
    integration: Integration,
    words: Sequence[str],
    rows: Sequence[Repository],
    doubles: Mapping[str, Integration],
    now: datetime,
) -> None:
    """Repositories that are wanted and not there, or not to be had twice, are a cause of their own."""
    gone = sorted(row.name for row in rows if row.state == GONE)
    met = {row.named for row in rows} | {word_for(words, name) for name in doubles}
    never = [word for word in words if word not in met]
    missing = [text for text in (_gone_text(gone), _never_text(never)) if text]
    told = [*missing, *_double_texts(doubles)]
    if not told:
        clear_causes(db, integration, (Cause.REPOSITORIES,), now)
        return
    code = "repositories_missing" if missing else "repositories_double"
    raise_cause(db, integration, Cause.REPOSITORIES, Trouble(code, " ".join(told)), now)


def _double_texts(doubles: Mapping[str, Integration]) -> Iterator[str]:
    for other in {other.id: other for other in doubles.values()}.values():
        names = sorted(name for name, by in doubles.items() if by.id == other.id)
        yield (
            f"{other.id} ({other.name}) reads {some(names)} already, and what happens there would count twice: take it "
            "out of config.repositories of one of the two."
        )


def _gone_text(names: Collection[str]) -> str:
    if not names:
        return ""
    are = "is" if len(names) == 1 else "are"
    return (
        f"{some(names)} {are} not visible any more: deleted, moved, or hidden from the connected account. What was "
        "read stays; give the account access again, or take it out of config.repositories."
    )


def _never_text(words: Collection[str]) -> str:
    if not words:
        return ""
    are = "is" if len(words) == 1 else "are"
    return f"config.repositories names {some(words)}, which {are} not visible: check the spelling and the permissions."


def tell_failing(db: DbSession, integration: Integration, now: datetime) -> None:
    """Repositories that can't be read are another; so is their being read again."""
    db.flush()
    lasting = or_(Repository.failures >= FAILED_AFTER, Repository.reason_code.not_in(PASSING))
    wrong = db.execute(
        select(Repository.name, Repository.reason_code, Repository.reason_text)
        .where(
            Repository.integration_id == integration.id,
            Repository.state.in_(READ),
            Repository.failures > 0,
            Repository.reason_code.is_not(None),
            lasting,
        )
        .order_by(Repository.name)
    ).all()
    if not wrong:
        clear_causes(db, integration, (Cause.READING,), now)
        return
    text = f"{some([row.name for row in wrong])} can't be read: {wrong[0].reason_text}"
    raise_cause(db, integration, Cause.READING, Trouble(wrong[0].reason_code, text), now)


def has_failed(row: Repository) -> bool:
    """Whether what went wrong is more than a passing trouble."""
    return row.failures >= FAILED_AFTER or (row.failures > 0 and row.reason_code not in PASSING)


def shown_state(row: Repository) -> str:
    """The state as people are told it: `failed` where it can't be read."""
    return "failed" if row.state in READ and has_failed(row) else row.state


def some(names: Collection[str]) -> str:
    """Names in a sentence."""
    listed = list(names)
    more = len(listed) - SHOWN
    return ", ".join(listed[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def eta(run: SyncRun, now: datetime) -> datetime | None:
    """When a backfill will be finished at the pace it has had so far; None while that can't be said."""
    if run.status != "running" or not run.done or run.total is None:
        return None
    left = max(run.total - run.done, 0)
    pace: timedelta = (now - run.started_at) / run.done
    return now + pace * left
