"""The checker of recorded exchanges against the vendors' own API descriptions, which lies beside the project.

Nothing of it is needed to install, run or test the product: where it is absent, the tests that use it are skipped.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

SHARED = Path(os.environ.get("TURNBUCKLE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
"""Where `tools/` and `specs/` are."""

CHECKER = SHARED / "tools" / "check_contract.py"


def load_checker() -> ModuleType:
    """The checker's module. Skips the test where there is none."""
    if not CHECKER.exists():
        pytest.skip(f"no contract checker at {CHECKER}; set TURNBUCKLE_SHARED to where tools/ and specs/ are")
    spec = importlib.util.spec_from_file_location("check_contract", CHECKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
