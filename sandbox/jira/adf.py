"""Atlassian Document Format: what the server accepts, how it normalises it, and its wiki form.

Jira Cloud REST v3 takes and gives ADF; webhook bodies still carry wiki markup.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from sandbox.jira.model import Json

NOT_A_DOCUMENT = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
INVALID_INPUT = "INVALID_INPUT"

_INLINE = frozenset(
    {"text", "hardBreak", "mention", "emoji", "inlineCard", "date", "status", "placeholder", "mediaInline"}
)
_LIST_BLOCKS = frozenset({"paragraph", "bulletList", "orderedList", "taskList", "codeBlock", "mediaSingle"})
_PLAIN_BLOCKS = _LIST_BLOCKS | {"heading", "rule", "blockquote", "panel", "blockCard", "decisionList"}
_BLOCKS = _PLAIN_BLOCKS | {"table", "expand", "mediaGroup", "embedCard", "layoutSection", "extension"}

# Which nodes may stand in which; a node type without an entry has no content.
CONTENT: dict[str, frozenset[str]] = {
    "doc": _BLOCKS,
    "paragraph": _INLINE,
    "heading": _INLINE,
    "taskItem": _INLINE,
    "decisionItem": _INLINE,
    "codeBlock": frozenset({"text"}),
    "bulletList": frozenset({"listItem"}),
    "orderedList": frozenset({"listItem"}),
    "listItem": _LIST_BLOCKS,
    "taskList": frozenset({"taskItem", "taskList"}),
    "decisionList": frozenset({"decisionItem"}),
    "blockquote": _LIST_BLOCKS,
    "panel": _PLAIN_BLOCKS,
    "expand": _BLOCKS,
    "nestedExpand": _PLAIN_BLOCKS,
    "table": frozenset({"tableRow"}),
    "tableRow": frozenset({"tableCell", "tableHeader"}),
    "tableCell": _PLAIN_BLOCKS | {"nestedExpand", "mediaGroup"},
    "tableHeader": _PLAIN_BLOCKS | {"nestedExpand", "mediaGroup"},
    "layoutSection": frozenset({"layoutColumn"}),
    "layoutColumn": _BLOCKS,
    "mediaSingle": frozenset({"media", "caption"}),
    "mediaGroup": frozenset({"media"}),
    "caption": _INLINE,
}
_LEAVES = _INLINE | {"rule", "media", "blockCard", "embedCard", "extension"}
_MARKS = frozenset(
    {
        "strong",
        "em",
        "code",
        "strike",
        "link",
        "underline",
        "subsup",
        "textColor",
        "backgroundColor",
        "annotation",
        "border",
        "alignment",
        "indentation",
        "breakout",
    }
)
# The server gives these a `localId`, so what comes back is not byte for byte what was sent.
LOCAL_ID_NODES = frozenset(
    {"paragraph", "heading", "taskList", "taskItem", "decisionList", "decisionItem", "table", "mention"}
)
_REQUIRED_ATTRS: dict[str, tuple[str, ...]] = {
    "heading": ("level",),
    "mention": ("id",),
    "inlineCard": (),
    "taskItem": ("state",),
    "emoji": ("shortName",),
}


class BadDocument(ValueError):
    """The value is not acceptable ADF; the text is what Jira says."""


def document(text: str) -> Json:
    """Plain text as ADF: one paragraph per line, as a person typing it would get."""
    paragraphs: list[Json] = []
    for line in text.splitlines():
        content = [{"type": "text", "text": line}] if line else []
        paragraphs.append({"type": "paragraph", "content": content})
    return {"type": "doc", "version": 1, "content": paragraphs}


def accept(value: Any, rng: Random) -> Json:
    """Check incoming ADF and return it as the server keeps it. Raises BadDocument."""
    if not isinstance(value, dict) or value.get("type") != "doc" or value.get("version") != 1:
        raise BadDocument(NOT_A_DOCUMENT)
    if not isinstance(value.get("content"), list):
        raise BadDocument(NOT_A_DOCUMENT)
    return _normal(value, rng)


def _normal(node: Json, rng: Random) -> Json:
    """A checked copy: empty text nodes dropped, local ids added."""
    kind = node["type"]
    _check_attributes(kind, node)
    kept = {k: v for k, v in node.items() if k not in ("content", "attrs")}
    attrs = dict(node.get("attrs") or {})
    if kind in LOCAL_ID_NODES and not attrs.get("localId"):
        attrs["localId"] = f"{rng.getrandbits(48):012x}"
    if attrs:
        kept["attrs"] = attrs
    if kind in CONTENT:
        kept["content"] = [
            _normal(child, rng)
            for child in _children(kind, node)
            if not (child["type"] == "text" and child.get("text") == "")
        ]
    return kept


def _children(kind: str, node: Json) -> list[Json]:
    children = node.get("content", [])
    if not isinstance(children, list):
        raise BadDocument(INVALID_INPUT)
    for child in children:
        if not isinstance(child, dict) or child.get("type") not in CONTENT[kind]:
            raise BadDocument(INVALID_INPUT)
    return children


def _check_attributes(kind: str, node: Json) -> None:
    if kind not in CONTENT and kind not in _LEAVES:
        raise BadDocument(INVALID_INPUT)
    attrs = node.get("attrs", {})
    if not isinstance(attrs, dict) or any(name not in attrs for name in _REQUIRED_ATTRS.get(kind, ())):
        raise BadDocument(INVALID_INPUT)
    if kind == "heading" and attrs["level"] not in range(1, 7):
        raise BadDocument(INVALID_INPUT)
    if kind == "text" and not isinstance(node.get("text"), str):
        raise BadDocument(INVALID_INPUT)
    for mark in node.get("marks", []):
        if not isinstance(mark, dict) or mark.get("type") not in _MARKS:
            raise BadDocument(INVALID_INPUT)


def plain(value: Json | None) -> str:
    """The text of a document, one line per block; for assertions and the state dump."""
    if value is None:
        return ""
    return "\n".join(_plain_block(child) for child in value.get("content", []))


def _plain_block(node: Json) -> str:
    if node["type"] == "text":
        return str(node["text"])
    if node["type"] == "hardBreak":
        return "\n"
    if node["type"] == "mention":
        return str(node["attrs"].get("text", ""))
    if node["type"] == "inlineCard":
        return str(node["attrs"].get("url", ""))
    children = [_plain_block(child) for child in node.get("content", [])]
    inline = CONTENT.get(node["type"], frozenset()) <= _INLINE
    return ("" if inline else "\n").join(children)


_WIKI_MARKS: dict[str, tuple[str, str]] = {
    "strong": ("*", "*"),
    "em": ("_", "_"),
    "code": ("{{", "}}"),
    "strike": ("-", "-"),
    "underline": ("+", "+"),
}


def to_wiki(value: Json | None) -> str | None:
    """The wiki markup webhook bodies carry instead of ADF; lossy, as Jira's is."""
    if value is None:
        return None
    return "\n\n".join(_wiki_block(child, "") for child in value.get("content", []))


def _wiki_block(node: Json, bullet: str) -> str:
    writer = _WIKI_BLOCKS.get(node["type"])
    if writer is not None:
        return writer(node, bullet)
    return "\n".join(_wiki_block(child, bullet) for child in node.get("content", []))


def _wiki_inline(node: Json) -> str:
    text = ""
    for child in node.get("content", []):
        if child["type"] == "text":
            text += _wiki_text(child)
        elif child["type"] == "mention":
            text += f"[~accountid:{child['attrs']['id']}]"
        elif child["type"] == "inlineCard":
            text += f"[{child['attrs'].get('url', '')}]"
        elif child["type"] == "hardBreak":
            text += "\n"
    return text


def _wiki_text(node: Json) -> str:
    text = str(node["text"])
    for mark in node.get("marks", []):
        if mark["type"] == "link":
            text = f"[{text}|{mark.get('attrs', {}).get('href', '')}]"
        elif mark["type"] in _WIKI_MARKS:
            before, after = _WIKI_MARKS[mark["type"]]
            text = f"{before}{text}{after}"
    return text


def _wiki_list(sign: str) -> Callable[[Json, str], str]:
    def write(node: Json, bullet: str) -> str:
        lines = []
        for item in node.get("content", []):
            for child in item.get("content", []):
                nested = child["type"] in ("bulletList", "orderedList")
                text = _wiki_block(child, bullet + sign)
                lines.append(text if nested else f"{bullet}{sign} {text}")
        return "\n".join(lines)

    return write


def _wiki_code(node: Json, _: str) -> str:
    language = node.get("attrs", {}).get("language", "java")
    return f"{{code:{language}}}\n{_wiki_inline(node)}\n{{code}}"


def _wiki_table(node: Json, _: str) -> str:
    rows = []
    for row in node.get("content", []):
        bar = "||" if row["content"] and row["content"][0]["type"] == "tableHeader" else "|"
        cells = [_wiki_block(cell, "").replace("\n", " ") for cell in row["content"]]
        rows.append(bar + bar.join(cells) + bar)
    return "\n".join(rows)


_WIKI_BLOCKS: dict[str, Callable[[Json, str], str]] = {
    "paragraph": lambda node, _: _wiki_inline(node),
    "heading": lambda node, _: f"h{node['attrs']['level']}. {_wiki_inline(node)}",
    "bulletList": _wiki_list("*"),
    "orderedList": _wiki_list("#"),
    "taskItem": lambda node, _: f"* {_wiki_inline(node)}",
    "codeBlock": _wiki_code,
    "blockquote": lambda node, _: (
        "{quote}\n" + "\n".join(_wiki_block(child, "") for child in node["content"]) + "\n{quote}"
    ),
    "rule": lambda _node, _bullet: "----",
    "table": _wiki_table,
}
