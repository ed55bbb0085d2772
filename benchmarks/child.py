"""A process that does one measured piece of work: it is told what on its stdin, and its last line is the answer."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.services.process import ROOT


def run(module: str, given: Any) -> Any:
    """Run a module as a process of its own; its answer. Both ways it is JSON. Raises RuntimeError if it fails."""
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def given() -> Any:
    """What this process was told."""
    return json.load(sys.stdin)


def answer(result: Any) -> None:
    """Say what came of it."""
    print(json.dumps(result))
