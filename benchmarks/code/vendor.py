"""The GitHub sandbox over real HTTP in a process of its own, without rate limits.

    python -m benchmarks.code.vendor PULLS        (says "ready: {…}" when it answers)

The one of `sandbox`, with its ready-made history: pull requests with commits, drafts and reviews, each merge run
through the pipeline, every third one deployed.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.request import Request, urlopen

from tests.services.github import REPOSITORY, UnlimitedGitHub, told_by
from tests.services.process import ServiceProcess


@dataclass(frozen=True)
class Vendor:
    """A running sandbox: its address, its process, and how many events its history has."""

    url: str
    pid: int
    events: int

    def calls(self) -> int:
        """The calls it got since the last time this was asked."""
        with urlopen(f"{self.url}/_control/calls?operation=none") as answer:
            counts = json.load(answer)["counts"]
        urlopen(Request(f"{self.url}/_control/calls", method="DELETE")).close()
        return sum(counts.values())


@contextmanager
def running(pulls: int) -> Iterator[Vendor]:
    """The sandbox with so many pull requests."""
    command = [sys.executable, "-m", "benchmarks.code.vendor", str(pulls)]
    with ServiceProcess(command, ready=r"^ready: .*$", name="bench-github") as process:
        said = json.loads(process.wait_for(r"^ready: (.*)$")[1])
        yield Vendor(said["url"], process.pid, said["events"])


def serve(pulls: int) -> None:
    """Answer until the process is ended."""
    sandbox = UnlimitedGitHub(seed=1)
    sandbox.plant_history(pulls)
    with sandbox.serve() as handle:
        events = told_by(sandbox.host.repo(REPOSITORY)).total()
        print(f"ready: {json.dumps({'url': handle.url, 'events': events})}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
