"""Remembers the vectors of the last questions, around any embedder."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from remanence.models.protocol import Embedder, Progress, Vectors


class CachedEmbedder:
    """An `Embedder` that looks single texts up before it asks the one inside. Batches pass through: those are writes."""

    def __init__(self, inner: Embedder, size: int = 1024) -> None:
        self._inner = inner
        self._size = size
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """See `Embedder.name`."""
        return self._inner.name

    @property
    def fingerprint(self) -> str:
        """See `Embedder.fingerprint`."""
        return self._inner.fingerprint

    @property
    def dimensions(self) -> int:
        """See `Embedder.dimensions`."""
        return self._inner.dimensions

    def clear(self) -> None:
        """Drop all vectors, and the texts with them."""
        with self._lock:
            self._vectors.clear()

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """See `Embedder.embed`. The caller may change what it gets: the cache keeps its own copy."""
        if len(texts) != 1:
            return self._inner.embed(texts, progress)
        text = texts[0]
        with self._lock:
            vectors = self._vectors.get(text)
            if vectors is not None:
                self._vectors.move_to_end(text)
        if vectors is None:
            # Outside the lock: two threads may embed the same new question, none waits for another's.
            vectors = self._inner.embed(texts)
            with self._lock:
                self._vectors[text] = vectors
                if len(self._vectors) > self._size:
                    self._vectors.popitem(last=False)
        if progress is not None:
            progress(1)
        return vectors.copy()
