"""Pairs as text, and the next question out of the answer to another one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.language.qa import bridged, parse_qa, qa_text

# ── text ──


def test_a_pair_is_read_back():
    assert parse_qa(qa_text("Who wrote\n Dust?", " Ana Costa \n")) == ("Who wrote Dust?", "Ana Costa")


def test_the_answer_may_have_lines_and_marks():
    assert parse_qa("Q: How?\nA: First.\nA: Then.") == ("How?", "First.\nA: Then.")
    assert parse_qa("Q: One\ntwo?\n A: Yes.") == ("One\ntwo?", "Yes.")


@pytest.mark.parametrize(
    "text", ["", "Q: Who?", "A: Ana", "Who? Ana", "Q:\nA: Ana", "Q: Who?\nA:", "Q: Who? A: Ana", "A: x\nQ: y"]
)
def test_what_is_no_pair_is_none(text):
    assert parse_qa(text) is None


@given(st.text(), st.text())
def test_any_text_can_be_read(question, answer):
    found = parse_qa(qa_text(question, answer))
    if found is not None and "\nA:" not in question:
        assert found[0] == " ".join(question.split())
    parse_qa(question)


# ── the next question ──

CHAINS = [
    ("Where was the author of Dead Ernest born?", "Who wrote Dead Ernest?", "P. A. Taylor", "Where was P. A. Taylor born?"),
    ("Who is the mother of the director of Polish-Russian War?", "Who directed Polish-Russian War?", "Xawery",
     "Who is the mother of Xawery?"),
    ("When did the founder of Acme die?", "Who founded Acme?", "Ben Ruiz", "When did Ben Ruiz die?"),
    ("What is the capital of the country of Ana Costa?", "What is the country of Ana Costa?", "Portugal",
     "What is the capital of Portugal?"),
    ("Where does the sister of Ben live?", "Who is the sister of Ben?", "Ana", "Where does Ana live?"),
    ("Who painted the cover of Dust?", "What is the cover of Dust?", "Kites at Noon", "Who painted Kites at Noon?"),
    ("How old is the author of Dust?", "Who wrote Dust?", "Ana", "How old is Ana?"),
    ("Which city is the maker of Rex from?", "Who is the maker of Rex?", "Bo", "Which city is Bo from?"),
    ("Where was the composer of Blue Hour educated?", "Who composed Blue Hour?", "Iva", "Where was Iva educated?"),
    ("What does the owner of the Blue Cafe drink?", "Who owns the Blue Cafe?", "Dora", "What does Dora drink?"),
    ("Who married the singer of Blue Hour?", "Who sang Blue Hour?", "Iva", "Who married Iva?"),
    ("When was the inventor of the zipper born?", "Who invented the zipper?", "Judson", "When was Judson born?"),
    ("In which year did the winner of the 1990 cup retire?", "Who won the 1990 cup?", "Ayo", "In which year did Ayo retire?"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "known", "answer", "following"), CHAINS)
def test_the_shared_part_is_replaced_by_its_answer(question, known, answer, following):
    assert bridged(question, known, answer) == following


@pytest.mark.parametrize(
    ("question", "known"),
    [
        ("Where was Ana born?", "Who wrote Dust?"),  # nothing shared
        ("Who wrote Dust?", "Who wrote Dust?"),  # nothing left to ask
        ("Who wrote Dust?", "Who wrote Dust and Ash?"),
        ("", "Who wrote Dust?"),
        ("?", ""),
        ("Where is it?", "What is it?"),
        ("Where was the daughter of Ana Costa born?", "Who married Ana Costa?"),  # another relation
        ("Who directed the film that Dust was made from?", "Who directed Dust?"),
        ("Where was the author of Dust born?", "Where was Dust written?"),
    ],
)
def test_without_a_shared_part_or_a_rest_there_is_no_next_question(question, known):
    assert bridged(question, known, "Ana") is None


words = st.lists(
    st.sampled_from(["Who", "wrote", "the", "author", "of", "Dust", "Ana's", "born", "?", "in", "A-b", "1990", "é"])
)


@given(words.map(" ".join) | st.text(max_size=40), words.map(" ".join) | st.text(max_size=40), st.text(max_size=20))
def test_it_never_raises_and_holds_the_answer(question, known, answer):
    found = bridged(question, known, answer)
    if found is not None:
        assert " ".join(answer.split()) in found
        assert found == " ".join(found.split())


@pytest.mark.parametrize("long", ["a-" * 500, "Dust " * 200, "the " * 250, "of the " * 140])
def test_a_long_question_takes_no_time(long):
    begun = time.process_time()
    bridged(f"Who is {long} of Rex", "Who is Rex?", "Bo")
    assert time.process_time() - begun < 2
