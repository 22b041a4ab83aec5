"""Who stands beside whom, in an index that caught up step by step: as in one that is loaded anew."""

from __future__ import annotations

import pytest

from remanence.recall.view import NOBODY


def texts_in_order(memory, seen):
    """The texts of each chain of neighbours, followed from its first turn; every link is checked both ways."""
    cubes = memory._store.fetch("default", seen.seq.tolist())
    chains = []
    for slot in range(len(seen)):
        if not seen.alive[slot] or seen.previous[slot] != NOBODY or seen.next[slot] == NOBODY:
            continue
        chain = [slot]
        while (after := int(seen.next[chain[-1]])) != NOBODY:
            assert seen.previous[after] == chain[-1]
            chain.append(after)
        chains.append([cubes[int(seen.seq[one])].text for one in chain])
    return chains


@pytest.fixture
def chains(view):
    """The chains of the index that caught up, which have to be those of a fresh one."""

    def look(memory):
        found = texts_in_order(memory, view(memory))
        assert sorted(found) == sorted(texts_in_order(memory, view(memory, fresh=True)))
        return found

    return look


def test_turns_follow_each_other_within_their_session(wordy, chains):
    for number in range(3):
        wordy.add([{"content": f"{session}{number}", "session": session} for session in "st"])
        chains(wordy)
    assert chains(wordy) == [["s0", "s1", "s2"], ["t0", "t1", "t2"]]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_correction_takes_the_place_of_what_it_corrects(wordy, chains, place):
    ids = wordy.add(["one", "two", "three"], session="s")
    chains(wordy)
    wordy.correct(ids[place], "other")
    expected = ["one", "two", "three"]
    expected[place] = "other"
    assert chains(wordy) == [expected]
    wordy.add("four", session="s")
    assert chains(wordy) == [[*expected, "four"]]


def test_what_was_added_and_corrected_between_two_questions_keeps_its_place(wordy, chains):
    wordy.add("zero")
    chains(wordy)
    first, *_ = wordy.add(["one", "two"], session="s")
    wordy.correct(first, "other")
    assert chains(wordy) == [["other", "two"]]


def test_what_was_corrected_twice_between_two_questions_keeps_its_place(wordy, chains):
    _, second, _ = wordy.add(["one", "two", "three"], session="s")
    chains(wordy)
    wordy.correct(second, "other")
    wordy.correct(second, "another")
    assert chains(wordy) == [["one", "another", "three"]]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_forgetting_closes_the_gap(wordy, chains, place):
    ids = wordy.add(["one", "two", "three"], session="s")
    chains(wordy)
    wordy.forget(ids[place])
    left = ["one", "two", "three"]
    del left[place]
    assert chains(wordy) == [left]
    wordy.add("four", session="s")
    assert chains(wordy) == [[*left, "four"]]


def test_forgetting_what_was_corrected_forgets_both_versions(wordy, chains):
    _, second, _ = wordy.add(["one", "two", "three"], session="s")
    wordy.correct(second, "other")
    chains(wordy)
    wordy.forget(second)
    assert chains(wordy) == [["one", "three"]]


def test_forgetting_all_and_starting_again(wordy, chains):
    wordy.forget(wordy.add(["one", "two"], session="s"))
    assert chains(wordy) == []
    wordy.add(["three", "four"], session="s")
    assert chains(wordy) == [["three", "four"]]


def test_users_and_agents_have_sessions_of_their_own(wordy, chains):
    for number in range(2):
        wordy.add(f"nobody's {number}", session="s")
        wordy.add(f"None's {number}", session="s", user="None")
        wordy.add(f"agent's {number}", session="s", agent="None")
    assert chains(wordy) == [
        ["nobody's 0", "nobody's 1"], ["None's 0", "None's 1"], ["agent's 0", "agent's 1"],
    ]  # fmt: skip


def test_passages_of_a_document_stand_for_themselves(wordy, chains):
    passages = [{"content": text, "role": "document"} for text in ("one", "two")]
    wordy.add(passages, source="file:a.md", session="s")
    wordy.add(passages, source="file:b.md")
    assert chains(wordy) == []


def test_pairs_made_of_a_turn_do_not_stand_between_it_and_the_next(memory, view):
    memory.add([{"name": "Ana", "session": "s", "content": "I live in Porto."}, {"name": "Bob", "session": "s", "content": "Which picture is it?"}])  # fmt: skip
    memory.recall("Porto")
    assert memory.pair().pairs == 1
    memory.add({"name": "Ana", "session": "s", "content": "Guernica."})
    assert texts_in_order(memory, view(memory)) == [["I live in Porto.", "Which picture is it?", "Guernica."]]
