"""Answers that come back."""

from __future__ import annotations

import pytest

from remanence.governance.echoes import digests, is_echo, probes

KEY = b"k" * 32
ANSWER = "As far as I can tell, the office in Lisbon opens at nine on weekdays [1]. On Sundays it stays closed for everybody [2]."
QUOTED = ["The Lisbon office opens at nine.", "Closed on Sundays."]


def echoed(text, answer=ANSWER, quoted=QUOTED):
    return is_echo(probes(text, KEY), frozenset(digests(answer, KEY, quoted)))


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        ANSWER.upper(),
        ANSWER.replace(" [1]", "").replace(" [2]", ""),
        "as far as i can tell -- the office in LISBON opens at nine on weekdays.",
        f"{ANSWER} Good to know!",
    ],
)
def test_an_answer_is_recognised(text):
    assert echoed(text)


@pytest.mark.parametrize(
    "text",
    [
        "The office in Lisbon opens at nine.",
        "I went to the office today and it was closed, which surprised me a lot. " * 3
        + ANSWER.split("[1]", maxsplit=1)[0],
        "Yes.",
        "",
    ],
)
def test_other_texts_are_not(text):
    assert not echoed(text)


def test_what_people_said_leaves_no_digest():
    said = "Yesterday we finally moved the whole office to a house by the river."
    assert digests(said, KEY, [said]) == []
    assert not echoed(said, said, [said])
    long = " ".join(f"{said[:-1]} {number}." for number in range(5))
    assert len(digests(long, KEY, [long])) == 1, "a long quotation is known as a whole"


def test_the_key_matters():
    assert set(digests(ANSWER, KEY)).isdisjoint(digests(ANSWER, b"x" * 32))
