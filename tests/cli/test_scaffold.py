"""`turnbuckle connectors new`: what it writes works as it is, for every choice of capabilities."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
import venv
from pathlib import Path
from typing import Any

import pytest

from cli.scaffold.filling import filled
from cli.scaffold.package import FILES, NEEDS, OFFERED, contents, planned
from connectors.contract import CAPABILITIES
from sandbox.vendor import API_TOKEN
from tests.cli.conftest import Turnbuckle
from tests.services.process import ServiceProcess, free_port, wait_until

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
    assert {*NEEDS, *NEEDS.values()} == set(OFFERED) <= set(CAPABILITIES)


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
    checked = json.loads(run(*cli, "connectors", "check", made, "--require", "bronze", "--json", cwd=home))
    assert checked["tier"] in ("bronze", "silver", "gold", "platinum")
    run(*cli, "simulate", "--vendor", "acme", "--schedules", "5", cwd=home)

    run(*cli, "db", "upgrade", cwd=home)
    create = ["workspace", "create", "W", "--organization", "O", "--service-line", "Backend", "--json"]
    workspace = json.loads(run(*cli, *create, cwd=home))
    there, here = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    vendor = ["sandbox", "of", "turnbuckle_acme.fake:AcmeSandbox", "--plant", "3", "--port", there.rpartition(":")[2]]
    up = ["cli", "up", "--port", here.rpartition(":")[2]]
    env = {
        "TURNBUCKLE_DATABASE_URL": f"sqlite:///{home / 'turnbuckle.db'}",
        "TURNBUCKLE_VENDOR_ENDPOINTS": json.dumps({"acme": {"api": there}}),
        "TURNBUCKLE_EGRESS_ALLOW": '["127.0.0.1/32"]',
    }
    with (
        ServiceProcess([str(python), "-m", *vendor], ready=f"{there}/_control/state", name="acme"),
        ServiceProcess([str(python), "-m", *up], env=env, ready=f"{here}/readyz", name="up"),
    ):
        api = Api(here, workspace["workspace_id"], _token(cli, workspace["workspace_id"], home))
        assert "acme" in [connector["type"] for connector in api.call("/v1/connectors")]
        _two_way(api, Api(there, "", ""), workspace["service_line_ids"][0])


class Api:
    """An HTTP API that speaks JSON."""

    def __init__(self, url: str, workspace_id: str, token: str) -> None:
        self._url, self.workspace_id, self._token = url, workspace_id, token

    def call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """GET, or POST a body; what is in the envelope, where there is one."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self._url + path, data, headers), timeout=10) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from None
        return said.get("data", said)


def _token(cli: list[Any], workspace_id: str, home: Path) -> str:
    made = json.loads(run(*cli, "token", "create", "--workspace", workspace_id, "--json", cwd=home))
    return str(made["token"])


def _two_way(turnbuckle: Api, acme: Api, line_id: str) -> None:
    """Items become tasks, an edit there is heard by webhook, and a task made here becomes an item."""
    workspace_id = turnbuckle.workspace_id

    def titles() -> set[str]:
        return {task["title"] for task in turnbuckle.call(f"/v1/tasks?workspace_id={workspace_id}")}

    def items() -> dict[str, str]:
        return {item["key"]: item["title"] for item in acme.call("/_control/state")["items"]}

    integration = {
        "workspace_id": workspace_id,
        "type": "acme",
        "name": "Acme",
        "config": {"projects": [{"external": "ALPHA", "service_line_id": line_id}]},
        "credentials": {"api_token": API_TOKEN},
    }
    turnbuckle.call("/v1/integrations", integration)
    wait_until(lambda: len(titles()) == 3, what="the first sync")
    wait_until(lambda: acme.call("/_control/state")["webhooks"], what="the webhook")
    acme.call("/_control/act", {"as": "Ann Archer", "do": "edit", "item": "ALPHA-1", "title": "Edited there"})
    wait_until(lambda: "Edited there" in titles(), what="the edit there")
    turnbuckle.call("/v1/tasks", {"workspace_id": workspace_id, "service_line_id": line_id, "title": "Made here"})
    wait_until(lambda: "Made here" in items().values(), what="the task made here")
