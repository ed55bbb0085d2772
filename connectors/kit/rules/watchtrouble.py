"""What watches, when the vendor is in trouble, makes it, or has one thing of several no more."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kit.bench import Bench
from connectors.kit.rule import ALERTS, MEASURES, WATCHES, Finding, Rule, Tier
from connectors.kit.rules.trouble import HOUR, LASTING, OUTAGE, Work, passes, pull, pull_in_vain, said_of_reading
from connectors.kit.watchreading import amiss, going_amiss, points_amiss

TURNS = ("fire", "recover")


def _arises(bench: Bench, number: int) -> None:
    """Something goes wrong, the next time it is over; something is measured; what is told of it is heard."""
    bench.wait(1)
    for deed in (TURNS[number % 2], "measure"):
        bench.watch.do(deed)
    bench.hear()


WATCHING = Work(
    word="a reading",
    doing="reading",
    arises=_arises,
    piles_up=passes,
    do=pull,
    fail=pull_in_vain,
    reason=said_of_reading,
    whole=amiss,
    heard=OUTAGE,
    pause=lambda bench: bench.watch.pause,
)


def monitor_gone(bench: Bench) -> Iterator[Finding]:
    """The incident of a monitor that is gone ends, and the others go on."""
    for way in ("told", "not told"):
        bench.begin(bound=False)
        for deed, slot in (("fire", 0), ("fire", 1), ("remove", 1), ("worsen", 0)):
            bench.wait(HOUR)
            if not bench.watch.do(deed, slot) and deed == "remove":
                return
            if way == "told":
                bench.hear()
            bench.arriving()
            bench.pull()
        yield from going_amiss(bench, "after a monitor was deleted")


def subject_gone(bench: Bench) -> Iterator[Finding]:
    """What is measured of the others goes on to be read, and where the config names what is gone, that is said."""
    named = bench.watch.named()
    made = bench.reconfigure(**named)
    if made.http != 201:
        yield Finding(f"subjects can't be named in the config: {made.text}", "Accept what the vendor has.")
        return
    for slot in (0, 1):
        bench.watch.do("measure", slot)
    bench.pull()
    if not bench.watch.do("drop", 0):
        return
    bench.arriving()
    for _ in range(LASTING):
        bench.wait(HOUR)
        bench.watch.do("measure", 0)  # the other one is the first now
        bench.arriving()
        bench.pull()
    yield from points_amiss(bench, "after one of several subjects was deleted")
    row = bench.integration()
    if named and row["sync_status"] == "healthy":
        yield Finding(
            "a subject of the config is gone, and the integration is healthy", "Read the others, then raise NotFound."
        )
    elif named and not bench.next_step(row["sync_code"] or ""):
        yield Finding(f"there is no next step for {row['sync_code']}", "Use the codes of the contract's errors.")


RULES = (
    Rule(
        "watch-rate-limit",
        Tier.SILVER,
        "A 429 silences every lane for as long as it says, and nothing is lost.",
        executed=WATCHING.rate_limited,
        among=WATCHES,
    ),
    Rule(
        "watch-auth-expired",
        Tier.SILVER,
        "Refused credentials: one event, recovery by itself, and nothing is lost.",
        executed=WATCHING.auth_expired,
        among=WATCHES,
    ),
    Rule(
        "watch-outage-told-once",
        Tier.SILVER,
        "An outage is told once down and once up, without a storm, and nothing is lost.",
        executed=WATCHING.outage,
        among=WATCHES,
    ),
    Rule(
        "watch-monitor-gone",
        Tier.GOLD,
        "A monitor that is gone ends its incident, and does not stop the others.",
        executed=monitor_gone,
        needs=ALERTS,
    ),
    Rule(
        "watch-subject-gone",
        Tier.GOLD,
        "A subject that is gone does not stop the others, and is told of where it is named.",
        executed=subject_gone,
        needs=MEASURES,
    ),
    Rule(
        "watch-diagnostics-redacted",
        Tier.GOLD,
        "The diagnostics tell what happened to a reading, without credentials.",
        executed=WATCHING.diagnostics,
        among=WATCHES,
        essential=True,
    ),
    Rule(
        "watch-repair-hints",
        Tier.GOLD,
        "Every reason for a failed reading has a text and a next step.",
        executed=WATCHING.hints,
        among=WATCHES,
    ),
)
