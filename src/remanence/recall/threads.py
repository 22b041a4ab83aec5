"""Who comes before and after whom in a session."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from remanence.recall.view import NOBODY, View


class Threads:
    """Keeps `previous` and `next` of an index. Only current versions are linked: a correction takes the old one's place."""

    def __init__(self) -> None:
        self._last_of: dict[int, int] = {}  # thread → its newest current slot

    def link(self, slots: View, first: int) -> bool:
        """Join the slots from `first` on, which were just appended. False where one belongs before others that are there."""
        in_order = True
        corrections = slots.root[first:] != slots.seq[first:]
        current = slots.superseded[first:] == np.inf
        threaded = slots.thread[first:] != NOBODY
        for offset in np.flatnonzero(corrections | (current & threaded)).tolist():
            slot = first + offset
            if not current[offset] and slot + 1 < len(slots) and slots.root[slot + 1] == slots.root[slot]:
                continue  # its successor is here too, and closes whatever was before both
            replaced = _retire(slots, slot) if corrections[offset] else NOBODY
            if not current[offset]:  # it was put away already
                if replaced != NOBODY:
                    self.unlink(slots, replaced)
                continue
            if not threaded[offset]:
                continue
            if replaced == NOBODY:
                in_order = self._append(slots, slot) and in_order
            else:
                self._take_place(slots, replaced, slot)
        return in_order

    def unlink(self, slots: View, slot: int) -> None:
        """Take a forgotten slot out; its neighbours become each other's."""
        left, right = int(slots.previous[slot]), int(slots.next[slot])
        _join(slots, left, right)
        thread = int(slots.thread[slot])
        if self._last_of.get(thread) == slot:
            self._last_of[thread] = left
        slots.previous[slot] = slots.next[slot] = NOBODY

    def _append(self, slots: View, slot: int) -> bool:
        thread = int(slots.thread[slot])
        last = self._last_of.get(thread, NOBODY)
        _join(slots, last, slot)
        self._last_of[thread] = slot
        return last == NOBODY or bool(slots.root[last] < slots.root[slot])

    def _take_place(self, slots: View, old: int, new: int) -> None:
        _join(slots, int(slots.previous[old]), new)
        _join(slots, new, int(slots.next[old]))
        slots.previous[old] = slots.next[old] = NOBODY
        if self._last_of.get(int(slots.thread[new])) == old:
            self._last_of[int(slots.thread[new])] = new


def _retire(slots: View, slot: int) -> int:
    """Close the version that was current until this correction. Returns its slot; NOBODY in a fresh load, where it is closed."""
    versions = np.flatnonzero(slots.root[: slot + 1] == slots.root[slot]).tolist()
    replaced = next((one for one in versions[:-1] if slots.superseded[one] == np.inf), NOBODY)
    if replaced != NOBODY:
        slots.superseded[replaced] = slots.recorded[versions[versions.index(replaced) + 1]]
    ends = np.inf
    for one, successor in reversed(list(pairwise(versions))):  # a correction may reach back behind several versions
        ends = min(ends, float(slots.since[successor]))
        if not slots.hidden[one]:
            slots.until[one] = min(ends, float(slots.given[one]))
    return replaced


def _join(slots: View, left: int, right: int) -> None:
    if left != NOBODY:
        slots.next[left] = right
    if right != NOBODY:
        slots.previous[right] = left
