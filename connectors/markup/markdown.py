"""A document -> markdown. Pure.

Text and structure stay: `adf.from_markdown` makes an equal document of the result, and markdown that went through both
once comes out the same ever after. What markdown has no words for (panels, media, colours) keeps its text and is
named in `lost`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from connectors.markup.adf import from_markdown
from connectors.markup.document import CONTROL, LANGUAGE, Node
from connectors.markup.inline import BACKTICKS, fingerprint, lines, title


class Markdown(NamedTuple):
    """`text`, and what it could not say: a description per node or mark, empty when nothing was lost."""

    text: str
    lost: tuple[str, ...]


_BREAK = "\\\n"
_LIST_MARKERS = {"bulletList": "-*", "taskList": "-*", "orderedList": ".)"}
"""The marker of a list, and of one that follows another of its kind: otherwise markdown makes them one."""
_MAY_FOLLOW_TEXT = re.compile(r"[-*] \S|1[.)] \S")
_STARTS_WITH_LIST = re.compile(r"(?:[-*]|\d{1,9}[.)])(?:\s|$)")
_LINE_START = re.compile(r"[-+*](?=\s|$)|#{1,6}(?=\s|$)|>|[|:=-][|:=\s-]*$")
_LINE_STARTS = frozenset("-+*#>|:=0123456789")
_NUMBERED = re.compile(r"(\d{1,9})([.)])(?=\s|$)")
_CLOSING_HASHES = re.compile(r"(?:^|(?<=\s))#+$")


def to_markdown(doc: Node) -> Markdown:
    """The document as markdown."""
    lost: list[str] = []
    text = _blocks(doc.content, lost)
    if CONTROL.search(text):
        text = canonical(text).text
    return Markdown(text, tuple(lost))


def canonical(text: str) -> Markdown:
    """The markdown as it reads back from a vendor that keeps it as ADF."""
    return to_markdown(msgspec.convert(from_markdown(text), Node))


def _blocks(nodes: Sequence[Node], lost: list[str], tight: bool = False) -> str:
    text, last = "", ""
    for node in nodes:
        markers = _LIST_MARKERS.get(node.type)
        if markers:
            marker = markers[1] if last == markers[0] else markers[0]
            block = _list(node, lost, marker)
        else:
            marker = "text"
            block = _WRITERS.get(node.type, _unknown)(node, lost)
        if block:
            close = tight and last == "text" and _MAY_FOLLOW_TEXT.match(block)
            text += ("\n" if close else "\n\n") + block if text else block
            last = marker
    return text


def _list(node: Node, lost: list[str], marker: str) -> str:
    if node.type == "taskList":
        return _tasks(node, lost, marker)
    lines: list[str] = []
    first = _number(node, "order", 1)
    for item in node.content:
        body = _blocks(item.content, lost, tight=True)
        if body:
            lead = f"{first + len(lines)}{marker} " if marker in ".)" else f"{marker} "
            starts_with_list = _STARTS_WITH_LIST.match(body)
            indented = _indent(body, len(lead))
            lines.append(f"{lead.rstrip()}\n{' ' * len(lead)}{indented}" if starts_with_list else lead + indented)
    return "\n".join(lines)


def _tasks(node: Node, lost: list[str], marker: str) -> str:
    lines: list[str] = []
    for child in node.content:
        if child.type == "taskList":
            nested = _tasks(child, lost, marker)
            lines.append("  " + _indent(nested, 2) if lines and nested else nested)
        else:
            inside = child.content if child.type == "taskItem" else [n for p in child.content for n in p.content]
            box = "[x]" if (child.attrs or {}).get("state") == "DONE" else "[ ]"
            lines.append(f"{marker} {box} {_indent(_lines(inside, lost), 2)}".rstrip())
    return "\n".join(line for line in lines if line)


def _indent(text: str, width: int) -> str:
    """Every line but the first moved right; blank lines stay empty."""
    return re.sub(r"\n(?=[^\n])", "\n" + " " * width, text) if "\n" in text else text


def _paragraph(node: Node, lost: list[str]) -> str:
    return _lines(node.content, lost)


def _lines(nodes: Sequence[Node], lost: list[str]) -> str:
    """Inline content as the lines of a paragraph."""
    kept = [_line(line) for line in lines(nodes, lost)]
    if len(kept) == 1:
        return kept[0]
    while kept and not kept[-1]:
        kept.pop()
    while kept and not kept[0]:
        kept.pop(0)
    return _BREAK.join(kept)


def _line(text: str) -> str:
    """A line that can't be read as the start of a block."""
    if not text or text[0] not in _LINE_STARTS:
        return text
    if _LINE_START.match(text):
        return "\\" + text
    return _NUMBERED.sub(r"\1\\\2", text, count=1) if _NUMBERED.match(text) else text


def _one_line(nodes: Sequence[Node], lost: list[str]) -> str:
    """Inline content where markdown has room for a single line."""
    return lines([_SPACE if node.type == "hardBreak" else node for node in nodes], lost)[0]


def _heading(node: Node, lost: list[str]) -> str:
    text = _CLOSING_HASHES.sub(r"\\\g<0>", _one_line(node.content, lost))
    level = min(max(_number(node, "level", 1), 1), 6)
    return f"{'#' * level} {text}" if text else ""


def _code_block(node: Node, lost: list[str]) -> str:
    text = "".join(child.text for child in node.content).replace("\r\n", "\n").replace("\r", "\n")
    longest = max(map(len, BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    language = LANGUAGE.match(str((node.attrs or {}).get("language") or ""))
    return f"{fence}{language[0] if language else ''}\n{text}{chr(10) if text else ''}{fence}"


def _quote(node: Node, lost: list[str]) -> str:
    text = _blocks(node.content, lost)
    return "\n".join(f"> {line}" if line else ">" for line in text.split("\n")) if text else ""


def _rule(node: Node, lost: list[str]) -> str:
    return "---"


def _table(node: Node, lost: list[str]) -> str:
    """A pipe table whose first row is the header, as markdown wants it; a cell is one line."""
    rows = [[_cell(cell, lost) for cell in row.content] for row in node.content]
    width = max(map(len, rows), default=0)
    if not width:
        return ""
    header, *body = ([*row, *[""] * (width - len(row))] for row in rows)
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * width, *body))


def _cell(cell: Node, lost: list[str]) -> str:
    if len(cell.content) > 1 or any(block.type != "paragraph" for block in cell.content):
        lost.append("table cell")
    return _one_line(_inline_below(cell), lost).replace("|", "\\|")


def _inline_below(node: Node) -> list[Node]:
    """All inline content below a node, blocks parted by a space."""
    if node.type in _INLINE_PARENTS or not node.content:
        return [*node.content, _SPACE] if node.type in _INLINE_PARENTS else [node, _SPACE]
    return [found for child in node.content for found in _inline_below(child)]


def _unknown(node: Node, lost: list[str]) -> str:
    """A block markdown has no form for: its text is kept."""
    lost.append(fingerprint(node.type, node.attrs))
    if node.type in _INLINE_PARENTS or (node.content and node.content[0].type == "text"):
        return _lines(node.content, lost)
    heading = _lines([Node("text", title(node))], lost)
    return "\n\n".join(filter(None, (heading, _blocks(node.content, lost))))


def _number(node: Node, name: str, default: int) -> int:
    value = (node.attrs or {}).get(name)
    return int(value) if isinstance(value, int | float) and 0 <= value < 1e8 else default


_SPACE = Node("text", " ")
_INLINE_PARENTS = frozenset({"paragraph", "heading", "taskItem", "decisionItem", "caption"})
_WRITERS: dict[str, Callable[[Node, list[str]], str]] = {
    "paragraph": _paragraph,
    "heading": _heading,
    "codeBlock": _code_block,
    "blockquote": _quote,
    "rule": _rule,
    "table": _table,
}
