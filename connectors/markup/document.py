"""Rich text as a tree, named as in the Atlassian Document Format, which has a word for most of what vendors have."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from markdown_it import MarkdownIt

Json = dict[str, Any]


class Mark(msgspec.Struct, gc=False):
    """Formatting of a text node."""

    type: str
    attrs: Json | None = None


class Node(msgspec.Struct, gc=False):
    """One node; a document is the node of type `doc`."""

    type: str
    text: str = ""
    content: tuple[Node, ...] = ()
    marks: tuple[Mark, ...] = ()
    attrs: Json | None = None


MENTION = "mention:"
"""How a link starts that stands for a person: `[@Ann](mention:ACCOUNT)`."""

LANGUAGE = re.compile(r"[\w.+#-]+")
"""A code block's language, as far as all sides can say it."""

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Characters neither vendors nor PostgreSQL keep in a text."""

DEEPEST = 100
"""Markdown's blocks and marks inside one another that are heeded."""


def parser(deepest: int = DEEPEST, breaks: bool = False) -> MarkdownIt:
    """A parser of the markdown we know: CommonMark with tables and strikethrough, without HTML.

    `breaks` renders single line breaks as breaks.
    """
    options = {"html": False, "breaks": breaks, "maxNesting": deepest}
    return MarkdownIt("commonmark", options).enable(["table", "strikethrough"])


PARSER = parser()
