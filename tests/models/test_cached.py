from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from remanence.models.cached import CachedEmbedder
from remanence.models.hashing import HashingEmbedder
from remanence.models.protocol import Embedder


class Counting(HashingEmbedder):
    """A `HashingEmbedder` that writes down what it was asked."""

    def __init__(self):
        super().__init__(32)
        self.asked: list[tuple[str, ...]] = []

    def embed(self, texts, progress=None):
        self.asked.append(tuple(texts))
        return super().embed(texts, progress)


def test_the_same_question_is_embedded_once():
    inner = Counting()
    cached = CachedEmbedder(inner)
    done: list[int] = []
    first, second = cached.embed(["who?"], done.append), cached.embed(["who?"], done.append)
    assert (first == second).all()
    assert (first == HashingEmbedder(32).embed(["who?"])).all()
    assert inner.asked == [("who?",)]
    assert done == [1, 1]


def test_batches_pass_through_and_are_not_kept():
    inner = Counting()
    cached = CachedEmbedder(inner)
    assert cached.embed(["a", "b"]).shape == (2, 32)
    assert cached.embed([]).shape == (0, 32)
    cached.embed(["a"])
    assert inner.asked == [("a", "b"), (), ("a",)]


def test_the_oldest_goes_first_and_use_renews():
    inner = Counting()
    cached = CachedEmbedder(inner, size=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        cached.embed([text])
    assert [asked[0] for asked in inner.asked] == ["a", "b", "c", "b"]


def test_a_caller_cannot_change_what_is_kept():
    cached = CachedEmbedder(Counting())
    cached.embed(["a"])[:] = 7
    cached.embed(["a"])[:] = 7
    assert np.isclose(np.linalg.norm(cached.embed(["a"])), 1)


def test_it_is_an_embedder_like_the_one_inside():
    inner = Counting()
    cached = CachedEmbedder(inner)
    assert isinstance(cached, Embedder)
    assert (cached.name, cached.fingerprint, cached.dimensions) == (inner.name, inner.fingerprint, inner.dimensions)


def test_many_threads():
    cached = CachedEmbedder(Counting(), size=4)
    expected = {str(i): HashingEmbedder(32).embed([str(i)]) for i in range(8)}
    with ThreadPoolExecutor(8) as pool:
        for text, row in pool.map(lambda i: (str(i % 8), cached.embed([str(i % 8)])), range(400)):
            assert (row == expected[text]).all()
    assert len(cached._vectors) <= 4
