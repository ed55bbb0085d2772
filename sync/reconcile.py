"""The heart: what becomes of one item when both sides have a say. Pure: no I/O, no clock.

For each shared field three values are compared: the *base* (what both sides last agreed on), the value *here*
and the value *there*. "Changed there" is judged in the vendor's own terms, so that a vendor state which maps to one
of ours is not flattened; "changed here" is judged in the platform's.

    here vs base | there vs base      | outcome
    same         | same               | SAME      nothing
    same         | changed            | TAKE      the vendor's value becomes ours (AGREE if it maps to what we have)
    changed      | same               | OWE       the vendor is owed a write (REFUSED if it said no to this very value)
    changed      | changed, equal     | AGREE     only the base moves
    changed      | changed, different | TAKE or OWE by the field's rule; the loser's value goes into the history
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from connectors.contract import RemoteValue, Rule

LONG = 255
"""Characters. Longer values are remembered as digests: a base is only ever compared, so it need not hold the text."""

Fingerprint = str | None | dict[str, str]
"""A value as it is remembered in a base: itself, or `{"sha256": …}` of a long text."""


LANDS_WITHIN = 5 * 60 * 1000
"""Milliseconds in which a write whose answer nobody waits for may still take effect: a call is given up after 120 s
(`connectors.http.TOTAL_TIMEOUT`), and a vendor or a paused worker may be at it a little longer. Later, the same value
found there is a person's."""

MAPPED = frozenset({"status", "priority", "assignee"})
"""Fields whose value here is looked up in a mapping, and so can change meaning without changing."""


class Outcome(StrEnum):
    """What becomes of one field."""

    SAME = "same"
    AGREE = "agree"
    TAKE = "take"
    OWE = "owe"
    REFUSED = "refused"


class Verdict(StrEnum):
    """What becomes of the item."""

    STALE = "stale"
    UNCHANGED = "unchanged"
    CHANGED = "changed"


class Reason(StrEnum):
    """Why a field came out as it did: a code for programs, the same in the API, the audit and the explanations."""

    NO_CHANGE = "no_change"
    CHANGED_THERE = "changed_there"
    CHANGED_HERE = "changed_here"
    CHANGED_ALIKE = "changed_alike"
    SAME_MEANING = "same_meaning"
    REMAPPED = "remapped"
    REFUSED_THERE = "refused_there"
    CONFLICT_LATEST = "conflict_latest"
    CONFLICT_PLATFORM = "conflict_platform"
    CONFLICT_EXTERNAL = "conflict_external"
    CONFLICT_REFUSED = "conflict_refused"
    CONFLICT_CREATED = "conflict_created"


_CONFLICT = {
    Rule.LATEST: Reason.CONFLICT_LATEST,
    Rule.PLATFORM: Reason.CONFLICT_PLATFORM,
    Rule.EXTERNAL: Reason.CONFLICT_EXTERNAL,
}
CONFLICTS = frozenset(_CONFLICT.values()) | {Reason.CONFLICT_REFUSED, Reason.CONFLICT_CREATED}


class Sent(NamedTuple):
    """A value of ours on its way to the vendor, or sent without an answer: found there, it is our own.

    `at` is when it set out (epoch ms, our clock). `outlived`: the sides have agreed on something else since. The write
    may still land on that, but not for ever: only a state from within LANDS_WITHIN is taken for it.
    """

    value: Fingerprint
    at: int
    outlived: bool = False

    def may_be(self, theirs: Fingerprint, changed_at: int) -> bool:
        """Whether a value there, in an item that last changed then (epoch ms, our clock), is this write's doing."""
        return theirs == self.value and not (self.outlived and self.is_over(changed_at))

    def is_over(self, at: int) -> bool:
        """Whether it has landed by then, if it ever does."""
        return at > self.at + LANDS_WITHIN


@dataclass(frozen=True, slots=True)
class Agreed:
    """The base of one field. `known` is False while the vendor's own value was never seen (an item being created).

    `sent` are values of ours that may be found there before they are agreed.
    """

    here: Fingerprint
    there: Fingerprint = None
    known: bool = True
    sent: tuple[Sent, ...] = ()


Base = Mapping[str, Agreed]


@dataclass(frozen=True, slots=True)
class Local:
    """The task's shared fields, and when each last changed (epoch ms, our clock)."""

    values: Mapping[str, str | None]
    changed_at: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Remote:
    """The item's shared fields, its version (the vendor's), and when it last changed (epoch ms on *our* clock)."""

    values: Mapping[str, RemoteValue]
    version: int
    changed_at: int


@dataclass(frozen=True, slots=True)
class Rules:
    """conflict   field -> who wins; `latest` where unsaid
    refused    field -> fingerprint of a value here that the vendor said no to
    remapped   the mapping changed since the base was agreed: a field changed on neither side takes its new meaning
    """

    conflict: Mapping[str, Rule]
    refused: Mapping[str, Fingerprint]
    remapped: bool = False


@dataclass(frozen=True, slots=True)
class FieldDecision:
    """What becomes of one field, and everything that led to it."""

    field: str
    outcome: Outcome
    reason: Reason
    here: str | None
    there: RemoteValue
    base: Agreed | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one item. `base` is the new one; `owed` says whether the vendor is due a write."""

    verdict: Verdict
    fields: tuple[FieldDecision, ...]
    base: Mapping[str, Agreed]
    owed: bool

    @property
    def taken(self) -> dict[str, str | None]:
        """Field -> the vendor's value that becomes ours."""
        return {d.field: d.there.here for d in self.fields if d.outcome is Outcome.TAKE}

    @property
    def conflicts(self) -> tuple[FieldDecision, ...]:
        """The fields on which the sides disagreed."""
        return tuple(d for d in self.fields if d.reason in CONFLICTS)


def fingerprint(value: str | None) -> Fingerprint:
    """How a value is remembered."""
    if value is None or len(value) <= LONG:
        return value
    return {"sha256": hashlib.sha256(value.encode()).hexdigest()}


def reconcile(base: Base, local: Local, remote: Remote, rules: Rules, watermark: int = 0) -> Decision:
    """Decide every field the vendor has. A state older than the watermark is stale and changes nothing."""
    if remote.version < watermark:
        return Decision(Verdict.STALE, (), base, owed=False)
    decisions = tuple(
        _decide(name, base.get(name), local, value, remote.changed_at, rules) for name, value in remote.values.items()
    )
    moved = dict(base) | {d.field: _new_base(d) for d in decisions}
    owed = any(d.outcome is Outcome.OWE for d in decisions)
    changed = owed or moved != base
    return Decision(Verdict.CHANGED if changed else Verdict.UNCHANGED, decisions, moved, owed)


def owed_fields(base: Base, local: Local, refused: Mapping[str, Fingerprint]) -> dict[str, str | None]:
    """Field -> the value here that the vendor has not got: what a write-back has to send now."""
    owed = {}
    for name, agreed in base.items():
        value = local.values.get(name)
        print_ = fingerprint(value)
        if print_ != agreed.here and not _was_refused(name, print_, refused):
            owed[name] = value
    return owed


def _decide(
    name: str, base: Agreed | None, local: Local, there: RemoteValue, remote_at: int, rules: Rules
) -> FieldDecision:
    here = local.values.get(name)
    mine, theirs = fingerprint(here), fingerprint(there.here)
    if base is not None and _is_ours(base, theirs, remote_at) and _changed_there(base, there, theirs):
        # Our own write, seen before its answer came: nobody there changed anything, whatever was changed here since.
        base = Agreed(theirs, fingerprint(there.there), sent=_outlived(base, theirs))
    changed_here = base is None or mine != base.here
    changed_there = _changed_there(base, there, theirs)

    def outcome(outcome: Outcome, reason: Reason) -> FieldDecision:
        return FieldDecision(name, outcome, reason, here, there, base)

    if base is not None and not base.known and mine != theirs:
        # The item is only just being created, and its first state is the vendor's doing, not a person's: a status
        # that items start in must not become ours, nor what stands in place of a value the vendor refused.
        if _was_refused(name, mine, rules.refused):
            return outcome(Outcome.REFUSED, Reason.REFUSED_THERE)
        if name == "status":
            return outcome(Outcome.OWE, Reason.CONFLICT_CREATED)
    if not changed_here and not changed_there:
        if rules.remapped and name in MAPPED and mine != theirs:
            return outcome(Outcome.TAKE, Reason.REMAPPED)
        # An item being created has no vendor value in its base yet: the first look at it completes the base.
        known = base is not None and base.known
        return outcome(Outcome.SAME if known else Outcome.AGREE, Reason.NO_CHANGE)
    if mine == theirs:
        return outcome(Outcome.AGREE, Reason.CHANGED_ALIKE if changed_here else Reason.SAME_MEANING)
    if not changed_here:
        return outcome(Outcome.TAKE, Reason.CHANGED_THERE)
    refused = _was_refused(name, mine, rules.refused)
    if not changed_there:
        return outcome(*((Outcome.REFUSED, Reason.REFUSED_THERE) if refused else (Outcome.OWE, Reason.CHANGED_HERE)))
    if refused:
        return outcome(Outcome.TAKE, Reason.CONFLICT_REFUSED)
    rule = rules.conflict.get(name, Rule.LATEST)
    wins_here = rule is Rule.PLATFORM or (rule is Rule.LATEST and local.changed_at.get(name, 0) > remote_at)
    return outcome(Outcome.OWE if wins_here else Outcome.TAKE, _CONFLICT[rule])


def _changed_there(base: Agreed | None, there: RemoteValue, theirs: Fingerprint) -> bool:
    if base is None:
        return True
    return fingerprint(there.there) != base.there if base.known else theirs != base.here


def _is_ours(base: Agreed, theirs: Fingerprint, remote_at: int) -> bool:
    return any(sent.may_be(theirs, remote_at) for sent in base.sent)


def _outlived(base: Agreed | None, agreed: Fingerprint) -> tuple[Sent, ...]:
    """The writes that may still land after another value was agreed on."""
    sent = base.sent if base is not None else ()
    return tuple(one._replace(outlived=True) for one in sent if one.value != agreed)


def _was_refused(name: str, mine: Fingerprint, refused: Mapping[str, Fingerprint]) -> bool:
    return name in refused and refused[name] == mine


def _new_base(decision: FieldDecision) -> Agreed:
    """What both sides hold to be agreed after the decision.

    A field owed after a conflict remembers what the vendor has now: the vendor's value was heard and lost, and must
    not be heard again when the same state comes by once more. Whoever won: a write of ours that is under way may land
    on what was agreed, and then it is neither a person's edit nor the end of the matter.
    """
    there = fingerprint(decision.there.there)

    def agreed(here: Fingerprint) -> Agreed:
        return Agreed(here, there, sent=_outlived(decision.base, here))

    match decision.outcome:
        case Outcome.TAKE:
            return agreed(fingerprint(decision.there.here))
        case Outcome.AGREE:
            return agreed(fingerprint(decision.here))
        case Outcome.OWE if decision.reason is not Reason.CHANGED_HERE:
            return agreed(fingerprint(decision.there.here))
        case _:
            assert decision.base is not None
            return decision.base if decision.base.known else Agreed(fingerprint(decision.there.here), there)


# --- storage form -------------------------------------------------------------------------------------


def base_to_json(base: Base) -> dict[str, Any]:
    """`{field: [here, there]}`; `[here]` alone while the vendor's value is not known; `[here, there, [sent, …]]`, each
    sent one as `[value, at, outlived]`."""
    return {name: _pair_to_json(agreed) for name, agreed in base.items()}


def with_sent(base: Base, values: Mapping[str, str | None], at: int) -> dict[str, Agreed]:
    """The base while these values of ours are on their way to the vendor, since `at` (epoch ms, our clock)."""
    moved = dict(base)
    for name, value in values.items():
        agreed, print_ = base[name], fingerprint(value)
        if agreed.known:
            others = (sent for sent in agreed.sent if sent.value != print_ and not (sent.outlived and sent.is_over(at)))
            moved[name] = replace(agreed, sent=(*others, Sent(print_, at)))
    return moved


def with_answer(base: Base, values: Mapping[str, str | None], there: Mapping[str, str | None], at: int) -> Base:
    """The base after the vendor answered, at that time, to the write of these values, which it holds as `there`."""
    moved = dict(base)
    for name, held in there.items():
        here = fingerprint(values[name])
        others = tuple(sent for sent in _outlived(base.get(name), here) if not sent.is_over(at))
        moved[name] = Agreed(here, fingerprint(held), sent=others)
    return moved


def without_sent(base: Base, values: Mapping[str, str | None]) -> Base:
    """The base when these values have arrived, and were overtaken before we heard of it."""
    moved = dict(base)
    for name, value in values.items():
        sent = tuple(one for one in base[name].sent if one.value != fingerprint(value))
        moved[name] = replace(base[name], sent=sent)
    return moved


def first_base(values: Mapping[str, RemoteValue]) -> dict[str, Any]:
    """The stored base of an item that is seen for the first time: both sides have what the vendor has."""
    return {name: [fingerprint(value.here), fingerprint(value.there)] for name, value in values.items()}


def base_from_json(stored: Mapping[str, Any]) -> dict[str, Agreed]:
    """The inverse of `base_to_json`."""
    return {name: _pair_from_json(parts) for name, parts in stored.items()}


def _pair_to_json(agreed: Agreed) -> list[Any]:
    if not agreed.known:
        return [agreed.here]
    return [agreed.here, agreed.there, *([[list(one) for one in agreed.sent]] if agreed.sent else [])]


def _pair_from_json(parts: list[Any]) -> Agreed:
    if len(parts) == 1:
        return Agreed(parts[0], known=False)
    return Agreed(parts[0], parts[1], sent=tuple(Sent(*one) for one in parts[2]) if len(parts) > 2 else ())
