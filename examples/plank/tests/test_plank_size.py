"""The example stays one that can be read in one sitting."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

HOME = Path(__file__).parents[1] / "turnbuckle_plank"
FOR_TESTS = {"fake.py", "side.py"}
MOST = 250
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of_code(path: Path) -> int:
    """Lines with code on them: blank ones, comments and docstrings are not counted."""
    source = path.read_text(encoding="utf-8")
    documented: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            documented |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    coded: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            coded |= set(range(token.start[0], token.end[0] + 1))
    return len(coded - documented)


def test_the_connector_is_small() -> None:
    sizes = {path.name: lines_of_code(path) for path in HOME.glob("*.py") if path.name not in FOR_TESTS}
    assert sum(sizes.values()) <= MOST, sizes
    assert lines_of_code(HOME / "fake.py") <= 110
