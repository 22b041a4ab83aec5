"""Exact dense search: one dot product per slot, and the neighbouring turns' scores at a discount.

Exact because it is fast enough: 100,000 vectors of 384 float32 take some 10 ms on two cores. Smoothing over neighbours
stands in for embedding each turn a second time together with the one before it; measured, it gives the same recall at
half the writing cost (docs/log.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from remanence.recall.profile import Profile
from remanence.recall.select import Mask
from remanence.recall.view import View

Scores = NDArray[np.float32]


def dense(view: View, vector: NDArray[np.float32], mask: Mask, profile: Profile) -> Scores:
    """Smoothed dot products of all n slots with a unit vector, shape (n,). Slots without a vector get their neighbours' share."""
    n = len(view)
    raw = view.vectors.dot(vector)
    padded = np.zeros(n + 1, np.float32)  # NOBODY is -1: the zero at the end
    padded[: min(n, len(raw))] = raw[:n]
    padded[:-1] *= mask  # what is out of scope does not speak through its neighbours either
    scores = padded[:-1].copy()
    scores += np.float32(profile.meaning_previous) * padded[view.previous]
    scores += np.float32(profile.meaning_next) * padded[view.next]
    return scores
