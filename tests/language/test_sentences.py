"""Where sentences lie."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.language.sentences import sentence_spans


def cut(text: str, longest: int = 600) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text, longest)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? ", ["One.", "Two!", "Three?"]),
        ('He said "Go." Then left.', ['He said "Go."', "Then left."]),
        ("Dr. Ann met St. Nick, e.g. twice.", ["Dr. Ann met St. Nick, e.g. twice."]),
        ("a line\nanother one\n\nthird", ["a line", "another one", "third"]),
        ("今日は。明日も！", ["今日は。", "明日も！"]),
        ("It costs 3.50 today", ["It costs 3.50 today"]),
        ("   ", []),
        ("", []),
    ],
)
def test_marks_and_line_breaks_end_sentences(text, sentences):
    assert cut(text) == sentences


def test_what_has_no_end_is_cut_at_a_blank():
    assert cut("aaa bbb ccc ddd", 7) == ["aaa bbb", "ccc ddd"]
    assert cut("a" * 10, 4) == ["aaaa", "aaaa", "aa"]


@given(st.text(alphabet=st.sampled_from("aB .!?\n\t。”"), max_size=80), st.integers(1, 12))
def test_nothing_is_lost_and_nothing_overlaps(text, longest):
    spans = sentence_spans(text, longest)
    assert all(0 < end - start <= longest for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())
