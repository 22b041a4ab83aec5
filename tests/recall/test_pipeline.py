"""Recall from end to end: what it notes, what it refuses, and what stays the same whatever happened before."""

from __future__ import annotations

import pytest

from remanence.errors import UnknownSpaceError


def texts(hits):
    return [hit.cube.text for hit in hits]


# ── nothing to find ──


def test_an_empty_memory_says_so(memory):
    hits = memory.recall("What is there?")
    assert hits == []
    assert hits.notes == ("Nothing is in the space 'default' yet.",)


def test_an_unknown_space_is_an_error_and_an_emptied_one_is_not(memory):
    ids = memory.add("A red car.", space="mine")
    with pytest.raises(UnknownSpaceError, match="'other'"):
        memory.recall("car", space="other")
    memory.forget(ids)
    assert memory.recall("car", space="mine") == []


def test_the_default_space_is_not_another_one(memory):
    memory.add("A red car.", space="mine")
    assert memory.recall("car") == []


@pytest.mark.parametrize("question", ["what is it?", "???", "the", "…"])
def test_nothing_to_search_for_is_noted_where_only_words_can_be(wordy, question):
    wordy.add(["A red car.", "A blue bus."])
    hits = wordy.recall(question)
    assert hits == []
    assert any("no other way to search" in note for note in hits.notes)


def test_a_question_without_content_words_still_has_a_meaning(memory):
    memory.add(["What is it?", "A red car."])
    assert texts(memory.recall("what is it?"))[0] == "What is it?"


def test_nothing_within_the_filters_is_noted(memory):
    memory.add("A red car.", user="u")
    hits = memory.recall("car", user="v")
    assert hits == []
    assert any("filters" in note for note in hits.notes)


def test_without_an_embedder_words_are_found_and_the_rest_is_noted(wordy):
    wordy.add(["A red car.", "A blue bus."])
    hits = wordy.recall("red cars")
    assert texts(hits)[0] == "A red car."
    assert [note for note in hits.notes if "Dense search left out" in note]
    assert not any(reason.channel == "meaning" for hit in hits for reason in hit.why.reasons)


def test_with_everything_at_hand_there_is_nothing_to_note(memory):
    memory.add("A red car.")
    assert memory.recall("car").notes == ()


# ── how many, and in which order ──


def test_k(memory):
    memory.add([f"the red car number {number}" for number in range(15)])
    assert len(memory.recall("red car")) == 10
    assert len(memory.recall("red car", k=3)) == 3
    assert len(memory.recall("red car", k=500)) == 15
    assert texts(memory.recall("red car 7", k=3)) == texts(memory.recall("red car 7"))[:3]


def test_scores_fall(memory):
    memory.add(["A red car.", "A blue bus.", "My car is red.", "A tree."])
    scores = [hit.score for hit in memory.recall("Whose red car is it?")]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]


def test_ties_go_to_the_older_memory(memory):
    ids = memory.add([{"content": "A red car.", "source": f"{number}"} for number in range(7)])
    assert [hit.cube.id for hit in memory.recall("red car")] == ids


def test_a_correction_does_not_make_a_memory_younger(memory, loaded_anew):
    first, second = memory.add(["something else", "A red car."])
    memory.recall("red car")
    memory.correct(first, "A red car.")
    hits = memory.recall("red car")
    assert len({hit.score for hit in hits}) == 1
    assert [hit.cube.id for hit in hits] == [first, second]
    assert [hit.cube.id for hit in loaded_anew(memory, "red car")] == [first, second]


# ── time ──


def test_as_of_finds_what_held_then_and_no_trace_of_what_came_later(memory):
    home, _ = memory.add([
        {"content": "The office is in Porto.", "time": "2023-01-01"},
        {"content": "The office dog is old.", "time": "2024-02-01"},
    ])  # fmt: skip
    memory.correct(home, "The office is in Lisbon.", time="2024-01-01")
    now = {"The office is in Lisbon.", "The office dog is old."}
    assert set(texts(memory.recall("Where is the office?"))) == now
    assert texts(memory.recall("Where is the office?", as_of="2023-06-01")) == ["The office is in Porto."]
    assert set(texts(memory.recall("Where is the office?", as_of="2024-03-01"))) == now
    assert memory.recall("Where is the office?", as_of="2022-01-01") == []


@pytest.mark.parametrize(
    ("now", "first"),
    [("2024-05-15", "We met at the fair."), ("2024-05-22", "We met at the pool."), ("2025-05-15", None)],
)
def test_relative_dates_count_from_now(memory, now, first):
    memory.add([
        {"content": "We met at the fair.", "time": "2024-05-07"},
        {"content": "We met at the pool.", "time": "2024-05-14"},
    ])  # fmt: skip
    reasons = {
        hit.cube.text: reason.words
        for hit in memory.recall("Where did we meet last week?", now=now)
        for reason in hit.why.reasons
        if reason.channel == "date"
    }
    assert [text for text, words in reasons.items() if words == "in the time asked about"] == ([first] if first else [])


def test_as_of_is_the_now_of_relative_dates(memory):
    memory.add(
        [{"content": "We met at the fair.", "time": "2024-05-07"}, {"content": "We met there.", "time": "2024-04-07"}]
    )
    best = memory.recall("Where did we meet last week?", as_of="2024-05-15")[0]
    assert best.cube.text == "We met at the fair."
    assert any(reason.words == "in the time asked about" for reason in best.why.reasons)


# ── what was forgotten has no say ──


def asked(hits):
    return [(hit.cube.text, hit.score, str(hit.why)) for hit in hits]


@pytest.mark.parametrize(
    ("gone", "stays", "question"),
    [
        pytest.param(
            {"content": "It is larger.", "title": "New York City"},
            [{"content": "It is large.", "title": "New York"}, {"content": "Another.", "title": "Boston"}],
            "How is New York City?", id="its title",
        ),
        pytest.param(
            {"content": "The rose is red.", "name": "Rose"},
            [{"content": "The dog is brown.", "name": "Ann"}, {"content": "Tea of rose.", "name": "Ann"}],
            "Where is the rose?", id="its speaker",
        ),
        pytest.param(
            {"content": "We began.", "time": "2019-03-05"},
            [{"content": "We met.", "time": "2023-03-05"}, {"content": "In March 2019 we met at home.", "time": "2023-08-01"}],
            "Who did we meet in March?", id="its time",
        ),
        pytest.param(
            {"content": "A quick brown fox", "session": "s"},
            [{"content": "jumps over", "session": "s"}, {"content": "a lazy dog", "session": "s"}],
            "a quick dog jumps", id="its words",
        ),
    ],
)  # fmt: skip
def test_the_forgotten_has_no_say(memory, loaded_anew, query, gone, stays, question):
    ids = memory.add([gone, *stays])
    now = query("").now
    before = asked(memory.recall(question, now=now))
    memory.forget(ids[0])
    after = memory.recall(question, now=now)
    assert asked(after) == asked(loaded_anew(memory, question))
    assert asked(after) != before
    assert gone["content"] not in texts(after)


def test_indexes_load_at_the_first_question_of_their_space_and_again_when_they_were_dropped(memory):
    memory.add("A red car.", space="a")
    memory.add("A blue car.", space="b")
    recall, sizes = memory._recall, [memory._recall.nbytes]
    for space in "ab":
        memory.recall("car", space=space)
        sizes.append(recall.nbytes)
    assert 0 == sizes[0] < sizes[1] < sizes[2]
    recall.drop()
    assert recall.nbytes == 0
    assert texts(memory.recall("car", space="b")) == ["A blue car."]


def test_another_opened_memory_sees_what_was_committed(opened):
    one, other = opened("m.rem"), opened("m.rem")
    first = one.add("A red car.")
    assert texts(other.recall("car")) == ["A red car."]
    one.add("Another car.")
    one.correct(first[0], "A blue car.")
    assert set(texts(other.recall("car"))) == {"A blue car.", "Another car."}
    one.forget(first)
    assert texts(other.recall("car")) == ["Another car."]
