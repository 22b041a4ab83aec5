"""The current view: what a newer memory has replaced or denied is left out, with a note."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.cubes import Fact
from remanence.language.slots import Stated
from remanence.recall.current import outdated

OLD, NEW, LATER = "2024-01-01", "2024-03-01", "2024-05-01"
ASKED = "Tell me about Ana: home, work, likes"


def say(memory, text, day=OLD, **where):
    return memory.add({"content": text, "time": day}, **where)[0]


def texts(hits):
    return {hit.cube.text for hit in hits}


def view(memory, question=ASKED, **asked):
    return memory.recall(question, current=True, route="cheap", k=50, **asked)


def test_a_superseded_claim_is_left_out_with_a_note_that_names_both(memory):
    old, new = say(memory, "Ana lives in Lisbon."), say(memory, "Ana lives in Porto.", NEW)
    assert texts(memory.recall(ASKED)) == {"Ana lives in Lisbon.", "Ana lives in Porto."}
    hits = view(memory)
    assert texts(hits) == {"Ana lives in Porto."}
    (note,) = hits.notes
    assert old in note
    assert new in note
    assert "'Lisbon'" in note
    assert "'Porto'" in note


def test_the_place_that_is_left_free_goes_to_the_next(memory):
    say(memory, "Ana lives in Lisbon.")
    say(memory, "Ana lives in Porto.", NEW)
    assert texts(memory.recall("Where does Ana live?", current=True, k=1)) == {"Ana lives in Porto."}


def test_every_repetition_of_an_outdated_claim_is_left_out(memory):
    for day in ("2024-01-01", "2024-01-04", "2024-01-09"):
        memory.add({"content": "Ana lives in Lisbon.", "time": day}, source=day)
    say(memory, "Ana moved to Porto.", NEW)
    hits = view(memory)
    assert texts(hits) == {"Ana moved to Porto."}
    assert len(hits.notes) == 3


def test_a_value_that_came_back_holds_in_all_its_wordings(memory):
    say(memory, "Ana lives in Lisbon.")
    say(memory, "Ana lives in Porto.", NEW)
    say(memory, "Ana lives in Lisbon, Portugal.", LATER)
    assert texts(view(memory)) == {"Ana lives in Lisbon.", "Ana lives in Lisbon, Portugal."}


def test_a_contradiction_keeps_both_sides(memory):
    memory.add({"content": "Ana lives in Lisbon.", "time": NEW}, source="a")
    memory.add({"content": "Ana lives in Porto.", "time": NEW}, source="b")
    hits = view(memory)
    assert len(hits) == 2
    assert hits.notes == ()


def test_another_user_or_space_never_replaces_mine(memory):
    say(memory, "Ana lives in Lisbon.", user="me", space="s")
    say(memory, "Ana lives in Porto.", NEW, user="you", space="s")
    say(memory, "Ana lives in Braga.", LATER, space="other")
    assert texts(view(memory, user="me", space="s")) == {"Ana lives in Lisbon."}
    assert texts(view(memory, space="s")) == {"Ana lives in Porto."}


def test_i_is_whoever_says_it(memory):
    memory.add({"content": "I live in Lisbon.", "name": "Ana", "time": OLD})
    memory.add({"content": "I live in Porto.", "name": "Ben", "time": NEW})
    assert len(view(memory)) == 2
    memory.add({"content": "I live in Braga.", "name": "Ana", "time": LATER})
    assert texts(view(memory)) == {"I live in Porto.", "I live in Braga."}


def test_what_was_not_yet_true_replaces_nothing(memory):
    say(memory, "Ana lives in Lisbon.")
    say(memory, "Ana lives in Porto.", NEW)
    assert texts(view(memory, as_of="2024-02-01")) == {"Ana lives in Lisbon."}
    assert texts(view(memory, as_of="2024-04-01")) == {"Ana lives in Porto."}


def test_a_set_keeps_all_its_values(memory):
    say(memory, "Ana likes tea.")
    say(memory, "Ana likes chess.", NEW)
    assert texts(view(memory)) == {"Ana likes tea.", "Ana likes chess."}


def test_a_denial_ends_a_claim_and_stays(memory):
    old, new = say(memory, "Ana works at Acme."), say(memory, "Ana no longer works at Acme.", NEW)
    hits = view(memory)
    assert texts(hits) == {"Ana no longer works at Acme."}
    assert hits.notes == (f"Left out {old}: 'Acme' was denied in {new}.",)


def test_a_memory_that_says_something_else_as_well_stays(memory):
    say(memory, "Ana lives in Lisbon and likes tea.")
    say(memory, "Ana lives in Porto.", NEW)
    assert len(view(memory)) == 2


def test_a_memory_that_also_denies_something_that_still_does_not_hold_stays(memory):
    say(memory, "Ana lives in Lisbon. Ana does not work at Acme.")
    say(memory, "Ana lives in Porto.", NEW)
    assert len(view(memory)) == 2


def test_a_forgotten_or_corrected_ender_ends_nothing(memory):
    say(memory, "Ana lives in Lisbon.")
    new = say(memory, "Ana lives in Porto.", NEW)
    assert len(view(memory)) == 1
    memory.correct(new, "Ana visited Porto.")
    assert "Ana lives in Lisbon." in texts(view(memory))
    memory.forget(new)
    assert texts(view(memory)) == {"Ana lives in Lisbon."}


def test_pairs_of_what_no_longer_holds_are_left_out_by_their_answer(memory):
    say(memory, "Ana lives in Lisbon and likes tea.")
    memory.pair()
    asked = {"current": True, "kinds": ["qa"], "route": "cheap"}
    assert len(memory.recall(ASKED, **asked)) == 2
    say(memory, "Ana lives in Porto.", NEW, user="other")
    hits = memory.recall(ASKED, **asked)
    assert texts(hits) == {"Q: What does Ana like?\nA: tea"}
    assert len(hits.notes) == 1
    assert memory.recall(ASKED, user="other", **asked) == []


def test_a_pair_that_stands_for_itself_is_never_stale(memory, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"question": "Where does Ana live?", "answer": "Lisbon"}')
    memory.pair(tmp_path / "p.jsonl")
    say(memory, "Ana lives in Porto.", "2090-01-01")
    assert len(memory.recall(ASKED, current=True, kinds=["qa"])) == 1


# ── the rule itself ──


def stated(seq, value, day, *, negated=False, source="s", relation="lives in"):
    return Stated(Fact("Ana", relation, value), f"id {seq}", 1, seq, day * 86400.0, source, negated)


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from("ABC"), st.integers(0, 9), st.booleans()), max_size=9))
def test_whatever_is_said_something_that_was_said_holds_or_was_denied(said):
    some = [stated(seq, value, day, negated=negated) for seq, value, day, negated in said]
    gone = outdated(some, {one.seq for one in some})
    for seq, pair in gone.items():
        own = [one for one in some if one.seq == seq]
        assert pair.old in own
        assert pair.by.seq != seq
        assert pair.by.fact.value != pair.old.fact.value or pair.by.negated
    if some and not any(one.negated for one in some):
        newest = max(one.holds_from for one in some)
        assert {one.seq for one in some if one.holds_from == newest} - gone.keys()
    assert outdated(list(reversed(some)), {one.seq for one in some}).keys() == gone.keys()


def test_only_what_is_asked_about_is_named():
    some = [stated(1, "A", 0), stated(2, "B", 50)]
    assert outdated(some, {1, 2}).keys() == {1}
    assert outdated(some, {2}) == {}
    assert outdated([], {1}) == {}


def test_a_version_does_not_end_itself():
    assert outdated([stated(1, "A", 0), stated(1, "B", 50)], {1}) == {}


@pytest.mark.parametrize("count", [10_000])
def test_many_repetitions(count):
    some = [stated(seq, "A", seq / 100, source=str(seq)) for seq in range(count)] + [stated(count, "B", 5000)]
    assert len(outdated(some, range(count + 1))) == count
