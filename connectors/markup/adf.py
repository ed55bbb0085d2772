"""Markdown -> Atlassian Document Format, the only rich text Jira Cloud takes and gives. Pure.

What ADF does not let stand where markdown has it (a heading in a list) becomes what comes nearest. The other
direction is `markdown`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from markdown_it.tree import SyntaxTreeNode

from connectors.markup.document import CONTROL, LANGUAGE, MENTION, PARSER, Json

_TASK = re.compile(r"\[([ xX])\](?:\s+|$)")
_IN_A_LIST = frozenset({"paragraph", "bulletList", "orderedList", "taskList", "codeBlock"})
_FITS = {"listItem": _IN_A_LIST, "blockquote": _IN_A_LIST - {"taskList"}}
"""Parent -> the blocks ADF lets stand in it, where markdown lets anything."""
_MARKS = {"strong": "strong", "em": "em", "s": "strike"}


def from_markdown(text: str) -> Json:
    """The text as an ADF document, ready to be sent. Single line breaks are kept: people mean them."""
    tree = SyntaxTreeNode(PARSER.parse(CONTROL.sub("", text)))
    return {"type": "doc", "version": 1, "content": _content(tree, "doc")}


def _content(tree: SyntaxTreeNode, parent: str) -> list[Json]:
    allowed = _FITS.get(parent)
    blocks = [block for child in tree.children for block in _READERS[child.type](child)]
    return blocks if allowed is None else [fitting for block in blocks for fitting in _fitted(block, allowed)]


def _fitted(block: Json, allowed: frozenset[str]) -> list[Json]:
    """The block, or what comes nearest to it among those allowed."""
    if block["type"] in allowed:
        return [block]
    if block["type"] == "heading":
        return [_node("paragraph", block["content"])]
    if block["type"] == "blockquote":
        return [fitting for child in block["content"] for fitting in _fitted(child, allowed)]
    if block["type"] == "table":
        cells = [
            [n for cell in row["content"] for n in (*cell["content"][0]["content"], _text(" "))]
            for row in block["content"]
        ]
        return [_node("paragraph", cell) for cell in cells]
    if block["type"] == "taskList":
        return [_node("bulletList", [_plain_task(child, allowed) for child in block["content"]])]
    return []  # a rule


def _plain_task(child: Json, allowed: frozenset[str]) -> Json:
    if child["type"] == "taskList":
        return _node("listItem", _fitted(child, allowed))
    box = _text("[x] " if child["attrs"]["state"] == "DONE" else "[ ] ")
    return _node("listItem", [_node("paragraph", [box, *child["content"]])])


def _node(kind: str, content: list[Json], **attrs: Any) -> Json:
    return {"type": kind, "content": content} | ({"attrs": attrs} if attrs else {})


def _text(text: str, marks: Sequence[Json] = ()) -> Json:
    return {"type": "text", "text": text} | ({"marks": list(marks)} if marks else {})


def _read_paragraph(tree: SyntaxTreeNode) -> list[Json]:
    return [_node("paragraph", _read_inline(tree))]


def _read_heading(tree: SyntaxTreeNode) -> list[Json]:
    words: list[Json] = []
    for node in _read_inline(tree):  # markdown has no headings of several lines
        if node["type"] == "text":
            _append(words, node["text"], node.get("marks", ()))
        elif node["type"] == "hardBreak":
            _append(words, " ", ())
        else:
            words.append(node)
    return [_node("heading", words, level=int(tree.tag[1:]))]


def _read_code(tree: SyntaxTreeNode) -> list[Json]:
    text = tree.content.removesuffix("\n")
    language = LANGUAGE.match(tree.info.strip())
    attrs = {"language": language[0]} if language else {}
    return [_node("codeBlock", [_text(text)] if text else [], **attrs)]


def _read_quote(tree: SyntaxTreeNode) -> list[Json]:
    content = _content(tree, "blockquote")
    return [_node("blockquote", content)] if content else []


def _read_bullets(tree: SyntaxTreeNode) -> list[Json]:
    tasks = _read_tasks(tree, "0")
    return [tasks] if tasks else [_node("bulletList", _read_items(tree))]


def _read_numbers(tree: SyntaxTreeNode) -> list[Json]:
    start = int(tree.attrs.get("start", 1))
    return [_node("orderedList", _read_items(tree), **({"order": start} if start != 1 else {}))]


def _read_items(tree: SyntaxTreeNode) -> list[Json]:
    return [_node("listItem", _content(item, "listItem") or [_node("paragraph", [])]) for item in tree.children]


def _read_tasks(tree: SyntaxTreeNode, path: str) -> Json | None:
    """A bullet list all of whose items are `[ ] text`, nested ones included; else None. ADF wants ids: places do."""
    content: list[Json] = []
    for number, item in enumerate(tree.children):
        place = f"{path}.{number}"
        task = _read_task(item.children[0], place) if item.children else None
        nested = [_read_tasks(child, place) if child.type == "bullet_list" else None for child in item.children[1:]]
        if task is None or None in nested:
            return None
        content += [task, *filter(None, nested)]
    return _node("taskList", content, localId=path)


def _read_task(tree: SyntaxTreeNode, place: str) -> Json | None:
    box = _TASK.match(tree.children[0].content) if tree.type == "paragraph" else None
    words = _read_inline(tree) if box else []
    if not box or not words[0].get("text", "").startswith(box[0].rstrip()):
        return None  # what looks like a box may turn out to be a link
    words[0]["text"] = words[0]["text"][box.end() :]
    state = "TODO" if box[1] == " " else "DONE"
    return _node("taskItem", words if words[0]["text"] else words[1:], localId=place, state=state)


def _read_rule(tree: SyntaxTreeNode) -> list[Json]:
    return [{"type": "rule"}]


def _read_table(tree: SyntaxTreeNode) -> list[Json]:
    rows = [row for part in tree.children for row in part.children]
    return [_node("table", [_node("tableRow", [_read_cell(cell) for cell in row.children]) for row in rows])]


def _read_cell(tree: SyntaxTreeNode) -> Json:
    kind = "tableHeader" if tree.type == "th" else "tableCell"
    return _node(kind, [_node("paragraph", _read_inline(tree))])


_READERS: dict[str, Callable[[SyntaxTreeNode], list[Json]]] = {
    "paragraph": _read_paragraph,
    "heading": _read_heading,
    "fence": _read_code,
    "code_block": _read_code,
    "blockquote": _read_quote,
    "bullet_list": _read_bullets,
    "ordered_list": _read_numbers,
    "hr": _read_rule,
    "table": _read_table,
}


def _read_inline(tree: SyntaxTreeNode) -> list[Json]:
    nodes: list[Json] = []
    for inline in tree.children:
        _read_spans(inline.children, (), nodes)
    return nodes


def _read_spans(spans: Iterable[SyntaxTreeNode], marks: tuple[Json, ...], nodes: list[Json]) -> None:
    for span in spans:
        if span.type in ("softbreak", "hardbreak"):
            nodes.append({"type": "hardBreak"})
        elif span.type in _MARKS:
            _read_spans(span.children, _with(marks, {"type": _MARKS[span.type]}), nodes)
        elif span.type == "link":
            _read_link(span, marks, nodes)
        elif span.type == "image":
            link = {"type": "link", "attrs": {"href": span.attrs["src"]}}
            _append(nodes, _words(span) or str(span.attrs["src"]), _with(marks, link))
        elif span.type == "code_inline":
            _append(nodes, span.content, _with(tuple(m for m in marks if m["type"] == "link"), {"type": "code"}))
        else:
            _append(nodes, span.content, marks)


def _read_link(span: SyntaxTreeNode, marks: tuple[Json, ...], nodes: list[Json]) -> None:
    href = str(span.attrs["href"])
    if span.markup == "autolink" and not href.startswith("mailto:"):
        nodes.append({"type": "inlineCard", "attrs": {"url": href}})
    elif href.startswith(MENTION):
        nodes.append({"type": "mention", "attrs": {"id": href.removeprefix(MENTION), "text": _words(span)}})
    else:
        _read_spans(span.children, _with(marks, {"type": "link", "attrs": {"href": href}}), nodes)


def _words(span: SyntaxTreeNode) -> str:
    return "".join(child.content for child in span.walk() if child.type in ("text", "code_inline"))


def _with(marks: tuple[Json, ...], mark: Json) -> tuple[Json, ...]:
    """One mark of each type: the innermost."""
    return (*(m for m in marks if m["type"] != mark["type"]), mark)


def _append(nodes: list[Json], text: str, marks: tuple[Json, ...]) -> None:
    """Add text; equal neighbours become one node, and an empty node is invalid."""
    text = CONTROL.sub("", text)
    node = _text(text, sorted(marks, key=lambda mark: str(mark["type"])))
    if nodes and nodes[-1]["type"] == "text" and nodes[-1].get("marks") == node.get("marks"):
        nodes[-1]["text"] += text
    elif text:
        nodes.append(node)
