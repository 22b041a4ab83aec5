"""Whom a question names, and what is left of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.language.names import named, speaks_of_self, speaks_to_assistant

COUPLE = ("Melanie Ward", "Caroline")
WORDS = ("Will", "Mark", "May", "Rose")  # names that are words as well


@pytest.mark.parametrize(
    ("question", "person", "rest"),
    [
        ("What did Melanie Ward paint?", "Melanie Ward", "What did paint?"),
        ("What did Melanie paint?", "Melanie Ward", "What did paint?"),
        ("What did melanie paint?", "Melanie Ward", "What did paint?"),
        ("What did MELANIE paint?", "Melanie Ward", "What did paint?"),
        ("Where is Caroline's cat?", "Caroline", "Where is cat?"),
        ("Where is Caroline’s cat?", "Caroline", "Where is cat?"),
        ("caroline's cat", "Caroline", "cat"),
        ("What did Mel paint?", "Melanie Ward", "What did paint?"),
        ("What did Caro say?", "Caroline", "What did say?"),
        ("Caroline, where were you?", "Caroline", ", where were you?"),
    ],
)
def test_one_person(question, person, rest):
    naming = named(question, COUPLE)
    assert naming.people == {person}
    assert naming.rest == rest


@pytest.mark.parametrize(
    "question",
    [
        "Where is the carol sung?", "What did mel paint?", "What did Me paint?", "What did Ca paint?", "Who painted?", "",
        "the melanies", "Melanies", "a Carolinean song",
    ],
)  # fmt: skip
def test_nobody(question):
    assert named(question, COUPLE) == named(question, ())
    assert named(question, COUPLE).people == frozenset()
    assert named(question, COUPLE).rest == question


def test_several():
    naming = named("Did Melanie and Caroline meet?", COUPLE)
    assert naming.people == set(COUPLE)
    assert naming.rest == "Did and meet?"
    assert named("Is Ann here?", ["Ann Lee", "Ann Wu"]).people == {"Ann Lee", "Ann Wu"}


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("James", "What did James’ dog eat?"), ("Chris", "Is Chris' car red?"), ("Al", "Did Al go?"), ("O'Brien", "Did O'Brien go?"),
        ("Mary-Ann", "Did Mary-Ann go?"), ("José", "What is José's dog?"), ("José", "What is Jose's dog?"), ("Zoë", "where is zoë"),
        ("Łukasz", "Where is Łukasz?"), ("Анна", "Где Анна?"),
    ],
)  # fmt: skip
def test_names_of_all_kinds(name, question):
    naming = named(question, [name])
    assert naming.people == {name}
    assert name not in naming.rest


@pytest.mark.parametrize(
    ("question", "people", "rest"),
    [
        ("What will Mark do in may?", {"Mark"}, "What will do in may?"),
        ("Did Rose mark the papers?", {"Rose"}, "Did mark the papers?"),
        ("Who will the rose of May please?", {"May"}, "Who will the rose of please?"),
        ("When did Will say that prices rose?", {"Will"}, "When did say that prices rose?"),
    ],
)
def test_names_that_are_words_are_names_where_the_question_writes_them_so(question, people, rest):
    naming = named(question, WORDS)
    assert naming.people == people
    assert naming.rest == rest


def test_at_the_beginning_of_a_question_every_word_has_a_capital():
    assert named("Will Rose come in May?", WORDS).people == {"Rose", "May"}
    assert named("when did rose leave", WORDS).people == frozenset()


@pytest.mark.parametrize("question", ["what will it be", "where may the children play?", "What may I do?"])
def test_a_small_word_without_a_capital_is_no_name(question):
    assert named(question, WORDS).people == frozenset()
    assert named(question, WORDS).rest == question


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("How is Bob?", "Howard"), ("Did Bob come?", "Didier"), ("Can Bob dance?", "Candace"), ("The dog of Bob?", "Theodore"),
        ("Was Bob there?", "Washington"), ("And Bob?", "Andrea"), ("What did the doctor tell Bob?", "The Assistant"),
        ("What of Bob and his dog?", "Will and Grace"),
    ],
)  # fmt: skip
def test_a_small_word_is_nobodys_first_or_short_name(question, name):
    assert named(question, [name, "Bob"]).people == {"Bob"}


@given(
    st.lists(st.sampled_from([*WORDS, "Bob", "will", "rose", "the", "?", "'s", "…", "it"]), max_size=6).map(" ".join)
)
def test_the_rest_is_never_empty_of_words_and_holds_nothing_new(question):
    naming = named(question, [*WORDS, "Bob"])
    assert set(naming.rest.split()) <= set(question.split())
    if re.search(r"\w", question):
        assert re.search(r"\w", naming.rest)
    else:
        assert naming.rest.split() == question.split()


def test_nothing_but_a_name_stays_a_question():
    assert named("Caroline?", COUPLE).rest == "Caroline?"
    assert named("Caroline?", COUPLE).people == {"Caroline"}


@pytest.mark.parametrize(
    ("question", "mine", "yours"),
    [
        ("What did I say?", True, False), ("Where is my dog?", True, False), ("What did you say?", False, True),
        ("Is Your name Ann?", False, True), ("What did I tell you?", True, True), ("What did they say?", False, False),
        ("Is it in May?", False, False), ("world war i", False, False), ("the youth of today", False, False),
    ],
)  # fmt: skip
def test_who_the_question_is_about_without_names(question, mine, yours):
    assert speaks_of_self(question) == mine
    assert speaks_to_assistant(question) == yours
