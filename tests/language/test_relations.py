"""One name for each relation, how many values it takes, and how to ask for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.language.relations import Arity, arity, canonical, is_known, names_person, question


@pytest.mark.parametrize(
    ("relation", "name", "count"),
    [
        ("Resides in", "lives in", Arity.ONE), ("moved to", "lives in", Arity.ONE), ("employed by", "works at", Arity.ONE),
        ("works for", "works at", Arity.ONE), ("Mobile numbers", "phone", Arity.ONE), ("e-mail", "email", Arity.ONE),
        ("wife", "married to", Arity.ONE), ("the capital", "capital", Arity.ONE), ("favorite Colors", "favourite color", Arity.ONE),
        ("favourite book", "favourite book", Arity.ONE), ("date of birth", "born on", Arity.FIXED), ("Loves", "likes", Arity.MANY),
        ("has child", "child", Arity.MANY), ("dentists", "dentist", Arity.OPEN), ("prefers", "prefers", Arity.OPEN),
        ("mom", "mother", Arity.FIXED), ("!!", "!!", Arity.OPEN), ("", "", Arity.OPEN),
    ],
)  # fmt: skip
def test_relations_have_one_name(relation, name, count):
    assert canonical(relation) == name
    assert arity(relation) is count


@given(st.text(st.sampled_from("adefhimnorstvw 's"), max_size=24))
def test_naming_twice_is_naming_once(text):
    assert canonical(canonical(text)) == canonical(text)


@pytest.mark.parametrize(
    ("relation", "asked"),
    [
        ("resides in", "Where does Bob live?"), ("mobile", "What is Bob's phone number?"), ("favorite book", "What is Bob's favourite book?"),
        ("dentist", "Who is Bob's dentist?"), ("shoe size", "What is Bob's shoe size?"), ("is", ""),
    ],
)  # fmt: skip
def test_how_to_ask(relation, asked):
    assert question(relation, "Bob") == asked


def test_what_is_known_of_a_relation():
    assert is_known("Works for")
    assert is_known("favourite book")
    assert not is_known("shoe size")
    assert names_person("wife")
    assert not names_person("phone")
