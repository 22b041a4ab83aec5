"""Plain reading: what a model writes, parsed."""

import pytest

from remanence.answer.plain import Written, parse_marked, parse_plain
from remanence.errors import BrokenAnswerError


def test_sentences_keep_their_citations_once_each():
    data = {
        "sentences": [{"text": " Ann moved [2]. ", "cites": [2, 2, 1]}, {"text": "", "cites": [1]}],
        "unanswerable": False,
    }
    assert parse_plain(data) == (Written("Ann moved.", (2, 1)),)


def test_unanswerable_has_no_sentences():
    assert parse_plain({"sentences": [{"text": "Ann moved.", "cites": [1]}], "unanswerable": True}) == ()
    assert parse_plain({"sentences": [], "unanswerable": False}) == ()


@pytest.mark.parametrize(
    "data",
    [
        None, [], "text", {}, {"sentences": "text"}, {"sentences": ["text"]}, {"sentences": [{"text": 3, "cites": []}]},
        {"sentences": [{"text": "a", "cites": "1"}]}, {"sentences": [{"text": "a"}]}, {"sentences": [], "unanswerable": "no"},
    ],
)  # fmt: skip
def test_anything_of_another_shape_is_a_broken_answer(data):
    with pytest.raises(BrokenAnswerError, match=r"no list of sentences .*Ask again"):
        parse_plain(data)


def test_numbers_that_are_none_are_left_out():
    data = {"sentences": [{"text": "a", "cites": [True, "2", 3, None, 1.5]}], "unanswerable": False}
    assert parse_plain(data) == (Written("a", (3,)),)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Ann moved [1]. Bob stayed [2][3].", [("Ann moved.", (1,)), ("Bob stayed.", (2, 3))]),
        ("Ann moved. [1] Bob stayed. [2, 3]", [("Ann moved.", (1,)), ("Bob stayed.", (2, 3))]),
        ("Ann moved [1], and Bob stayed [2].", [("Ann moved, and Bob stayed.", (1, 2))]),
        ("[4] Ann moved.", [("Ann moved.", (4,))]),
        ("Ann moved.", [("Ann moved.", ())]),
        ("Ann moved [1]\nBob stayed [2]", [("Ann moved", (1,)), ("Bob stayed", (2,))]),
        ("Ann [1] moved [1].", [("Ann moved.", (1,))]),
        ("It is [sic] so [1].", [("It is [sic] so.", (1,))]),
        ("", []),
        ("UNANSWERABLE", []),
        (" unanswerable.", []),
    ],
)
def test_marks_belong_to_the_sentence_they_stand_in_or_behind(text, written):
    assert [(one.text, one.cites) for one in parse_marked(text)] == written
