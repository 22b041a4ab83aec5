"""When two texts say the same in the same words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.language.sameness import normalised, telling_sentences

LONG = "The code of the blue safe in the cellar is seven four one."


@pytest.mark.parametrize(
    "other",
    [LONG.upper(), f"  {LONG.replace(' ', chr(10))} ", LONG.rstrip("."), LONG.replace(" ", " - "), f"“{LONG}”",
     "".join(chr(ord(one) + 0xFEE0) if one.isalnum() else one for one in LONG)],
    ids=["case", "blanks", "no-mark", "dashes", "quotes", "full-width"],
)  # fmt: skip
def test_the_same_words_are_the_same(other):
    assert normalised(other) == normalised(LONG)


@pytest.mark.parametrize("other", [LONG.replace("one", "two"), LONG.replace("not ", ""), "not " + LONG, ""], ids=str)
def test_other_words_are_not(other):
    assert (normalised(other) == normalised(LONG)) == (other == LONG)


def test_marks_alone_are_kept():
    assert normalised(" 🛶  !? ") == "🛶 !?"
    assert normalised("🛶") != normalised("🚣")


@given(st.text(max_size=60))
def test_it_is_a_fixed_point(text):
    assert normalised(normalised(text)) == normalised(text)


def test_only_sentences_that_tell_something_count():
    assert telling_sentences(f"Yes. I think so too! {LONG} Thanks.") == [LONG]
    assert telling_sentences("He was there and so was she.") == []
