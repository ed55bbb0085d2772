"""How a notification looks in Slack."""

from __future__ import annotations

import pytest

from connectors.contract import Button, Line, Link, Severity
from connectors.slack.blocks import BLOCKS, FALLBACK, FIELDS, TEXT, TITLE, escaped, message, shortened
from tests.connectors.slack.conftest import notification


def test_a_notification_is_a_header_a_text_its_facts_a_link_its_buttons_and_when() -> None:
    made = message(notification(), mention=False)
    assert made["text"] == "🟠 Payments are slow 1\np95 is above 2 s."
    assert [block["type"] for block in made["blocks"]] == [
        "header",
        "section",
        "section",
        "section",
        "actions",
        "context",
    ]
    assert made["blocks"][0]["text"] == {"type": "plain_text", "text": "🟠 Payments are slow 1", "emoji": True}
    assert made["blocks"][2]["fields"][0] == {"type": "plain_text", "text": "Service\npayments", "emoji": True}
    assert made["blocks"][4]["elements"] == [
        {
            "type": "button",
            "action_id": "acknowledge",
            "text": {"type": "plain_text", "text": "Acknowledge", "emoji": True},
            "value": "INC-26-000001",
            "style": "primary",
        }
    ]
    assert made["blocks"][5]["elements"][0]["text"] == (
        "<!date^1776247200^{date_short_pretty} {time}|2026-04-15 10:00 UTC> · NTF-26-000001"
    )


@pytest.mark.parametrize("severity", Severity)
def test_severity_is_seen_and_what_is_over_looks_good(severity: Severity) -> None:
    bad = message(notification(severity=severity), mention=False)["text"].split()[0]
    good = message(notification(severity=severity, over=True), mention=False)["text"].split()[0]
    assert (bad != "✅", good) == (True, "✅")


def test_what_people_write_calls_nobody_and_links_nowhere() -> None:
    evil = "<!channel> <@U1> <https://evil.example|here> *loud* @here & more"
    made = message(notification(title=evil, text=evil, facts=[Line(evil, evil)]), mention=False)
    head, text, facts = made["blocks"][:3]
    assert {part["type"] for part in (head["text"], text["text"], *facts["fields"])} == {"plain_text"}
    assert text["text"]["text"] == evil
    assert "<" not in made["text"]
    assert "&lt;!channel&gt;" in made["text"]


def test_an_address_can_not_end_its_link_early() -> None:
    url = "https://vendor.example/?a=1&b=<!here>|x y"
    made = message(notification(link=Link("Open > it", url)), mention=False)
    assert made["blocks"][3]["text"] == {
        "type": "mrkdwn",
        "text": "<https://vendor.example/?a=1&amp;b=%3C!here%3E%7Cx%20y|Open &gt; it>",
        "verbatim": True,
    }


def test_everyone_is_called_where_it_is_wanted() -> None:
    made = message(notification(), mention=True)
    assert "<!here>" in made["text"]
    assert made["blocks"][1]["text"]["text"].startswith("<!here>")
    assert "<!here>" not in str(message(notification(), mention=False))


def test_nothing_is_longer_or_more_than_slack_takes() -> None:
    huge = "x&" * 5000
    many = [Line(huge, huge)] * 600
    buttons = [Button(f"b{number}", huge, "v" * 5000) for number in range(60)]
    made = message(notification(title=huge, text=huge, facts=many, buttons=buttons), mention=False)
    assert len(made["text"]) <= FALLBACK
    assert len(made["blocks"]) <= BLOCKS
    assert len(made["blocks"][0]["text"]["text"]) <= TITLE
    assert len(made["blocks"][1]["text"]["text"]) <= TEXT
    assert all(len(block.get("fields", [])) <= FIELDS for block in made["blocks"])
    assert {"type": "plain_text", "text": "… and 500 more", "emoji": True} in [b.get("text") for b in made["blocks"]]
    assert "NTF-26-000001" in made["blocks"][-1]["elements"][0]["text"], "what it bears is not left out"


def test_an_empty_value_is_shown_as_such() -> None:
    made = message(notification(text="", facts=[Line("Owner", "")], link=None, buttons=[]), mention=False)
    assert [block["type"] for block in made["blocks"]] == ["header", "section", "context"]
    assert made["blocks"][1]["fields"][0]["text"] == "Owner\n—"


def test_an_escaped_character_is_not_cut_in_two() -> None:
    for most in range(8, 20):
        kept = shortened(escaped("aaaa&<>&<>&<>"), most)
        assert len(kept) <= most
        assert kept.endswith("…")
        assert kept[:-1].count("&") == kept[:-1].count(";")
