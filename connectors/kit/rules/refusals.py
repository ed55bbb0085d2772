"""What a connector refuses is explained to who reads of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from connectors.kit.rule import Finding, Subject
from connectors.kit.rules.docs import readme
from connectors.kit.rules.source import modules


def documented(subject: Subject) -> Iterator[Finding]:
    """Every code a field can be refused with is explained in the README."""
    text = readme(subject)
    for file, tree in modules(subject):
        for line, code in _refusals(tree):
            if code not in text:
                yield Finding(
                    f"{file}:{line} refuses with {code!r}, which README.md does not mention",
                    "Add it to the table under Troubleshooting, with what the operator can do.",
                )


def _refusals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, code) of each call of Refusal, or of a helper called `refuse`, with a code written out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("Refusal", "refuse"):
            for argument in node.args:
                if isinstance(argument, ast.Constant) and _CODE.fullmatch(str(argument.value)):
                    yield node.lineno, str(argument.value)


_CODE = re.compile(r"[a-z]+(_[a-z]+)+")
