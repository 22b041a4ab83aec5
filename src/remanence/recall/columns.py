"""Arrays that grow at the end. Readers take views; what they see of a view never moves under them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_BLOCK = 1024  # rows of one block of vectors: 1.5 MB at 384 float32, which stays in a core's cache while it is read


class Column:
    """A growing one-dimensional array. Growth copies into a new buffer, so that older views stay whole."""

    def __init__(self, dtype: DTypeLike) -> None:
        self._data = np.empty(0, dtype)
        self._size = 0

    def extend(self, values: Sequence[float] | NDArray[Any]) -> None:
        """Append values."""
        size = self._size + len(values)
        if size > len(self._data):
            grown = np.empty(max(size, len(self._data) + len(self._data) // 8 + 64), self._data.dtype)
            grown[: self._size] = self._data[: self._size]
            self._data = grown
        self._data[self._size : size] = values
        self._size = size

    def view(self) -> NDArray[Any]:
        """Everything appended so far; writing into it is writing into the column."""
        return self._data[: self._size]

    @property
    def nbytes(self) -> int:
        """Bytes held, spare room included."""
        return self._data.nbytes


class Rows:
    """A growing matrix of float32 rows, in blocks that are never moved."""

    def __init__(self) -> None:
        self._blocks: list[NDArray[np.float32]] = []
        self.size = 0
        """Rows so far."""
        self.width = 0
        """Length of a row; 0 until the first one is known."""

    def extend(self, rows: NDArray[np.float32]) -> None:
        """Append rows of one length, shape (n, width)."""
        self.width = self.width or rows.shape[1]
        at = 0
        while at < len(rows):
            offset = self.size % _BLOCK
            if offset == 0 and self.size == len(self._blocks) * _BLOCK:
                self._blocks.append(np.zeros((_BLOCK, self.width), np.float32))
            some = rows[at : at + _BLOCK - offset]
            self._blocks[-1][offset : offset + len(some)] = some
            self.size += len(some)
            at += len(some)

    def dot(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """The dot product of every row with a vector, shape (n,)."""
        size, scores = self.size, np.zeros(self.size, np.float32)
        if self.width:
            for number, block in enumerate(self._blocks):
                part = scores[number * _BLOCK : (number + 1) * _BLOCK]
                np.dot(block[: len(part)], vector, out=part)
        return scores[:size]

    def take(self, places: NDArray[np.intp]) -> NDArray[np.float32]:
        """Copies of some rows, shape (len(places), width)."""
        taken = np.empty((len(places), self.width), np.float32)
        blocks = places // _BLOCK
        for number in np.unique(blocks).tolist():
            inside = blocks == number
            taken[inside] = self._blocks[number][places[inside] % _BLOCK]
        return taken

    def clear(self, slot: int) -> None:
        """Overwrite a row with zeros."""
        if self.width:
            self._blocks[slot // _BLOCK][slot % _BLOCK] = 0

    @property
    def nbytes(self) -> int:
        """Bytes held, spare room included (untouched pages of the last block cost nothing until they are used)."""
        return sum(block.nbytes for block in self._blocks)
