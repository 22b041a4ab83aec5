"""Term → the slots that hold it: a compact sorted base and a small dictionary of what came since."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from remanence.recall.ranges import spread

_TAIL = 20_000  # postings that may wait in the dictionary before they are merged
_LARGE = 128  # slots of a batch that is merged at once
_PAIR = np.dtype([("term", "<u4"), ("count", "u1")])  # the layout of language.tokens.pack_terms

_TERM, _SLOT = np.uint64(32), np.uint64(8)  # a posting as a number: 32 bits of term, 24 of slot, 8 of count
_SLOT_MASK = np.uint64(0xFFFFFF)
MOST_SLOTS = 1 << 24

Postable = NDArray[np.uint64]
Slots = NDArray[np.int32]
Counts = NDArray[np.float32]


class Postings:
    """An inverted index of hashed terms. One thread changes it at a time; any number may look things up meanwhile."""

    def __init__(self) -> None:
        # The base and what came since, changed as one: a lookup must not see the new one of the one and the old of the other.
        # A posting in the dictionary is slot * 256 + count, so that a single append adds it.
        self._state: tuple[_Base, dict[int, list[int]]] = (_Base.empty(), {})
        self._waiting = 0
        self._raw: list[Postable] = []  # large batches: merged as a whole by `settle`

    def extend(self, first_slot: int, packed: Sequence[bytes]) -> None:
        """Add the terms of new slots, numbered from `first_slot`. They can be found after `settle`."""
        if (
            len(packed) > _LARGE or self._raw
        ):  # whatever follows a large batch waits behind it, to keep the order of slots
            self._raw.append(_postable(first_slot, packed))
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

    def many(self, terms: NDArray[np.int64]) -> tuple[NDArray[np.int64], Slots, NDArray[np.uint8]]:
        """The postings of several terms: which term each belongs to, by its place, and its slot and count."""
        base, tail = self._state
        places = np.searchsorted(base.terms, terms)
        known = places < len(base.terms)
        known[known] = base.terms[places[known]] == terms[known]
        runs = np.flatnonzero(known)
        edges, owner = spread(base.starts[places[runs]], base.starts[places[runs] + 1])
        parts = [(runs[owner], base.slots[edges], base.counts[edges])]
        if tail:
            waiting = [(place, late) for place, term in enumerate(terms.tolist()) if (late := tail.get(term))]
            sizes = [len(late) for _, late in waiting]
            packed = np.fromiter(chain.from_iterable(late for _, late in waiting), np.int64, sum(sizes))
            owners = np.repeat(np.array([place for place, _ in waiting], np.int64), sizes)
            parts.append((owners, (packed // 256).astype(np.int32), (packed % 256).astype(np.uint8)))
        owners, slots, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
        return owners, slots, counts

    def _merge(self) -> None:
        """Sort everything as one array of 64-bit numbers, in place: a third of the memory that sorting columns would take."""
        base, tail = self._state
        waiting = np.fromiter(chain.from_iterable(tail.values()), np.uint64, sum(map(len, tail.values())))
        waiting |= np.repeat(np.fromiter(tail, np.uint64, len(tail)), [len(slots) for slots in tail.values()]) << _TERM
        parts = [waiting, *self._raw]
        whole = np.empty(len(base.slots) + sum(map(len, parts)), np.uint64)
        base.write_into(whole)
        end = len(base.slots)
        for part in parts:
            whole[end : end + len(part)] = part
            end += len(part)
        whole.sort()
        self._state = (_Base.build(whole), {})
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
    def build(cls, whole: Postable) -> _Base:
        """From sorted postings."""
        terms = (whole >> _TERM).astype(np.uint32)
        starts = np.flatnonzero(np.append(np.append(True, terms[1:] != terms[:-1])[: len(terms)], True))
        slots = ((whole >> _SLOT) & _SLOT_MASK).astype(np.int32)
        return cls(terms[starts[:-1]], starts, slots, whole.astype(np.uint8))

    def write_into(self, whole: Postable) -> None:
        """Put all postings at the beginning of an array."""
        some = whole[: len(self.slots)]
        some[:] = np.repeat(self.terms, np.diff(self.starts))
        some <<= _TERM - _SLOT
        some |= self.slots.astype(np.uint64)
        some <<= _SLOT
        some |= self.counts

    def of(self, term: int) -> tuple[Slots, NDArray[np.uint8]]:
        at = int(np.searchsorted(self.terms, np.uint32(term)))
        if at == len(self.terms) or self.terms[at] != term:
            return self.slots[:0], self.counts[:0]
        run = slice(self.starts[at], self.starts[at + 1])
        return self.slots[run], self.counts[run]

    @property
    def nbytes(self) -> int:
        return self.terms.nbytes + self.starts.nbytes + self.slots.nbytes + self.counts.nbytes


def _postable(first_slot: int, packed: Sequence[bytes]) -> Postable:
    """The postings of new slots as numbers."""
    pairs = np.frombuffer(b"".join(packed), _PAIR)
    sizes = np.fromiter(map(len, packed), np.int64, len(packed)) // _PAIR.itemsize
    slots = np.repeat(np.arange(first_slot, first_slot + len(packed), dtype=np.uint64), sizes)
    return pairs["term"].astype(np.uint64) << _TERM | slots << _SLOT | pairs["count"]
