"""BM25F over hashed stems: the turn itself, and its neighbours' words as weaker fields of the same text.

Robertson, Zaragoza and Taylor, "Simple BM25 extension to multiple weighted fields" (CIKM 2004): field weights multiply
the term frequencies before saturation. Document frequencies count a turn's own words only. All statistics are those of
the slots in scope: a filter or another tenant never changes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from remanence.recall.profile import Profile
from remanence.recall.select import Mask
from remanence.recall.view import NOBODY, View

Scores = NDArray[np.float32]


def bm25f(view: View, terms: Sequence[int], mask: Mask, profile: Profile) -> Scores:
    """The score of every slot, shape (n,) for the n slots of `mask`; zero where nothing matches or the mask is False."""
    n = len(mask)
    scores = np.zeros(n, np.float32)
    in_scope = int(np.count_nonzero(mask))
    if not in_scope or not terms:
        return scores
    previous, following = view.previous, view.next
    lengths = field_lengths(view.length * mask, previous, following, profile)
    mean = max(float(lengths[mask].mean(dtype=np.float64)), 1e-9)
    norm = (profile.k1 * (1 - profile.b) + profile.k1 * profile.b / mean * lengths).astype(np.float32)
    frequencies = np.zeros(n, np.float32)  # scratch: zero again after every term
    for term, times in Counter(terms).items():
        slots, counts = view.postings.of(term)
        if len(slots) and slots[-1] >= n:  # written while this question is being answered
            slots, counts = slots[slots < n], counts[slots < n]
        within = mask[slots]  # what is out of scope does not speak through its neighbours either
        slots, counts = slots[within], counts[within]
        df = len(slots)
        touched = _accumulate(frequencies, slots, counts, (previous, following), profile)
        tf = frequencies[touched]
        idf = times * np.log1p((in_scope - df + 0.5) / (df + 0.5))
        # A slot may be touched twice; both writes carry the same sum, and numpy keeps one.
        scores[touched] += (idf * (profile.k1 + 1) * tf / (tf + norm[touched])).astype(np.float32)
        frequencies[touched] = 0
    scores[~mask] = 0
    return scores


def field_lengths(
    length: NDArray[np.int32], previous: NDArray[np.int32], following: NDArray[np.int32], profile: Profile
) -> Scores:
    """Length of each slot in stems, its neighbours' at their fields' weights."""
    padded = np.zeros(len(length) + 1, np.float32)  # NOBODY is -1: the zero at the end
    padded[:-1] = length
    before, after = np.float32(profile.words_previous), np.float32(profile.words_next)
    return (padded[:-1] + before * padded[previous] + after * padded[following]).astype(np.float32, copy=False)


def _accumulate(
    frequencies: Scores,
    slots: NDArray[np.int32],
    counts: Scores,
    neighbours: tuple[NDArray[np.int32], NDArray[np.int32]],
    profile: Profile,
) -> NDArray[np.int32]:
    """Add a term's weighted frequencies to the slots that hold it and to their neighbours. Returns the slots touched.

    A slot's words count for the slot after it as those of its previous turn, and the other way round. Within each of the
    three additions no slot occurs twice, so that plain fancy indexing adds correctly.
    """
    previous, following = neighbours
    frequencies[slots] += counts
    after, before = following[slots], previous[slots]
    has_after, has_before = after != NOBODY, before != NOBODY
    after, before = after[has_after], before[has_before]
    frequencies[after] += np.float32(profile.words_previous) * counts[has_after]
    frequencies[before] += np.float32(profile.words_next) * counts[has_before]
    return np.concatenate([slots, after, before])
