"""An embedder without weights: words and their character trigrams, hashed to signs.

It knows spelling, not meaning. Tests use it because it is instant and the same everywhere; a machine with no weights can.
Source: feature hashing, Weinberger et al. 2009, arXiv 0902.2206.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from remanence.errors import InputError
from remanence.models.bert import unit
from remanence.models.protocol import Progress, Vectors

WORD_WEIGHT = 1.0
TRIGRAM_WEIGHT = 0.3
_WORD = re.compile(r"\w+")


class HashingEmbedder:
    """An `Embedder` whose vectors depend on nothing but the text and `dimensions`."""

    name = "hashing"

    def __init__(self, dimensions: int = 256) -> None:
        if dimensions < 2:
            raise InputError(f"dimensions is {dimensions}.", "Use at least 2.")
        self.dimensions = dimensions
        self.fingerprint = f"hashing/{dimensions}/1"

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """See `Embedder.embed`. A text without any word gets the vector of the empty text."""
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for feature, weight in _features(text):
                index, sign = _place(feature, self.dimensions)
                row[index] += sign * weight
            if not row.any():  # nothing but marks, or features that cancel out: still a unit row
                row[0] = 1.0
            if progress is not None:
                progress(1)
        return unit(rows)


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in _WORD.findall(text.casefold()):
        yield word, WORD_WEIGHT
        marked = f"<{word}>"
        for start in range(len(marked) - 2):
            yield "#" + marked[start : start + 3], TRIGRAM_WEIGHT


@lru_cache(maxsize=65_536)
def _place(feature: str, dimensions: int) -> tuple[int, float]:
    """Where a feature goes, and with which sign."""
    number = int.from_bytes(blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
    return (number >> 1) % dimensions, 1.0 if number & 1 else -1.0
