"""How a notification looks in Teams."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from connectors.contract import Button, Line, Link, Rejected, Severity
from connectors.microsoft_teams.cards import ACTIONS, MOST_BYTES, check_card, escaped, message, shortened, size
from tests.connectors.microsoft_teams.conftest import notification


def card(bot: bool = False, **more: Any) -> Any:
    return message(notification(**more), bot)["attachments"][0]["content"]


def text_of(bot: bool = False, **more: Any) -> list[str]:
    return [one["text"] for one in card(bot, **more)["body"] if one["type"] == "TextBlock"]


GOLDEN = {
    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
    "type": "AdaptiveCard",
    "version": "1.4",
    "msteams": {"width": "Full"},
    "body": [
        {
            "type": "TextBlock",
            "text": "🟠 Payments are slow 1",
            "wrap": True,
            "size": "Large",
            "weight": "Bolder",
            "style": "heading",
            "color": "Attention",
        },
        {"type": "TextBlock", "text": "p95 is above 2 s.", "wrap": True},
        {
            "type": "FactSet",
            "facts": [{"title": "Service", "value": "payments"}, {"title": "Since", "value": "10:00"}],
        },
        {
            "type": "TextBlock",
            "text": "2026-04-15 10:00 UTC · NTF-26-000001",
            "wrap": True,
            "id": "NTF-26-000001",
            "size": "Small",
            "isSubtle": True,
        },
    ],
    "actions": [
        {
            "type": "Action.OpenUrl",
            "title": "Open the incident",
            "url": "https://platform.example/incidents/INC-26-000001",
        }
    ],
}
ACKNOWLEDGE = {
    "type": "Action.Execute",
    "title": "Acknowledge",
    "style": "positive",
    "verb": "acknowledge",
    "data": {"value": "INC-26-000001"},
}


def test_a_notification_by_a_flow_is_one_card_with_what_can_be_opened() -> None:
    assert message(notification(), bot=False) == {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": GOLDEN}
        ],
    }


def test_a_notification_by_a_bot_has_its_buttons_and_a_summary_for_phones() -> None:
    made = message(notification(), bot=True)
    assert made["summary"] == "🟠 Payments are slow 1"
    expected = {**GOLDEN, "actions": [*GOLDEN["actions"], ACKNOWLEDGE]}
    assert made["attachments"][0]["content"] == expected


def test_a_button_with_an_address_opens_it_where_no_press_comes_back() -> None:
    buttons = [Button("see", "See", "v", "https://a.example/see", "danger"), Button("go", "Go", "v")]
    opened = {"type": "Action.OpenUrl", "title": "See", "style": "destructive", "url": "https://a.example/see"}
    assert card(buttons=buttons, link=None)["actions"] == [opened]
    assert [one["verb"] for one in card(True, buttons=buttons, link=None)["actions"]] == ["see", "go"]


@pytest.mark.parametrize(
    ("severity", "colour"),
    [
        (Severity.CRITICAL, "Attention"),
        (Severity.HIGH, "Attention"),
        (Severity.MEDIUM, "Warning"),
        (Severity.LOW, "Accent"),
        (Severity.INFO, "Default"),
    ],
)
def test_severity_is_a_colour_and_a_sign_and_what_is_over_looks_good(severity: Severity, colour: str) -> None:
    bad, good = card(severity=severity)["body"][0], card(severity=severity, over=True)["body"][0]
    assert (bad["color"], good["color"]) == (colour, "Good")
    assert not bad["text"].startswith("✅")
    assert good["text"].startswith("✅ ")


@pytest.mark.parametrize(
    ("plain", "shown"),
    [
        ("*bold* _it_ ~no~ `code`", r"\*bold\* \_it\_ \~no\~ \`code\`"),
        ("[here](https://evil.example)", r"\[here\](https://evil.example)"),
        (r"a\*b", r"a\\\*b"),
        ("# title", r"\# title"),
        ("- one\n  + two\n> three", "\\- one\n  \\+ two\n\\> three"),
        ("1. one\n22) two", "1\\. one\n22\\) two"),
        ("3.5 s and a - b #4", "3\\.5 s and a - b #4"),
        ("<at>Ann</at> <AT id=1>", "‹at>Ann‹/at> ‹AT id=1>"),
        ("<<at>at>", "<‹at>at>"),
        ("a < b <atlas>", "a < b <atlas>"),
    ],
)
def test_what_people_write_means_nothing_but_itself(plain: str, shown: str) -> None:
    assert escaped(plain) == shown


def test_everything_that_is_not_ours_is_escaped() -> None:
    evil = "*<at>all</at>*"
    made = card(title=evil, text=evil, facts=[Line(evil, evil)])
    heading, text, facts, _ = made["body"]
    told = [heading["text"], text["text"], facts["facts"][0]["title"], facts["facts"][0]["value"]]
    assert all(r"\*‹at>all‹/at>\*" in one for one in told)


def test_lines_stay_lines_in_a_text_and_become_one_elsewhere() -> None:
    made = card(title="one\ntwo", text="one\r\n- two\n\n\nthree\x00", facts=[Line("a\nb", "c\n\nd")])
    assert made["body"][0]["text"] == "🟠 one two"
    assert made["body"][1]["text"] == "one\n\n\\- two\n\nthree"
    assert made["body"][2]["facts"] == [{"title": "a b", "value": "c d"}]


def test_an_empty_text_is_left_out_and_an_empty_value_is_shown_as_such() -> None:
    made = card(text=" \n\x00", facts=[Line("Owner", " ")], link=None, buttons=[])
    assert [one["type"] for one in made["body"]] == ["TextBlock", "FactSet", "TextBlock"]
    assert made["body"][1]["facts"] == [{"title": "Owner", "value": "—"}]
    assert "actions" not in made


def test_what_is_too_long_is_shortened_before_it_is_escaped() -> None:
    heading = text_of(title="*" * 500)[0]
    assert heading.endswith(r"\*…")
    assert heading.count(r"\*") == 200 - len("🟠 …")
    assert shortened("abcd", 4) == "abcd"


@pytest.mark.parametrize("bot", [True, False])
@pytest.mark.parametrize("character", ["x", "*", "😀", '"', "\\", "\n"])
def test_no_message_is_larger_than_24_kb_however_much_there_is_to_say(bot: bool, character: str) -> None:
    huge = character * 30_000
    buttons = [Button(f"b{number}", huge, "v", "https://a.example/") for number in range(9)]
    link = Link(f"a{huge}", "https://a.example/")
    told = notification(title=huge, text=f"a{huge}", facts=[Line(huge, huge)] * 500, buttons=buttons, link=link)
    made = message(told, bot)
    assert size(made) == len(json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode())
    assert size(made) <= MOST_BYTES
    assert len(made["attachments"][0]["content"]["actions"]) == ACTIONS


def test_long_texts_are_shortened_before_values_are_left_out() -> None:
    many = card(text="short", facts=[Line(f"name {n}", "v" * 900) for n in range(40)])
    assert len(many["body"][2]["facts"]) == 40
    assert many["body"][2]["facts"][0]["value"].endswith("…")
    assert len(text_of(text="t" * 3000)[1]) == 3000
    more = card(facts=[Line(f"name {n}", "v") for n in range(45)])
    assert len(more["body"][2]["facts"]) == 40
    assert more["body"][3]["text"] == "… and 5 more"


def test_what_is_not_https_is_not_linked() -> None:
    for url in ("http://a.example/", "javascript:alert(1)", "https://", "https://[", ""):
        made = card(link=Link("x", url), buttons=[Button("b", "B", "v", url)])
        assert "actions" not in made


# --- the look before it is sent -------------------------------------------------------------------------


@pytest.mark.parametrize("bot", [True, False])
def test_what_is_made_can_be_shown(bot: bool) -> None:
    check_card(message(notification(), bot), bot)


def broken(at: str, change: Any) -> Any:
    made = deepcopy(message(notification(), bot=True))
    content = made["attachments"][0]["content"]
    {"card": content, "text": content["body"][1], "facts": content["body"][2], "link": content["actions"][0]}.get(
        at, content["actions"][1]
    ).update(change)
    return made


@pytest.mark.parametrize(
    ("at", "change", "why"),
    [
        ("card", {"version": "9.9"}, "version"),
        ("card", {"body": []}, "empty"),
        ("card", {"actions": [ACKNOWLEDGE] * 7}, "more than 6 buttons"),
        ("text", {"type": "Title"}, "knows no element 'Title'"),
        ("text", {"text": ""}, "a text is empty"),
        ("facts", {"facts": []}, "a value or its name is empty"),
        ("facts", {"facts": [{"title": "a", "value": ""}]}, "a value or its name is empty"),
        ("link", {"url": "http://a.example"}, "https://"),
        ("link", {"title": ""}, "no text"),
        ("button", {"verb": ""}, "which one it is"),
        ("button", {"type": "Action.Submit"}, "knows no element 'Action.Submit'"),
        ("button", {"data": {"value": "v" * MOST_BYTES}}, "bytes, and Teams takes 24576"),
    ],
)
def test_what_teams_would_not_show_is_rejected_here(at: str, change: dict[str, Any], why: str) -> None:
    with pytest.raises(Rejected, match=why):
        check_card(broken(at, change), bot=True)


def test_a_bots_button_is_nothing_a_flow_can_post() -> None:
    with pytest.raises(Rejected, match="only a bot's buttons come back"):
        check_card(message(notification(), bot=True), bot=False)
