"""Fetching the next pages while the last ones are being written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

from sync.runtime import Runtime

P = TypeVar("P")

ENOUGH = 1000
"""Records after which pages that have arrived are written at the latest: beyond, a larger transaction is no cheaper."""

TOGETHER = 0.2
"""Seconds in which pages are gathered although somebody waits to write them: a transaction costs as much as a page of
fifty events, and a quick vendor gives ten such pages in this time. One that took longer is written as it comes."""


def never() -> bool:
    """Go on to the end."""
    return False


def batches(
    rt: Runtime, pages: Iterator[P], size: Callable[[P], int], stop: Callable[[], bool] = never
) -> Iterator[list[P]]:
    """The pages, each list to be written in one transaction. `size` is the number of records in one.

    Once `stop` says so no more are fetched; those that have been, or are on their way, still come: they were paid for
    with calls. An error in fetching is raised after the pages before it have been given.
    """
    return _ahead(pages, size, stop) if rt.threads else _singly(pages, stop)


def _singly(pages: Iterator[P], stop: Callable[[], bool]) -> Iterator[list[P]]:
    for page in pages:
        yield [page]
        if stop():
            return


def _ahead(pages: Iterator[P], size: Callable[[P], int], stop: Callable[[], bool]) -> Iterator[list[P]]:
    """The pages, together those that were fetched while the ones before were being worked on."""
    wanted, last = Event(), Event()
    wanted.set()
    with ThreadPoolExecutor(1, thread_name_prefix="page") as fetcher:
        try:
            batch, failure = _gather(pages, size, wanted, last)
            while batch and failure is None and not last.is_set():
                wanted.clear()
                coming = fetcher.submit(_gather, pages, size, wanted, last)
                yield batch
                if stop():
                    last.set()
                wanted.set()
                batch, failure = coming.result()
            if batch:
                yield batch
            if failure is not None:
                raise failure
        finally:
            last.set()


def _gather(
    pages: Iterator[P], size: Callable[[P], int], wanted: Event, last: Event
) -> tuple[list[P], Exception | None]:
    """Pages until somebody has waited for them, there are enough, they are to be the last, or one can't be had (and
    why); none at the end."""
    gathered: list[P] = []
    began = time.monotonic()
    try:
        for page in pages:
            gathered.append(page)
            due = wanted.is_set() and time.monotonic() - began >= TOGETHER
            if due or last.is_set() or sum(map(size, gathered)) >= ENOUGH:
                break
    except Exception as error:  # what was fetched before it is not lost for that
        return gathered, error
    return gathered, None
