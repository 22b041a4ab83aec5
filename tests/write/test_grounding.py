"""What counts as said by a text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.write.grounding import Ground, is_pronoun, normal, tidy

WORDS = st.lists(st.sampled_from(["Ana", "ana", "O'Neill", "é", "the", "cat", "3.5", "東京", "-", "caté"]), max_size=12)


def naively_held(text: str, phrase: str) -> bool:
    """Twin of `Ground.holds`: the words of one as a run in the words of the other."""
    text_words, words = normal(text).split(), normal(phrase).split()
    return bool(words) and any(
        text_words[at : at + len(words)] == words for at in range(len(text_words) - len(words) + 1)
    )


@given(WORDS, WORDS)
def test_a_phrase_is_held_where_its_words_stand_in_a_row(text, phrase):
    text, phrase = " ".join(text), " ".join(phrase)
    assert Ground(text).holds(phrase) == naively_held(text, phrase)


@given(st.text(max_size=50), st.text(max_size=20))
def test_every_stretch_of_words_is_held(text, other):
    assert normal(normal(text)) == normal(text)
    if normal(text):
        assert Ground(f"{other} {text} {other}").holds(text)


def test_the_header_counts_but_never_runs_into_the_text():
    ground = Ground("met Zoë", ["Ana", "Grand Hotel"])
    assert ground.holds("grand hotel")
    assert not ground.holds("grand hotel", header=False)
    assert not ground.holds("Zoë Ana")
    assert not ground.holds("Ana Grand")


def test_shares_are_of_content_words_without_numbers_and_the_calendar():
    ground = Ground("She painted the old boats.", ["Ana"])
    assert ground.share("Ana paints a boat in Rome") == pytest.approx(3 / 4)
    assert ground.share("7 June 2024, a Friday") == 1.0
    assert ground.share_beyond_names("Ana paints in Rome") == pytest.approx(1 / 2)
    assert ground.share_beyond_names("Ana, 7 June 2024") == 0.0


@given(st.text(), st.integers(1, 50))
def test_tidy_gives_one_short_line_or_nothing(text, most):
    kept = tidy(text, most)
    assert kept in ("", re.sub(r"\s+", " ", text).strip(), " ".join(text.split()))
    assert len(kept) <= most
    assert "\n" not in kept
    kept.encode()


@pytest.mark.parametrize(
    ("text", "pronoun"),
    [
        ("she", True),
        ("It.", True),
        ("I", True),
        ("US", False),
        ("who", True),
        ("WHO", False),
        ("She-Ra", False),
        ("", False),
    ],
)
def test_pronouns(text, pronoun):
    assert is_pronoun(text) is pronoun  # fmt: skip
