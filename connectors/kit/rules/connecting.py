"""Connecting: proven credentials, once an account, and ids that stay."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import COUNTED, RECEIVES, Finding, Rule, Tier


def tested_before_active(bench: Bench) -> Iterator[Finding]:
    """Wrong credentials are refused by asking the vendor, and leave nothing active behind."""
    made = bench.connect(bench.vendor.wrong_credentials())
    if made.http == 409:
        yield Finding(
            "the check said of wrong credentials whose account they are",
            "Let `check` make one authenticated call and answer from what the vendor says.",
        )
    elif made.status == "active":
        yield Finding(
            "wrong credentials were taken", "Let `check` make one authenticated call; 401 becomes AuthFailed."
        )
    elif made.status is None and made.http != 422:
        yield Finding(
            f"wrong credentials were answered {made.http}: {made.text}",
            "Raise AuthFailed (or Forbidden) from `check` when the vendor does not accept them.",
        )
    elif made.http == 422 and len(made.text) < 30:
        yield Finding("wrong credentials are refused without a reason", "Keep the vendor's words in the error's text.")


def unique(bench: Bench) -> Iterator[Finding]:
    """The same account a second time would make two tasks of every item, and count every deployment twice."""
    made = bench.connect()
    if made.http != 409:
        yield Finding(
            f"the same account could be connected twice (it answered {made.http} {made.text})",
            "Answer from `check` the vendor's immutable id of the account, the same every time.",
        )


def stable_id(bench: Bench) -> Iterator[Finding]:
    """An item that moves keeps its binding, though people now call it by another key."""
    before = bench.bindings()[0]
    bench.vendor.move(0, 1)
    bench.hear()
    bench.pull()
    after = [row for row in bench.bindings() if row["id"] == before["id"]]
    if len(bench.bindings()) != 1 or len(bench.tasks()) != 1:
        yield Finding(
            f"an item that moved became {len(bench.tasks())} tasks",
            "Use the vendor's immutable id as external_id, and the key only as `key`.",
        )
    elif after[0]["external_id"] != before["external_id"] or after[0]["state"] != "bound":
        yield Finding(
            f"the binding of an item that moved is {after[0]['state']} and tied to {after[0]['external_id']}",
            "Use the vendor's immutable id as external_id, and find a moved item by it.",
        )
    item = bench.vendor.items().get(before["external_id"])
    if item is None:
        yield Finding(
            f"external_id {before['external_id']!r} is not the vendor's id of the item",
            "Use the vendor's immutable id as external_id.",
        )
    elif after and after[0]["external_key"] != item.key:
        yield Finding(
            f"the moved item is still shown as {after[0]['external_key']}", "Read `key` anew from every state."
        )


RULES = (
    Rule(
        "test-connection-before-activate",
        Tier.BRONZE,
        "Credentials are proven with the vendor before anything is active.",
        executed=tested_before_active,
    ),
    Rule(
        "unique-integration",
        Tier.BRONZE,
        "The same account can't be connected twice.",
        executed=unique,
        among=COUNTED,
    ),
    Rule(
        "stable-external-id",
        Tier.BRONZE,
        "Ids are immutable; a moved item keeps its task.",
        executed=stable_id,
        needs=RECEIVES,
    ),
)
