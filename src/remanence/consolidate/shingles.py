"""Which of many texts are alike: signatures of hashed shingles, bands of them as buckets, and the naive twin over all pairs.

Source: Broder 1997, "On the resemblance and containment of documents" (min-wise hashing); Leskovec, Rajaraman and Ullman,
"Mining of Massive Datasets", section 3.4 (bands).
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

WIDTH = 5
"""Characters of a shingle."""
ALIKE = 0.7
"""Jaccard similarity of two sets of shingles from which texts are compared word by word."""
BANDS, ROWS = 24, 4
"""With these, two texts of similarity 0.7 share a bucket with a chance of 0.9986, of 0.85 with 1 - 1e-7."""
_MOST = 64  # texts of one bucket that are paired with each other; more of them are equal, and found by their keys
_PRIME = np.uint64((1 << 61) - 1)


def shingles(text: str) -> NDArray[np.uint32]:
    """The distinct shingles of a text, hashed and sorted; a text shorter than one is one."""
    pieces = {text[at : at + WIDTH] for at in range(max(1, len(text) - WIDTH + 1))}
    return np.array(sorted(zlib.crc32(piece.encode()) for piece in pieces), np.uint32)


def jaccard(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> float:
    """Shared shingles by all shingles of both."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def signature(found: NDArray[np.uint32], seeds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The least of the shingles under each of some hash functions."""
    mixed = found.astype(np.uint64)[None, :] * seeds[:, :1] + seeds[:, 1:]  # wraps around 2^64, which is a hash as good
    return (mixed >> np.uint64(20)).min(axis=1)


def candidates(texts: Sequence[str]) -> set[tuple[int, int]]:
    """Pairs of places, the lower first, of texts at least `ALIKE`. Misses one with a chance of 1 in 700 at the threshold.

    Time grows with the number of texts, and with pairs that share a bucket.
    """
    seeds = np.random.default_rng(20).integers(1, _PRIME, (BANDS * ROWS, 2), dtype=np.uint64) | np.uint64(1)
    found = [shingles(text) for text in texts]
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for place, some in enumerate(found):
        own = signature(some, seeds).reshape(BANDS, ROWS)
        for band in range(BANDS):
            bucket = buckets[band, own[band].tobytes()]
            if len(bucket) < _MOST:
                bucket.append(place)
    pairs = {pair for bucket in buckets.values() for pair in combinations(bucket, 2)}
    return {(one, other) for one, other in pairs if jaccard(found[one], found[other]) >= ALIKE}


def naive_candidates(texts: Sequence[str]) -> set[tuple[int, int]]:
    """The same by comparing all pairs."""
    found = [shingles(text) for text in texts]
    return {
        (one, other) for one, other in combinations(range(len(found)), 2) if jaccard(found[one], found[other]) >= ALIKE
    }
