"""Forge on the bench."""

from __future__ import annotations

from pathlib import Path

from simulation.codeside import CodeSide
from tests.kit.forge.connector import ForgeConnector
from tests.kit.forge.fake import ForgeSandbox


class ForgeSide(CodeSide):
    """People at a Forge. It keeps a run's last attempt only."""

    name = "forge"
    connector_class = ForgeConnector
    sandbox_class = ForgeSandbox
    delivery_header = "x-forge-id"
    fixtures = Path(__file__).with_name("fixtures")
    has_not = frozenset({"rerun"})
