"""What came of one integration in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """brought      what it brought, or said
    equal        what of it was found to be as it is there
    differences  what was not
    """

    brought: str
    equal: str
    differences: Sequence[str]
