"""Changing an integration: its bindings stay, and no delivery is lost while its secret changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.kit.bench import Bench
from connectors.kit.rule import RECEIVES, SOURCES, WEBHOOKS, Finding, Rule, Tier
from connectors.kit.rules.mapping import VALUES, shifted


def keeps_bindings(bench: Bench) -> Iterator[Finding]:
    """Another pace and another map: the same items are tied to the same tasks."""
    bench.vendor.create("Second", 1)
    bench.hear()
    before = _ties(bench)
    read, written = shifted(bench.vendor.statuses(), VALUES["status"], 1)
    changes: list[dict[str, Any]] = [{"poll_seconds": 90}, {"status_map": {}, "status_out": {}}]
    if len(read) >= len(VALUES["status"]):
        changes.insert(1, {"status_map": read, "status_out": written})
    for change in changes:
        made = bench.reconfigure(**change)
        if made.http != 201:
            yield Finding(f"the config can't be changed to {change}: {made.text}", "Accept what the vendor has.")
            return
        bench.pull()
        bench.hear()
    if _ties(bench) != before:
        yield Finding("reconfiguring changed which item belongs to which task", "Keep external_id free of the config.")
    bench.vendor.edit(0, "title", "After it")
    bench.hear()
    if bench.tasks()[0]["title"] != "After it":
        yield Finding("after reconfiguring no webhook arrives", "Let `subscribe` register for what is configured now.")


def _ties(bench: Bench) -> list[tuple[object, ...]]:
    return [(row["id"], row["task_id"], row["external_id"], row["state"]) for row in bench.bindings()]


def rotates(bench: Bench) -> Iterator[Finding]:
    """Deliveries under way are still believed after the secret changed, and the vendor signs with the new one."""
    facts = bench.connector.manifest.webhooks
    assert facts is not None
    if "signing" in facts.secrets:
        yield from _overlap(bench, bench.subjects()[0], facts.accepted)


def _overlap(bench: Bench, subject: str, accepted: int) -> Iterator[Finding]:
    bench.stir(subject, "Signed with the old one")
    under_way = bench.arriving()
    bench.new_secret()
    for answer in bench.knock(under_way):
        if answer.status != accepted or not answer.stored:
            yield Finding(
                f"a delivery signed before the secret changed was answered {answer.status}",
                "Try all of secrets['signing'] in `verify`: two are valid during a rotation.",
            )
    for _ in range(2):
        bench.pull()
        bench.wait(1)
    bench.stir(subject, "Signed with the new one")
    deliveries = bench.arriving()
    if not deliveries:
        yield Finding("after the secret changed no webhook comes", "Let `subscribe` register it again with the secret.")
    for answer in bench.knock(deliveries):
        if answer.status != accepted:
            yield Finding(
                f"a delivery after the secret changed was answered {answer.status}",
                "Register the webhook with the secret `subscribe` is given.",
            )


RULES = (
    Rule(
        "reconfigure-keeps-bindings",
        Tier.GOLD,
        "A change of the config keeps every binding.",
        executed=keeps_bindings,
        needs=RECEIVES,
    ),
    Rule(
        "secret-rotation",
        Tier.GOLD,
        "While the webhook's secret changes, the one before it is believed, too.",
        executed=rotates,
        needs=WEBHOOKS | {"webhook_subscriptions"},
        among=SOURCES,
    ),
)
