"""The registry: what is found, what is refused, and that nobody is left wondering why."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
import sys
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from connectors.contract import (
    CONTRACT_VERSION,
    Category,
    Config,
    Credentials,
    Manifest,
    OAuthFacts,
    WebhookFacts,
    capabilities,
)
from connectors.github import GitHubConnector
from connectors.registry import BUILT_IN, Entry, Registry, UnknownType, problems
from connectors.tiers import SHIPPED


class Keys(Credentials):
    api_key: SecretStr
    refresh_token: SecretStr | None = None
    token_type: str = "bearer"
    key_id: str = ""


class BareKeys(Credentials):
    api_key: str
    old_password: str | SecretStr | None = None


MANIFEST = Manifest(
    type="acme",
    name="Acme",
    category=Category.MONITORING,
    description="Everything",
    config=Config,
    credentials={"keys": Keys},
    endpoints={"api": "https://api.acme.test"},
)


class Checks:
    def __init__(self, context: Any) -> None: ...

    def check(self) -> Any: ...


class Acme(Checks):
    manifest: ClassVar[Manifest] = MANIFEST


class Receiver(Checks):
    verify = parse = handshake = staticmethod(lambda *given: None)


def having(base: type = Checks, **changes: Any) -> type:
    """A connector class whose manifest differs in one thing."""
    return type("Changed", (base,), {"manifest": dataclasses.replace(MANIFEST, **changes)})


@pytest.fixture
def plugin(monkeypatch, tmp_path):
    """Writes a plugin's module and gives its entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source: str, name: str = "acme", module: str = "acme_plugin") -> EntryPoint:
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return EntryPoint(name, f"{module}:Acme", "turnbuckle.connectors")

    return write


GOOD_PLUGIN = "from tests.connectors.test_registry import Acme"


def test_the_built_in_connectors_are_there():
    entry = next(entry for entry in Registry.load([]).entries() if entry.type == "github")
    assert entry == Entry("github", GitHubConnector, "built-in", capabilities(GitHubConnector), SHIPPED["github"])
    assert Registry.load([]).get("github") is GitHubConnector


def test_every_built_in_connector_lives_in_the_folder_of_its_name():
    assert all(target.startswith(f"connectors.{name}:") for name, target in BUILT_IN.items())


def test_a_plugin_is_found_by_its_entry_point(plugin):
    registry = Registry.load([plugin(GOOD_PLUGIN)])
    assert registry.get("acme").__name__ == "Acme"
    assert [entry.origin for entry in registry.entries() if entry.type == "acme"] == ["a plugin"]


def test_installed_plugins_are_looked_up_in_our_group(monkeypatch, plugin):
    groups = []

    def installed(group):
        groups.append(group)
        return [plugin(GOOD_PLUGIN)]

    monkeypatch.setattr(importlib.metadata, "entry_points", installed)
    assert Registry.load().get("acme").__name__ == "Acme"
    assert groups == ["turnbuckle.connectors"]


def test_a_plugin_carries_its_distributions_name_and_version(tmp_path, monkeypatch, plugin):
    plugin(GOOD_PLUGIN)
    info = tmp_path / "acme_turnbuckle-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-turnbuckle\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[turnbuckle.connectors]\nacme = acme_plugin:Acme\n")
    assert "acme-turnbuckle 1.2" in [entry.origin for entry in Registry.load().entries()]


def installed(tmp_path, plugin, requires):
    """A plugin in a distribution of its own, with what that requires."""
    plugin(GOOD_PLUGIN)
    info = tmp_path / "acme_turnbuckle-1.2.dist-info"
    info.mkdir()
    lines = "".join(f"Requires-Dist: {line}\n" for line in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-turnbuckle\nVersion: 1.2\n{lines}")
    (info / "entry_points.txt").write_text("[turnbuckle.connectors]\nacme = acme_plugin:Acme\n")
    return Registry.load()


def test_a_plugin_for_another_release_is_refused_before_its_code_runs(tmp_path, plugin):
    registry = installed(tmp_path, plugin, ["httpx>=0.1", "turnbuckle>=99,<100"])
    ours = importlib.metadata.version("turnbuckle")
    assert registry.failures[-1].reason == f"it requires turnbuckle <100,>=99; this is {ours}"
    assert registry.failures[-1].origin == "acme-turnbuckle 1.2"
    assert "acme_plugin" not in sys.modules


def test_a_plugin_within_its_bounds_is_taken(tmp_path, plugin):
    registry = installed(tmp_path, plugin, ["turnbuckle>=0.1,<2"])
    assert registry.get("acme").__name__ == "Acme"


def test_an_unknown_type_names_the_known_ones():
    registry = Registry()
    registry.register(Acme)
    with pytest.raises(UnknownType, match="no connector 'jirra'; there are: acme"):
        registry.get("jirra")
    assert issubclass(UnknownType, LookupError)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def broken(:", "SyntaxError"),
        ("undefined", "NameError"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("int('x')", "ValueError"),
        ("1 / 0", "ZeroDivisionError"),
        ("Other = 1", "AttributeError"),
        ("Acme = 1", "not a connector class"),
        ("class Acme: check = print", "no manifest"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("class Odd(Exception): ...\nraise Odd('what now')", "Odd: what now"),
        ("def f(): f()\nf()", "RecursionError"),
        (
            "from tests.connectors import test_registry as t\nAcme = t.having(type=None)",
            "manifest can't be read: TypeError",
        ),
    ],
)
def test_a_plugin_that_can_not_be_used_is_listed_with_the_reason(plugin, source, reason):
    registry = Registry.load([plugin(source)])
    failure = registry.failures[-1]
    assert (failure.name, failure.origin) == ("acme", "a plugin")
    assert reason in failure.reason
    assert "github" in [entry.type for entry in registry.entries()]
    with pytest.raises(UnknownType):
        registry.get("acme")


def test_a_plugin_can_not_replace_a_built_in_connector(plugin):
    source = "import dataclasses\nfrom tests.connectors import test_registry as t\nAcme = t.having(type='github')\n"
    registry = Registry.load([plugin(source, name="github")])
    assert registry.get("github") is GitHubConnector
    assert "taken by built-in" in registry.failures[-1].reason


def test_of_two_plugins_of_one_type_the_second_is_refused(plugin):
    first = plugin(GOOD_PLUGIN)
    second = plugin(GOOD_PLUGIN, module="acme_again")
    registry = Registry.load([first, second])
    assert "taken by a plugin" in registry.failures[-1].reason


def test_a_plugin_under_another_name_than_its_type_is_refused(plugin):
    registry = Registry.load([plugin(GOOD_PLUGIN, name="acme2")])
    assert "its type is 'acme'" in registry.failures[-1].reason


def test_a_sound_connector_has_no_problems():
    assert problems(Acme) == []


class Unshowable(Config):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    thing: Checks | None = None


OAUTH = OAuthFacts(authorize_url="{auth}/authorize", token_url="{api}/token", scopes=(), credentials="oauth2")


@pytest.mark.parametrize(
    ("connector", "problem"),
    [
        (having(contract=0), "version 0 of the connector contract"),
        (having(contract=CONTRACT_VERSION + 1), f"version {CONTRACT_VERSION + 1} of the connector contract"),
        (having(type="Acme-Tool"), "lower-case letters"),
        (having(config=BaseModel), "config model must subclass Config"),
        (having(config=None), "config model must subclass Config"),
        (having(config=Unshowable), "its config has no JSON Schema"),
        (having(credentials={}), "no credentials model"),
        (having(credentials={"keys": BaseModel}), "'keys' must subclass Credentials"),
        (having(credentials={"keys": BareKeys}), "'api_key' of its credentials model 'keys' must be a SecretStr"),
        (having(credentials={"keys": BareKeys}), "'old_password' of its credentials model 'keys' must be a SecretStr"),
        (having(webhooks=WebhookFacts()), "does not receive webhooks"),
        (having(Receiver), "no webhook facts"),
        (having(Receiver, webhooks=WebhookFacts(secrets=("client_secret",))), "'client_secret' is neither"),
        (having(oauth=OAUTH), "credentials 'oauth2', which it does not have"),
        (having(oauth=OAUTH), "endpoint 'auth', which it does not have"),
    ],
)
def test_an_unsound_connector_is_refused_in_words_for_its_author(connector, problem):
    assert any(problem in found for found in problems(connector))
    with pytest.raises(ValueError, match=re.escape(problem)):
        Registry().register(connector)


def test_webhook_secrets_may_be_the_subscriptions_or_a_credential():
    assert problems(having(Receiver, webhooks=WebhookFacts(secrets=("signing", "api_key")))) == []


def test_a_type_can_be_registered_once():
    registry = Registry()
    registry.register(Acme)
    with pytest.raises(ValueError, match="taken by registered"):
        registry.register(Acme)
