"""Question → hits: filter, search, fuse, fetch, explain."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from remanence.cubes import Hit, Hits, MemCube, Reason, Why
from remanence.recall.analyse import Asked, analyse
from remanence.recall.dense import dense
from remanence.recall.fuse import Fused, fuse
from remanence.recall.index import SpaceIndex
from remanence.recall.lexical import bm25f
from remanence.recall.profile import DEFAULT, Profile
from remanence.recall.query import Query
from remanence.recall.select import Mask, select
from remanence.recall.view import View
from remanence.store.protocol import Store

Embed = Callable[[str], NDArray[np.float32] | None]
"""The unit vector of a question, or None where there is no embedder."""


_WORTH_SAYING = 0.005  # a contribution that would print as 0.00 explains nothing


class Recall:
    """Indexes of a store's spaces, each loaded at its first question."""

    def __init__(self, store: Store, profile: Profile = DEFAULT) -> None:
        self._store, self._profile = store, profile
        self._indexes: dict[str, SpaceIndex] = {}
        self._lock = threading.Lock()

    def view(self, space: str) -> View:
        """A space as the store has it now."""
        with self._lock:
            index = self._indexes.get(space)
            if index is None:
                index = self._indexes[space] = SpaceIndex(self._store, space)
        return index.view()

    def drop(self) -> None:
        """Forget all indexes: they load anew. For `reindex`."""
        with self._lock:
            self._indexes.clear()

    @property
    def nbytes(self) -> int:
        """Bytes that all indexes hold in memory."""
        return sum(index.nbytes for index in self._indexes.values())

    def __call__(self, query: Query, embed: Embed) -> Hits:
        """The best `query.k` hits, best first; ties go to the older cube."""
        view = self.view(query.scope.space)
        meta_seqs = self._store.matching(query.scope.space, query.meta) if query.meta else None
        mask = select(view, query, meta_seqs)
        if not mask.any():
            return Hits(notes=("No memory is within the filters.",))
        asked = analyse(query, view)
        fused = self._fuse(view, asked, mask, embed, replace(self._profile, pool=max(self._profile.pool, 4 * query.k)))
        if fused is None:
            return Hits(notes=("Nothing here has a word of the question, and there was no other way to search.",))
        order = np.lexsort((view.root[fused.pool], -fused.scores))[: query.k]
        seqs = [int(seq) for seq in view.seq[fused.pool[order]]]
        cubes = self._store.fetch(query.scope.space, seqs)
        return Hits(
            [
                _hit(cubes[seq], fused, int(place), explain=query.explain)
                for seq, place in zip(seqs, order, strict=True)
                if seq in cubes  # forgotten by another process in this very moment
            ]
        )

    def _fuse(self, view: View, asked: Asked, mask: Mask, embed: Embed, profile: Profile) -> Fused | None:
        words = bm25f(view, asked.terms, mask, profile) if asked.terms else None
        if words is not None and not words.any():
            words = None
        vector = embed(asked.content) if (view.embedded & mask).any() else None
        meaning = None if vector is None else dense(view, vector, mask, profile)
        if words is None and meaning is None and not (asked.windows or asked.topics or asked.speaker):
            return None
        return fuse(view, asked, mask, words, meaning, profile)


def _hit(cube: MemCube, fused: Fused, place: int, *, explain: bool) -> Hit:
    score = float(fused.scores[place])
    if not explain:
        return Hit(cube, score)
    reasons = [
        Reason(
            channel=channel.name,
            rank=1 + int((channel.values > channel.values[place]).sum()) if channel.ranked else None,
            value=float(channel.values[place]),
            contribution=float(channel.contribution[place]),
            words=channel.words(float(channel.values[place])),
        )
        for channel in fused.channels
        if channel.ranked or abs(channel.contribution[place]) >= _WORTH_SAYING
    ]
    return Hit(cube, score, Why(tuple(sorted(reasons, key=lambda reason: -abs(reason.contribution)))))
