"""A plugin's code runs in our processes: what it may do to a piece of work, it may not do to the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class PluginExit(RuntimeError):
    """The connector tried to end the process. An ordinary error: the work it was called for has failed, no more."""


@contextmanager
def contained() -> Iterator[None]:
    """A block in which a connector is called. Raises PluginExit instead of SystemExit, which would end a worker, or the
    server with all its requests."""
    try:
        yield
    except SystemExit as error:
        raise PluginExit(f"the connector called exit({error.code!r})") from error
