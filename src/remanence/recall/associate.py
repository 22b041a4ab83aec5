"""Associative recall: a walk over the graph from the names, facts and passages that a question brings to mind.

HippoRAG 2 (arXiv 2502.14802) on a graph that needs no model: names found by rules take the place of its phrases, the names
in the question that of its fact links. Where a model has read facts out of the texts, those lead the walk too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remanence.recall import link
from remanence.recall.pagerank import push
from remanence.recall.profile import Profile
from remanence.recall.view import NOBODY, Mask, View

Scores = NDArray[np.float32]
_ROUNDING = 1e-6  # share of the largest value: below it float32 sums of the same numbers differ by their order
_DIGITS, _MASS_DIGITS = 5, 12  # of closeness, of mass: what differs beyond them differs by rounding


@dataclass(frozen=True, slots=True)
class Association:
    """What a walk found."""

    mass: NDArray[np.float64]
    """Probability of every slot, shape (n,)."""
    names: tuple[link.Linked, ...]
    facts: tuple[link.KeptFact, ...]
    left: float
    """See `pagerank.Walk`."""


def associate(
    view: View, names: list[link.Linked], facts: list[link.KeptFact], base: Scores, mask: Mask, profile: Profile
) -> Association:
    """Walk from the names and facts of a question, and from the passages that `base`, shape (n,), holds closest to it."""
    size = view.graph.size
    starts: dict[int, float] = {}
    from_facts = profile.facts_share if facts and names else float(bool(facts))
    for number, weight in _of_names(names).items():
        starts[number] = (1 - from_facts) * weight
    for number, weight in _of_facts(facts, view, mask).items():
        starts[number] = starts.get(number, 0.0) + from_facts * weight
    sure = bool(names) and all(one.about for one in names)
    share = (profile.share if sure else profile.share_unsure) if starts else 1.0
    nodes = np.fromiter(starts, np.int64, len(starts))
    weights = (1 - share) * np.fromiter(starts.values(), np.float64, len(starts))
    slots, closeness = _passages(base, mask, profile)
    walk = push(
        lambda some: view.graph.neighbours(some, view, mask, profile),
        view.graph.degrees, np.concatenate([nodes, size + slots]), np.concatenate([weights, share * closeness]),
        damping=profile.damping, tolerance=profile.tolerance, rounds=profile.rounds,
    )  # fmt: skip
    return Association(walk.mass[size:], tuple(names), tuple(facts), walk.left)


def _of_names(names: list[link.Linked]) -> dict[int, float]:
    """A rare name says more than a common one."""
    weights = {one.number: 1 / one.mentions for one in names}
    total = sum(weights.values())
    return {number: weight / total for number, weight in weights.items()}


def _of_facts(facts: list[link.KeptFact], view: View, mask: Mask) -> dict[int, float]:
    """HippoRAG 2's phrase weights: the mean closeness of a phrase's facts over the number of passages that hold it."""
    close: dict[int, list[float]] = {}
    for fact in facts:
        for side in (fact.subject, fact.value):
            close.setdefault(side, []).append(fact.closeness)
    weights = {
        side: sum(values) / len(values) / max(len(view.graph.mentioning(side, mask)[0]), 1)
        for side, values in close.items()
    }
    total = sum(weights.values())
    return {side: weight / total for side, weight in weights.items()}


def _passages(base: Scores, mask: Mask, profile: Profile) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The closest passages, in proportion to how far they lie above the last of them."""
    inside = np.flatnonzero(mask)
    if len(inside) > profile.seeds:
        inside = inside[np.argpartition(base[inside], len(inside) - profile.seeds)[-profile.seeds :]]
    closeness = (base[inside] - base[inside].min()).astype(np.float64)
    total = closeness.sum()
    alike = closeness.max() <= _ROUNDING * float(np.abs(base[inside]).max(initial=1.0))
    above = np.full(len(inside), 1 / len(inside)) if alike else closeness / total
    some = above > 0
    return inside[some].astype(np.int64), above[some]


def reordered(
    view: View,
    slots: NDArray[np.intp],
    scores: NDArray[np.floating],
    found: Association,
    base: Scores,
    profile: Profile,
) -> NDArray[np.floating]:
    """New scores for some slots: the old ones dealt out again, the best to the slot where the walk is found most.

    So the walk orders texts among themselves, and leaves them comparable with the conversation around them. Of two that it
    finds as often the one with the better old score comes first, then the one first written.
    """
    age = view.root[slots]
    mass = found.mass[slots] * profile.repeated ** _repetitions(view.about[slots], base[slots], age)
    order = np.lexsort((age, -scores.round(_DIGITS), -mass.round(_MASS_DIGITS)))
    dealt = np.empty(len(slots))
    dealt[order] = np.sort(scores)[::-1]
    return dealt


def _repetitions(about: NDArray[np.int32], base: Scores, age: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each text, how many about the same entity are closer to the question."""
    order = np.lexsort((age, -base.astype(np.float64).round(_DIGITS), about))
    ordered = about[order]
    firsts = np.flatnonzero(np.diff(ordered, prepend=NOBODY - 1))
    places = np.arange(len(ordered)) - np.repeat(firsts, np.diff(np.append(firsts, len(ordered))))
    result = np.empty(len(ordered), np.int64)
    result[order] = np.where(ordered == NOBODY, 0, places)
    return result
