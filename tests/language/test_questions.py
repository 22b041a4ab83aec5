"""Question–answer pairs from claims and from exchanges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.language.questions import Pair, exchange, pairs


def written(text, speaker="Zoe", about="Ana Costa"):
    return [(pair.question, pair.answer) for pair in pairs(text, speaker, about)]


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        ("Ana lives in Lisbon.", "Where does Ana live?", "Lisbon"),
        ("I moved to Berlin.", "Where does Zoe live?", "Berlin"),
        ("The Rolling Stones live in London.", "Where do the Rolling Stones live?", "London"),
        ("She was born in 1946.", "When was Ana Costa born?", "1946"),
        ("She was born in Braga.", "Where was Ana Costa born?", "Braga"),
        ("Bob works for Acme.", "Where does Bob work?", "Acme"),
        ("The Eiffel Tower is a tower in Paris.", "What is the Eiffel Tower?", "a tower in Paris"),
        ("The Beatles were an English band.", "What were the Beatles?", "an English band"),
        ("Bob is a nurse.", "Who is Bob?", "a nurse"),
        ("Bob was an English novelist and poet.", "Who was Bob?", "an English novelist and poet"),
        ("Acme is a teacher training college.", "What is Acme?", "a teacher training college"),
        ("My phone number is 555 0100.", "What is Zoe's phone number?", "555 0100"),
        ("My favorite color is blue.", "What is Zoe's favourite color?", "blue"),
        ("Lisbon is the capital of Portugal.", "What is the capital of Portugal?", "Lisbon"),
        ("Bob is the CEO of Acme.", "Who is the CEO of Acme?", "Bob"),
        ("My dog is called Rex.", "What is the name of Zoe's dog?", "Rex"),
        ("My dentist is Dr. Costa.", "Who is Zoe's dentist?", "Dr. Costa"),
        ("Bob is Ana's brother.", "Who is Ana's brother?", "Bob"),
        ("I'm 34 years old.", "How old is Zoe?", "34"),
        ("Dune was written by Frank Herbert.", "Who was Dune written by?", "Frank Herbert"),
        ("My wife is Joana.", "Who is Zoe married to?", "Joana"),
        ("I love jazz.", "What does Zoe like?", "jazz"),
        ("My sister's birthday is 3 May.", "When is Zoe's sister's birthday?", "3 May"),
        ("Bob is the author of Dune.", "Who was Dune written by?", "Bob"),
    ],
)
def test_a_claim_answers_a_question(text, question, answer):
    assert written(text) == [(question, answer)]


@pytest.mark.parametrize(
    "text", ["Ana does not live in Lisbon.", "Bob is vegan.", "Where does Ana live?", "I used to live in Rome.", ""]
)
def test_no_pair(text):
    assert written(text) == []


def test_a_pair_says_where_it_comes_from():
    text = "Hello. Ana lives in Lisbon and works at Acme."
    one, two = pairs(text)
    assert text[one.start : one.end] == "Ana lives in Lisbon"
    assert text[two.start : two.end] == "works at Acme"


@pytest.mark.parametrize(
    ("asked", "said", "question", "answer"),
    [
        ("Where do you live?", "In Lisbon.", "Where do you live?", "In Lisbon"),
        ("Hi! And where do you live?", "Oh, in Lisbon, with Bob. Why?", "Where do you live?", "in Lisbon, with Bob"),
        ("Great. When was Dune published?", "In August 1965.", "When was Dune published?", "In August 1965"),
        ("How many cats do you have?", "Two. They sleep a lot.", "How many cats do you have?", "Two"),
        ("Do you have a dog?", "Yes, a beagle!", "Do you have a dog?", "Yes, a beagle"),
        ("Who is your dentist?", "Dr. Costa in Porto.", "Who is your dentist?", "Dr. Costa in Porto"),
        ("Who is your boss?", "Bob.", "Who is your boss?", "Bob"),
        ("What is the capital of Portugal?", "Lisbon", "What is the capital of Portugal?", "Lisbon"),
        ("How old is Bob?", "Hey Eve! Bob is 34.", "How old is Bob?", "Bob is 34"),
    ],
)
def test_an_exchange(asked, said, question, answer):
    pair = exchange(asked, said)
    assert pair is not None
    assert (pair.question, pair.answer) == (question, answer)
    assert said[pair.start : pair.end] == answer


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("I live in Rome.", "Nice."), ("Where do you live? And Bob?", "In Lisbon."), ("Where is it?", "In Lisbon."),
        ("What do you think?", "It is nice."), ("How are you?", "Fine."), ("What about Rome?", "It is nice."), ("Rome?", "Yes."),
        ("Where do you live?", "I don't know."), ("Where do you live?", "Where do you live?"), ("Where do you live?", "Maybe Rome."),
        ("Where do you live?", "Yes."), ("When was Dune published?", "By Chilton."), ("How many cats do you have?", "Oh, they died."),
        ("Do you have a dog?", "In Lisbon."), ("Where do you live?", ""), ("Where do you live?", "..."), ("", ""),
        ("Where do you live? I live in Rome.", "In Lisbon."), ("What did he say?", "Hello."), ("What do you play?", "Hey Bob!"),
        ("What do you play?", "Bob! I missed you."), ("Where do you live?", "word " * 30), ("where " * 30 + "?", "In Lisbon."),
        ("x" * 3000 + ". Where do you live?", "In Lisbon."),
    ],
)  # fmt: skip
def test_no_exchange(asked, said):
    assert exchange(asked, said) is None


WORDS = [
    "where",
    "do",
    "you",
    "live",
    "who",
    "is",
    "Bob",
    "in",
    "Lisbon",
    "two",
    "1965",
    "yes",
    ",",
    ".",
    "?",
    "!",
    "\n",
    "oh",
    "Dr.",
]
TURNS = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(max_size=40)


@given(TURNS, TURNS)
def test_the_answer_of_an_exchange_lies_in_its_turn(asked, said):
    pair = exchange(asked, said)
    if pair:
        assert said[pair.start : pair.end] == pair.answer != ""
        assert pair.question.endswith("?")
        assert pair.question.count("?") == 1


def test_a_pair_is_given_once():
    assert pairs("Ana lives in Lisbon.") == (Pair("Where does Ana live?", "Lisbon", 0, 19),)
