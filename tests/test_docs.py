"""What the docs quote and what they are made from is what is there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tools.reference import FOLDER, PAGES, page

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs/writing-a-connector.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)")
BLOCKS = [match.groups() for match in BLOCK.finditer(GUIDE)]
QUOTED = [(path, code) for _, path, code in BLOCKS if path]


def is_in(code: str, source: str) -> bool:
    """Whether a quotation stands in a file, at the margin or inside a class."""
    return any(textwrap.indent(code, margin) in source for margin in ("", "    "))


@pytest.mark.parametrize("path", sorted({path for path, _ in QUOTED}))
def test_what_the_guide_quotes_is_what_the_example_says(path: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    for quoted, code in QUOTED:
        assert quoted != path or is_in(code, source), f"{path} does not say this any more:\n{code}"


def test_the_guide_quotes_all_of_its_code() -> None:
    assert [language for language, path, _ in BLOCKS if not path and language != "sh"] == []
    quoted = {Path(path).name for path, _ in QUOTED}
    parts = {path.name for path in (ROOT / "examples/plank/turnbuckle_plank").glob("*.py")} - {"__init__.py"}
    assert quoted >= parts


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_made_of_the_docstrings_there_are(name: str) -> None:
    made = page(*PAGES[name])
    assert (FOLDER / name).read_text(encoding="utf-8") == made, "run `make docs`"


def test_the_reference_names_every_capability_and_error_of_the_contract() -> None:
    text = (FOLDER / "contract.md").read_text(encoding="utf-8")
    for name in ("TaskSource", "TaskSink", "UserDirectory", "WebhookReceiver", "WebhookSubscriber", "RateLimited"):
        assert f"class {name}(" in text
    assert "`fetch_tasks(ids: Sequence[str]) -> Mapping[str, RemoteTask | Gone]`" in text


@pytest.mark.parametrize("path", ["README.md", "docs/writing-a-connector.md", "examples/plank/README.md"])
def test_links_lead_somewhere(path: str) -> None:
    page_ = ROOT / path
    targets = [t for t in LINK.findall(page_.read_text(encoding="utf-8")) if "://" not in t]
    assert targets
    assert [target for target in targets if not (page_.parent / target).exists()] == []
