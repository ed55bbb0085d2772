"""Log lines of ours and of the libraries, in one form."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from core import logs


@pytest.fixture(autouse=True)
def _undone() -> Iterator[None]:
    """Logging is the process's, which here is the test's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_for_machines_every_line_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(as_json=True)
    structlog.get_logger("ours").warning("push.failed", code="rejected")
    logging.getLogger("theirs").warning("it took %s s", 3)
    password = "canary"
    try:
        raise ValueError(f"what went wrong with {len(password)} letters")
    except ValueError:
        logging.getLogger("theirs").exception("failed")
    ours, theirs, failed = (json.loads(line) for line in lines(capsys))
    assert (ours["event"], ours["code"], ours["level"]) == ("push.failed", "rejected", "warning")
    assert (theirs["event"], theirs["logger"]) == ("it took 3 s", "theirs")
    assert "what went wrong" in json.dumps(failed)
    assert "canary" not in json.dumps(failed)


def test_for_people_a_traceback_is_a_plain_one(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(as_json=False)
    logging.getLogger("celery").info("of every step")
    try:
        raise ValueError("what went wrong")
    except ValueError:
        structlog.get_logger().exception("failed")
    shown = lines(capsys)
    assert "failed" in shown[0]
    assert shown[-1] == "ValueError: what went wrong"
    assert not any("of every step" in line for line in shown)
