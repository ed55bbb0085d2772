"""Filling a template: `$names`, and lines that are there only for some capabilities. Pure.

A block begins with a line `#: if name` (or `#: if not name`) and ends with a line `#: end`, both indented as one likes.
Blocks do not nest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from string import Template

_IF, _NOT, _END = "#: if ", "#: if not ", "#: end"


def filled(template: str, words: Mapping[str, str], true: Collection[str]) -> str:
    """The file. Raises KeyError for a name nobody knows, ValueError for a block without an end."""
    return Template("".join(_chosen(template, true))).substitute(words)


def _chosen(template: str, true: Collection[str]) -> Iterator[str]:
    """The lines outside of blocks, and those of blocks that are wanted."""
    inside, wanted = False, True
    for line in template.splitlines(keepends=True):
        mark = line.strip()
        if mark == _END and inside:
            inside, wanted = False, True
        elif mark.startswith(_IF) and not inside:
            inside, wanted = True, _holds(mark, true)
        elif mark.startswith("#: "):
            raise ValueError(f"a block can't go on with {mark!r}")
        elif wanted:
            yield line
    if inside:
        raise ValueError("a block has no end")


def _holds(mark: str, true: Collection[str]) -> bool:
    if mark.startswith(_NOT):
        return mark.removeprefix(_NOT) not in true
    return mark.removeprefix(_IF) in true
