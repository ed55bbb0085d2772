"""What operators and support are told: a document without secrets, and a next step for everything that fails."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import BOTH_WAYS, Finding, Rule, Subject, Tier
from connectors.kit.rules.docs import readme
from connectors.kit.rules.source import modules

PARTS = ("integration", "connector", "credentials", "webhook", "runs", "deliveries", "bindings")

FAILURES = (400, 403, 404, 409, 500, 401)
"""Statuses any vendor may answer a write with; 401 last, since it stops the integration."""

SHORTEST_TEXT = 15
"""Characters of a reason: below that it can't name the thing and what is wrong with it."""


def diagnostics(bench: Bench) -> Iterator[Finding]:
    """The document tells what happened and shows no credential, whatever the connector called a secret."""
    hidden = dict(bench.secrets())
    hidden |= {f"credentials.{name}": value for name, value in bench.private().items()}
    bench.vendor.faults.add("error", status=403, count=None)
    bench.edit("title", "Forbidden")
    bench.push()
    bench.pull()
    document = bench.diagnostics()
    for part in PARTS:
        if not document.get(part):
            yield Finding(f"the diagnostics say nothing of {part}", "Leave the engine's rows as they are.")
    text = json.dumps(document, ensure_ascii=False)
    for name, secret in hidden.items():
        if secret in text:
            yield Finding(
                f"the diagnostics show {name}",
                "Put no credential into the account's name, an error's text or the webhook's id.",
            )
    if "forbidden" not in text:
        yield Finding("the diagnostics do not say that a write was forbidden", "Raise Forbidden for a 403.")


def refusals_documented(subject: Subject) -> Iterator[Finding]:
    """Every code a field can be refused with is explained in the README."""
    text = readme(subject)
    for file, tree in modules(subject):
        for line, code in _refusals(tree):
            if code not in text:
                yield Finding(
                    f"{file}:{line} refuses with {code!r}, which README.md does not mention",
                    "Add it to the table under Troubleshooting, with what the operator can do.",
                )


def _refusals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, code) of each call of Refusal, or of a helper called `refuse`, with a code written out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("Refusal", "refuse"):
            for argument in node.args:
                if isinstance(argument, ast.Constant) and _CODE.fullmatch(str(argument.value)):
                    yield node.lineno, str(argument.value)


_CODE = re.compile(r"[a-z]+(_[a-z]+)+")


def hints(bench: Bench) -> Iterator[Finding]:
    """Whatever a write is answered, its binding says why, and there is a next step for that reason."""
    for status in FAILURES:
        bench.begin()
        bench.vendor.faults.add("error", status=status, count=None)
        bench.edit("title", f"Answered {status}")
        bench.push()
        if status == 401:
            bench.pull()  # one refusal alone may be a vendor's bad moment
        yield from _told(bench, status)


def _told(bench: Bench, status: int) -> Iterator[Finding]:
    [binding], integration = bench.bindings(), bench.integration()
    stopped = status == 401
    code = integration["status_code"] if stopped else binding["reason_code"]
    text = integration["status_text"] if stopped else binding["reason_text"]
    if not code:
        yield Finding(f"a write answered {status} leaves no reason", "Raise the contract's error for it.")
    elif code == "connector_fault":
        yield Finding(f"a write answered {status} is a fault of the connector", "Raise the contract's error for it.")
    elif len(text or "") < SHORTEST_TEXT:
        yield Finding(f"the reason of {code} says only {text!r}", "Name the thing and what is wrong with it.")
    elif not bench.next_step(code):
        yield Finding(f"there is no next step for {code}", "Use the codes of the contract's errors.")


RULES = (
    Rule(
        "diagnostics-redacted",
        Tier.GOLD,
        "The diagnostics tell what happened, without credentials.",
        executed=diagnostics,
        needs=BOTH_WAYS,
        essential=True,
    ),
    Rule(
        "repair-hints",
        Tier.GOLD,
        "Every reason for a failure has a text and a next step.",
        static=refusals_documented,
        executed=hints,
        needs=BOTH_WAYS,
    ),
)
