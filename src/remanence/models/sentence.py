"""Texts → word pieces → windows → batches → unit vectors, around any encoder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from remanence.models.bert import Encoder, unit
from remanence.models.protocol import Progress, Vectors
from remanence.models.wordpiece import WordPiece

MOST_WINDOWS = 16
BATCH_TEXTS = 32
BATCH_PIECES = 2048  # padded; beyond this, throughput is flat and memory grows


@dataclass(frozen=True, slots=True)
class Loaded:
    """A tokenizer and the encoder that belongs to it."""

    wordpiece: WordPiece
    encoder: Encoder


class SentenceEmbedder:
    """An `Embedder` that runs here. Nothing is read before the first text comes; safe to share between threads.

    A text of more pieces than the model takes is cut into the fewest windows, all of the same length give or take one
    piece, and its vector is the normalised mean of theirs, so that the tail of a long text counts. Of more than 16
    windows, 16 are used: the first, the last and evenly chosen ones between.
    """

    def __init__(
        self, *, name: str, fingerprint: str, dimensions: int, max_pieces: int, load: Callable[[], Loaded]
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.dimensions = dimensions
        self._room = max_pieces - 2  # [CLS] and [SEP] take two
        self._load = load
        self._loaded: Loaded | None = None
        self._lock = threading.Lock()

    def load(self) -> Loaded:
        """Read the weights and build the session, once; later calls are free.

        Raises
        ------
        ModelMissingError, ModelDamagedError
            See `Embedder.embed`.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """See `Embedder.embed`."""
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        model = self.load()
        windows: list[list[int]] = []
        owners: list[int] = []
        for owner, text in enumerate(texts):
            for window in windowed(model.wordpiece.encode(text), self._room):
                windows.append([model.wordpiece.first, *window, model.wordpiece.last])
                owners.append(owner)
        missing = np.bincount(owners, minlength=len(texts))
        sums = np.zeros((len(texts), self.dimensions), np.float64)
        for batch in batches([len(window) for window in windows]):
            vectors = model.encoder(*_padded([windows[i] for i in batch], model.wordpiece.padding))
            done = [owners[i] for i in batch]
            np.add.at(sums, done, vectors)
            np.subtract.at(missing, done, 1)
            if progress is not None:
                progress(int((missing[np.unique(done)] == 0).sum()))
        return unit(sums)


def windowed(pieces: Sequence[int], room: int) -> list[Sequence[int]]:
    """Cut `pieces` into the fewest parts of at most `room`, of even length; of too many, keep evenly chosen ones."""
    count = max(1, -(-len(pieces) // room))
    edges = [len(pieces) * i // count for i in range(count + 1)]
    chosen = range(count)
    if count > MOST_WINDOWS:
        chosen = [round(i * (count - 1) / (MOST_WINDOWS - 1)) for i in range(MOST_WINDOWS)]
    return [pieces[edges[i] : edges[i + 1]] for i in chosen]


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices in batches of similar length, longest first, so that little is padding and the peak of memory comes first."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) == BATCH_TEXTS or (len(batch) + 1) * lengths[batch[0]] > BATCH_PIECES):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _padded(windows: list[list[int]], padding: int) -> tuple[np.ndarray, np.ndarray]:
    """(ids, mask), int32 of shape (windows, longest window)."""
    shape = len(windows), max(map(len, windows))
    ids, mask = np.full(shape, padding, np.int32), np.zeros(shape, np.int32)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    return ids, mask
