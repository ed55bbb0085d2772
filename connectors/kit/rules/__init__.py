"""All rules of the scale, lowest tier first."""

from connectors.kit.rule import Rule
from connectors.kit.rules import (
    budget,
    changing,
    codeways,
    connecting,
    creating,
    deleting,
    delivery,
    docs,
    fields,
    fixtures,
    honesty,
    leaving,
    manifest,
    mapping,
    place,
    reading,
    secrecy,
    source,
    support,
    trouble,
    verification,
)

_MODULES = (
    manifest,
    place,
    connecting,
    verification,
    fixtures,
    mapping,
    source,
    secrecy,
    docs,
    delivery,
    creating,
    trouble,
    leaving,
    fields,
    reading,
    deleting,
    support,
    changing,
    honesty,
    budget,
    codeways,
)

RULES: tuple[Rule, ...] = tuple(sorted((rule for module in _MODULES for rule in module.RULES), key=lambda r: r.tier))
"""Rules of one tier in the order of the modules."""
