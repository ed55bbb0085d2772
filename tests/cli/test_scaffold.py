"""`turnbuckle connectors new`: what it writes works as it is, for every choice of capabilities."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from pathlib import Path

import pytest

from cli.scaffold.filling import filled
from cli.scaffold.package import FILES, NEEDS, contents, planned
from connectors.contract import CAPABILITIES
from tests.cli.conftest import Turnbuckle
from tests.services.process import ServiceProcess, free_port

ROOT = Path(__file__).parents[2]
FULL = "task_source,task_sink,users,webhooks,webhook_subscriptions"
CHOICES = [
    "task_source",
    "task_source,task_sink",
    "task_source,webhooks",
    "task_source,task_sink,webhooks",
    "task_source,webhooks,webhook_subscriptions",
    FULL,
]
RUFF = [sys.executable, "-m", "ruff"]
CONFIG = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
# Secrets of a fake vendor; our own configuration excepts these by their path.
LINT = ["check", *CONFIG, "--ignore", "S105,S106,S107,RUF012"]


def new(turnbuckle: Turnbuckle, home: Path, capabilities: str, type_: str = "acme") -> Path:
    turnbuckle("connectors", "new", type_, "--capabilities", capabilities, "--package", str(home / "made"))
    return home / "made"


def run(*args: str | Path, cwd: Path, path: str = "") -> str:
    """Run a program; it must succeed. What it says."""
    env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([str(arg) for arg in args], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("capabilities", CHOICES)
def test_a_new_package_is_tidy_and_its_tests_pass(turnbuckle: Turnbuckle, home: Path, capabilities: str) -> None:
    made = new(turnbuckle, home, capabilities)
    run(*RUFF, "format", *CONFIG, "--check", ".", cwd=made)
    run(*RUFF, *LINT, ".", cwd=made)
    said = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=made, path=str(ROOT))
    assert "what to do next" in said
    assert "turnbuckle_acme/manifest.py:" in said
    assert (made / "tests/test_worlds.py").exists() is ("task_sink" in capabilities)
    assert (made / "turnbuckle_acme/webhook.py").exists() is ("webhooks" in capabilities)


def test_the_longest_name_there_may_be_still_makes_a_tidy_package(turnbuckle: Turnbuckle, home: Path) -> None:
    made = new(turnbuckle, home, FULL, "acme_trackers_99")
    run(*RUFF, *LINT, "--extend-ignore", "I001", ".", cwd=made)
    turnbuckle.error("connectors", "new", "acme_trackers_999")


def test_every_template_is_used_and_every_block_ends() -> None:
    folder = ROOT / "cli/scaffold/templates"
    assert {path.name.removesuffix(".tmpl") for path in folder.iterdir()} == set(FILES)
    for choice in CHOICES:
        for path, text in contents(planned("acme", choice.split(","), {})):
            assert "#:" not in text, path
            assert "$" not in text, path


def test_a_block_is_there_for_its_capability_and_a_broken_one_is_told() -> None:
    template = "a $x\n#: if webhooks\nb\n#: end\n#: if not webhooks\nc\n#: end\nd\n"
    assert filled(template, {"x": "1"}, {"webhooks"}) == "a 1\nb\nd\n"
    assert filled(template, {"x": "1"}, ()) == "a 1\nc\nd\n"
    for broken in ("#: if x\n", "#: end\n", "#: if x\n#: if y\n#: end\n", "#: unless x\n"):
        with pytest.raises(ValueError, match="block"):
            filled(broken, {}, ())
    with pytest.raises(KeyError):
        filled("$nobody", {}, ())


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["Acme"], "can't be a connector's type"),
        (["acme-corp"], "can't be a connector's type"),
        (["9acme"], "can't be a connector's type"),
        (["acme_"], "can't be a connector's type"),
        (["jira"], "taken by built-in"),
        (["toy"], "taken by the simulator"),
        (["acme", "--capabilities", "task_source,telepathy"], "no capability 'telepathy'; there are: task_source"),
        (["acme", "--capabilities", ","], "Name a capability at least"),
        *((["acme", "--capabilities", name], f"makes no sense without {needed}") for name, needed in NEEDS.items()),
    ],
)
def test_what_makes_no_sense_is_refused_and_writes_nothing(
    turnbuckle: Turnbuckle, home: Path, args: list[str], says: str
) -> None:
    assert says in turnbuckle.error("connectors", "new", *args)
    assert list(home.iterdir()) == []


def test_what_is_there_already_is_left_alone(turnbuckle: Turnbuckle, home: Path) -> None:
    made = new(turnbuckle, home, FULL)
    (made / "README.md").write_text("mine")
    assert "exists" in turnbuckle.error("connectors", "new", "acme", "--package", str(made))
    assert (made / "README.md").read_text() == "mine"
    (home / "file").write_text("")
    assert "can't be written" in turnbuckle.error("connectors", "new", "acme", "--package", str(home / "file/inside"))
    assert {path.name for path in home.iterdir()} == {"made", "file"}


def test_capabilities_make_sense_only_with_what_they_build_on() -> None:
    assert set(NEEDS) | set(NEEDS.values()) == set(CAPABILITIES)


def test_from_nothing_to_a_connector_that_turnbuckle_up_offers(home: Path) -> None:
    """In a virtual environment of its own, as an author would; the packages it needs are this one's."""
    venv.create(home / "env", symlinks=True, with_pip=False)
    python = home / "env/bin/python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    (site / "turnbuckle-here.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    cli = [python, "-m", "cli"]

    run(*cli, "connectors", "new", "acme", cwd=home)
    made = home / "turnbuckle-acme"
    # Without the network: what it needs to be built and run is there already.
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", made, cwd=home)
    assert "passed" in run(python, "-m", "pytest", "-q", cwd=made)
    # The place for `connectors check acme`.
    run(*cli, "simulate", "--vendor", "acme", "--schedules", "5", cwd=home)

    run(*cli, "db", "upgrade", cwd=home)
    made_up = json.loads(run(*cli, "workspace", "create", "W", "--organization", "O", "--json", cwd=home))
    issue = ["token", "create", "--workspace", made_up["workspace_id"], "--json"]
    token = json.loads(run(*cli, *issue, cwd=home))["token"]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {"TURNBUCKLE_DATABASE_URL": f"sqlite:///{home / 'turnbuckle.db'}"}
    with ServiceProcess([str(arg) for arg in cli] + ["up", "--port", str(port)], env=env, ready=f"{url}/readyz"):
        assert "acme" in _offered(url, token)


def _offered(url: str, token: str) -> list[str]:
    request = urllib.request.Request(f"{url}/v1/connectors", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return [connector["type"] for connector in json.load(answer)["data"]]
