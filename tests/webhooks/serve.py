"""`python -m tests.webhooks.serve URL PORT`: a web process with nothing but the front door for the bell."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

from core.db import Database
from tests.webhooks.bell import VAULT, registry, settings
from webhooks.app import make_receiver, with_front_door


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application that only starts and stops."""
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


def main(url: str, port: int) -> None:
    receiver = make_receiver(
        settings=settings(), db=Database(url), vault=VAULT, registry=registry(), ring=lambda _: None
    )
    uvicorn.run(with_front_door(receiver, nothing), host="127.0.0.1", port=port, log_level="warning", ws="none")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
