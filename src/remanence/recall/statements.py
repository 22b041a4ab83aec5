"""Statements that models wrote about slots, as extra keys to them: words and vectors that lead to the slot itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from remanence.recall.columns import Column, Rows
from remanence.recall.postings import Postings
from remanence.recall.profile import Profile
from remanence.recall.view import Mask, Statements, View

Scores = NDArray[np.float32]


class StatementKeys:
    """Grows with an index; one thread changes it at a time."""

    def __init__(self) -> None:
        self._slots, self._length = Column(np.int64), Column(np.int32)
        self._vectors, self._postings = Rows(), Postings()

    def extend(self, count: int) -> None:
        """Make room for new slots."""
        self._length.extend(np.zeros(count, np.int32))

    def read(self, slot: int, terms: bytes, vectors: NDArray[np.float32] | None) -> None:
        """Add the statements about a slot."""
        self._length.view()[slot] = sum(terms[4::5])
        self._postings.extend(slot, [terms])
        if vectors is not None and len(vectors):
            self._slots.extend(np.full(len(vectors), slot))
            self._vectors.extend(vectors)

    def settle(self) -> None:
        """Make what was added visible."""
        self._postings.settle()

    def clear(self, slot: int) -> None:
        """Overwrite the vectors of a forgotten slot."""
        for number in np.flatnonzero(self._slots.view() == slot).tolist():
            self._vectors.clear(number)

    def view(self) -> Statements:
        """The statements as of now."""
        return Statements(self._slots.view(), self._vectors, self._postings, self._length.view())

    @property
    def nbytes(self) -> int:
        """Bytes of arrays held."""
        return self._slots.nbytes + self._length.nbytes + self._vectors.nbytes + self._postings.nbytes


def closest(view: View, vector: NDArray[np.float32], mask: Mask) -> Scores | None:
    """The dot product of each slot's closest statement with a unit vector, shape (n,); None where there are none in scope."""
    slots = view.statements.slot
    inside = mask[slots]
    if not inside.any():
        return None
    raw = view.statements.vectors.dot(vector)[: len(slots)]
    scores = np.full(len(view), -1.0, np.float32)
    np.maximum.at(scores, slots[inside], raw[inside])
    has = scores > -1
    scores[~has] = scores[has].min(initial=0)
    return scores


def worded(view: View, terms: tuple[int, ...], mask: Mask, profile: Profile) -> Scores | None:
    """BM25 of the words of each slot's statements, shape (n,); None where no word matches in scope."""
    n = len(view)
    has = view.statements.length[:n] > 0
    in_scope = int(np.count_nonzero(has & mask))
    if not in_scope:
        return None
    lengths = view.statements.length[:n].astype(np.float32)
    mean = float(lengths[has & mask].mean())
    scores = np.zeros(n, np.float32)
    for term in terms:
        slots, counts = view.statements.postings.of(term)
        inside = slots < n
        inside[inside] = mask[slots[inside]]
        slots, counts = slots[inside], counts[inside]
        idf = np.log1p((in_scope - len(slots) + 0.5) / (len(slots) + 0.5))
        norm = profile.k1 * (1 - profile.b + profile.b * lengths[slots] / mean)
        np.add.at(scores, slots, (idf * (profile.k1 + 1) * counts / (counts + norm)).astype(np.float32))
    return scores if scores.any() else None
