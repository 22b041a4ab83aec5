"""Term → the slots that hold it: a compact sorted base and a small dictionary of what came since."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

_TAIL = 20_000  # postings that may wait in the dictionary before they are merged
_LARGE = 1024  # slots of a batch that is merged at once
_PAIR = np.dtype([("term", "<u4"), ("count", "u1")])  # the layout of language.tokens.pack_terms

Slots = NDArray[np.int32]
Counts = NDArray[np.float32]


class Postings:
    """An inverted index of hashed terms. One thread changes it at a time; any number may look things up meanwhile."""

    def __init__(self) -> None:
        self._base = _Base.empty()
        self._tail: dict[int, list[int]] = {}  # slot * 256 + count, so that one append adds a posting
        self._waiting = 0
        self._raw: list[tuple[int, Sequence[bytes]]] = []  # large batches: merged as a whole by `settle`

    def extend(self, first_slot: int, packed: Sequence[bytes]) -> None:
        """Add the terms of new slots, numbered from `first_slot`. They can be found after `settle`."""
        if len(packed) > _LARGE:
            self._raw.append((first_slot, packed))
            return
        for slot, terms in enumerate(packed, first_slot):
            pairs = np.frombuffer(terms, _PAIR)
            for term, count in zip(pairs["term"].tolist(), pairs["count"].tolist(), strict=True):
                self._tail.setdefault(term, []).append(slot * 256 + count)
            self._waiting += len(pairs)

    def settle(self) -> None:
        """Merge what waits into the base, if it is much."""
        if self._raw or self._waiting > _TAIL + len(self._base.slots) // 16:
            self._merge()

    def of(self, term: int) -> tuple[Slots, Counts]:
        """Slots that hold a term, rising, and how often each does."""
        base, waiting = self._base, self._tail.get(term)
        slots, counts = base.of(term)
        if waiting:
            late = np.array(waiting, np.int64)
            late = late[late // 256 > base.last_slot]  # a merge may have happened in between
            slots = np.concatenate([slots, (late // 256).astype(np.int32)])
            counts = np.concatenate([counts, (late % 256).astype(np.uint8)])
        return slots, counts.astype(np.float32)

    def _merge(self) -> None:
        parts = [(self._base.expanded(), self._base.slots, self._base.counts)]
        lengths = np.fromiter(map(len, self._tail.values()), np.int64, len(self._tail))
        late = np.fromiter(chain.from_iterable(self._tail.values()), np.int64)
        terms = np.repeat(np.fromiter(self._tail, np.uint32, len(self._tail)), lengths)
        parts.append((terms, (late // 256).astype(np.int32), (late % 256).astype(np.uint8)))
        for first_slot, packed in self._raw:
            pairs = np.frombuffer(b"".join(packed), _PAIR)
            sizes = np.fromiter(map(len, packed), np.int64, len(packed)) // _PAIR.itemsize
            slots = np.repeat(np.arange(first_slot, first_slot + len(packed), dtype=np.int32), sizes)
            parts.append((pairs["term"], slots, pairs["count"]))
        terms, slots, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
        self._base = _Base.build(terms, slots, counts)
        self._tail, self._waiting, self._raw = {}, 0, []

    @property
    def nbytes(self) -> int:
        """Bytes of the base; the tail is small by construction."""
        return self._base.nbytes


class _Base:
    """Sorted terms, and for each its run of slots."""

    def __init__(
        self, terms: NDArray[np.uint32], starts: NDArray[np.int64], slots: Slots, counts: NDArray[np.uint8]
    ) -> None:
        self.terms, self.starts, self.slots, self.counts = terms, starts, slots, counts
        self.last_slot = int(slots.max()) if len(slots) else -1

    @classmethod
    def empty(cls) -> _Base:
        return cls(np.empty(0, np.uint32), np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint8))

    @classmethod
    def build(cls, terms: NDArray[np.uint32], slots: Slots, counts: NDArray[np.uint8]) -> _Base:
        order = np.argsort(terms, kind="stable")  # parts come in the order of slots, so each run stays sorted
        terms = terms[order]
        distinct, firsts = np.unique(terms, return_index=True)
        return cls(distinct, np.append(firsts, len(terms)).astype(np.int64), slots[order], counts[order])

    def of(self, term: int) -> tuple[Slots, NDArray[np.uint8]]:
        at = int(np.searchsorted(self.terms, np.uint32(term)))
        if at == len(self.terms) or self.terms[at] != term:
            return self.slots[:0], self.counts[:0]
        run = slice(self.starts[at], self.starts[at + 1])
        return self.slots[run], self.counts[run]

    def expanded(self) -> NDArray[np.uint32]:
        return np.repeat(self.terms, np.diff(self.starts))

    @property
    def nbytes(self) -> int:
        return self.terms.nbytes + self.starts.nbytes + self.slots.nbytes + self.counts.nbytes
