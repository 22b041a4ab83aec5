"""Filters: which slots a question may see. Applied before any channel looks, so that ranks and statistics are theirs alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from remanence.cubes import posix
from remanence.recall.index import kind_code
from remanence.recall.query import Query
from remanence.recall.view import NOBODY, Mask, View


def select(view: View, query: Query, meta_seqs: Sequence[int] | None) -> Mask:
    """True for the slots in scope, shape (len(view),). `meta_seqs` are the versions whose `meta` matches, if that was asked."""
    mask = _held(view, query)
    if query.known_at is None:
        mask &= view.expires > posix(query.today)
    seen = view.open_to(query.clearance)
    if seen is not None:
        mask &= seen
    for name in ("user", "agent", "session"):
        value = getattr(query.scope, name)
        if value is not None:
            code = view.code(value)
            mask &= (getattr(view, name) == code) & (code != NOBODY)  # a name never seen is not "no name"
    if query.kinds is None:
        mask &= ~view.derived
    else:
        mask &= np.isin(view.kind, [kind_code(kind) for kind in query.kinds])
    if query.since is not None:
        mask &= view.observed >= posix(query.since)
    if query.until is not None:
        mask &= view.observed < posix(query.until)
    if meta_seqs is not None:
        mask &= np.isin(view.seq, np.asarray(meta_seqs, np.int64))
    return mask


def withheld(view: View, query: Query, meta_seqs: Sequence[int] | None, mask: Mask) -> int:
    """How many slots the caller's missing rights keep out of a scope."""
    if query.clearance is None or not view.wards:
        return 0
    return int(select(view, replace(query, clearance=None), meta_seqs).sum() - mask.sum())


def _held(view: View, query: Query) -> Mask:
    """What holds: now, as of a time in the world, as the store knew it at a time, or both."""
    if query.known_at is None:
        if query.as_of is None:
            mask = view.alive & (view.superseded == np.inf)
            return mask & (view.until > posix(query.now)) if query.current else mask
        moment = posix(query.as_of)
        return view.alive & ~view.hidden & (view.since <= moment) & (view.until > moment)
    known = posix(query.known_at)
    written = there = view.alive & (view.recorded <= known)
    if query.as_of is None:
        return there & (view.superseded > known)
    there = written & (~view.hidden | (view.superseded > known))
    moment = posix(query.as_of)
    return there & (view.since <= moment) & (_until(view, written, known) > moment)


def _until(view: View, written: Mask, known: float) -> NDArray[np.float64]:
    """The end of each version as the store knew it then: later corrections had not cut it short yet."""
    until = np.where(view.superseded > known, view.given, view.until)
    _, where, counts = np.unique(view.root, return_inverse=True, return_counts=True)
    several = np.flatnonzero(written & (counts[where] > 1))  # corrections are rare: a loop over them is short
    begins: dict[int, float] = {}
    for slot in sorted(several.tolist(), key=lambda slot: -int(view.seq[slot])):
        root = int(view.root[slot])
        if root in begins and not view.hidden[slot]:
            until[slot] = min(float(view.given[slot]), begins[root])
        begins[root] = min(begins.get(root, np.inf), float(view.since[slot]))
    return until
