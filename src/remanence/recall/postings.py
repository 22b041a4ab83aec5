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
        # The base and what came since, changed as one: a lookup must not see the new one of the one and the old of the other.
        # A posting in the dictionary is slot * 256 + count, so that a single append adds it.
        self._state: tuple[_Base, dict[int, list[int]]] = (_Base.empty(), {})
        self._waiting = 0
        self._raw: list[tuple[int, Sequence[bytes]]] = []  # large batches: merged as a whole by `settle`

    def extend(self, first_slot: int, packed: Sequence[bytes]) -> None:
        """Add the terms of new slots, numbered from `first_slot`. They can be found after `settle`."""
        if (
            len(packed) > _LARGE or self._raw
        ):  # whatever follows a large batch waits behind it, to keep the order of slots
            self._raw.append((first_slot, packed))
            return
        tail = self._state[1]
        for slot, terms in enumerate(packed, first_slot):
            pairs = np.frombuffer(terms, _PAIR)
            for term, count in zip(pairs["term"].tolist(), pairs["count"].tolist(), strict=True):
                tail.setdefault(term, []).append(slot * 256 + count)
            self._waiting += len(pairs)

    def settle(self) -> None:
        """Merge what waits into the base, if it is much."""
        if self._raw or self._waiting > _TAIL + len(self._state[0].slots) // 16:
            self._merge()

    def of(self, term: int) -> tuple[Slots, Counts]:
        """Slots that hold a term, rising, and how often each does."""
        base, tail = self._state
        waiting = tail.get(term)
        slots, counts = base.of(term)
        if waiting:
            late = np.array(waiting, np.int64)
            slots = np.concatenate([slots, (late // 256).astype(np.int32)])
            counts = np.concatenate([counts, (late % 256).astype(np.uint8)])
        return slots, counts.astype(np.float32)

    def _merge(self) -> None:
        base, tail = self._state
        parts = [(base.expanded(), base.slots, base.counts)]
        lengths = np.fromiter(map(len, tail.values()), np.int64, len(tail))
        late = np.fromiter(chain.from_iterable(tail.values()), np.int64)
        terms = np.repeat(np.fromiter(tail, np.uint32, len(tail)), lengths)
        parts.append((terms, (late // 256).astype(np.int32), (late % 256).astype(np.uint8)))
        for first_slot, packed in self._raw:
            pairs = np.frombuffer(b"".join(packed), _PAIR)
            sizes = np.fromiter(map(len, packed), np.int64, len(packed)) // _PAIR.itemsize
            slots = np.repeat(np.arange(first_slot, first_slot + len(packed), dtype=np.int32), sizes)
            parts.append((pairs["term"], slots, pairs["count"]))
        terms, slots, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
        self._state = (_Base.build(terms, slots, counts), {})
        self._waiting, self._raw = 0, []

    @property
    def nbytes(self) -> int:
        """Bytes of the base; the tail is small by construction."""
        return self._state[0].nbytes


class _Base:
    """Sorted terms, and for each its run of slots."""

    def __init__(
        self, terms: NDArray[np.uint32], starts: NDArray[np.int64], slots: Slots, counts: NDArray[np.uint8]
    ) -> None:
        self.terms, self.starts, self.slots, self.counts = terms, starts, slots, counts

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
