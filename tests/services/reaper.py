"""A small process that cleans up after a test run which could not: killed, crashed, or interrupted.

It reads lines of JSON from its standard input and remembers them:

    {"started": <process group>, "stop": <signal number>}   {"ended": <process group>}
    {"made": <directory>}                                   {"removed": <directory>}

Its input ends when the test run does, however that happened. What is then still on the list is stopped
and removed. Run by path, with the standard library only, so that it starts fast and depends on nothing.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

GRACE = 2.0  # seconds between asking and SIGKILL


def remember(lines: Iterable[str]) -> tuple[dict[int, int], set[str]]:
    groups: dict[int, int] = {}
    directories: set[str] = set()
    for line in lines:
        match json.loads(line):
            case {"started": int(group), "stop": int(stop)}:
                groups[group] = stop
            case {"ended": int(group)}:
                groups.pop(group, None)
            case {"made": str(directory)}:
                directories.add(directory)
            case {"removed": str(directory)}:
                directories.discard(directory)
    return groups, directories


def send(group: int, signum: int) -> bool:
    """Whether there was still somebody to receive it."""
    try:
        os.killpg(group, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    groups, directories = remember(sys.stdin)
    for group, stop in groups.items():
        send(group, signal.SIGCONT)
        send(group, stop)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and any(send(group, 0) for group in groups):
        time.sleep(0.05)
    for group in groups:
        send(group, signal.SIGKILL)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
