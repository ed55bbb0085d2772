"""Every rule can fail: for each there is a connector that is wrong in one way, and the rule that finds it."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

import simulation.toy.connector as toy
import sync.diagnostics
from connectors.contract import (
    Account,
    AuthFailed,
    Gone,
    GoneReason,
    RateLimited,
    Rejected,
    RemoteValue,
    Snapshot,
    TaskSyncConfig,
    Transient,
    Verified,
    capabilities,
)
from connectors.http import Unlimited
from connectors.jira import JiraConnector
from connectors.kit.report import Outcome
from connectors.kit.rule import Rule, Subject
from connectors.kit.rules import RULES
from connectors.kit.run import Trial
from simulation.bench import trial_of
from simulation.toy import ToyConnector
from tests.kit.missteps import Handle, call_as, calm, insist, once_more, terse

Patch = pytest.MonkeyPatch
BY_ID = {rule.id: rule for rule in RULES}


# --- wrong connectors ---------------------------------------------------------------------------------


def believe_any_credentials(patch: Patch) -> None:
    """The check asks nobody, and neither does who tells the vendor's words."""
    patch.setattr(ToyConnector, "check", lambda self: Account("acc-1", "Toy account"))
    patch.setattr(ToyConnector, "vocabularies", lambda self: [])


def answer_another_account_every_time(patch: Patch) -> None:
    """The account's id is made up."""
    made, real = itertools.count(), ToyConnector.check
    patch.setattr(ToyConnector, "check", lambda self: replace(real(self), id=f"acc-{next(made)}"))


def take_the_key_for_the_id(patch: Patch) -> None:
    """What people call the item is held to be its id."""
    _read_as(patch, lambda task: replace(task, external_id=task.key))
    patch.setattr(ToyConnector, "_state", lambda self, key: _by_key(self, key))


def believe_every_delivery(patch: Patch) -> None:
    """The signature is not looked at."""
    _verify_as(patch, lambda delivery, _secrets: Verified(delivery.headers.get("x-toy-delivery"), "item.changed"))


def fail_on_a_missing_header(patch: Patch) -> None:
    """A delivery without a signature is an error of its own."""
    real = ToyConnector.verify
    _verify_as(patch, lambda delivery, secrets: (delivery.headers["x-toy-signature"], real(delivery, secrets))[1])


def believe_deliveries_for_ever(patch: Patch) -> None:
    """Whoever plays an old delivery again is believed once more, as if it were another one."""
    made, real = itertools.count(), ToyConnector.verify
    _verify_as(patch, lambda delivery, secrets: replace(real(delivery, secrets), key=f"d{next(made)}"))


def take_every_event_for_a_change(patch: Patch) -> None:
    """Events that are not known are not ignored."""
    patch.setattr(ToyConnector, "parse", staticmethod(lambda delivery, config: [toy.Hint(toy._body(delivery)["id"])]))


def fail_on_what_is_no_delivery(patch: Patch) -> None:
    """Bodies are read without a look at their form."""
    patch.setattr(toy, "_body", lambda delivery: dict(toy.json.loads(delivery.body)))


def confuse_two_states(patch: Patch) -> None:
    """In review is read as done."""
    real = toy.to_remote
    patch.setattr(toy, "to_remote", lambda item, config: real({**item, "state": _confused(item["state"])}, config))


def ignore_the_operators_map(patch: Patch) -> None:
    """What the config says of statuses is not heeded."""
    patch.setattr(toy, "to_remote", _with_config(toy.to_remote, status_map={}))


def call_while_being_made(patch: Patch) -> None:
    """The constructor asks the vendor something."""
    real = ToyConnector.__init__

    def init(self: Any, context: Any) -> None:
        real(self, context)
        self._call("hello", lambda: None)

    patch.setattr(ToyConnector, "__init__", init)


def log_the_password(patch: Patch) -> None:
    """What was sent is logged, to be helpful."""
    real = ToyConnector._authorization

    def telling(self: Any) -> dict[str, str]:
        headers = real(self)
        structlog.get_logger().debug("calling the toy", headers=headers)
        return headers

    patch.setattr(ToyConnector, "_authorization", telling)


def show_the_password_in_the_repr(patch: Patch) -> None:
    """A repr of all attributes, secrets revealed."""
    shown = lambda self: f"<Toy {self._authorization()} {_revealed(self)}>"  # noqa: E731
    patch.setattr(ToyConnector, "__repr__", shown)


def name_each_delivery_anew(patch: Patch) -> None:
    """A retry has another id than the first attempt."""
    believe_deliveries_for_ever(patch)


def count_states_as_they_arrive(patch: Patch) -> None:
    """The version is when we heard of a state, not when it was."""
    made, real = itertools.count(10_000), ToyConnector.parse

    def parse(delivery: Any, config: Any) -> list[Any]:
        return [
            Snapshot(replace(signal.task, version=next(made))) if isinstance(signal, Snapshot) else signal
            for signal in real(delivery, config)
        ]

    patch.setattr(ToyConnector, "parse", staticmethod(parse))


def read_a_title_otherwise_than_it_was_written(patch: Patch) -> None:
    """A full stop is added when a title is read, so that what was written comes back as something else."""
    _read_as(patch, lambda task: replace(task, values={**task.values, "title": _stopped(task.values["title"])}))


def forget_the_marker(patch: Patch) -> None:
    """What was created is not found again."""
    real = ToyConnector.find_created
    patch.setattr(ToyConnector, "find_created", lambda self, key: real(self, f"not {key}"))


def call_past_the_budget(patch: Patch) -> None:
    """The budget that all workers share is not asked."""
    real = ToyConnector.__init__

    def init(self: Any, context: Any) -> None:
        real(self, context)
        context.http._budget = Unlimited()

    patch.setattr(ToyConnector, "__init__", init)


def try_again_at_once(patch: Patch) -> None:
    """A rate limit is answered by another call."""
    call_past_the_budget(patch)
    _call_as(patch, RateLimited, once_more)


def take_a_refusal_for_bad_weather(patch: Patch) -> None:
    """Dead credentials are said to be a passing trouble."""
    _call_as(patch, AuthFailed, calm)


def hammer_a_vendor_that_is_down(patch: Patch) -> None:
    """Every call is tried nine times."""
    _call_as(patch, Transient, insist)


def leave_the_hook_at_the_vendor(patch: Patch) -> None:
    """Nothing is taken down at the end."""
    patch.setattr(ToyConnector, "unsubscribe", lambda self, subscription: None)


def forget_the_priority(patch: Patch) -> None:
    """A field is not written, and nobody is told."""
    real = ToyConnector._there

    def there(self: Any, changes: Any) -> dict[str, Any]:
        return {name: value for name, value in real(self, changes).items() if name != "priority"}

    patch.setattr(ToyConnector, "_there", there)


def list_nothing_after_the_first_time(patch: Patch) -> None:
    """Once there is a cursor, nothing seems to have changed."""
    real = ToyConnector.changed_tasks
    patch.setattr(ToyConnector, "changed_tasks", lambda self, cursor: iter(()) if cursor else real(self, cursor))


def read_an_unchanged_text_differently(patch: Patch) -> None:
    """Two reads of one description are not equal."""
    made, real = itertools.count(), toy.to_remote

    def to_remote(item: Any, config: Any) -> Any:
        task = real(item, config)
        text = task.values["description"]
        return replace(task, values={**task.values, "description": text._replace(there=f"v{next(made)}")})

    patch.setattr(toy, "to_remote", to_remote)


def stop_after_ten_pages(patch: Patch) -> None:
    """Nobody has more than five hundred items, surely."""
    real = ToyConnector.changed_tasks
    patch.setattr(ToyConnector, "changed_tasks", lambda self, cursor: itertools.islice(real(self, cursor), 10))


def take_deleted_for_hidden(patch: Patch) -> None:
    """What is gone is said to be out of sight."""
    real = ToyConnector._state

    def state(self: Any, id_: str) -> Any:
        found = real(self, id_)
        return replace(found, reason=GoneReason.UNREACHABLE) if isinstance(found, Gone) else found

    patch.setattr(ToyConnector, "_state", state)


def name_the_account_by_its_password(patch: Patch) -> None:
    """The password is in the account's name; and the engine, for once, does not take it out of the diagnostics."""
    real = ToyConnector.check
    name = lambda self: self.context.credentials.password.get_secret_value()  # noqa: E731
    patch.setattr(ToyConnector, "check", lambda self: replace(real(self), name=name(self)))
    patch.setattr(sync.diagnostics, "_secrets", lambda *_: [])


def fail_without_words(patch: Patch) -> None:
    """A refusal says that it is one, and no more."""
    _call_as(patch, Rejected, terse)


def make_ids_of_the_config(patch: Patch) -> None:
    """An item's id depends on how the integration is configured."""
    real = toy.to_remote

    def to_remote(item: Any, config: Any) -> Any:
        task = real(item, config)
        return replace(task, external_id=f"{task.external_id}{'x' * len(config.status_map)}")

    patch.setattr(toy, "to_remote", to_remote)


def believe_only_the_newest_secret(patch: Patch) -> None:
    """Deliveries under way while the secret changes are refused."""
    real = ToyConnector.verify
    _verify_as(patch, lambda delivery, secrets: real(delivery, {"signing": secrets["signing"][:1]}))


def promise_to_find_people(patch: Patch) -> None:
    """A capability is declared that nobody has written."""

    def find_user(self: Any, email: str, container: str) -> Any:
        raise NotImplementedError

    patch.setattr(ToyConnector, "find_user", find_user)


def look_around_before_writing(patch: Patch) -> None:
    """Two more calls for each write."""
    real = ToyConnector.update_task

    def update_task(self: Any, *args: Any) -> Any:
        self._call("look", lambda: None)
        self._call("look", lambda: None)
        return real(self, *args)

    patch.setattr(ToyConnector, "update_task", update_task)


EXECUTED: dict[Callable[[Patch], None], str] = {
    believe_any_credentials: "test-connection-before-activate",
    answer_another_account_every_time: "unique-integration",
    take_the_key_for_the_id: "stable-external-id",
    believe_every_delivery: "webhook-verified",
    fail_on_a_missing_header: "webhook-verified",
    believe_deliveries_for_ever: "webhook-verified",
    take_every_event_for_a_change: "every-fixture-parses",
    fail_on_what_is_no_delivery: "every-fixture-parses",
    confuse_two_states: "map-total",
    ignore_the_operators_map: "map-total",
    call_while_being_made: "no-network-in-request",
    log_the_password: "secrets-never-logged",
    show_the_password_in_the_repr: "secrets-never-logged",
    name_each_delivery_anew: "duplicate-delivery",
    count_states_as_they_arrive: "any-order",
    read_a_title_otherwise_than_it_was_written: "echo-suppressed",
    forget_the_marker: "crash-safe-create",
    call_past_the_budget: "rate-limit",
    try_again_at_once: "rate-limit",
    take_a_refusal_for_bad_weather: "auth-expired",
    hammer_a_vendor_that_is_down: "outage-told-once",
    leave_the_hook_at_the_vendor: "clean-disconnect",
    forget_the_priority: "outcome-for-every-field",
    list_nothing_after_the_first_time: "missed-hook-healed",
    read_an_unchanged_text_differently: "full-resync-idempotent",
    stop_after_ten_pages: "pagination-complete",
    take_deleted_for_hidden: "deleted-is-tombstoned",
    name_the_account_by_its_password: "diagnostics-redacted",
    fail_without_words: "repair-hints",
    make_ids_of_the_config: "reconfigure-keeps-bindings",
    believe_only_the_newest_secret: "secret-rotation",
    promise_to_find_people: "capabilities-honest",
    look_around_before_writing: "call-budget",
}
"""A wrong connector -> the rule that finds it."""


def _revealed(connector: Any) -> list[str]:
    return [value.get_secret_value() for _, value in connector.context.credentials if isinstance(value, SecretStr)]


def _confused(state: str) -> str:
    return "closed" if state == "review" else state


def _read_as(patch: Patch, change: Callable[[Any], Any]) -> None:
    real = toy.to_remote
    patch.setattr(toy, "to_remote", lambda item, config: change(real(item, config)))


def _stopped(title: RemoteValue) -> RemoteValue:
    return RemoteValue(f"{title.here}.", f"{title.there}.")


def _by_key(connector: Any, key: str) -> Any:
    found = [item for item in connector.vendor.items.values() if item.key == key]
    return connector._remote(found[0]) if found else Gone(key, GoneReason.DELETED)


def _verify_as(patch: Patch, verify: Callable[[Any, Any], Any]) -> None:
    patch.setattr(ToyConnector, "verify", staticmethod(verify))


def _with_config(to_remote: Callable[[Any, Any], Any], **changes: Any) -> Callable[[Any, Any], Any]:
    return lambda item, config: to_remote(item, config.model_copy(update=changes))


def _call_as(patch: Patch, kind: type[Exception], handle: Handle) -> None:
    call_as(patch, ToyConnector, kind, handle)


def executed(rule: Rule) -> Rule:
    """The rule without its look at the code: the toy's fake vendor lives beside its connector."""
    return replace(rule, static=None)


def outcome(rule: Rule) -> tuple[Outcome, list[str]]:
    [verdict] = trial_of(ToyConnector).verdicts([rule])
    return verdict.outcome, [finding.text for finding in verdict.findings]


ABOUT_TASKS = [rule for rule in RULES if rule.executed and not rule.lacks(capabilities(ToyConnector))]


@pytest.mark.parametrize("rule", ABOUT_TASKS, ids=lambda rule: rule.id)
def test_a_sound_connector_passes(rule: Rule) -> None:
    assert outcome(executed(rule)) == (Outcome.PASSED, [])


@pytest.mark.parametrize("mutation", EXECUTED, ids=lambda mutation: mutation.__name__)
def test_a_wrong_connector_is_found(mutation: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mutation(monkeypatch)
    came, findings = outcome(executed(BY_ID[EXECUTED[mutation]]))
    assert came is Outcome.FAILED
    assert not any("could not be finished" in text for text in findings), findings


def test_a_delivery_of_an_app_that_proves_nothing_is_found(monkeypatch: Patch) -> None:
    """Connected by consent, Jira's deliveries prove themselves in another way, which is tried, too."""
    monkeypatch.setattr("connectors.jira.webhook._check_token", lambda *_: None)
    [verdict] = trial_of(JiraConnector).verdicts([executed(BY_ID["webhook-verified"])])
    assert verdict.outcome is Outcome.FAILED


# --- wrong code, wrong papers -------------------------------------------------------------------------


def _appended(file: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / file).open("a", encoding="utf-8") as opened:
            opened.write(f"\n\n{text}\n")

    return change


def _replaced(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / file
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return change


def _without_words(file: str, *words: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / file
        text = path.read_text("utf-8")
        for word in words:
            text = re.sub(word, "thing", text, flags=re.IGNORECASE)
        path.write_text(text, encoding="utf-8")

    return change


STATIC: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a request past the client": ("no-network-in-request", _appended("client.py", "import requests")),
    "a nap in a worker": ("no-network-in-request", _appended("client.py", "import time\n\ntime.sleep(1)")),
    "a clock of its own": ("injected-surroundings", _appended("jql.py", "NOW = datetime.now(UTC)")),
    "an id by chance": ("injected-surroundings", _appended("connector.py", "from uuid import uuid4")),
    "the environment": ("injected-surroundings", _appended("config.py", "import os\n\nX = os.environ['X']")),
    "an argument without a type": ("strict-typing", _appended("jql.py", "def loose(x) -> None: ...")),
    "an answer of any type": ("strict-typing", _appended("jql.py", "def loose() -> Any: ...")),
    "no word on removal": ("docs", _replaced("README.md", "## Removal", "## Other things")),
    "no word on scopes": ("docs", _without_words("README.md", "scope", "permission")),
    "nobody answers for it": ("owner-named", _replaced("quality.toml", "The Turnbuckle authors", "")),
    "no troubleshooting": ("docs-limits-and-examples", _replaced("README.md", "## Troubleshooting", "## The end")),
    "no example": ("docs-limits-and-examples", _replaced("README.md", "```", "")),
    "a refusal nobody explains": ("repair-hints", _replaced("README.md", "no_path", "no way")),
}
"""What is wrong with a copy of Jira's folder -> the rule that finds it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import connectors.jira

    copied = tmp_path / "jira"
    shutil.copytree(Path(connectors.jira.__file__).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    return copied


def looked_at(rule_id: str, connector: Any, folder: Path) -> list[str]:
    rule = replace(BY_ID[rule_id], executed=None)
    [verdict] = Trial(Subject(connector, folder)).verdicts([rule])
    return [finding.text for finding in verdict.findings]


@pytest.mark.parametrize("wrong", STATIC)
def test_wrong_code_or_papers_are_found(wrong: str, folder: Path) -> None:
    rule_id, change = STATIC[wrong]
    assert looked_at(rule_id, JiraConnector, folder) == []
    change(folder)
    assert looked_at(rule_id, JiraConnector, folder)


def test_a_folder_of_another_name_is_found(folder: Path) -> None:
    assert looked_at("domain-is-folder", JiraConnector, folder) == []
    assert looked_at("domain-is-folder", JiraConnector, folder.rename(folder.with_name("gira")))


def test_a_class_its_package_does_not_offer_is_found(folder: Path, monkeypatch: Patch) -> None:
    assert looked_at("one-line-registration", JiraConnector, folder) == []
    monkeypatch.delattr("connectors.jira.JiraConnector")
    assert looked_at("one-line-registration", JiraConnector, folder)


class Lax(TaskSyncConfig, extra="allow"):
    """Takes every key."""


class Spilling(TaskSyncConfig):
    """A secret where people look."""

    api_token: str = ""


@pytest.mark.parametrize(
    ("rule_id", "facts"),
    [
        ("manifest-valid", {"contract": 99}),
        ("manifest-valid", {"description": " "}),
        ("manifest-valid", {"endpoints": {"api": "http://api.example.test", "auth": "https://auth.example.test"}}),
        ("manifest-valid", {"webhooks": toy.WebhookFacts(rejection=500)}),
        ("manifest-valid", {"rates": toy.RateFacts(per_second=0)}),
        ("config-and-credentials-are-typed", {"config": Lax}),
        ("config-and-credentials-are-typed", {"config": Spilling}),
    ],
)
def test_wrong_facts_are_found(rule_id: str, facts: dict[str, Any], folder: Path) -> None:
    wrong = type("Wrong", (JiraConnector,), {"manifest": replace(JiraConnector.manifest, **facts)})
    assert looked_at(rule_id, JiraConnector, folder) == []
    assert looked_at(rule_id, wrong, folder)


def test_every_rule_that_a_machine_checks_has_been_seen_to_fail() -> None:
    assert set(EXECUTED.values()) == {rule.id for rule in ABOUT_TASKS}
    static_ones = {rule.id for rule in RULES if rule.static}
    named = {rule_id for rule_id, _ in STATIC.values()} | {"domain-is-folder", "one-line-registration"}
    assert named | {"manifest-valid", "config-and-credentials-are-typed"} == static_ones
