"""A fake Plank, its people, and the connector calling it; nothing goes over a network."""

from __future__ import annotations

import pytest
from turnbuckle_plank import PlankConnector
from turnbuckle_plank.side import PlankSide


@pytest.fixture
def side() -> PlankSide:
    return PlankSide.alone()


@pytest.fixture
def plank(side: PlankSide) -> PlankConnector:
    connector: PlankConnector = side.connected()
    return connector
