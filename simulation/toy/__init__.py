"""Toy: a vendor made of plain Python state, and a connector with every capability for it.

`ToyVendor` is the other side: tests and the simulator edit its items as people would, tell it to fail, and take the
webhook deliveries it sent. `vendor.connector()` is a connector class tied to it; every operation first goes over
`vendor.transport` as one HTTP request, so that budgets, errors, redaction and the vendor's clock are the real ones, and
then works on the state. Everything is deterministic: ids and versions count, time is what `vendor.clock` says.
"""

from simulation.toy.connector import ToyConnector
from simulation.toy.vendor import API, BASIC, PRIORITIES, STATES, ToyItem, ToyVendor, deliver

__all__ = ["API", "BASIC", "PRIORITIES", "STATES", "ToyConnector", "ToyItem", "ToyVendor", "deliver"]
