"""The fake Plank as a vendor of `turnbuckle simulate` and of the conformance kit."""

from pathlib import Path
from typing import ClassVar

from simulation.sandboxside import SandboxSide
from turnbuckle_plank.config import LANES, URGENCIES
from turnbuckle_plank.connector import PlankConnector
from turnbuckle_plank.fake import PlankSandbox


class PlankSide(SandboxSide):
    """People at a Plank."""

    name = "plank"
    connector_class = PlankConnector
    sandbox_class = PlankSandbox
    status_names: ClassVar = {lane: status.value for lane, status in LANES.items()}
    priority_names: ClassVar = {urgency: priority.value for urgency, priority in URGENCIES.items()}
    delivery_header = "x-plank-delivery"
    last_calls = ("POST /v2/boards/*/cards", "PATCH /v2/cards/*")
    fixtures = Path(__file__).parents[1] / "fixtures"
