"""Candidates by bands of signatures, against all pairs."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remanence.consolidate.shingles import ALIKE, candidates, jaccard, naive_candidates, shingles

WORDS = [
    "the",
    "roof",
    "library",
    "chair",
    "reading",
    "room",
    "committee",
    "hall",
    "money",
    "winter",
    "garden",
    "bridge",
    "letter",
    "stone",
    "river",
    "summer",
    "market",
]


def corpus(seed, size):
    """Texts, and other versions of some of them with a word or two replaced."""
    chance = random.Random(seed)
    texts = [" ".join(chance.choices(WORDS, k=chance.randint(6, 30))) for _ in range(size)]
    for text in chance.sample(texts, size // 2):
        words = text.split()
        for _ in range(chance.randint(0, 2)):
            words[chance.randrange(len(words))] = chance.choice(WORDS)
        texts.append(" ".join(words))
    return texts


def test_the_bands_find_what_all_pairs_find():
    missed = total = 0
    for seed in range(6):
        texts = corpus(seed, 120)
        naive = naive_candidates(texts)
        quick = candidates(texts)
        assert quick <= naive
        total += len(naive)
        missed += len(naive - quick)
    assert total > 100
    assert missed <= total // 100  # the threshold itself is missed once in 700


def test_what_is_nearly_equal_is_never_missed():
    texts = [f"{text} {text} {text}" for text in corpus(9, 60)]
    texts += [f"{text}s" for text in texts]
    assert candidates(texts) >= {(at, at + len(texts) // 2) for at in range(len(texts) // 2)}


def test_the_threshold_is_on_shared_shingles():
    one, other = shingles("abcdefghij"), shingles("abcdefghiX")
    assert jaccard(one, other) == 5 / 7
    assert jaccard(one, other) >= ALIKE
    assert jaccard(one, shingles("klmnopqrst")) == 0


@given(st.lists(st.text(max_size=20), max_size=8))
def test_any_texts(texts):
    assert candidates(texts) <= naive_candidates(texts)
    assert all(len(shingles(text)) >= 1 and np.all(np.diff(shingles(text).astype(np.int64)) > 0) for text in texts)
