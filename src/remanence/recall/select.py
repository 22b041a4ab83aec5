"""Filters: which slots a question may see. Applied before any channel looks, so that ranks and statistics are theirs alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from remanence.cubes import posix
from remanence.recall.index import kind_code
from remanence.recall.query import Query
from remanence.recall.view import NOBODY, Mask, View


def select(view: View, query: Query, meta_seqs: Sequence[int] | None) -> Mask:
    """True for the slots in scope, shape (len(view),). `meta_seqs` are the versions whose `meta` matches, if that was asked."""
    if query.as_of is None:
        mask = view.alive & (view.until == np.inf)
    else:
        moment = posix(query.as_of)
        mask = view.alive & (view.since <= moment) & (view.until > moment)
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
