"""HTML <-> markdown. Pure.

Vendors sanitise and wrap what they are sent, so texts are compared by the markdown they come to, never by their HTML.
Markdown that went through both once comes out the same ever after.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

from connectors.markup.document import CONTROL, Mark, Node, parser
from connectors.markup.markdown import Markdown, to_markdown

DEEPEST = 60
"""Elements inside one another that are heeded; what is deeper keeps its text. People's texts are some ten deep."""

_RENDERER = parser(deepest=40, breaks=True)
"""Single line breaks are kept: people mean them. Each level of markdown may be two of HTML, and some more around it."""

_MARKS = {"b": "strong", "strong": "strong", "i": "em", "em": "em", "s": "strike", "del": "strike", "strike": "strike"}
_LISTS = {"ul": "bulletList", "ol": "orderedList"}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset({"p", "div", "pre", "blockquote", "hr", "table", *_LISTS, *_HEADINGS, "section", "article"})
_VOID = frozenset({"br", "hr", "img", "input", "wbr", "col"})
_DROPPED = frozenset({"script", "style", "head", "title", "template"})
_FITS = frozenset({"paragraph", "bulletList", "orderedList", "codeBlock"})
_TABLE_PARTS = frozenset({"thead", "tbody", "tfoot", "tr", "td", "th", "colgroup", "col"})
_CLOSED_BY = {"li": {"li"}, "p": {"p"}, "td": {"td", "th"}, "th": {"td", "th"}, "tr": {"td", "th", "tr"}}
"""An element -> the innermost open ones it ends, as browsers read what was left open."""
_LANGUAGE = re.compile(r"language-([\w.+#-]+)")
_SPACE = re.compile(r"\s+")


@dataclass(slots=True)
class _Element:
    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    children: list[_Element | str] = field(default_factory=list)


class _Tree(HTMLParser):
    """The elements of a text, whatever was left open."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = _Element("div")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        while len(self._open) > 1 and self._open[-1].tag in _CLOSED_BY.get(tag, ()):
            self._open.pop()
        element = _Element(tag, {name: value or "" for name, value in attrs})
        if len(self._open) < DEEPEST:
            self._open[-1].children.append(element)
            if tag not in _VOID:
                self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self._open[1:]):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def to_html(markdown: str) -> str:
    """The text as HTML, ready to be sent."""
    return str(_RENDERER.render(CONTROL.sub("", markdown))).strip()


def from_html(html: str) -> Markdown:
    """The text as markdown: equal for equal texts however wrapped."""
    tree = _Tree()
    tree.feed(html)
    tree.close()
    return to_markdown(Node("doc", content=tuple(_blocks(tree.root.children))))


def _blocks(children: Sequence[_Element | str]) -> Iterator[Node]:
    """Blocks; what stands between them becomes paragraphs."""
    loose: list[_Element | str] = []
    for child in children:
        if isinstance(child, _Element) and _holds_blocks(child):
            yield from _paragraph(loose)
            loose = []
            yield from _block(child)
        else:
            loose.append(child)
    yield from _paragraph(loose)


def _holds_blocks(element: _Element) -> bool:
    return element.tag in _BLOCKS or any(isinstance(c, _Element) and _holds_blocks(c) for c in element.children)


def _block(element: _Element) -> Iterator[Node]:
    tag = element.tag
    if tag in _DROPPED:
        return
    if tag in _HEADINGS:
        yield Node("heading", content=tuple(_line(element)), attrs={"level": _HEADINGS[tag]})
    elif tag in _LISTS:
        yield _list(element)
    elif tag == "pre":
        yield _code(element)
    elif tag == "hr":
        yield Node("rule")
    elif tag == "table":
        yield from _blocks(list(_strays(element)))
        rows = [_row(row) for row in _found(element, {"tr"})]
        yield Node("table", content=tuple(row for row in rows if row.content))
    elif tag == "blockquote":
        yield Node("blockquote", content=tuple(_fitting(_blocks(element.children))))
    else:
        yield from _blocks(element.children)


def _fitting(blocks: Iterable[Node]) -> Iterator[Node]:
    """In a list or a quote, what comes nearest to a block that the writer of markdown has no place for there."""
    for block in blocks:
        if block.type in _FITS:
            yield block
        elif block.type == "heading":
            yield Node("paragraph", content=block.content)
        elif block.type == "table":
            yield from (line for row in block.content for cell in row.content for line in cell.content)
        else:  # a quote; a rule has nothing in it
            yield from block.content


def _paragraph(loose: Sequence[_Element | str]) -> Iterator[Node]:
    content = tuple(_inline(loose))
    if any(node.text.strip() or node.type not in ("text", "hardBreak") for node in content):
        yield Node("paragraph", content=content)


def _list(element: _Element) -> Node:
    items = [Node("listItem", content=tuple(_fitting(_blocks(item)))) for item in _items(element)]
    start = element.attrs.get("start", "")
    attrs = {"order": int(start)} if start.isascii() and start.isdecimal() and len(start) < 9 else None
    return Node(_LISTS[element.tag], content=tuple(items), attrs=attrs)


def _items(element: _Element) -> list[list[_Element | str]]:
    """The contents of a list's items. What stands between them, such as a list within, belongs to the one before."""
    items: list[list[_Element | str]] = []
    for child in element.children:
        if isinstance(child, _Element) and child.tag == "li":
            items.append(list(child.children))
        elif items:
            items[-1].append(child)
        elif not isinstance(child, str) or child.strip():
            items.append([child])
    return items


def _strays(element: _Element) -> Iterator[_Element | str]:
    """What a table holds outside of its cells; browsers show it above."""
    for child in element.children:
        if isinstance(child, str) or child.tag not in _TABLE_PARTS:
            yield child
        elif child.tag not in ("td", "th"):
            yield from _strays(child)


def _row(row: _Element) -> Node:
    lines = [Node("paragraph", content=tuple(_line(cell))) for cell in _found(row, {"td", "th"})]
    cells = [Node("tableCell", content=(line,)) for line in lines]
    return Node("tableRow", content=tuple(cells))


def _found(element: _Element, tags: set[str]) -> Iterator[_Element]:
    """The nearest elements below with one of the tags; not those of a table within."""
    for child in element.children:
        if isinstance(child, _Element):
            if child.tag in tags:
                yield child
            elif child.tag != "table":
                yield from _found(child, tags)


def _code(element: _Element) -> Node:
    inner = next(_found(element, {"code"}), element)
    language = _LANGUAGE.search(inner.attrs.get("class", ""))
    text = "".join(_raw(element)).strip("\n")
    content = (Node("text", text),) if text else ()
    return Node("codeBlock", content=content, attrs={"language": language[1]} if language else None)


def _raw(element: _Element) -> Iterator[str]:
    for child in element.children:
        if isinstance(child, str):
            yield child
        elif child.tag == "br":
            yield "\n"
        else:
            yield from _raw(child)


def _line(element: _Element) -> Iterator[Node]:
    """All inside an element as one line, where markdown has no room for more."""
    spans = _spans(element.children, ())
    return _collapsed(Node("text", " ") if node.type == "hardBreak" else node for node in spans)


def _inline(children: Sequence[_Element | str]) -> Iterator[Node]:
    """Text with marks, and the breaks in it."""
    return _collapsed(_spans(children, ()))


def _collapsed(nodes: Iterable[Node]) -> Iterator[Node]:
    """A run of white space is one space, wherever the tags are."""
    space = True
    for node in nodes:
        if node.type == "text":
            text = node.text.removeprefix(" ") if space else node.text
            if not text:
                continue
            node = Node("text", text, marks=node.marks)
            space = text.endswith(" ")
        else:
            space = node.type == "hardBreak"
        yield node


def _spans(children: Sequence[_Element | str], marks: tuple[Mark, ...]) -> Iterator[Node]:
    for child in children:
        if isinstance(child, str):
            yield Node("text", _SPACE.sub(" ", CONTROL.sub("", child)), marks=marks)
        elif child.tag == "br":
            yield Node("hardBreak")
        elif child.tag in _BLOCKS or child.tag == "li":  # in a heading or a cell
            yield from (Node("hardBreak"), *_spans(child.children, marks), Node("hardBreak"))
        elif child.tag == "img":
            yield Node("image", child.attrs.get("alt", ""), attrs={"src": child.attrs.get("src", "")})
        elif child.tag not in _DROPPED:
            yield from _spans(child.children, _with(marks, child))


def _with(marks: tuple[Mark, ...], element: _Element) -> tuple[Mark, ...]:
    """The marks inside an element: one of each kind, the innermost."""
    mark = Mark(_MARKS[element.tag]) if element.tag in _MARKS else None
    if element.tag == "code":
        mark = Mark("code")
    elif element.tag == "a" and element.attrs.get("href"):
        mark = Mark("link", {"href": element.attrs["href"]})
    return marks if mark is None else (*(m for m in marks if m.type != mark.type), mark)
