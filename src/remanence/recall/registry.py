"""Hashed names → consecutive numbers: sorted arrays with a small dictionary of what came since, 8 bytes a name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TAIL = 20_000  # names that may wait in the dictionary before they are merged

Hashes = NDArray[np.uint32]
Numbers = NDArray[np.int32]


class Registry:
    """Numbers from 0 in the order of arrival. One thread adds at a time; any number may look things up meanwhile."""

    def __init__(self) -> None:
        # Sorted hashes, their numbers, and what came since: changed as one.
        self._state: tuple[Hashes, Numbers, dict[int, int]] = (np.empty(0, np.uint32), np.empty(0, np.int32), {})

    def __len__(self) -> int:
        hashes, _, tail = self._state
        return len(hashes) + len(tail)

    def number(self, hashes: Hashes) -> Numbers:
        """The number of each hash; new ones get the next."""
        found = self.find(hashes)
        missing = np.flatnonzero(found < 0)
        if len(missing):
            tail, size = self._state[2], len(self)
            for place, name in zip(missing.tolist(), hashes[missing].tolist(), strict=True):
                known = tail.get(name)
                if known is None:
                    known = tail[name] = size
                    size += 1
                found[place] = known
            if len(tail) > _TAIL + len(self._state[0]) // 16:
                self._merge()
        return found

    def find(self, hashes: Hashes) -> Numbers:
        """The number of each hash, -1 where there is none."""
        base, numbers, tail = self._state
        found = np.full(len(hashes), -1, np.int32)
        if len(base):
            places = np.minimum(np.searchsorted(base, hashes), len(base) - 1)
            same = base[places] == hashes
            found[same] = numbers[places[same]]
        if tail:
            for place in np.flatnonzero(found < 0).tolist():
                found[place] = tail.get(int(hashes[place]), -1)
        return found

    def _merge(self) -> None:
        base, numbers, tail = self._state
        hashes = np.concatenate([base, np.fromiter(tail, np.uint32, len(tail))])
        joined = np.concatenate([numbers, np.fromiter(tail.values(), np.int32, len(tail))])
        order = np.argsort(hashes)
        self._state = (hashes[order], joined[order], {})

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays; the dictionary is small by construction."""
        return self._state[0].nbytes + self._state[1].nbytes
