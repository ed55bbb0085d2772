"""A document's inline content (text with marks, mentions, line breaks) -> lines of markdown. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from connectors.markup.document import MENTION, PARSER, Json, Node

BACKTICKS = re.compile(r"`+")


class _Run(msgspec.Struct, frozen=True, gc=False):
    """A stretch of inline content. `kind`: "text" and "code" (raw), "atom" (markdown already), "break"."""

    text: str
    marks: tuple[tuple[str, str], ...]
    kind: str


_AUTOLINK = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{1,31}:[^\s<>]*")
_PERSON = re.compile(r"[\w:-]+")
_HREF_ESCAPES = str.maketrans({c: f"%{ord(c):02X}" for c in ' <>()"\\`|[]\t\n\r'})
_DELIMITERS = {"strike": ("~~",), "strong": ("**", "__"), "em": ("_", "*")}
"""Mark -> its delimiters, preferred first."""
_OUTERMOST = ("link", *_DELIMITERS)
"""The order of marks that reach equally far."""
_SPECIAL = re.compile(
    r"\\(?=[!-/:-@\[-`{-~]|$)"  # a backslash that would escape something
    r"|[`*\[\]]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside a word it is only an underscore
    r"|~(?=~|$)|(?<=~)~|^~"
    r"|<(?=[^\s<>]*(?:[@:]|$))"  # the start of an autolink
    r"|&(?=#?[a-zA-Z0-9]{1,31}(?:;|$))"  # the start of an entity
)
_SUSPECT = re.compile(r"[\\`*\[\]_~<&]")
"""Any character _SPECIAL can match; most text has none, and this search is many times faster."""
_MERGED = frozenset({"text", "code"})
_EDGES = re.compile(r"(^\s+|\s+\Z)")
_NEWLINES = re.compile(r"\s*[\r\n]\s*")


def lines(nodes: Sequence[Node], lost: list[str]) -> list[str]:
    """Inline content, a string for each line of it."""
    simple = _simple(nodes)
    if simple is not None:
        return [simple]
    found: list[list[_Run]] = [[]]
    for run in _runs(nodes, lost):
        if run.kind == "break":
            found.append([])
        else:
            found[-1].append(run)
    return [_say(_settled(line), lost) for line in found]


def _simple(nodes: Sequence[Node]) -> str | None:
    """What most paragraphs are, in a fraction of the time: plain text in which whole words are marked, at most once
    each. None for anything else; where it gives a line, it is the line the long way gives."""
    said, outside = "", ""  # `outside` is the last character if it is plain text, "*" behind a marked word
    last = len(nodes) - 1
    for at, node in enumerate(nodes):
        text = node.text
        if node.type != "text" or not text:
            return None
        if not node.marks:
            if at and (outside != "*" or not (text[0].isspace() or text[0] in _CLOSING)):
                return None
            text = text.lstrip() if not at else text
            text = text.rstrip() if at == last else text
            if not text or (at < last and not (text[-1].isspace() or text[-1] in _OPENING)):
                return None
            said, outside = said + _escape(text), " "
            continue
        delimiter = _SIMPLE.get(node.marks[0].type) if len(node.marks) == 1 else None
        if delimiter is None or outside == "*" or text[0].isspace() or text[-1].isspace() or text[-1] == "!":
            return None
        said, outside = f"{said}{delimiter}{_escape(text)}{delimiter}", "*"
    return said


_SIMPLE = {"strong": "**", "em": "_", "strike": "~~"}
"""The delimiters that are taken beside spaces, and beside these: """
_OPENING = frozenset("(,;:/")
_CLOSING = frozenset(").,;:?/")


class _Unsayable(Exception):
    """Markdown can't open or close this mark where it stands, as in `a*.*b`."""

    def __init__(self, mark: tuple[str, str]) -> None:
        self.mark = mark


def _say(runs: Sequence[_Run], lost: list[str]) -> str:
    """A line; a mark markdown can't say here is left out of it."""
    while True:
        try:
            return _emit(runs, "", "")
        except _Unsayable as found:
            lost.append(found.mark[0])
            runs = _merged(_without(run, found.mark) for run in runs)


def _settled(runs: Iterable[_Run]) -> list[_Run]:
    """A line's runs, its ends stripped. Marked space between two runs keeps only the marks both have: delimiters can't
    stand beside it."""
    pieces: list[_Run] = []
    plain = True
    for run in runs:
        if not _blank(run) and not (run.marks and run.text != run.text.strip()):
            pieces.append(run)
            continue
        plain = False
        for text in _EDGES.split(run.text) if run.kind == "text" else (run.text,):
            piece = _Run(text, run.marks, run.kind)
            if pieces and _blank(piece) and _blank(pieces[-1]):
                pieces[-1] = _Run(" ", tuple(mark for mark in piece.marks if mark in pieces[-1].marks), "text")
            elif text:
                pieces.append(piece)
    _strip(pieces, 0, str.lstrip)
    _strip(pieces, -1, str.rstrip)
    if plain:  # nothing was split: no two neighbours have become equal
        return pieces
    for at, piece in enumerate(pieces):
        if piece.marks and _blank(piece):
            shared = set(pieces[at - 1].marks) & set(pieces[at + 1].marks)
            pieces[at] = _Run(piece.text, _nested(shared), "text")
    return _merged(pieces)


def _blank(run: _Run) -> bool:
    return run.kind == "text" and run.text.isspace()


def _strip(runs: list[_Run], end: int, strip: Callable[[str], str]) -> None:
    while runs and runs[end].kind == "text":
        text = strip(runs[end].text)
        if text:
            runs[end] = _Run(text, runs[end].marks, "text")
            return
        del runs[end]


def _without(run: _Run, mark: tuple[str, str]) -> _Run:
    return _Run(run.text, tuple(m for m in run.marks if m != mark), run.kind)


def _merged(runs: Iterable[_Run]) -> list[_Run]:
    """The runs without empty ones, equal neighbours joined."""
    kept: list[_Run] = []
    for run in runs:
        if kept and run.kind in _MERGED and kept[-1].marks == run.marks and kept[-1].kind == run.kind:
            kept[-1] = _Run(kept[-1].text + run.text, run.marks, run.kind)
        elif run.text:
            kept.append(run)
    return kept


def _escape(text: str) -> str:
    if "\n" in text or "\r" in text:
        text = _NEWLINES.sub(" ", text)
    return _SPECIAL.sub(r"\\\g<0>", text) if _SUSPECT.search(text) else text


def _runs(nodes: Iterable[Node], lost: list[str]) -> list[_Run]:
    return _merged(_ATOMS.get(node.type, _unknown_atom)(node, lost) for node in nodes)


def _text_run(node: Node, lost: list[str]) -> _Run:
    if not node.marks:
        return _Run(node.text, (), "text")
    marks, kind = [], "text"
    for mark in node.marks:
        href = str((mark.attrs or {}).get("href") or "")
        if mark.type == "code":
            kind = "code"
        elif mark.type in _DELIMITERS:
            marks.append((mark.type, ""))
        elif mark.type == "link" and _valid_link(href):
            marks.append(("link", href.translate(_HREF_ESCAPES)))
        else:
            lost.append(fingerprint(mark.type, mark.attrs))
    if kind == "code":  # as in ADF: code has no company but a link
        marks = [mark for mark in marks if mark[0] == "link"]
    return _Run(node.text, _nested(marks) if len(marks) > 1 else tuple(marks), kind)


def _nested(marks: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(set(marks), key=_depth))


def _depth(mark: tuple[str, str]) -> int:
    return _OUTERMOST.index(mark[0])


def _emit(runs: Sequence[_Run], before: str, after: str) -> str:
    """Runs as markdown; `before` and `after` are the characters around them, "" at the ends. Raises _Unsayable."""
    text, at = "", 0
    while at < len(runs):
        run, end = runs[at], at + 1
        if run.marks and run.kind == "text" and run.text[0].isspace():  # marks that overlap leave space at a start
            run = _Run(run.text.lstrip(), run.marks if run.text.strip() else (), "text")
            text += " "
        if run.marks:
            mark, end = max(((m, _reach(runs, at, m)) for m in run.marks), key=lambda found: found[1])
            inside = [_without(part, mark) for part in (run, *runs[at + 1 : end])]
            text += _wrap(mark, inside, text[-1:] or before, _first(runs[end:]) or after)
        else:
            piece = _PLAIN[run.kind](run.text)
            # An exclamation mark must not make an image of a link that follows.
            text += piece[:-1] + "\\!" if piece.endswith("!") and (end < len(runs) or after) else piece
        at = end
    return text


def _reach(runs: Sequence[_Run], at: int, mark: tuple[str, str]) -> int:
    while at < len(runs) and mark in runs[at].marks:
        at += 1
    return at


def _wrap(mark: tuple[str, str], runs: Sequence[_Run], before: str, after: str) -> str:
    """The runs inside the mark's delimiters."""
    name, href = mark
    if name == "link":
        return f"[{_emit(runs, '[', ']')}]({href})"
    for delimiter in _DELIMITERS[name]:
        if _opens(delimiter, before, _first(runs)) and _opens(delimiter, after, _last(runs)):
            return f"{delimiter}{_emit(runs, delimiter[0], delimiter[0])}{delimiter}"
    raise _Unsayable(mark)


def _opens(delimiter: str, outside: str, inside: str) -> bool:
    """Whether a delimiter between these characters works (CommonMark 6.2, the strict part of it; closing is the
    mirror image). A second run of the same character beside it would be read as one run."""
    if outside == delimiter[0]:
        return False
    if not outside or outside.isspace() or (outside.isascii() and not outside.isalnum()):
        return True
    return delimiter[0] != "_" and inside.isalnum()


def _first(runs: Sequence[_Run]) -> str:
    """The character a reader meets first; formatting and code start with punctuation."""
    if not runs:
        return ""
    seen = runs[0].text[0]
    return seen if runs[0].kind == "text" and (not runs[0].marks or seen.isspace()) else "["


def _last(runs: Sequence[_Run]) -> str:
    return runs[-1].text[-1] if runs[-1].kind == "text" and not runs[-1].marks else "]"


def _code(text: str) -> str:
    text = _NEWLINES.sub(" ", text)
    ticks = "`" * (max(map(len, BACKTICKS.findall(text)), default=0) + 1)
    pad = " " if text.strip() and (text[0] in "` " or text[-1] in "` ") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _valid_link(href: str) -> bool:
    return bool(href) and not href.startswith(MENTION) and PARSER.validateLink(href)


def _mention(node: Node, lost: list[str]) -> _Run:
    attrs = node.attrs or {}
    person, text = str(attrs.get("id") or ""), str(attrs.get("text") or "")
    if not _PERSON.fullmatch(person):
        return _unknown_atom(node, lost)
    return _Run(f"[{_escape(text.strip())}]({MENTION}{person})", (), "atom")


def _card(node: Node, lost: list[str]) -> _Run:
    url = str((node.attrs or {}).get("url") or "")
    if not (_AUTOLINK.fullmatch(url) and PARSER.validateLink(url)):
        return _unknown_atom(node, lost)
    return _Run(f"<{url}>", (), "atom")


def _hard_break(node: Node, lost: list[str]) -> _Run:
    return _Run("\n", (), "break")


def _emoji(node: Node, lost: list[str]) -> _Run:
    attrs = node.attrs or {}
    return _Run(str(attrs.get("text") or attrs.get("shortName") or ""), (), "text")


def _date(node: Node, lost: list[str]) -> _Run:
    stamp = str((node.attrs or {}).get("timestamp") or "")
    if not (stamp.isdecimal() and len(stamp) <= 14):  # milliseconds; 14 digits reach past the year 5000
        return _unknown_atom(node, lost)
    lost.append(fingerprint(node.type, node.attrs))
    return _Run(datetime.fromtimestamp(int(stamp) / 1000, UTC).date().isoformat(), (), "text")


def _unknown_atom(node: Node, lost: list[str]) -> _Run:
    lost.append(fingerprint(node.type, node.attrs))
    return _Run(node.text or title(node) or "".join(child.text for child in node.content), (), "text")


def title(node: Node) -> str:
    attrs = node.attrs or {}
    return next((value for name in ("title", "text", "alt", "url") if isinstance(value := attrs.get(name), str)), "")


def fingerprint(name: str, attrs: Json | None) -> str:
    """Tells one lost thing from another, and is the same whatever local ids the server adds."""
    kept = {key: value for key, value in (attrs or {}).items() if key != "localId"}
    return name + msgspec.json.encode(kept, order="sorted").decode() if kept else name


_PLAIN: dict[str, Callable[[str], str]] = {"text": _escape, "code": _code, "atom": str}
_ATOMS: dict[str, Callable[[Node, list[str]], _Run]] = {
    "text": _text_run,
    "hardBreak": _hard_break,
    "mention": _mention,
    "inlineCard": _card,
    "emoji": _emoji,
    "date": _date,
}
