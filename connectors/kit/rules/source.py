"""The connector's source, read as a syntax tree: what it may import and call, and how it is typed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress

from connectors.contract import CAPABILITIES, ConnectorError
from connectors.kit.bench import Bench
from connectors.kit.rule import Finding, Rule, Subject, Tier

NETWORK = frozenset(
    {"aiohttp", "ftplib", "http", "httpcore", "httpx", "requests", "smtplib", "socket", "ssl", "subprocess", "urllib3"}
)
"""Modules that reach the network, or another process, past the connector's own HTTP client."""

HARMLESS = frozenset({"http.HTTPStatus"})

CLOCKS = frozenset({"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.monotonic"})
SLEEPS = frozenset({"time.sleep", "sleep"})
CHANCE = frozenset({"uuid", "random", "secrets"})
SURROUNDINGS = frozenset({"os.environ", "os.getenv"})

APART = frozenset({"tests", "fixtures", "sandbox", "fake"})
"""Folders and modules beside a connector that are no part of it: its tests and its fake vendor."""


def modules(subject: Subject) -> Iterator[tuple[str, ast.Module]]:
    """(file, its tree) of the connector's own modules."""
    for path in sorted(subject.folder.rglob("*.py")):
        inside = path.relative_to(subject.folder)
        names = {*inside.parts[:-1], inside.stem}
        if names & APART or inside.stem.startswith(("test_", "conftest")):
            continue
        yield str(inside), ast.parse(path.read_text("utf-8"), str(path))


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def only_its_client(subject: Subject) -> Iterator[Finding]:
    """Nothing that reaches the network is imported, and nothing sleeps."""
    for file, tree in modules(subject):
        for line, name in _imported(tree):
            root = name.partition(".")[0]
            if (root in NETWORK or name.startswith("urllib.request")) and name not in HARMLESS:
                yield Finding(
                    f"{file}:{line} imports {name}", "Call the vendor through context.http; it has the timeouts."
                )
        for line, name in _named(tree, SLEEPS):
            yield Finding(
                f"{file}:{line} calls {name}", "Raise RateLimited or Transient: the engine waits without a worker."
            )


def _named(tree: ast.Module, wanted: frozenset[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = ast.unparse(node)
            if name in wanted or any(name.endswith(f".{word}") for word in wanted):
                yield node.lineno, name


def no_calls_in_requests(bench: Bench) -> Iterator[Finding]:
    """What happens inside an HTTP request of ours or of the vendor's calls nobody; what calls has a timeout."""
    for subject in bench.subjects():
        bench.stir(subject, "Seen")
    deliveries = bench.arriving()
    with bench.offline() as calls:
        with suppress(ConnectorError):  # who calls now gets an error; that it calls is what counts
            bench.instance()
        yield from _quiet("making the connector", calls())
        bench.knock(deliveries)
        yield from _quiet("receiving a webhook", calls())
        bench.create("Made in a request")
        yield from _quiet("creating a task", calls())
        parse = getattr(bench.connector, "parse", None)
        for delivery in deliveries if parse else ():
            assert parse is not None
            parse(delivery, bench.config())
        yield from _quiet("parsing a delivery", calls())
    bench.hear()
    bench.push()
    bench.pull()
    for call in dict.fromkeys(bench.untimed()):
        yield Finding(f"{call} went out without a timeout", "Send it through context.http, or its requests_adapter().")


def _quiet(what: str, calls: list[str]) -> Iterator[Finding]:
    if calls:
        yield Finding(f"{what} calls the vendor: {calls[0]}", "Call only in the methods that return what was fetched.")


def strict_typing(subject: Subject) -> Iterator[Finding]:
    """Public functions are typed, without Any except where the contract has it."""
    for file, tree in modules(subject):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield from _signature(file, node)


def _signature(file: str, node: ast.FunctionDef) -> Iterator[Finding]:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    typed = {argument.arg: argument.annotation for argument in arguments if argument.arg not in ("self", "cls")}
    for name, annotation in {**typed, "return": node.returns}.items():
        where = f"{file}:{node.lineno} {node.name}({name})"
        if annotation is None:
            yield Finding(f"{where} has no type", "Annotate it; mypy --strict then finds the next one for you.")
        elif ast.unparse(annotation) == "Any" and (node.name, name) not in _CONTRACTS_OWN:
            yield Finding(f"{where} is Any", "Say what it is: a model, or a TypedDict for the vendor's JSON.")


_CONTRACTS_OWN = frozenset((method, "config") for protocol in CAPABILITIES.values() for method in vars(protocol))


def injected(subject: Subject) -> Iterator[Finding]:
    """Time, chance and surroundings come from outside, or the same call would not give the same answer twice."""
    for file, tree in modules(subject):
        for line, name in _named(tree, CLOCKS):
            yield Finding(f"{file}:{line} reads the clock by {name}", "Take context.now(), or http.vendor_now().")
        for line, name in _named(tree, SURROUNDINGS):
            yield Finding(f"{file}:{line} reads {name}", "Make it a field of the config.")
        for line, name in _imported(tree):
            if name.partition(".")[0] in CHANCE:
                yield Finding(f"{file}:{line} imports {name}", "Use the key the engine gives; ids must be repeatable.")


RULES = (
    Rule(
        "no-network-in-request",
        Tier.BRONZE,
        "Only the given HTTP client calls out, always with a timeout and never inside a request.",
        static=only_its_client,
        executed=no_calls_in_requests,
    ),
    Rule("strict-typing", Tier.PLATINUM, "Public signatures are typed, without Any.", static=strict_typing),
    Rule("injected-surroundings", Tier.PLATINUM, "Client, clock and ids are given to it.", static=injected),
)
