"""What a cube is looked up by: the same cube, the same keys, and every byte as documented."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.cubes import Kind, MemCube, Provenance, Scope
from remanence.drafts import ENDS_WITH_QUESTION, HAS_TIME
from remanence.language.dates import Window
from remanence.language.keys import derive, embedded_text, lexical_text, pack_windows, unpack_windows
from remanence.language.tokens import hashes, pack_terms, term_hash, unpack_terms

SAID = datetime(2024, 5, 8, 13, tzinfo=UTC)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def cube(text="The red fox.", *, author=None, about=None, observed=SAID):
    return MemCube(
        id="1", version=1, text=text, kind=Kind.MESSAGE, scope=Scope(), recorded_at=SAID, valid_from=SAID, about=about,
        provenance=Provenance(author=author, observed_at=observed),
    )  # fmt: skip


def day(iso):
    start = datetime.fromisoformat(iso).replace(tzinfo=UTC).timestamp()
    return Window(start, start + 86400)


@given(st.text(min_size=1, max_size=80))
def test_keys_follow_from_the_cube_alone(text):
    one = cube(text)
    assert derive(one) == derive(replace(one, id="2", version=7, meta={"a": 1}, scope=Scope(space="b")))
    assert derive(one, b"\0\x3c").vector == b"\0\x3c"
    assert derive(one).vector is None
    assert replace(derive(one, b"\0\x3c"), vector=None) == derive(one)


@pytest.mark.parametrize(
    ("author", "about", "words", "read"),
    [
        (None, None, ["red", "fox"], "The red fox."),
        ("Ann", None, ["ann", "red", "fox"], "The red fox."),
        (None, "Foxes", ["fox", "red", "fox"], "Foxes\nThe red fox."),
        ("Ann", "Foxes", ["fox", "red", "fox"], "Foxes\nThe red fox."),
    ],
)
def test_words_are_those_of_the_title_or_the_speaker_and_of_the_text(author, about, words, read):
    one = cube(author=author, about=about)
    assert derive(one).terms == pack_terms(term_hash(word) for word in words)
    assert hashes(lexical_text(one)) == [term_hash(word) for word in words]
    assert embedded_text(one) == read


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("The fox.", 0),
        ("Where is the fox?", ENDS_WITH_QUESTION),
        ("Where is the fox? \n", ENDS_WITH_QUESTION),
        ("Where? There.", 0),
        ("I saw the fox yesterday.", HAS_TIME),
        ("Did you see it yesterday?", ENDS_WITH_QUESTION | HAS_TIME),
    ],
)
def test_flags(text, flags):
    assert derive(cube(text)).flags == flags


def test_dates_count_from_when_it_was_said():
    assert unpack_windows(derive(cube("We met yesterday, and on 3 May 2024.")).dates) == [
        day("2024-05-03"),
        day("2024-05-07"),
    ]
    assert unpack_windows(derive(cube("We met yesterday.", observed=None)).dates) == []
    assert derive(cube("We met.")).dates == b""


@given(st.lists(st.tuples(FINITE, FINITE), max_size=16))
def test_windows_come_back_as_they_were(pairs):
    packed = pack_windows([Window(*pair) for pair in pairs])
    assert unpack_windows(packed) == [Window(*pair) for pair in pairs]
    assert len(packed) == 16 * len(pairs)


def test_windows_are_pairs_of_little_endian_doubles():
    assert pack_windows([Window(1.5, -2.0)]) == struct.pack("<dd", 1.5, -2.0)


@given(st.lists(st.sampled_from(["fox", "dog", "tree", "house"]), min_size=1, max_size=20))
def test_terms_count_the_words(words):
    found = unpack_terms(derive(cube(" ".join(words))).terms)
    assert found == {term_hash("hous" if word == "house" else word): words.count(word) for word in words}


def test_a_reading_without_a_topic_is_about_the_subject_of_most_facts():
    from remanence.cubes import Extraction, Fact
    from remanence.language.entities import ABOUT, name_hash
    from remanence.language.keys import derive_reading

    def marks(cube, **content):
        facts = (
            Fact("Ana", "knows", "Bob"),
            Fact("The play", "opened in", "Rome"),
            Fact("The play", "was written by", "Ana"),
        )
        packed = derive_reading(cube, Extraction(facts=facts, **content)).mentions
        return {int.from_bytes(packed[at : at + 4], "little"): packed[at + 4] for at in range(0, len(packed), 5)}

    plain = marks(cube("It opened in Rome."))
    assert [name for name, mark in plain.items() if mark & ABOUT] == [name_hash("the play")]
    told = marks(cube("It opened in Rome."), about="Rome")
    assert [name for name, mark in told.items() if mark & ABOUT] == [name_hash("rome")]
    titled = marks(cube("It opened in Rome.", about="The Play"))
    assert not any(mark & ABOUT for mark in titled.values())
