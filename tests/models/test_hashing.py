from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.errors import InputError
from remanence.models.hashing import HashingEmbedder
from remanence.models.protocol import Embedder


@given(st.lists(st.text(), max_size=6))
def test_rows_have_length_one_and_depend_on_their_text_alone(texts):
    embedder = HashingEmbedder(64)
    rows = embedder.embed(texts)
    assert (rows.shape, rows.dtype) == ((len(texts), 64), np.float32)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    for row, text in zip(rows, texts, strict=True):
        assert (HashingEmbedder(64).embed([text])[0] == row).all()


PINNED = [
    -0.19528299570083618,
    0.19528299570083618,
    0.19528299570083618,
    0.6509439945220947,
    -0.6509439945220947,
    0.0,
    0.19528299570083618,
    0.0,
]


def test_the_numbers_never_change():
    # Pinned: a store keeps these vectors, and the fingerprint promises them.
    row = HashingEmbedder(8).embed(["Hello, world"])[0]
    assert HashingEmbedder(8).fingerprint == "hashing/8/1"
    assert np.allclose(row, PINNED, atol=1e-6)


def test_spelling_decides():
    embedder = HashingEmbedder()
    kiln, kilns, stock = embedder.embed(["She fired the kiln.", "Firing kilns", "Stock markets fell today"])
    assert kiln @ kilns > kiln @ stock + 0.1
    assert np.allclose(*embedder.embed(["She FIRED the kiln", "she fired the kiln!"]))


def test_it_is_an_embedder_and_reports_progress():
    embedder = HashingEmbedder()
    done: list[int] = []
    embedder.embed(["a", "b"], done.append)
    assert isinstance(embedder, Embedder)
    assert sum(done) == 2
    with pytest.raises(InputError, match="at least 2"):
        HashingEmbedder(1)
