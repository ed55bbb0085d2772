"""Capabilities: what is declared works, what is not is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from connectors.contract import CAPABILITIES, ConnectorError, capabilities
from connectors.kit.bench import Bench, Moment
from connectors.kit.notifyreading import home, notification, speaker
from connectors.kit.rule import Finding, Rule, Tier

DAYS = 40
"""A webhook that ends is renewed within them; the longest a vendor lets one live is a month."""


def honest(bench: Bench) -> Iterator[Finding]:
    """A tour through all an integration does; each declared method has to have returned on it."""
    declared = capabilities(bench.connector)
    for name in sorted(declared, key=list(_TOUR).index):
        _TOUR[name](bench)
    for name in declared:
        for method in sorted(set(vars(CAPABILITIES[name])) - _NOT_TOURED - _out_of_reach(bench, name)):
            if not method.startswith("_") and not bench.exercised().get(method):
                yield Finding(
                    f"{method}() of the capability {name} never returned",
                    "Make it work, or take the method out: what the class implements is what it declares.",
                )
    yield from _refused(bench, declared)


_NOT_TOURED = frozenset({"manifest", "account", "redeliver", "fetch_code"})
"""No method, or one the bench has no occasion for: it stands behind an integration's own door, so nobody asks whose
a delivery is; and its door never refuses, so nothing has to be sent again. Only a connector's own hints have it asked
for code; `code-ways-agree` follows them."""


def _reads(bench: Bench) -> None:
    bench.vendor.edit(0, "title", "Toured")
    bench.vendor.create("Deleted on the tour", 0)
    bench.pull()
    bench.vendor.delete(1)
    bench.sweep()


def _reads_code(bench: Bench) -> None:
    for deed in ("open", "merge", "open"):
        bench.wait(60)
        bench.code.do(deed)
    bench.hear()
    bench.pull()


def _writes(bench: Bench) -> None:
    bench.create("Made on the tour")
    bench.push()
    bench.create("Made by a worker that died")
    bench.push(Moment("after_call", 0))
    bench.arriving()
    bench.wait(400)
    bench.push()
    bench.wait(400)
    bench.push()
    bench.edit("title", "Written on the tour")
    bench.push()


def _finds_people(bench: Bench) -> None:
    bench.edit("assignee", "bob")
    bench.push()


def _hears(bench: Bench) -> None:
    for subject in bench.subjects():
        bench.stir(subject, "Heard on the tour")
    bench.hear()


def _subscribes(bench: Bench) -> None:
    for _ in range(DAYS):
        bench.wait(86_400)
        bench.tick()
    bench.new_secret()
    bench.pull()


def _tells_its_words(bench: Bench) -> None:
    bench.reconfigure(conflict={"title": "latest"})  # compared with them, as any change of what items mean


def _reads_its_log(bench: Bench) -> None:
    bench.wait(3_600)
    bench.tick()


def _reads_alerts(bench: Bench) -> None:
    bench.stir("alert_source", "Wrong on the tour")
    source: Any = bench.instance()
    refs = [alert.ref for batch in source.alerts() for alert in batch]
    source.fetch_alerts(refs)


def _reads_measures(bench: Bench) -> None:
    bench.stir("measure_source", "Measured on the tour")
    source: Any = bench.instance()
    subjects = {one.series.subject for page in source.measures(None) for one in page.measured}
    for _ in source.measure(sorted(subjects)):
        pass


def _speaks(bench: Bench) -> None:
    notifier, said = speaker(bench), notification(1, bench.now())
    root = notifier.send(said, home(bench))
    with suppress(ConnectorError):  # what never returns is told of
        notifier.update(root, replace(said, over=True))
    with suppress(ConnectorError):
        notifier.find_sent(said.id, home(bench), bench.now())


def _out_of_reach(bench: Bench, capability: str) -> set[str]:
    """Methods of a notifier that are never called, as its reach says that they can do nothing."""
    if capability != "notifier":
        return set()
    reach = speaker(bench).reach()
    return {name for name, claimed in (("update", reach.edit), ("find_sent", reach.find)) if not claimed}


def _routes(bench: Bench) -> None:
    """See _NOT_TOURED."""


_TOUR = {
    "vocabulary": _tells_its_words,
    "task_source": _reads,
    "code_source": _reads_code,
    "alert_source": _reads_alerts,
    "measure_source": _reads_measures,
    "task_sink": _writes,
    "notifier": _speaks,
    "users": _finds_people,
    "webhooks": _hears,
    "webhook_subscriptions": _subscribes,
    "delivery_log": _reads_its_log,
    "app_webhooks": _routes,
}
"""Capability -> what exercises it. One without an entry is a capability the kit does not know yet: a KeyError."""


def _refused(bench: Bench, declared: tuple[str, ...]) -> Iterator[Finding]:
    """What is not declared is not tried."""
    if "task_source" in declared and "task_sink" not in declared:
        before = bench.written()
        bench.edit("title", "Not to be written")
        bench.push()
        if bench.written() != before:
            yield Finding("a connector that only reads has written", "Implement TaskSink, or write nothing.")


RULES = (
    Rule(
        "capabilities-honest",
        Tier.GOLD,
        "Every declared capability works; what is not declared is not tried.",
        executed=honest,
    ),
)
