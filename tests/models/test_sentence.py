"""Windows and batches, with an encoder that needs no weights."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remanence.models.sentence import (
    BATCH_PIECES,
    BATCH_TEXTS,
    MOST_WINDOWS,
    Loaded,
    SentenceEmbedder,
    batches,
    windowed,
)
from remanence.models.wordpiece import WordPiece

VOCABULARY = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"])}


@given(st.integers(0, 5000), st.integers(1, 300))
def test_windows_are_even_in_order_and_within_the_room(count, room):
    pieces = list(range(count))
    parts = windowed(pieces, room)
    assert all(len(part) <= room for part in parts)
    assert len(parts) == min(MOST_WINDOWS, max(1, -(-count // room)))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    joined = [piece for part in parts for piece in part]
    if len(parts) < MOST_WINDOWS:
        assert joined == pieces
    else:
        assert joined == sorted(set(joined))
        assert (joined[0], joined[-1]) == (0, count - 1)


@given(st.lists(st.integers(2, 512), max_size=200))
def test_batches_hold_every_text_once_and_keep_both_limits(lengths):
    found = list(batches(lengths))
    assert sorted(index for batch in found for index in batch) == list(range(len(lengths)))
    for batch in found:
        longest = max(lengths[index] for index in batch)
        assert len(batch) <= BATCH_TEXTS
        assert len(batch) == 1 or len(batch) * longest <= BATCH_PIECES


def embedder(max_pieces: int = 8) -> SentenceEmbedder:
    """Its vector counts the pieces: exact to check."""

    def encode(ids, mask):
        counts = np.stack([np.bincount(row[keep == 1], minlength=12) for row, keep in zip(ids, mask, strict=True)])
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    load = lambda: Loaded(WordPiece(VOCABULARY), encode)  # noqa: E731
    return SentenceEmbedder(name="n", fingerprint="f", dimensions=12, max_pieces=max_pieces, load=load)


@given(st.lists(st.text("abcd xyz", max_size=60), min_size=1, max_size=80))
def test_batching_changes_nothing(texts):
    one = embedder()
    alone = np.concatenate([one.embed([text]) for text in texts])
    assert np.allclose(one.embed(texts), alone, atol=1e-6)


def test_every_window_is_framed():
    vector = embedder().embed(["a " * 12])[0]  # two windows of six
    frame = np.array([0, 0, 1, 1, 6, 0, 0, 0, 0, 0, 0, 0])
    assert np.allclose(vector, frame / np.linalg.norm(frame), atol=1e-6)


def test_loading_happens_once_and_only_when_needed():
    calls = []
    one = embedder()
    load, one._load = one._load, lambda: calls.append(1) or load()
    one.embed([])
    assert not calls
    one.embed(["a"])
    one.embed(["b"])
    assert calls == [1]
