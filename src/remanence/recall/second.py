"""The second round: what is said like the best hits of the first.

Questions with several answers ("What has Ana painted?") share words with some of the turns that answer them, and those turns
resemble the others. The feedback is Rocchio's (1971), on embeddings: the mean of the best hits, weighted by their scores.
It adds to candidates and brings no new ones; documents are left to the walk over the graph.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from remanence.recall.priors import Channel
from remanence.recall.profile import Profile
from remanence.recall.scaling import zscore
from remanence.recall.view import View


def again(
    view: View, pool: NDArray[np.intp], scores: NDArray[np.floating], turns: NDArray[np.bool_], profile: Profile
) -> Channel | None:
    """The second round over the candidates in `pool`; `turns` says which of them it is for. None where it has nothing to go by."""
    places = np.flatnonzero(turns & view.embedded[pool])
    if not profile.again or len(places) <= profile.again_hits:
        return None
    vectors = view.vectors.take(pool[places])
    order = np.lexsort((view.root[pool[places]], -np.round(scores[places], 6)))[: profile.again_hits]
    weights = np.exp(scores[places][order] - scores[places][order[0]])
    closeness = (vectors @ vectors[order].T).astype(np.float64) @ (weights / weights.sum())
    values, contribution = np.zeros(len(pool)), np.zeros(len(pool))
    values[places] = closeness
    contribution[places] = profile.again * zscore(closeness)
    if not contribution.any():  # all are alike
        return None
    return Channel("again", values, contribution, ranked=False, words=_words)


def _words(value: float) -> str:
    return f"like the best hits of the first round, {value:.2f}" if value else "not part of the second round"
