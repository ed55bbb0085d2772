"""`Idempotency-Key`: a POST that is sent again gets the answer it had, and nothing is done twice.

The key is claimed in a transaction of its own, before the work. The answer is stored in the transaction that did the
work where that is ours (`keep`), else in one right after it. Work that failed in a way that may pass, or that crashed,
gives its key back. Keys belong to a token and are kept for a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.orm import Session

from api import errors
from api.auth import Caller, Rt
from core.bulk import insert_missing
from core.errors import Conflict, PlatformError, Unprocessable
from core.models import IdempotencyKey
from sync.runtime import Runtime

KEPT = timedelta(hours=24)

TAKE_OVER = timedelta(seconds=150)
"""After this a claim without an answer is a crash: no request lasts longer, as a vendor call ends after 120 s."""

PASSING = frozenset({409, 429})
"""Refusals that are about the moment, not about the request: the same key may try again."""

BUSY = "The first request with this Idempotency-Key is still being worked on. Try again in a moment."

Json = dict[str, Any]


@dataclass
class Claim:
    """The right to answer one key. `since` tells it from a later claim that took the key over."""

    row_id: int
    since: datetime
    settled: bool = False

    def settle(self, session: Session, status: int, body: Json) -> None:
        """Store the answer. Raises Conflict, which undoes the work in hand, if the key was taken over meanwhile."""
        statement = update(IdempotencyKey).where(*self._mine()).values(status=status, body=body)
        if _count(session, statement) != 1:
            raise Conflict("This request took so long that its Idempotency-Key was given to a repetition of it.")
        self.settled = True

    def release(self, session: Session) -> None:
        """Give the key back."""
        session.execute(delete(IdempotencyKey).where(*self._mine()))

    def _mine(self) -> tuple[Any, ...]:
        row = IdempotencyKey
        return row.id == self.row_id, row.created_at == self.since, row.status.is_(None)


Keep = Callable[[Session, Json], None]
"""Stores the answer of the work in the work's own transaction."""


@dataclass(frozen=True)
class Idempotent:
    """Runs a POST's work at most once for its key; without a key, every time."""

    rt: Runtime
    token_id: str
    key: str | None
    fingerprint: str

    def run(self, status: int, work: Callable[[Keep], Json]) -> JSONResponse:
        """The answer of `work`, or the one it had. `work` may call `keep` at the end of its transaction."""
        if self.key is None:
            return JSONResponse(work(lambda _session, _body: None), status)
        found = self._claim(self.key)
        if isinstance(found, JSONResponse):
            return found
        claim, stored = found, False
        try:
            body = work(lambda session, body: claim.settle(session, status, body))
            if not claim.settled:
                self._settle(claim, status, body)
            stored = True
        except PlatformError as error:
            if error.status < 500 and error.status not in PASSING:
                self._settle(claim, error.status, errors.envelope(error.status, error.message, error.code))
                stored = True
            raise
        finally:
            if not stored:
                self._release(claim)
        return JSONResponse(body, status)

    def _claim(self, key: str) -> Claim | JSONResponse:
        """The claim on a key that is free, or the stored answer. Raises Conflict, Unprocessable."""
        now = self.rt.clock()
        row = {"token_id": self.token_id, "key": key, "fingerprint": self.fingerprint, "created_at": now}
        with self.rt.db.write() as session:
            session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < now - KEPT))
            fresh = insert_missing(session, IdempotencyKey.__table__, row)
            mine = (IdempotencyKey.token_id == self.token_id, IdempotencyKey.key == key)
            known = session.scalars(select(IdempotencyKey).where(*mine).with_for_update()).one_or_none()
            if known is None:  # given back between the two statements
                raise Conflict(BUSY)
            if fresh:
                return Claim(known.id, now)
            if known.fingerprint != self.fingerprint:
                raise Unprocessable("This Idempotency-Key was used for another request. Use a new key for a new one.")
            if known.status is not None:
                return JSONResponse(known.body, known.status, {"Idempotency-Replayed": "true"})
            if now - known.created_at < TAKE_OVER:
                raise Conflict(BUSY)
            known.created_at = now
            return Claim(known.id, now)

    def _settle(self, claim: Claim, status: int, body: Json) -> None:
        with self.rt.db.write() as session:
            claim.settle(session, status, body)

    def _release(self, claim: Claim) -> None:
        with self.rt.db.write() as session:
            claim.release(session)


async def _fingerprint(request: Request) -> str:
    """A digest of what was asked: method, path, query and body."""
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + await request.body()
    return hashlib.sha256(asked).hexdigest()


async def _idempotent(
    rt: Rt,
    caller: Caller,
    fingerprint: Annotated[str, Depends(_fingerprint)],
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Any text of your choice, unique to the request: sent again with the same body within 24 "
            "hours, the request is answered as before and nothing is done twice.",
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
        ),
    ] = None,
) -> Idempotent:
    return Idempotent(rt, caller.token_id, key, fingerprint)


Once = Annotated[Idempotent, Depends(_idempotent)]


def _count(session: Session, statement: Any) -> int:
    result = session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)
    return result.rowcount
