"""What docs/webhooks-out.md tells receivers is true."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from webhooks.outbound import schedule
from webhooks.outbound.payload import Secrets, headers_of
from webhooks.outbound.post import TIMEOUT

TEXT = (Path(__file__).parents[3] / "docs" / "webhooks-out.md").read_text()


def test_the_snippet_verifies_what_we_send_and_nothing_else() -> None:
    [snippet] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    found: dict[str, Any] = {}
    exec(snippet, found)  # our own text
    verify, now = found["verify"], datetime.now(UTC)
    secrets = Secrets.fresh().rotated(now)
    body, both = b'{"type":"task.created"}', secrets.valid(now)
    headers = headers_of("EVT-1-WHK-1", now, body, both)
    assert all(verify(secret, headers, body) for secret in both)
    assert not verify(Secrets.fresh().newest, headers, body)
    assert not verify(both[0], headers, body + b" ")
    assert not verify(both[0], headers | {"webhook-id": "EVT-2-WHK-1"}, body)
    old = headers_of("EVT-1-WHK-1", now.replace(year=now.year - 1), body, both)
    assert not verify(both[0], old, body)


def test_the_numbers_are_ours() -> None:
    waits = [wait.total_seconds() for wait in schedule.SCHEDULE[1:]]
    assert waits == [5, 300, 1800, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24))]
    assert "5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h" in TEXT
    assert f"within {TIMEOUT:.0f} seconds" in TEXT
    assert f"**{schedule.PATIENCE.days} days** of nothing but failures" in TEXT
    assert f"Up to {schedule.WAVE} messages are under way" in TEXT
