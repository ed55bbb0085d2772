"""The kit itself: tiers follow from verdicts, exemptions need reasons, and nothing a connector does ends a check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Account, Context
from connectors.github import GitHubConnector
from connectors.jira import JiraConnector
from connectors.kit import conformance
from connectors.kit.report import Outcome, Report, Verdict
from connectors.kit.rule import Finding, Rule, Subject, Tier
from connectors.kit.rules import RULES
from connectors.kit.run import MOST_FINDINGS, Trial
from simulation.bench import trial_of
from simulation.toy import ToyConnector

WRONG = Finding("it is wrong", "mend it")


def rule(id_: str = "call-budget", tier: Tier = Tier.BRONZE, **parts: Any) -> Rule:
    return Rule(id_, tier, "A rule.", **parts)


def finds(*found: Finding) -> Any:
    return lambda _subject: iter(found)


def raises(error: BaseException) -> Any:
    def check(_subject: Any) -> Iterator[Finding]:
        raise error
        yield WRONG

    return check


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


class Mute:
    """A connector that can be connected, and nothing else."""

    manifest = replace(GitHubConnector.manifest, type="mute", webhooks=None)

    def __init__(self, context: Context) -> None:
        pass

    def check(self) -> Account:
        return Account("1", "nobody")


def judged(asked: Rule, folder: Path, connector: Any = JiraConnector, bench: Any = None) -> Verdict:
    def opened() -> AbstractContextManager[Any]:
        return nullcontext(bench)

    [verdict] = Trial(Subject(connector, folder), opened if bench else None).verdicts([asked])
    return verdict


# --- tiers --------------------------------------------------------------------------------------------


def report(**outcomes: Outcome) -> Report:
    return Report("acme", [Verdict(rule(tier=Tier[name.upper()]), outcome) for name, outcome in outcomes.items()])


@pytest.mark.parametrize(
    ("outcomes", "tier"),
    [
        ({"bronze": Outcome.PASSED, "silver": Outcome.FAILED, "gold": Outcome.PASSED}, Tier.BRONZE),
        ({"bronze": Outcome.FAILED, "silver": Outcome.PASSED}, None),
        ({"bronze": Outcome.NOT_CHECKED}, None),
        ({"bronze": Outcome.EXEMPT, "silver": Outcome.NOT_APPLICABLE, "gold": Outcome.HUMAN}, Tier.PLATINUM),
        ({"platinum": Outcome.FAILED}, Tier.GOLD),
    ],
)
def test_a_tier_stands_on_all_below_it(outcomes: dict[str, Outcome], tier: Tier | None) -> None:
    found = report(**outcomes)
    assert found.tier is tier
    assert found.reaches(Tier.BRONZE) == (tier is not None)


def test_a_report_says_what_to_do_in_a_table_and_in_json() -> None:
    verdict = Verdict(rule(), Outcome.FAILED, [WRONG, WRONG])
    found = Report("acme", [verdict])
    assert found.rows() == [
        ("call-budget", "bronze", "failed: it is wrong → mend it"),
        ("", "", "failed: it is wrong → mend it"),
    ]
    [shown] = found.as_json()["rules"]
    assert shown["findings"][0] == {"text": "it is wrong", "next_step": "mend it"}
    assert (shown["outcome"], shown["check"]) == ("failed", "human")


# --- verdicts -----------------------------------------------------------------------------------------


def test_what_no_machine_checks_is_never_passed(folder: Path) -> None:
    assert judged(rule(), folder).outcome is Outcome.HUMAN


def test_a_rule_about_what_a_connector_can_not_do_does_not_apply(folder: Path) -> None:
    asked = rule(static=finds(WRONG), needs=frozenset({"task_sink"}))
    verdict = judged(asked, folder, Mute)
    assert (verdict.outcome, verdict.reason) == (Outcome.NOT_APPLICABLE, "no task_sink")


def test_without_a_fake_vendor_nothing_executed_counts_as_passed(folder: Path) -> None:
    assert judged(rule(executed=finds()), folder).outcome is Outcome.NOT_CHECKED
    assert judged(rule(executed=finds(), static=finds(WRONG)), folder).outcome is Outcome.FAILED


def test_findings_are_limited(folder: Path) -> None:
    assert len(judged(rule(static=finds(*[WRONG] * 50)), folder).findings) == MOST_FINDINGS


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(1), RecursionError(), GeneratorExit()])
def test_whatever_a_connector_raises_is_a_finding(error: BaseException, folder: Path) -> None:
    verdict = judged(rule(executed=raises(error)), folder, bench=object())
    assert verdict.outcome is Outcome.FAILED
    assert type(error).__name__ in verdict.findings[0].text


def test_who_interrupts_a_check_ends_it(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        judged(rule(static=raises(KeyboardInterrupt())), folder)


# --- exemptions ---------------------------------------------------------------------------------------

REASON = "The vendor offers no other way to do it."


def exempt(folder: Path, *names: str, reason: str = REASON) -> None:
    lines = "".join(f'{name} = "{reason}"\n' for name in names)
    (folder / "quality.toml").write_text(f"[exemptions]\n{lines}")


def test_an_exemption_is_shown_with_its_reason(folder: Path) -> None:
    exempt(folder, "call-budget")
    verdict = judged(rule(static=finds(WRONG)), folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.EXEMPT, REASON)


def test_an_exemption_that_is_not_needed_says_so(folder: Path) -> None:
    exempt(folder, "call-budget")
    verdict = judged(rule(static=finds()), folder)
    assert verdict.outcome is Outcome.PASSED
    assert "can go" in verdict.reason


def test_nobody_is_exempt_from_coming_to_an_end(folder: Path) -> None:
    exempt(folder, "call-budget")
    assert judged(rule(static=raises(KeyError("x"))), folder).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[exemptions", "not TOML"),
        ('tier = "gold"', "tier does not fit"),
        (f'[exemptions]\nno-such-rule = "{REASON}"', "is no rule"),
        (f'[exemptions]\nwebhook-verified = "{REASON}"', "nobody can be exempt"),
        ('[exemptions]\ncall-budget = "because"', "without a reason"),
        ("[exemptions]\ncall-budget = 3", "exemptions.call-budget does not fit"),
    ],
)
def test_a_bad_quality_file_exempts_from_nothing_and_is_said(text: str, problem: str, folder: Path) -> None:
    (folder / "quality.toml").write_text(text)
    assert judged(rule(static=finds(WRONG)), folder).outcome is Outcome.FAILED
    verdict = judged(next(known for known in RULES if known.id == "manifest-valid"), folder)
    assert verdict.outcome is Outcome.FAILED
    assert problem in verdict.findings[0].text


def test_papers_may_lie_at_the_root_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    for package in (tmp_path / "acme", tmp_path / "src" / "acme"):
        package.mkdir(parents=True)
        exempt(tmp_path, "call-budget")
        assert judged(rule(static=finds(WRONG)), package).outcome is Outcome.EXEMPT


# --- the scale ----------------------------------------------------------------------------------------


def test_rules_have_ids_of_their_own_and_come_by_tier() -> None:
    assert len({known.id for known in RULES}) == len(RULES)
    assert [known.tier for known in RULES] == sorted(known.tier for known in RULES)


def test_a_connector_without_capabilities_has_little_to_pass_and_no_tier_without_a_fake_vendor() -> None:
    found = trial_of(Mute).report()
    assert found.tier is None
    outcomes = {verdict.rule.id: verdict.outcome for verdict in found.verdicts}
    assert outcomes["crash-safe-create"] is Outcome.NOT_APPLICABLE
    assert outcomes["test-connection-before-activate"] is Outcome.NOT_CHECKED


# --- the line in a connector's own tests --------------------------------------------------------------

RUN = conformance(ToyConnector, tier=Tier.BRONZE)
CHECKED = next(known for known in RULES if known.id == "test-connection-before-activate")


def test_one_line_makes_a_case_of_each_rule_up_to_a_tier() -> None:
    [mark] = RUN.pytestmark  # type: ignore[attr-defined]
    assert list(mark.args[1]) == [known for known in RULES if known.tier is Tier.BRONZE]


def test_a_sound_connector_passes_its_case() -> None:
    RUN(CHECKED)


def test_a_failing_rule_is_a_failing_test_with_its_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.contract import Account

    monkeypatch.setattr(ToyConnector, "check", lambda self: Account("acc-1", "Toy account"))
    monkeypatch.setattr(ToyConnector, "vocabularies", lambda self: [])
    with pytest.raises(pytest.fail.Exception, match="next step: Let `check` make one authenticated call"):
        RUN(CHECKED)


def test_a_rule_for_people_is_skipped_not_passed() -> None:
    with pytest.raises(pytest.skip.Exception):
        RUN(replace(CHECKED, executed=None))


def test_a_check_leaves_logging_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    import structlog

    before = structlog.get_config()
    RUN(CHECKED)
    assert structlog.get_config() == before
    assert capsys.readouterr() == ("", "")


# --- what a rule is about -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capabilities", "lacking"),
    [
        ({"webhooks", "task_source"}, ""),
        ({"webhooks", "code_source"}, ""),
        ({"task_source", "code_source"}, "no webhooks"),
        ({"webhooks"}, "no code_source and no task_source"),
    ],
)
def test_a_rule_may_be_about_any_of_several_capabilities(capabilities: set[str], lacking: str) -> None:
    asked = rule(needs=frozenset({"webhooks"}), among=frozenset({"task_source", "code_source"}))
    assert asked.lacks(capabilities) == lacking
