"""The pages of docs/reference, made of the docstrings of what plugin authors use: `make docs`.

Only what a module says of its public names is written, in the module's own order and under its own section marks
(`# --- name ---`), so that a page reads like the file without its bodies.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
PAGES = {
    "contract.md": (
        "The connector contract",
        (
            "connectors/contract/__init__.py",
            "connectors/contract/capabilities.py",
            "connectors/contract/tasks.py",
            "connectors/contract/code.py",
            "connectors/contract/hooks.py",
            "connectors/contract/notifications.py",
            "connectors/contract/errors.py",
            "connectors/contract/configuration.py",
            "connectors/contract/manifest.py",
            "connectors/contract/words.py",
        ),
    ),
    "tools.md": (
        "Tools for connectors",
        (
            "connectors/http.py",
            "connectors/response.py",
            "connectors/rest.py",
            "connectors/graphql.py",
            "connectors/reading.py",
            "connectors/bytime.py",
            "connectors/byid.py",
            "connectors/words.py",
            "connectors/writes.py",
            "connectors/transitions.py",
            "connectors/changelog.py",
            "connectors/texts.py",
            "connectors/times.py",
            "connectors/chosen_id.py",
            "connectors/markup/adf.py",
            "connectors/markup/html.py",
            "connectors/markup/markdown.py",
            "connectors/markup/stored.py",
            "connectors/credentials.py",
            "connectors/sites.py",
            "connectors/envelope.py",
            "connectors/hooks.py",
            "connectors/signing.py",
        ),
    ),
    "sandbox.md": (
        "The sandbox kit",
        (
            "sandbox/vendor.py",
            "sandbox/tracker.py",
            "sandbox/code/vendor.py",
            "sandbox/code/host.py",
            "sandbox/code/values.py",
            "sandbox/people.py",
            "sandbox/hooks.py",
            "sandbox/paging.py",
            "sandbox/auth.py",
            "sandbox/oauth.py",
            "sandbox/limits.py",
            "sandbox/switches.py",
            "sandbox/faults.py",
            "sandbox/errors.py",
            "sandbox/control.py",
            "simulation/sandboxside.py",
        ),
    ),
}
"""Page -> its title and the modules on it."""

HEAD = "<!-- Made by `make docs` from docstrings: change those. -->\n"
_SECTION = re.compile(r"# --- (.+?) -+")


@dataclass(frozen=True, slots=True)
class Section:
    """A mark in a file under which names stand."""

    line: int
    title: str


def page(title: str, modules: tuple[str, ...]) -> str:
    """One page."""
    parts = [HEAD, f"# {title}\n"]
    for path in modules:
        parts += _module(path)
    return "\n".join(parts)


def _module(path: str) -> Iterator[str]:
    source = (ROOT / path).read_text(encoding="utf-8")
    tree = ast.parse(source)
    yield f"## {path.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}\n"
    yield f"{_text(ast.get_docstring(tree))}\n"
    sections, heading = list(_sections(source)), ""
    for node, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        while sections and sections[0].line < node.lineno:
            heading = sections.pop(0).title
        entry = list(_entry(node, following))
        if entry and heading:
            yield f"### {heading[0].upper()}{heading[1:]}\n"
            heading = ""
        yield from entry


def _sections(source: str) -> Iterator[Section]:
    """The marks at the left margin."""
    for number, line in enumerate(source.splitlines(), 1):
        found = _SECTION.fullmatch(line)
        if found:
            yield Section(number, found[1])


def _entry(node: ast.stmt, following: ast.stmt | None) -> Iterator[str]:
    """What a module's statement says to its users; nothing for what is private or undocumented."""
    if isinstance(node, ast.ClassDef) and _public(node.name) and ast.get_docstring(node):
        yield from _class(node)
    elif isinstance(node, ast.FunctionDef) and _public(node.name) and ast.get_docstring(node):
        yield from _function(node)
    elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(following, ast.Expr):
        name = _name_of(node)
        if name and _public(name) and isinstance(following.value, ast.Constant):
            yield _code(ast.unparse(node))
            yield f"{_text(str(following.value.value))}\n"


def _class(node: ast.ClassDef) -> Iterator[str]:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    fields = [ast.unparse(one) for one in node.body if isinstance(one, ast.AnnAssign | ast.Assign) and _shown(one)]
    lines = [f"class {node.name}({bases}):" if bases else f"class {node.name}:", *(f"    {field}" for field in fields)]
    yield _code("\n".join(lines))
    yield f"{_text(ast.get_docstring(node))}\n"
    methods = [one for one in node.body if isinstance(one, ast.FunctionDef) and _public(one.name)]
    told = [f"- `{_signature(one)}`: {_line(doc)}" for one in methods if (doc := ast.get_docstring(one))]
    if told:
        yield "\n".join([*told, ""])


def _function(node: ast.FunctionDef) -> Iterator[str]:
    yield _code(_signature(node))
    yield f"{_text(ast.get_docstring(node))}\n"


def _signature(node: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = ast.unparse(node.args).removeprefix("self, ").removeprefix("cls, ")
    return f"{node.name}({'' if arguments in ('self', 'cls') else arguments}){returns}"


def _shown(node: ast.stmt) -> bool:
    """Whether a class's field is for its users."""
    name = _name_of(node)
    return bool(name) and _public(name) and name != "model_config"


def _name_of(node: ast.stmt) -> str:
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) else ""


def _public(name: str) -> bool:
    return not name.startswith("_")


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def _line(docstring: str) -> str:
    return " ".join(docstring.split())


def _text(docstring: str | None) -> str:
    """A docstring; blocks that are lined up stay so."""
    text = inspect.cleandoc(docstring or "")
    return re.sub(r"(?m)^(?=\w+(?:, \w+)* {2,}\S)", "    ", text)


def main() -> int:
    """Write the pages; with --check only say which are out of date."""
    stale = []
    for name, (title, modules) in PAGES.items():
        made, path = page(title, modules), FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != made:
            stale.append(name)
            if "--check" not in sys.argv:
                FOLDER.mkdir(exist_ok=True)
                path.write_text(made, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(f"out of date: {', '.join(stale)}; run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
