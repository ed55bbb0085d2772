"""`python -m sandbox`: fake vendors as processes."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

from tests.services.process import ServiceProcess, free_port

SANDBOX = [sys.executable, "-m", "sandbox"]


def state(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/_control/state", timeout=10) as answer:
        return json.load(answer)


def test_a_vendor_of_ones_own_is_served_with_items_and_says_how_to_get_in() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    args = [*SANDBOX, "of", "tests.sandbox.kit:Plain", "--plant", "4", "--port", str(port), "--limits-scale", "0.5"]
    with ServiceProcess(args, ready=f"{url}/_control/state", name="plain") as process:
        said = state(url)
        assert (len(said["items"]), said["url"]) == (4, url)
        assert "sandbox-token" in process.log
        assert "OAuth app" in process.log


def test_jira_is_served() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    args = [*SANDBOX, "jira", "--seed-issues", "2", "--port", str(port)]
    with ServiceProcess(args, ready=f"{url}/_control/state", name="jira") as process:
        assert len(state(url)["issues"]) == 2
        assert "Basic auth" in process.log


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere:Thing", "is the package installed?"),
        ("tests.sandbox.kit", "write module:Class"),
        ("tests.sandbox.kit:Receiver", "no subclass of sandbox.vendor.TrackerSandbox"),
    ],
)
def test_a_name_that_is_no_vendor_is_told_in_a_sentence(name: str, says: str) -> None:
    done = subprocess.run([*SANDBOX, "of", name], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
