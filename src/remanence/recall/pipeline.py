"""Question → hits: filter, search, fuse, fetch, explain."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from remanence.cubes import Hit, Hits, MemCube, Reason, Route, Routed, Why
from remanence.errors import BrokenAnswerError, EndpointError, StoreDamagedError
from remanence.language.slots import Stated, Superseded
from remanence.recall import gate, link, recognise
from remanence.recall.analyse import Asked, analyse
from remanence.recall.associate import associate
from remanence.recall.current import outdated, stale, standing
from remanence.recall.dense import dense
from remanence.recall.fuse import Fused, Searches, fuse, is_document
from remanence.recall.index import SpaceIndex
from remanence.recall.lexical import bm25f
from remanence.recall.profile import DEFAULT, Profile
from remanence.recall.query import Query
from remanence.recall.select import select, withheld
from remanence.recall.statements import closest, worded
from remanence.recall.view import Mask, View
from remanence.store.protocol import Store

if TYPE_CHECKING:
    from remanence.models.language import LanguageModel

Embed = Callable[[str], NDArray[np.float32] | None]
"""The unit vector of a question, or None where there is no embedder."""


_WORTH_SAYING = 0.005  # a contribution that would print as 0.00 explains nothing


class Recall:
    """Indexes of a store's spaces, each loaded at its first question."""

    def __init__(self, store: Store, profile: Profile = DEFAULT, model: LanguageModel | None = None) -> None:
        self._store, self._profile = store, profile
        self._model = model  # for the recognition filter; without one the score decides
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
        if query.route is None and (unneeded := gate.unneeded(query.question)):
            return Hits(notes=(f"Nothing was looked up: {unneeded.reason}.",), routed=unneeded)
        view = self.view(query.scope.space)
        meta_seqs = self._store.matching(query.scope.space, query.meta, query.clearance) if query.meta else None
        mask = select(view, query, meta_seqs)
        found = (
            self._found(query, view, mask, embed) if mask.any() else Hits(notes=("No memory is within the filters.",))
        )
        found.withheld = self._withheld(query, view, mask)
        return found

    def _found(self, query: Query, view: View, mask: Mask, embed: Embed) -> Hits:
        asked = analyse(query, view)
        profile = replace(self._profile, pool=max(self._profile.pool, 4 * query.k))
        weights = self.gate(query.scope.space) if query.route is None else gate.DEFAULT
        looked = self._look(view, query, asked, mask, embed, profile, weights)
        searches, routed = looked.searches, looked.routed
        if routed.route is Route.NONE:
            return Hits(notes=(f"Nothing was looked up: {routed.reason}.",), routed=routed)
        if not searches.ranking() and not (asked.windows or asked.topics or asked.speaker):
            return Hits(
                notes=("Nothing here has a word of the question, and there was no other way to search.",), routed=routed
            )
        fused = fuse(view, asked, mask, searches, profile)
        order = np.lexsort((view.root[fused.pool], -fused.scores))
        order, dropped = self._current(query, view, mask, fused.pool, order) if query.current else (order, ())
        order = order[: query.k]
        seqs = [int(seq) for seq in view.seq[fused.pool[order]]]
        cubes = self._store.fetch(query.scope.space, seqs, query.clearance)
        return Hits(
            [
                _hit(cubes[seq], fused, int(place), routed, explain=query.explain)
                for seq, place in zip(seqs, order, strict=True)
                if seq in cubes  # forgotten by another process in this very moment
            ],
            notes=(*looked.notes, *dropped),
            routed=routed,
        )

    def _withheld(self, query: Query, view: View, mask: Mask) -> int:
        """How many memories in scope the caller was not shown. Their number is all that he learns of them."""
        if view.open_to(query.clearance) is None:
            return 0
        return withheld(view, query, self._store.matching(query.scope.space, query.meta) if query.meta else None, mask)

    def _look(
        self, view: View, query: Query, asked: Asked, mask: Mask, embed: Embed, profile: Profile, weights: gate.Gate
    ) -> Looked:
        """Run the searches, ask the gate, and walk over the graph if it says so."""
        words = bm25f(view, asked.terms, mask, profile) if asked.terms else None
        words = words if words is not None and words.any() else None
        vector = embed(asked.content) if (view.embedded & mask).any() else None
        found = Searches(
            words=words,
            meaning=None if vector is None else dense(view, vector, mask, profile),
            statement_words=worded(view, asked.terms, mask, profile),
            statement_meaning=None if vector is None else closest(view, vector, mask),
        )
        documents = bool((is_document(view) & mask).any())
        names = link.names(query.question, view, mask)
        close = [] if vector is None or not documents else link.close_facts(vector, view, mask, profile)
        facts, notes = self._recognised(query, close, view, profile)
        features = gate.features(query.question, asked.terms, names, facts, found.words, found.meaning, view, mask)
        routed = gate.decide(features, names, documents, weights)
        if query.route is not None:
            idle = query.route is Route.GRAPH and (found.base is None or not (names or facts))
            reason = "asked for, but there is no name or fact to start a walk from" if idle else "asked for"
            routed = Routed(query.route, reason, routed.measures)
        if routed.route is Route.GRAPH and found.base is not None and (names or facts):
            found = replace(found, walk=associate(view, names, facts, found.base, mask, profile))
        return Looked(found, routed, features, notes)

    def _recognised(
        self, query: Query, close: list[link.KeptFact], view: View, profile: Profile
    ) -> tuple[list[link.KeptFact], tuple[str, ...]]:
        """Those of the close facts that may lead the walk. A model that fails is replaced by the score, with a note."""
        notes: tuple[str, ...] = ()
        if close and self._model is not None:
            try:
                return recognise.by_model(self._model, query.question, close, view, self._store, query.scope.space), ()
            except (EndpointError, BrokenAnswerError) as error:
                notes = (f"Facts were recognised by their score. {error.what}",)
        return link.kept_by_score(query.question, close, view, profile), notes

    def gate(self, space: str) -> gate.Gate:
        """The gate as it was fitted to this space; see `gate.fit`.

        Raises
        ------
        StoreDamagedError
            What the store keeps is none.
        """
        note = self._store.note(f"gate/{space}")
        if note is None:
            return gate.DEFAULT
        try:
            return gate.read(note)
        except (ValueError, TypeError, RecursionError) as error:
            raise StoreDamagedError(
                f"The gate that the store keeps is malformed: {error}.",
                "Fit it again: remanence gate labelled.jsonl; until then pass a route.",
            ) from error

    def features(self, query: Query, embed: Embed) -> gate.Features:
        """What the gate would go by."""
        view = self.view(query.scope.space)
        mask = select(view, query, None)
        return self._look(view, query, analyse(query, view), mask, embed, self._profile, gate.DEFAULT).features

    def _current(
        self, query: Query, view: View, mask: Mask, pool: NDArray[np.intp], order: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], tuple[str, ...]]:
        """The order without outdated slots, as far as it was looked at, and a note on each that was left out."""
        looked = 4 * query.k
        while True:  # until enough are left of those that were looked at
            slots = pool[order[:looked]]
            seqs = view.seq[slots].tolist()
            old, pairs = self._outdated(query, view, mask, slots)
            keep = [place for place, seq in enumerate(seqs) if seq not in old]
            if len(keep) >= query.k or looked >= len(order):
                break
            looked *= 4
        notes = tuple(
            f"Left out {pairs[seq].id if seq in pairs else old[seq].old.cube_id}: {old[seq].old.fact.value!r} was "
            f"{_followed(old[seq])} in {old[seq].by.cube_id}."
            for seq in seqs[: query.k]  # what lay further back would not have been a hit anyway
            if seq in old
        )
        return order[keep], notes

    def _outdated(
        self, query: Query, view: View, mask: Mask, slots: NDArray[np.intp]
    ) -> tuple[dict[int, Superseded], dict[int, MemCube]]:
        """Which of some slots are outdated, by seq, and those of them that are question–answer pairs."""
        seqs = {int(seq) for seq in view.seq[slots]}
        made = [int(seq) for seq in view.seq[slots[view.derived[slots]]]]
        pairs = self._store.fetch(query.scope.space, made, query.clearance)
        # What a pair was made from has its kind, not the pair's.
        scope = select(view, replace(query, kinds=None), None) | mask if pairs else mask
        within = set(view.seq[scope].tolist())
        claims = self._store.derived.claims(query.scope.space, sorted(seqs), query.clearance)
        stated = [one for one in claims if one.seq in within]
        return {**outdated(stated, seqs), **_stale(pairs, stated)}, pairs


def _followed(pair: Superseded) -> str:
    return "denied" if pair.by.negated else f"followed by {pair.by.fact.value!r}"


def _stale(pairs: Mapping[int, MemCube], stated: Sequence[Stated]) -> dict[int, Superseded]:
    """Those question–answer pairs whose answer no longer holds, and what ended it."""
    if not pairs:
        return {}
    ended, holding = standing(stated)
    by_id = {some[0].old.cube_id: (some, seq not in holding) for seq, some in ended.items()}
    found: dict[int, Superseded] = {}
    for seq, pair in pairs.items():
        some, whole = by_id.get(pair.provenance.derived_from[0] if pair.provenance.derived_from else "", ([], False))
        by = stale(pair, some, whole=whole)
        if by is not None:
            found[seq] = by
    return found


class Looked(NamedTuple):
    """What the searches found, and what the gate said."""

    searches: Searches
    routed: Routed
    features: gate.Features
    notes: tuple[str, ...]


def _hit(cube: MemCube, fused: Fused, place: int, routed: Routed, *, explain: bool) -> Hit:
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
    return Hit(cube, score, Why(tuple(sorted(reasons, key=lambda reason: -abs(reason.contribution))), routed))
