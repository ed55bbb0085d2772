"""HTML <-> markdown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import RemoteValue
from connectors.markup.html import from_html, to_html
from connectors.texts import rich
from sandbox.azure_boards.items import tidy


def described(html: str) -> RemoteValue:
    return rich(from_html(html))


RICH = """# Head

Some **bold**, _slanted_, ~~struck~~ and `code` with a [link](https://example.com/x).\\
A second line.

- one
  - nested
- two

3. third
4. fourth

> quoted

```py
x = 1

y = 2
```

---

| a | b |
| --- | --- |
| 1 | 2 |"""


def test_markdown_comes_back_as_it_was_sent():
    assert described(tidy(to_html(RICH))).here == RICH


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("<div>Hi&nbsp;there<br>next</div><div><br></div><div>last</div>", "Hi there\\\nnext\n\nlast"),
        ("plain &lt;text&gt; &amp; more", "plain <text> & more"),
        ("<p>5 * 3 * 1 and snake_case</p>", "5 \\* 3 \\* 1 and snake_case"),
        ("<ul><li>left open<li>twice</ul>", "- left open\n- twice"),
        ("<ul><li>one</li><ul><li>below</li></ul><li>two</li></ul>", "- one\n  - below\n- two"),
        ("<table>stray<caption>Title</caption><tr><td>c</td></tr></table>", "strayTitle\n\n| c |\n| --- |"),
        ("<ul><li><h1>a</h1><hr><blockquote>b</blockquote></li></ul>", "- a\n\n  b"),
        ("<blockquote><table><tr><td>c</td></tr></table></blockquote>", "> c"),
        ("<h2>one <br> two</h2>", "## one two"),
        ("<table><tr><td><p>a <br>b</p><p>c</p></td></tr></table>", "| a b c |\n| --- |"),
        ("<ol start='7'><li>seven</li></ol>", "7. seven"),
        ("<span style='color:red'>red</span>", "red"),
        ("<script>alert(1)</script><style>p{}</style>safe", "safe"),
        ("<a href='javascript:alert(1)'>click</a>", "click"),
        ("<b>a </b><i> b</i>", "**a** _b_"),
        ("<div> </div><p></p>", ""),
        ("<pre>kept\n  as it is</pre>", "```\nkept\n  as it is\n```"),
        ("<table><tr><th>h</th></tr><tr><td>c</td></tr></table>", "| h |\n| --- |\n| c |"),
        ("</div></p><b>never closed", "**never closed**"),
    ],
)
def test_html_reads_as_markdown(html, markdown):
    assert described(html).here == markdown


def test_an_image_keeps_its_words_and_another_image_is_another_text():
    cat, dog = (described(f'<div>See <img src="{name}.png" alt="pet"></div>') for name in ("cat", "dog"))
    assert cat.here == dog.here == "See pet"
    assert cat.there != dog.there


def test_how_the_server_wraps_a_text_is_no_change():
    sent = to_html("Some **text**")
    assert described(sent) == described(tidy(sent)) == described(f'<div dir="ltr">\n  <div>{sent}</div>\n</div>')


def test_an_empty_text_has_no_value_there():
    assert described("").there is described("<div><br></div>").there is None


def test_elements_without_end_inside_one_another_are_read_all_the_same():
    assert described("<div>" * 20_000 + "deep").here == "deep"
    for tags in ("<ul><li>", "<table><tr><td>", "<blockquote>", "<b><i>"):
        assert "deep" in described(tags * 20_000 + "deep").here


@given(st.text(alphabet="ab *_`~[]()<>&#-+1.|!\\\n\t\"'=:x", max_size=60))
def test_what_went_through_once_stays_as_it_is(text):
    once = described(tidy(to_html(text)))
    assert described(tidy(to_html(once.here))) == once


TAGS = (
    "b /b i p /p div /div ul /ul ol li /li h1 /h1 br table tr td /td /tr /table pre /pre code /code blockquote hr img"
)
PIECES = [f"<{tag}>" for tag in TAGS.split()] + [
    " ",
    "\n",
    "a",
    "b*",
    "_c",
    "1.",
    "- ",
    "#",
    "|",
    "`",
    "&amp;",
    "&nbsp;",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_what_is_written_of_any_html_stays_as_it_is(html):
    written = described(tidy(to_html(described(html).here)))
    assert described(tidy(to_html(written.here))) == written


@given(st.text(alphabet="<>/abdiv pulotrh=\"'&;!-", max_size=80))
def test_any_html_can_be_read(html):
    described(html)
