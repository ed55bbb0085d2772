"""ADF <-> markdown."""

# ruff: noqa: E501  tables of pairs are read across

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.markup import inline
from connectors.markup.adf import from_markdown
from connectors.markup.document import Node
from connectors.markup.markdown import Markdown, canonical, to_markdown


def render(document: dict[str, Any]) -> Markdown:
    return to_markdown(msgspec.json.decode(json.dumps(document), type=Node))


def doc(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "doc", "version": 1, "content": list(content)}


def text(words: str, *marks: str | dict[str, Any]) -> dict[str, Any]:
    found = [{"type": mark} if isinstance(mark, str) else mark for mark in marks]
    return {"type": "text", "text": words} | ({"marks": found} if found else {})


def link(href: str) -> dict[str, Any]:
    return {"type": "link", "attrs": {"href": href}}


def node(kind: str, *content: dict[str, Any], **attrs: Any) -> dict[str, Any]:
    return {"type": kind, "content": list(content)} | ({"attrs": attrs} if attrs else {})


def para(*content: dict[str, Any] | str) -> dict[str, Any]:
    return node("paragraph", *(text(part) if isinstance(part, str) else part for part in content))


def item(*content: dict[str, Any]) -> dict[str, Any]:
    return node("listItem", *content)


def task(words: str, state: str = "TODO") -> dict[str, Any]:
    return node("taskItem", text(words), localId="x", state=state)


BREAK = {"type": "hardBreak"}

# Said the same both ways: an ADF document, and its markdown.
SAME = [
    (doc(), ""),
    (doc(para("Plain.")), "Plain."),
    (doc(para("One."), para("Two.")), "One.\n\nTwo."),
    (doc(para("a", BREAK, "b")), "a\\\nb"),
    (doc(node("heading", text("Title"), level=3)), "### Title"),
    (doc(para(text("bold", "strong"), " and ", text("slanted", "em"), " and ", text("gone", "strike"))), "**bold** and _slanted_ and ~~gone~~"),
    (doc(para(text("both", "em", "strong"))), "**_both_**"),
    (doc(para("wo", text("rd", "em"), "s")), "wo*rd*s"),
    (doc(para(text("x = 1", "code"))), "`x = 1`"),
    (doc(para(text("a`b", "code"))), "``a`b``"),
    (doc(para(text("here", link("https://a.example/x")))), "[here](https://a.example/x)"),
    (doc(para({"type": "inlineCard", "attrs": {"url": "https://a.example/x"}})), "<https://a.example/x>"),
    (doc(para({"type": "mention", "attrs": {"id": "557058:ab-c", "text": "@Ann"}}, " hi")), "[@Ann](mention:557058:ab-c) hi"),
    (doc(node("bulletList", item(para("a")), item(para("b"), node("bulletList", item(para("c")))))), "- a\n- b\n  - c"),
    (doc(node("orderedList", item(para("a")), item(para("b")), order=4)), "4. a\n5. b"),
    (doc(node("bulletList", item(para("a"))), node("bulletList", item(para("b")))), "- a\n\n* b"),
    (doc(node("taskList", task("a"), task("b", "DONE"), localId="y")), "- [ ] a\n- [x] b"),
    (doc(node("taskList", task("a"), node("taskList", task("b"), localId="z"), localId="y")), "- [ ] a\n  - [ ] b"),
    (doc(node("codeBlock", text("if x:\n    pass"), language="python")), "```python\nif x:\n    pass\n```"),
    (doc(node("codeBlock", text("```"))), "````\n```\n````"),
    (doc(node("blockquote", para("a"), para("b"))), "> a\n>\n> b"),
    (doc(para("a"), {"type": "rule"}, para("b")), "a\n\n---\n\nb"),
    (
        doc(node("table", node("tableRow", node("tableHeader", para("a")), node("tableHeader", para("b|c"))), node("tableRow", node("tableCell", para("d")), node("tableCell", para())))),
        "| a | b\\|c |\n| --- | --- |\n| d |  |",
    ),
    (doc(para("1. not a list")), "1\\. not a list"),
    (doc(para("- neither"), para("# nor this"), para("> or that")), "\\- neither\n\n\\# nor this\n\n\\> or that"),
    (doc(para("2 * 3 * 4, snake_case, _init_, a[0], C:\\*, R&D, &amp; a<b")), "2 \\* 3 \\* 4, snake_case, \\_init\\_, a\\[0\\], C:\\\\\\*, R&D, \\&amp; a\\<b"),
]  # fmt: skip


def without_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [without_ids(part) for part in value]
    if isinstance(value, dict):
        kept = {key: without_ids(part) for key, part in value.items() if key != "localId"}
        return {key: part for key, part in kept.items() if not (key == "attrs" and part == {})}
    return value


@pytest.mark.parametrize(("document", "markdown"), SAME)
def test_both_ways(document, markdown):
    assert render(document) == (markdown, ())
    made = from_markdown(markdown)
    by_type = {"key": lambda mark: mark["type"]}
    for part in walk(document):
        part.get("marks", []).sort(**by_type)
    assert without_ids(made) == without_ids(document)


def walk(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [part, *(below for child in part.get("content", []) for below in walk(child))]


# Text that stays while something is lost.
LOSSY = [
    (doc(node("panel", para("Careful"), panelType="warning")), "Careful"),
    (doc(node("expand", para("inside"), title="More")), "More\n\ninside"),
    (doc(node("mediaSingle", {"type": "media", "attrs": {"id": "1", "alt": "a picture"}})), "a picture"),
    (doc(para(text("red", {"type": "textColor", "attrs": {"color": "#f00"}}))), "red"),
    (doc(para(text("under", "underline"), "neath")), "underneath"),
    (doc(para({"type": "status", "attrs": {"text": "LATE", "color": "red"}})), "LATE"),
    (doc(para({"type": "date", "attrs": {"timestamp": "1767225600000"}})), "2026-01-01"),
    (doc({"type": "blockCard", "attrs": {"url": "https://a.example"}}), "https://a.example"),
    (doc(node("decisionList", node("decisionItem", text("go"), state="DECIDED"))), "go"),
    (doc(node("madeUpIn2030", para("new"))), "new"),
    (doc(para(text("click", link("javascript:alert(1)")))), "click"),
    (doc(para("a", text(".", "strong"), "b")), "a.b"),
]


@pytest.mark.parametrize(("document", "markdown"), LOSSY)
def test_what_markdown_can_not_say_keeps_its_text_and_is_named(document, markdown):
    made = render(document)
    assert made.text == markdown
    assert made.lost


def test_two_lost_things_are_told_apart_and_local_ids_are_not():
    red, blue = (doc(para(text("x", {"type": "textColor", "attrs": {"color": c}}))) for c in ("#f00", "#00f"))
    assert render(red) != render(blue)
    one, other = (doc(node("panel", para("x"), panelType="info", localId=i)) for i in ("a", "b"))
    assert render(one) == render(other)


# What ADF does not allow where markdown has it.
FITTED = [
    ("- # heading", "- heading"),
    ("- > quoted", "- quoted"),
    ("> # heading", "> heading"),
    ("> - [ ] box", "> - \\[ \\] box"),
    ("> > deeper", "> deeper"),
    ("- | a | b |\n  |---|---|\n  | c | d |", "- a b\n\n  c d"),
    ("**`code`**", "`code`"),
    ("![alt](https://a.example/x.png)", "[alt](https://a.example/x.png)"),
    ("<me@a.example>", "[me@a.example](mailto:me@a.example)"),
    ("line\nline", "line\\\nline"),
    ("<b>not bold</b>", "<b>not bold</b>"),
    ("    indented", "```\nindented\n```"),
    ("Title\n===", "# Title"),
]


@pytest.mark.parametrize(("markdown", "fitted"), FITTED)
def test_what_adf_does_not_allow_becomes_what_comes_nearest(markdown, fitted):
    assert canonical(markdown).text == fitted


EXAMPLES = 300

PIECES = st.sampled_from(
    [
        *"*_~`[]()<>!#-+=|:\\&;\"'. \n\t1a9Zé😀—@",
        *(
            "**",
            "__",
            "~~",
            "\n\n",
            "\n- ",
            "\n1. ",
            "\n> ",
            "\n# ",
            "\n    ",
            "```",
            "---",
            "  \n",
            "\\\n",
            "\r\n",
            "\0",
        ),
        *(
            "http://x.y",
            "<http://a.b>",
            "[a](b)",
            "![a](b)",
            "[@A](mention:5)",
            "[x] ",
            "- [ ] ",
            "\n  - ",
            "foo",
            "bar baz",
        ),
        *("&amp;", "&#32;", "&#10;", "| a | b |\n|---|---|\n"),
    ]
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
@example("***&#32;*~_")
@example("\n- | a | b |\n|---|---|\n*\n- _")
def test_markdown_that_went_through_once_stays_as_it_is(markdown):
    once = canonical(markdown)
    assert once.lost == () or once.text
    assert canonical(once.text).text == once.text


MARKS = st.lists(st.sampled_from(["strong", "em", "strike", "code"]), unique=True, max_size=3)
LINKS = st.sampled_from([[], [], [link("https://a.example/x(1)")], [link("/relative path")]])
WORDS = st.lists(PIECES, min_size=1, max_size=4).map("".join)
TEXTS = st.builds(lambda words, marks, links: text(words, *marks, *links), WORDS, MARKS, LINKS)
INLINE = st.lists(st.one_of(TEXTS, TEXTS, st.just(BREAK)), max_size=5)
PARAGRAPHS = INLINE.map(lambda parts: para(*parts))
CODE = WORDS.map(lambda words: node("codeBlock", text(words)))
LEAVES = st.one_of(PARAGRAPHS, CODE)


def lists_of(blocks: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    items = st.lists(blocks, min_size=1, max_size=3).map(lambda content: item(*content))
    made = st.lists(items, min_size=1, max_size=3)
    return st.one_of(made.map(lambda i: node("bulletList", *i)), made.map(lambda i: node("orderedList", *i)))


BLOCKS = st.one_of(
    st.recursive(LEAVES, lists_of, max_leaves=6),
    INLINE.map(lambda parts: node("heading", *parts, level=2)),
    st.lists(LEAVES, min_size=1, max_size=2).map(lambda content: node("blockquote", *content)),
    st.just({"type": "rule"}),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(BLOCKS, max_size=4))
def test_whatever_jira_holds_the_text_sent_back_reads_the_same(content):
    once = render(doc(*content)).text
    assert canonical(once).text == once


# --- the short way ------------------------------------------------------------------------------------

PLAIN = st.text(st.sampled_from("ab .,:()?!*_~`\\<&\n1-/"), max_size=6)
INLINE = st.lists(
    st.builds(
        lambda words, mark: msgspec.convert(text(words, mark) if mark else text(words), Node),
        PLAIN,
        st.sampled_from([None, None, "strong", "em", "strike", "code", "underline"]),
    )
    | st.just(msgspec.convert(BREAK, Node)),
    max_size=5,
)


@settings(max_examples=1000)
@given(INLINE)
def test_the_short_way_says_what_the_long_way_says(nodes: list[Node]) -> None:
    simple = inline._simple(nodes)
    if simple is None:
        return
    lost: list[str] = []
    line = [run for run in inline._runs(nodes, lost) if run.kind != "break"]
    assert simple == inline._say(inline._settled(line), lost)
    assert not lost


def test_the_short_way_is_taken_by_ordinary_paragraphs() -> None:
    words = [text("Instrument the "), text("payments", "strong"), text(" API with "), text("spans", "em"), text(".")]
    assert inline._simple([msgspec.convert(part, Node) for part in words[:3]]) == "Instrument the **payments** API with"
    said = inline._simple([msgspec.convert(part, Node) for part in words])
    assert said == "Instrument the **payments** API with _spans_."
