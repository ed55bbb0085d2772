"""The page on the quality scale names every rule as it is."""

from __future__ import annotations

from pathlib import Path

from connectors.kit.rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "connector-quality.md"


def test_the_page_has_a_line_for_each_rule_and_no_other() -> None:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    always = {True: " *Always.*", False: ""}
    assert lines == [
        f"| `{rule.id}` | {rule.tier.label} | {rule.how} | {rule.title}{always[rule.essential]} |" for rule in RULES
    ]
