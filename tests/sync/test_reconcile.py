"""The heart's table, and its properties: idempotent, convergent, no echo, nothing lost silently."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import RemoteValue, Rule
from sync.reconcile import (
    CONFLICTS,
    LANDS_WITHIN,
    LONG,
    Agreed,
    Local,
    Outcome,
    Reason,
    Remote,
    Rules,
    Sent,
    Verdict,
    base_from_json,
    base_to_json,
    fingerprint,
    owed_fields,
    reconcile,
    with_answer,
    with_sent,
    without_sent,
)

BASE = {"title": Agreed("a", "a")}
NO_RULES = Rules({}, {})


def decide(here: str, there: str, *, rule: Rule = Rule.LATEST, here_at: int = 1, there_at: int = 2, **rules):
    local = Local({"title": here}, {"title": here_at})
    remote = Remote({"title": RemoteValue(there, there)}, version=5, changed_at=there_at)
    return reconcile(BASE, local, remote, replace(Rules({"title": rule}, {}), **rules))


@pytest.mark.parametrize(
    ("here", "there", "outcome", "reason"),
    [
        ("a", "a", Outcome.SAME, Reason.NO_CHANGE),
        ("a", "b", Outcome.TAKE, Reason.CHANGED_THERE),
        ("b", "a", Outcome.OWE, Reason.CHANGED_HERE),
        ("b", "b", Outcome.AGREE, Reason.CHANGED_ALIKE),
        ("b", "c", Outcome.TAKE, Reason.CONFLICT_LATEST),
    ],
)
def test_each_row_of_the_table_has_its_outcome_and_reason(here, there, outcome, reason):
    (field,) = decide(here, there).fields
    assert (field.outcome, field.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("rule", "here_at", "outcome"),
    [
        (Rule.LATEST, 1, Outcome.TAKE),
        (Rule.LATEST, 3, Outcome.OWE),
        (Rule.PLATFORM, 1, Outcome.OWE),
        (Rule.EXTERNAL, 3, Outcome.TAKE),
    ],
)
def test_a_conflict_is_decided_by_the_fields_rule_and_counted_as_one(rule, here_at, outcome):
    decision = decide("b", "c", rule=rule, here_at=here_at)
    assert decision.fields[0].outcome is outcome
    assert len(decision.conflicts) == 1


def test_a_vendors_value_that_lost_is_not_heard_again_when_the_same_state_comes_by_once_more():
    local = Local({"title": "b"}, {"title": 3})
    remote = Remote({"title": RemoteValue("c", "c")}, 5, 2)
    first = reconcile(BASE, local, remote, NO_RULES)
    again = reconcile(first.base, local, remote, NO_RULES, watermark=5)
    assert first.conflicts
    assert not again.conflicts
    assert again.owed


def test_two_vendor_states_of_one_meaning_stay_apart():
    base = {"status": Agreed("in_review", "review")}
    local = Local({"status": "in_review"}, {})
    decision = reconcile(base, local, Remote({"status": RemoteValue("in_review", "qa")}, 5, 2), NO_RULES)
    assert decision.fields[0].reason is Reason.SAME_MEANING
    assert decision.base["status"] == Agreed("in_review", "qa")
    assert not decision.owed


def test_a_state_older_than_the_watermark_changes_nothing():
    local = Local({"title": "a"}, {})
    decision = reconcile(BASE, local, Remote({"title": RemoteValue("z", "z")}, 4, 9), NO_RULES, watermark=5)
    assert decision.verdict is Verdict.STALE
    assert decision.base == BASE


def test_a_refused_value_is_not_owed_again_until_it_changes():
    refused = {"title": fingerprint("b")}
    assert decide("b", "a", refused=refused).fields[0].outcome is Outcome.REFUSED
    assert decide("c", "a", refused=refused).fields[0].outcome is Outcome.OWE


def test_a_refused_value_gives_way_when_the_vendors_changes_whatever_the_rule():
    decision = decide("b", "c", rule=Rule.PLATFORM, refused={"title": fingerprint("b")})
    assert decision.fields[0].outcome is Outcome.TAKE
    assert decision.fields[0].reason is Reason.CONFLICT_REFUSED


def test_a_changed_mapping_gives_an_unchanged_field_its_new_meaning_but_never_overrules_a_change_here():
    base = {"status": Agreed("in_review", "qa")}
    remote = Remote({"status": RemoteValue("in_progress", "qa")}, 5, 2)
    remapped = Rules({}, {}, remapped=True)
    taken = reconcile(base, Local({"status": "in_review"}, {}), remote, remapped)
    assert taken.taken == {"status": "in_progress"}
    assert taken.fields[0].reason is Reason.REMAPPED
    kept = reconcile(base, Local({"status": "done"}, {}), remote, remapped)
    assert kept.fields[0].outcome is Outcome.OWE
    assert reconcile(base, Local({"status": "in_review"}, {}), remote, NO_RULES).verdict is Verdict.UNCHANGED


def test_a_rendered_text_that_reads_back_differently_is_left_alone_when_the_mapping_changes():
    base = {"description": Agreed("* a", "doc1")}
    remote = Remote({"description": RemoteValue("- a", "doc1")}, 5, 2)
    decision = reconcile(base, Local({"description": "* a"}, {}), remote, Rules({}, {}, remapped=True))
    assert decision.verdict is Verdict.UNCHANGED


def test_an_item_just_created_completes_its_base_at_first_sight():
    base = {"title": Agreed("a", known=False)}
    seen = reconcile(base, Local({"title": "a"}, {}), Remote({"title": RemoteValue("a", "A")}, 5, 2), NO_RULES)
    assert seen.base == {"title": Agreed("a", "A")}
    assert not seen.owed
    moved = reconcile(base, Local({"title": "b"}, {}), Remote({"title": RemoteValue("a", "A")}, 5, 2), NO_RULES)
    assert moved.base == {"title": Agreed("a", "A")}
    assert moved.owed


def test_the_status_an_item_starts_in_never_becomes_ours_while_it_is_being_created():
    base = {"status": Agreed("in_progress", known=False)}
    todo = Remote({"status": RemoteValue("backlog", "todo")}, 5, 9)
    for here in ("in_progress", "done"):
        decision = reconcile(base, Local({"status": here}, {"status": 1}), todo, NO_RULES)
        assert decision.fields[0].outcome is Outcome.OWE
        assert decision.base == {"status": Agreed("backlog", "todo")}


def test_what_stands_in_place_of_a_value_refused_at_creation_does_not_become_ours():
    base = {"priority": Agreed("high", known=False)}
    rules = Rules({}, {"priority": "high"})
    local, remote = Local({"priority": "high"}, {}), Remote({"priority": RemoteValue("medium", "3")}, 5, 9)
    first = reconcile(base, local, remote, rules)
    assert first.fields[0].outcome is Outcome.REFUSED
    assert reconcile(first.base, local, remote, rules).verdict is Verdict.UNCHANGED


def test_long_texts_are_remembered_as_digests_that_survive_storage():
    base = {"description": Agreed(fingerprint("x" * (LONG + 1)), fingerprint("y" * 9000)), "title": Agreed("t", None)}
    base["status"] = Agreed("done", known=False)
    assert base_from_json(base_to_json(base)) == base
    assert len(str(base_to_json(base))) < 400


# --- properties ---------------------------------------------------------------------------------------

FIELDS = ("title", "status", "assignee")
values = st.sampled_from(["a", "b", "c", None])
agreed = st.builds(Agreed, values, values, st.booleans())
bases = st.dictionaries(st.sampled_from(FIELDS), agreed)
rulesets = st.builds(
    Rules,
    st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(list(Rule))),
    st.dictionaries(st.sampled_from(FIELDS), values),
    st.booleans(),
)
locals_ = st.builds(
    Local,
    st.fixed_dictionaries(dict.fromkeys(FIELDS, values)),
    st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 9)),
)


@st.composite
def remotes(draw):
    # What a vendor's value means is a function of that value, as with any mapping.
    meaning = draw(st.fixed_dictionaries(dict.fromkeys(("a", "b", "c", None), values)))
    held = {name: draw(values) for name in FIELDS}
    return Remote({n: RemoteValue(meaning[v], v) for n, v in held.items()}, 5, draw(st.integers(0, 9)))


def after(local: Local, decision) -> Local:
    """The task once the decision was carried out."""
    return Local({**local.values, **decision.taken}, local.changed_at)


@given(bases, locals_, remotes(), rulesets)
def test_applying_the_same_state_twice_changes_nothing_the_second_time(base, local, remote, rules):
    first = reconcile(base, local, remote, rules)
    settled = replace(rules, remapped=False)
    second = reconcile(first.base, after(local, first), remote, settled, watermark=remote.version)
    assert second.base == first.base
    assert not second.taken
    assert second.owed == first.owed


@given(bases, locals_, remotes(), rulesets)
def test_after_the_write_back_its_own_echo_finds_nothing_to_do(base, local, remote, rules):
    first = reconcile(base, local, remote, rules)
    here = after(local, first)
    sent = owed_fields(first.base, here, rules.refused)
    echo = Remote({**remote.values, **{n: RemoteValue(v, f"sent {v}") for n, v in sent.items()}}, remote.version + 1, 9)
    settled = {**first.base, **{n: Agreed(fingerprint(v), f"sent {v}") for n, v in sent.items()}}
    decision = reconcile(settled, here, echo, replace(rules, remapped=False))
    assert decision.verdict is Verdict.UNCHANGED


@given(bases, locals_, remotes(), rulesets)
def test_every_change_survives_or_is_named_as_the_loser_of_a_conflict(base, local, remote, rules):
    decision = reconcile(base, local, remote, rules)
    here = after(local, decision)
    for field in decision.fields:
        changed_here = field.base is None or fingerprint(field.here) != field.base.here
        if changed_here and here.values[field.field] != field.here:
            assert field.reason in CONFLICTS
        if field.outcome is Outcome.OWE and field.reason is not Reason.CHANGED_HERE:
            assert field.reason in CONFLICTS


@given(bases, locals_, remotes(), rulesets)
def test_what_is_owed_is_exactly_what_differs_and_was_not_refused(base, local, remote, rules):
    decision = reconcile(base, local, remote, rules)
    named = {field.field for field in decision.fields if field.outcome is Outcome.OWE}
    assert named == set(owed_fields(decision.base, after(local, decision), rules.refused))


@given(bases, locals_, remotes(), rulesets)
def test_a_stale_state_never_moves_anything(base, local, remote, rules):
    decision = reconcile(base, local, remote, rules, watermark=remote.version + 1)
    assert decision.verdict is Verdict.STALE
    assert not decision.taken
    assert decision.base == base


def test_a_value_of_ours_found_there_before_its_answer_came_is_no_edit_of_theirs():
    base = {"title": Agreed("a", "a", sent=(Sent("b", 1),))}
    decision = seen(base, "c", "b", at=99)
    (title,) = decision.fields
    assert (title.outcome, title.reason) == (Outcome.OWE, Reason.CHANGED_HERE)
    assert decision.base == {"title": Agreed("b", "b")}


def test_what_is_on_its_way_is_stored_with_the_base_and_forgotten_when_it_arrived():
    base = with_sent({"title": Agreed("a", "a")}, {"title": "b"}, 7)
    assert base_to_json(base) == {"title": ["a", "a", [["b", 7, False]]]}
    assert base_from_json(base_to_json(base)) == base
    assert with_sent(base, {"title": "b"}, 8) == {"title": Agreed("a", "a", sent=(Sent("b", 8),))}
    arrived = seen(base, "b", "b", at=8)
    assert base_to_json(arrived.base) == {"title": ["b", "b"]}


@pytest.mark.parametrize(
    ("mine", "theirs", "at"),
    [("b", "t", 5), ("c", "t", 5), ("t", "t", 5)],
    ids=["theirs won", "ours won", "both said the same"],
)
def test_a_write_that_lands_after_the_sides_agreed_on_something_else_is_no_edit_of_theirs(mine, theirs, at):
    base = with_sent({"title": Agreed("a", "a")}, {"title": "b"}, 1)
    heard = seen(base, mine, theirs, at=at, mine_at=9 if mine == "c" else 1)
    assert heard.base["title"].sent == (Sent("b", 1, outlived=True),)
    held = heard.taken.get("title", mine)
    landed = seen(heard.base, held, "b", at=10, version=3)
    if held == "b":
        assert not landed.owed
    else:
        assert landed.owed
        assert landed.fields[0].reason is Reason.CHANGED_HERE
        assert not landed.conflicts


def test_a_value_found_long_after_its_write_was_given_up_is_a_person_s():
    outlived = {"title": Agreed("t", "t", sent=(Sent("b", 1, outlived=True),))}
    in_time = seen(outlived, "t", "b", at=1 + LANDS_WITHIN)
    too_late = seen(outlived, "t", "b", at=2 + LANDS_WITHIN)
    assert (in_time.owed, in_time.taken) == (True, {})
    assert (too_late.owed, too_late.taken) == (False, {"title": "b"})


def test_a_write_still_to_be_retried_is_known_however_late_it_is_found():
    waiting = {"title": Agreed("a", "a", sent=(Sent("b", 1),))}
    assert seen(waiting, "c", "b", at=2 + LANDS_WITHIN).base == {"title": Agreed("b", "b")}


def test_an_answer_ends_its_own_write_and_leaves_others_that_may_still_land():
    base = {"title": Agreed("a", "a", sent=(Sent("b", 1), Sent("c", 2), Sent("old", -LANDS_WITHIN)))}
    answered = with_answer(base, {"title": "c"}, {"title": "C"}, 3)
    assert answered == {"title": Agreed("c", "C", sent=(Sent("b", 1, outlived=True),))}
    overtaken = without_sent(base, {"title": "c"})
    assert [sent.value for sent in overtaken["title"].sent] == ["b", "old"]


def test_writes_that_can_land_no_more_are_forgotten_with_the_next_one():
    outlived, waiting, later = Sent("b", 1, outlived=True), Sent("c", 1), 2 + LANDS_WITHIN
    base = with_sent({"title": Agreed("a", "a", sent=(outlived, waiting))}, {"title": "d"}, later)
    assert base["title"].sent == (waiting, Sent("d", later))


def seen(base, mine, theirs, *, at, mine_at=1, version=2):
    """The decision on an item whose title there is `theirs` since `at`, and here `mine` since `mine_at`."""
    local = Local({"title": mine}, {"title": mine_at})
    return reconcile(base, local, Remote({"title": RemoteValue(theirs, theirs)}, version, at), NO_RULES, watermark=1)
