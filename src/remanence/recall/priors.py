"""Priors: what is known of a cube besides its words. Each adds to the score of some candidates; none removes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from remanence.drafts import ENDS_WITH_QUESTION, HAS_TIME
from remanence.recall.analyse import Asked
from remanence.recall.profile import Profile
from remanence.recall.view import NOBODY, View

_DAY = 86400.0
_LONG = 62 * _DAY  # a stored date vaguer than this (a year, a decade) says little about a day or a month

Values = NDArray[np.floating]


class Channel(NamedTuple):
    """One channel over the candidates: its own values, and what they add to the score."""

    name: str
    values: Values
    contribution: Values
    ranked: bool
    words: Callable[[float], str]
    """Says a value in words."""


@dataclass(frozen=True, slots=True)
class _Candidates:
    """What every prior looks at."""

    view: View
    pool: NDArray[np.intp]
    asked: Asked
    profile: Profile


def priors(view: View, pool: NDArray[np.intp], asked: Asked, profile: Profile) -> Iterator[Channel]:
    """Those priors that the question calls for, over the candidates in `pool`."""
    candidates = _Candidates(view, pool, asked, profile)
    for prior in (_speaker, _date, _when, _asking, _brief, _about, _latest):
        channel = prior(candidates)
        if channel is not None:
            yield channel


def _speaker(candidates: _Candidates) -> Channel | None:
    asked = candidates.asked
    if asked.speaker is None:
        return None
    by_name = candidates.view.speaker[candidates.pool] == candidates.view.code(asked.speaker)
    hits = (
        by_name | (candidates.view.role[candidates.pool] == candidates.view.code(asked.speaker))
        if asked.speaker in _ROLES
        else by_name
    )
    if not hits.any() or hits.all():
        return None
    return _flag("speaker", hits, candidates.profile.speaker, f"said by {asked.speaker}, whom the question is about")


_ROLES = frozenset({"user", "assistant"})


def _date(candidates: _Candidates) -> Channel | None:
    if not candidates.asked.windows:
        return None
    days = days_outside(candidates.view, candidates.pool, candidates.asked)
    contribution = candidates.profile.date * np.exp(-days / candidates.profile.date_days)

    def words(value: float) -> str:
        return "in the time asked about" if value == 0 else f"{value:.0f} days from the time asked about"

    return Channel("date", days, contribution, ranked=False, words=words)


def days_outside(view: View, pool: NDArray[np.intp], asked: Asked) -> Values:
    """Days between what a cube was observed at, or names, and the nearest window of the question; 0 inside."""
    observed = np.where(view.dated[pool], view.observed[pool], np.inf)
    gaps = np.full(len(pool), np.inf)
    for window in asked.windows:
        gaps = np.minimum(gaps, np.maximum(np.maximum(window.lo - observed, observed - window.hi), 0))
    slots, lo, hi = view.window_slot, view.window_lo, view.window_hi
    place = np.full(len(view), NOBODY)
    place[pool] = np.arange(len(pool))
    at = place[slots]
    near = (at != NOBODY) & (hi - lo <= _LONG)
    at, lo, hi = at[near], lo[near], hi[near]
    for window in asked.windows:
        np.minimum.at(gaps, at, np.maximum(np.maximum(window.lo - hi, lo - window.hi), 0))
    return gaps / _DAY


def _when(candidates: _Candidates) -> Channel | None:
    if not candidates.asked.when:
        return None
    hits = (candidates.view.flags[candidates.pool] & HAS_TIME) > 0
    return _flag("when", hits, candidates.profile.when, "says a time, which the question asks for")


def _asking(candidates: _Candidates) -> Channel:
    hits = (candidates.view.flags[candidates.pool] & ENDS_WITH_QUESTION) > 0
    return _flag("asking", hits, candidates.profile.asking, "asks rather than tells")


def _brief(candidates: _Candidates) -> Channel | None:
    length = candidates.view.length[candidates.pool].astype(np.float32)
    share = np.exp(-length / candidates.profile.brief_stems)
    return Channel("brief", length, candidates.profile.brief * share, ranked=False, words=_few)


def _about(candidates: _Candidates) -> Channel | None:
    if not candidates.asked.topics:
        return None
    hits = np.isin(candidates.view.about[candidates.pool], list(candidates.asked.topics))
    return _flag("about", hits, candidates.profile.about, "is about what the question names")


def _latest(candidates: _Candidates) -> Channel | None:
    if not candidates.asked.latest:
        return None
    dated = candidates.view.dated[candidates.pool]
    observed = np.where(dated, candidates.view.observed[candidates.pool], -np.inf)
    if not dated.any():
        return None
    first, last = float(observed[dated].min()), float(observed[dated].max())
    share = np.maximum(observed - first, 0) / max(last - first, 1.0)  # what has no date counts as the oldest
    return Channel(
        "latest",
        share,
        candidates.profile.latest * share,
        ranked=False,
        words=_recent,
    )


def _few(value: float) -> str:
    return f"says little, {value:.0f} content words"


def _recent(value: float) -> str:
    return f"newer than {value:.0%} of the span, and the question asks for now"


def _flag(name: str, hits: NDArray[np.bool_], weight: float, words: str) -> Channel:
    values = hits.astype(np.float32)

    def says(value: float) -> str:
        return words if value else f"not {words}"

    return Channel(name, values, weight * values, ranked=False, words=says)
