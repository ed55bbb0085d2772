"""What the functions of this room are given: a part of what the engine's workers have."""

from __future__ import annotations

from typing import Protocol

from connectors.http import Transport
from core.clock import Clock
from core.db import Database
from core.settings import Settings
from core.vault import Vault


class World(Protocol):
    """The outside world. `transport` has the egress guard in front."""

    @property
    def settings(self) -> Settings: ...

    @property
    def db(self) -> Database: ...

    @property
    def vault(self) -> Vault: ...

    @property
    def transport(self) -> Transport: ...

    @property
    def clock(self) -> Clock: ...
