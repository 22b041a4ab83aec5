"""Estimates of tokens: high enough, and not absurdly so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.models import wordpiece
from remanence.models.language import Turn
from remanence.models.tokens import TURN, estimate, estimate_turns


def naive(text: str) -> int:
    """Letter by letter."""
    total, word, blanks = 0, 0, 0
    for character in text:
        letter = character.isascii() and character.isalpha()
        blank = character in " \t"
        word, blanks = (word + 1 if letter else 0), (blanks + 1 if blank else 0)
        if letter:
            total += word % 3 == 1
        elif blank:
            total += blanks == 2
        elif character.isascii():
            total += 1
        else:
            total += len(character.encode("utf-8", "replace"))
    return total


@given(st.text() | st.text(alphabet="ab \t\n1.é🙂", max_size=40))
def test_as_the_naive_twin_has_it(text):
    assert estimate(text) == naive(text)


@given(st.text(), st.text())
def test_more_text_is_not_fewer_tokens_and_bytes_are_the_most(one, other):
    whole = estimate(one + other)
    assert max(estimate(one), estimate(other)) <= whole <= estimate(one) + estimate(other) + 1
    assert whole <= len((one + other).encode("utf-8", "replace"))


@pytest.mark.parametrize(
    ("text", "least"),
    # No vocabulary in use joins a letter with a digit or a sign, or more than three digits.
    [("", 0), ("a", 1), ("Hello, world!", 4), ("1234", 2), ("你好", 1), ("🙂", 1), ("\n\n\n", 1), ("    x", 2)],
)
def test_single_cases(text, least):
    assert estimate(text) >= least


def test_prose_is_on_the_high_side_of_word_pieces_but_not_twice_as_high(locomo, passages, weights_folder):
    path = weights_folder / "tokenizer.json"
    cutter = wordpiece.from_tokenizer_json(path.read_bytes(), where=str(path))
    for texts in (locomo, passages):
        pieces = [len(cutter.encode(text)) for text in texts]
        estimates = [estimate(text) for text in texts]
        assert all(high >= exact for high, exact in zip(estimates, pieces, strict=True))
        assert sum(estimates) < 2 * sum(pieces)


def test_a_turn_counts_more_than_its_text():
    assert estimate_turns([Turn("system", "Be brief."), Turn("user", "Who?")]) == estimate("Be brief.Who?") + 2 * TURN
