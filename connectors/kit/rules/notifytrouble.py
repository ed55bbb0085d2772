"""Notifications, when the vendor is in trouble or makes it, and when people take a channel or the app away."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from connectors.contract import AccessEnded, BadPayload, RawDelivery
from connectors.kit.bench import Bench, Row
from connectors.kit.notifyreading import bearing, channel_of, happen, is_once
from connectors.kit.rule import NOTIFIER, Finding, Rule, Tier
from connectors.kit.rules.trouble import HOUR, PARTS, PAUSE, REFUSALS, Reason, Work

UNREACHABLE = "channel_unreachable"
"""By what code an integration says that a channel is gone."""


def _arises(bench: Bench, number: int) -> None:
    """Something goes wrong that people want to hear of."""
    if not bench.routes():
        bench.route("", "incident.*")
    happen(bench, "opened", f"INC-26-{number + 1:06d}", title=f"Trouble {number}")


def _piles_up(bench: Bench) -> None:
    """It arises by itself."""


def _do(bench: Bench) -> None:
    bench.speak()


def _fail(bench: Bench, status: int) -> None:
    _arises(bench, 0)
    bench.speak()
    if status == 401:
        bench.pull()  # one refusal alone may be a vendor's bad moment


def _reason(bench: Bench, _status: int) -> Reason:
    """The message's; the integration's where it is stopped."""
    if bench.integration()["status"] == "error":
        row = bench.integration()
        return row["status_code"], row["status_text"]
    [row] = bench.notifications()
    return row["error_code"], row["error_text"]


def _whole(bench: Bench, when: str) -> Iterator[Finding]:
    """All that happened was said."""
    for row in bench.notifications():
        if not is_once(bench, row):
            yield Finding(
                f"{when}, {row['title']!r} is {row['state']}, and there {len(bearing(bench, row))} times",
                "Raise the contract's errors for what the vendor answers: the engine says it when that is over.",
            )
            return


SAYING = Work(
    word="a message",
    doing="saying something",
    arises=_arises,
    piles_up=_piles_up,
    do=_do,
    fail=_fail,
    reason=_reason,
    whole=_whole,
    parts=("notifications",),
    usual=tuple(part for part in PARTS if part != "webhook"),
)

# --- limits -------------------------------------------------------------------------------------------


def limited(bench: Bench) -> Iterator[Finding]:
    """A 429 silences whoever it is about, for as long as it says: a channel alone, or the whole account."""
    yield from SAYING.rate_limited(bench)
    for scope in bench.channels.limited:
        bench.begin()
        yield from _limited(bench, scope)


def _limited(bench: Bench, scope: str) -> Iterator[Finding]:
    """An incident is known in the first channel; it goes on there, while something else happens in the second."""
    first, second = bench.channels.channels
    bench.route(first, "incident.*")
    happen(bench, "opened")
    bench.speak()
    bench.route(second, "task.*")
    happen(bench, "resolved")
    bench.happen("task.created", "TSK-26-000001", status="todo")
    bench.vendor.faults.add("rate_limit", operation=bench.channels.limited[scope], count=1, retry_after=PAUSE)
    bench.vendor.calls.reset()
    bench.speak()
    if not any(fnmatchcase(call.operation, bench.channels.limited[scope]) for call in bench.vendor.calls.records()):
        return  # a connector that never makes this call never meets this limit
    bench.wait(PAUSE // 2)
    bench.speak()
    _, resolved, task = bench.notifications()
    if resolved["state"] != "pending":
        yield Finding(
            f"a message is {resolved['state']} while its channel is limited", "Raise RateLimited for it, and no more."
        )
    elif scope == "item" and task["state"] != "sent":
        yield Finding(
            "a channel that is limited holds up another one", 'Raise RateLimited(scope="item") for a channel\'s limit.'
        )
    elif scope == "account" and task["state"] != "pending":
        yield Finding(
            "while the account is limited something is said", 'Raise RateLimited(scope="account") for such a limit.'
        )
    yield from SAYING.at_rest(bench, f"the limit of the {scope} was over")


# --- a channel that is gone ---------------------------------------------------------------------------


def channel_gone(bench: Bench) -> Iterator[Finding]:
    """It is the integration's status, told once; other channels go on; once it is there again, all is well."""
    first, second = bench.channels.channels
    for channel in (first, second):
        bench.route(channel, "incident.*")
    bench.channels.close(first)
    for number in range(3):
        _arises(bench, number)
        bench.speak()
        bench.wait(60)
    yield from _told_of(bench, first)
    for row in _of(bench, second):
        if row["state"] != "sent":
            yield Finding(
                f"while one channel is gone, in another one a message is {row['state']}",
                "Raise NotFound or Forbidden for what is about one channel, and AuthFailed for what is about all.",
            )
            break
    bench.channels.reopen(first)
    _arises(bench, 9)
    bench.rest()
    row = bench.integration()
    if _of(bench, first)[-1]["state"] != "sent" or row["sync_status"] != "healthy":
        yield Finding(
            f"a channel that is there again leaves the integration {row['sync_status']}", "Keep no state of a failure."
        )


def _of(bench: Bench, channel: str) -> list[Row]:
    return [row for row in bench.notifications() if channel_of(bench, row) == channel]


def _told_of(bench: Bench, channel: str) -> Iterator[Finding]:
    row, said = bench.integration(), bench.events("integration.sync_status_changed")
    if row["status"] != "active" or row["sync_code"] != UNREACHABLE:
        yield Finding(
            f"with a channel that is gone the integration is {row['status']} and says {row['sync_code']}",
            "Raise NotFound for a channel that is gone or archived, Forbidden for one we may not write to.",
        )
    elif len(said) != 1:
        yield Finding(f"a channel that is gone was told {len(said)} times", "Raise the same error for it every time.")
    waiting = [row["state"] for row in _of(bench, channel) if row["state"] != "failed"]
    if waiting:
        yield Finding(f"what was to be said in a channel that is gone is {waiting[0]}", "Raise NotFound for it.")


# --- access that is gone ------------------------------------------------------------------------------

MOST_AN_HOUR = 6
"""Calls of an integration whose access has ended: it looks every hour whether it is let in again, by a check of a call
or two, and twice, since one refusal alone may be a bad moment. What waits to be said is not tried."""


def auth_expired(bench: Bench) -> Iterator[Finding]:
    """Every call is refused; or the app is taken out, which the vendor may say: that is the integration's status, told
    once. Let in again, it says what waited."""
    yield from SAYING.auth_expired(bench)
    bench.begin()
    _arises(bench, 0)
    bench.speak()
    bench.channels.end_access()
    yield from _heard_of(bench)
    bench.vendor.calls.reset()
    for number in range(1, REFUSALS):
        for one in range(3):
            _arises(bench, number * 10 + one)
        bench.speak()
        bench.tick()
        bench.wait(HOUR)
    yield from _is_shut_out(bench)
    bench.channels.give_access()
    bench.pull()
    if bench.integration()["status"] != "active":
        yield Finding("it does not recover when it is let in again", "Keep no state of a failure.")
    yield from SAYING.at_rest(bench, "it was let in again")


def _is_shut_out(bench: Bench) -> Iterator[Finding]:
    row, said = bench.integration(), bench.events("integration.auth_failed")
    if row["status"] != "error" or len(said) != 1:
        yield Finding(
            f"with access that has ended the integration is {row['status']}, and that was told {len(said)} times",
            "Raise AuthFailed for it, every time.",
        )
    calls = len(bench.vendor.calls.records())
    if calls > MOST_AN_HOUR * REFUSALS:
        yield Finding(
            f"with access that has ended the vendor was called {calls} times in {REFUSALS - 1} hours",
            "Try nothing again yourself.",
        )


def _heard_of(bench: Bench) -> Iterator[Finding]:
    """Where the vendor says that access has ended, it is known before anything has to be said."""
    told = bench.arriving()
    if any(_says_so(bench, delivery) for delivery in told):
        bench.knock(told)
        bench.drain()
        if bench.integration()["status"] != "error":
            yield Finding("the vendor said that access has ended, and nothing came of it", "Let `check` find it out.")


def _says_so(bench: Bench, delivery: RawDelivery) -> bool:
    parse = getattr(bench.connector, "parse", None)
    try:
        return parse is not None and any(isinstance(one, AccessEnded) for one in parse(delivery, bench.config()))
    except BadPayload:
        return False


RULES = (
    Rule(
        "notify-rate-limit",
        Tier.SILVER,
        "A limited channel waits alone, a limited account as a whole, for as long as the 429 says.",
        executed=limited,
        needs=NOTIFIER,
    ),
    Rule(
        "notify-auth-expired",
        Tier.SILVER,
        "Refused credentials and revoked access: one event, recovery by itself, and what waited is said.",
        executed=auth_expired,
        needs=NOTIFIER,
    ),
    Rule(
        "notify-outage-told-once",
        Tier.SILVER,
        "An outage is told once down and once up, without a storm, and what waited is said.",
        executed=SAYING.outage,
        needs=NOTIFIER,
    ),
    Rule(
        "notify-channel-gone",
        Tier.SILVER,
        "A channel that is gone is the integration's status, told once, and others go on.",
        executed=channel_gone,
        needs=NOTIFIER,
    ),
    Rule(
        "notify-diagnostics-redacted",
        Tier.GOLD,
        "The diagnostics tell what became of messages, without credentials.",
        executed=SAYING.diagnostics,
        needs=NOTIFIER,
        essential=True,
    ),
    Rule(
        "notify-repair-hints",
        Tier.GOLD,
        "Every reason why something was not said has a text and a next step.",
        executed=SAYING.hints,
        needs=NOTIFIER,
    ),
)
