"""How people see marked-up messages at the fake vendors: what rules about text are judged by."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.microsoft_teams import reading as teams
from sandbox.slack import reading as slack


def mrkdwn(text: str, **more: Any) -> Any:
    return slack.seen("", [{"type": "section", "text": {"type": "mrkdwn", "text": text, **more}}])


def card(*body: dict[str, Any], **more: Any) -> Any:
    return teams.seen({"attachments": [{"content": {"body": list(body), **more}}]})


def block(text: str) -> Any:
    return card({"type": "TextBlock", "text": text})


@pytest.mark.parametrize(
    ("text", "shown", "styled"),
    [
        ("a *b c* d", "a b c d", ["b c"]),
        ("_b_ ~c~ `d`", "b c d", ["b", "c", "d"]),
        ("*_b_*", "b", ["_b_", "b"]),
        ("2*3*4 and snake_case_word", "2*3*4 and snake_case_word", []),
        ("* b *", "* b *", []),
        ("one\n&gt; two", "one\ntwo", ["two"]),
        ("&lt;b&gt; &amp;lt;", "<b> &lt;", []),
    ],
)
def test_mrkdwn_is_shown_without_its_marks(text: str, shown: str, styled: list[str]) -> None:
    seen = mrkdwn(text)
    assert (seen.text, seen.styled) == (shown, styled)


def test_mrkdwn_calls_and_leads() -> None:
    seen = mrkdwn("<!here> <@U1> <https://a.example/?b=1&amp;c=2|there> <!date^1^{date}|today> <https://d.example>")
    assert seen.calls == ["!here", "@U1"]
    assert seen.links == ["https://a.example/?b=1&c=2", "https://d.example"]
    assert seen.text == "!here @U1 there today https://d.example"


def test_words_are_taken_for_calls_and_links_unless_they_are_verbatim() -> None:
    words = "@here https://a.example"
    assert (mrkdwn(words).calls, mrkdwn(words).links) == (["here"], ["https://a.example"])
    assert (mrkdwn(words, verbatim=True).calls, mrkdwn(words, verbatim=True).links) == ([], [])


def test_plain_text_is_what_it_is() -> None:
    seen = slack.seen("x", [{"type": "header", "text": {"type": "plain_text", "text": "*a* <!here> &lt;"}}])
    assert (seen.text, seen.styled, seen.calls) == ("*a* <!here> &lt;", [], [])


def test_a_message_without_blocks_shows_its_text() -> None:
    assert slack.seen("*hello*", []).text == "hello"


@pytest.mark.parametrize(
    ("text", "shown", "styled"),
    [
        ("a **b** c", "a b c", ["b"]),
        ("*b* _c_ ~~d~~ `e`", "b c d e", ["b", "c", "d", "e"]),
        (r"\*b\* \_c\_ \[d\](x)", "*b* _c_ [d](x)", []),
        ("- one\n1. two\n# three\n> four", "one\ntwo\nthree\nfour", ["one", "two", "three", "four"]),
        ("\\- one\n1\\. two", "- one\n1. two", []),
        ("snake_case_word", "snake_case_word", []),
    ],
)
def test_markdown_of_a_card_is_shown_without_its_marks(text: str, shown: str, styled: list[str]) -> None:
    seen = block(text)
    assert (seen.text, seen.styled) == (shown, styled)


def test_a_card_calls_and_leads() -> None:
    seen = card(
        {"type": "TextBlock", "text": "[there](https://a.example) <at>Ann</at>"},
        {"type": "FactSet", "facts": [{"title": "Name", "value": "**loud**"}]},
        actions=[
            {"type": "Action.OpenUrl", "title": "Open", "url": "https://b.example"},
            {"type": "Action.Execute", "title": "Press", "verb": "press"},
        ],
    )
    assert (seen.links, seen.calls, seen.buttons) == (["https://a.example", "https://b.example"], ["Ann"], ["press"])
    assert seen.texts == ["there Ann", "Name", "loud", "Open", "Press"]
