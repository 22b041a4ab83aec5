"""The two searches by hand: BM25F on three texts, and dot products smoothed over neighbours."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from remanence import Memory
from remanence.language.tokens import hashes
from remanence.recall.dense import dense
from remanence.recall.lexical import bm25f
from remanence.recall.profile import Profile
from remanence.settings import Settings

K1, B, BEFORE, AFTER = 1.2, 0.4, 0.7, 0.5
PROFILE = Profile(k1=K1, b=B, words_previous=BEFORE, words_next=AFTER, meaning_previous=0.3, meaning_next=0.15)


def scores(view, question, mask=None):
    return bm25f(view, hashes(question), np.ones(len(view), bool) if mask is None else mask, PROFILE).tolist()


def saturated(tf, length, mean):
    return (K1 + 1) * tf / (tf + K1 * (1 - B + B * length / mean))


@pytest.fixture
def three(wordy, view):
    """Three texts without a session: 2, 3 and 4 stems."""
    wordy.add(["red fox", "red fox fox", "one blue dog sleeps"])
    return view(wordy)


def test_three_texts_by_hand(three):
    rare, common = log(1 + (3 - 1 + 0.5) / (1 + 0.5)), log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    assert scores(three, "fox") == pytest.approx(
        [common * saturated(1, 2, 3), common * saturated(2, 3, 3), 0], abs=1e-5
    )
    assert scores(three, "blue") == pytest.approx([0, 0, rare * saturated(1, 4, 3)], abs=1e-5)


def test_a_word_that_is_asked_twice_counts_twice(three):
    assert scores(three, "fox fox dog") == pytest.approx(
        [2 * fox + dog for fox, dog in zip(scores(three, "fox"), scores(three, "dog"), strict=True)], abs=1e-5
    )


def test_statistics_are_those_of_the_scope(three):
    mask = np.array([True, False, True])
    rare = log(1 + (2 - 1 + 0.5) / (1 + 0.5))
    assert scores(three, "fox", mask) == pytest.approx([rare * saturated(1, 2, 3), 0, 0], abs=1e-5)


def test_no_word_and_no_scope_give_zeros(three):
    assert scores(three, "") == [0, 0, 0]
    assert scores(three, "elephant") == [0, 0, 0]
    assert scores(three, "fox", np.zeros(3, bool)) == [0, 0, 0]


def test_neighbours_are_weaker_fields_of_the_same_text(wordy, view):
    wordy.add(["red fox", "blue dog", "green bird flies"], session="s")
    idf = log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    lengths = [2 + AFTER * 2, 2 + BEFORE * 2 + AFTER * 3, 3 + BEFORE * 2]
    mean = sum(lengths) / 3
    tf = [AFTER * 1, 1, BEFORE * 1]
    expected = [idf * saturated(one, length, mean) for one, length in zip(tf, lengths, strict=True)]
    assert scores(view(wordy), "dog") == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("place", ["other session", "other user", "no session", "document"])
def test_only_turns_of_one_session_are_neighbours(wordy, view, place):
    wordy.add("red fox", session="s", user="u")
    message = {"content": "blue dog", "role": "document" if place == "document" else "user"}
    wordy.add(
        message,
        session={"other session": "t", "no session": None}.get(place, "s"),
        user="v" if place == "other user" else "u",
    )
    assert scores(view(wordy), "dog")[0] == 0


def test_words_written_after_the_view_was_taken_are_not_found(wordy, view):
    wordy.add("red fox", session="s")
    before = view(wordy)
    expected = scores(before, "fox")
    wordy.add(["a second fox", "another fox"], session="s")
    assert len(view(wordy)) == 3
    assert scores(before, "fox") == expected


def test_dot_products_are_smoothed_over_neighbours(memory, view):
    memory.add(["red fox", "blue dog", "green bird"], session="s")
    memory.add("a lone wolf")
    seen, vector = view(memory), memory._encoding.question("dog and bird")
    own = seen.vectors.dot(vector)
    expected = [
        own[0] + 0.15 * own[1],
        own[1] + 0.3 * own[0] + 0.15 * own[2],
        own[2] + 0.3 * own[1],
        own[3],
    ]
    assert dense(seen, vector, np.ones(4, bool), PROFILE).tolist() == pytest.approx(expected, abs=1e-6)
    assert own.max() > 0.3


def test_what_is_out_of_scope_does_not_speak_through_its_neighbours(memory, view):
    memory.add(["red fox", "blue dog", "green bird flies"], session="s")
    seen, vector, mask = view(memory), memory._encoding.question("dog"), np.array([True, False, True])
    assert scores(seen, "dog", mask) == [0, 0, 0]
    assert dense(seen, vector, mask, PROFILE)[mask].tolist() == seen.vectors.dot(vector)[mask].tolist()
    # lengths 2 and 3, no neighbours
    assert scores(seen, "fox", mask) == pytest.approx([log(1 + 1.5 / 1.5) * saturated(1, 2, 2.5), 0, 0], abs=1e-5)


def test_a_turn_without_a_vector_gets_its_neighbours_share():
    with Memory(":memory:", Settings(embedder="hashing")) as memory:
        memory._encoding.documents = lambda _: None
        memory.add("a first turn", session="s")
        del memory._encoding.documents
        memory.recall("a first turn")  # the index begins without vectors
        memory.add("blue dog", session="s")
        vector = memory._encoding.question("blue dog")
        memory.recall("dog")
        found = dense(memory._recall.view("default"), vector, np.ones(2, bool), PROFILE).tolist()
        assert found == pytest.approx([0.15, 1], abs=2e-3)
