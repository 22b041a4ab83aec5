"""Summaries by rules: which sentences, in which room."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.consolidate.digest import Weights, digest, pieces
from remanence.cubes import MemCube

TALK = [
    "Hey! How are you?", "I moved to Lisbon on 3 May 2023 and rented a flat in Alfama.", "Wow, that is great to hear!",
    "My sister Clara opened a bakery called Morning Star in Porto.", "That is nice.",
    "I opened a bakery with my sister Clara in Porto, it is called Morning Star.", "What is new at work?", "Our team lost two engineers in June.",
]  # fmt: skip


def said(cubes, chosen):
    return [cubes[piece.cube].text[piece.start : piece.end] for piece in chosen]


def test_what_is_said_survives_and_small_talk_does_not(cube):
    cubes = [cube(text, id=str(at)) for at, text in enumerate(TALK)]
    found = said(cubes, digest(cubes, pieces(cubes), 170))
    assert TALK[1] in found
    assert TALK[7] in found
    assert not any("?" in text or "nice" in text or "Wow" in text for text in found)


def test_the_same_news_takes_its_room_once(cube):
    cubes = [cube(text, id=str(at)) for at, text in enumerate(TALK)]
    twice = said(cubes, digest(cubes, pieces(cubes), 190, weights=Weights(repeating=0.0)))
    once = said(cubes, digest(cubes, pieces(cubes), 190))
    assert sum("Clara" in text for text in once) == 1
    assert sum("Clara" in text for text in twice) == 2


def test_sentences_come_in_their_order_and_fit(cube):
    cubes = [cube(text, id=str(at)) for at, text in enumerate(TALK)]
    for room in (0, 30, 100, 250, 1000):
        chosen = digest(cubes, pieces(cubes), room, 10)
        assert chosen == sorted(chosen, key=lambda piece: (piece.cube, piece.start))
        used = sum(piece.end - piece.start + 1 for piece in chosen) + 10 * len({piece.cube for piece in chosen})
        assert used <= room
    assert len(digest(cubes, pieces(cubes), 10_000)) == len(pieces(cubes))


@pytest.fixture(scope="module")
def make(cube):
    return cube


@settings(max_examples=40)
@given(texts=st.lists(st.text(max_size=200), max_size=6), room=st.integers(0, 500))
def test_any_texts(make, texts, room):
    cubes: list[MemCube] = [make(text, id=str(at)) for at, text in enumerate(texts)]
    chosen = digest(cubes, pieces(cubes), room)
    assert sum(len(text) for text in said(cubes, chosen)) <= room
    assert all(text.strip() and "?" not in text for text in said(cubes, chosen))
