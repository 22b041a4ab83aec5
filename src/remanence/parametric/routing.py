"""Which adapters answer a question: those whose sources it is about, in its scope, at most two, and often none.

A question is compared with the texts that each adapter was made from. The score of an adapter is the largest cosine between the
question and one of its texts; below a threshold that was fitted to labelled questions, no adapter is chosen, and the base answers alone.
After the scope-routed ensemble of WikiDYK (arXiv 2505.12306), with similarity in the place of a trained classifier.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from remanence.cubes import Scope
from remanence.errors import InputError
from remanence.language.tokens import hashes

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to unit vectors [texts, dim]."""


@dataclass(frozen=True, slots=True)
class Routable:
    """An adapter as a router sees it."""

    name: str
    texts: tuple[str, ...]
    """Of the memories that it was made from."""
    scopes: tuple[Scope, ...] = (Scope(),)
    """Of these memories, each once. A question must be allowed to see all of them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a router chose for one question."""

    names: tuple[str, ...]
    """The best first; empty for none."""
    scores: tuple[tuple[str, float], ...]
    """Of all adapters in scope, the best first."""
    threshold: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A labelled question: the adapters that know its answer, or none."""

    question: str
    names: tuple[str, ...] = ()
    scope: Scope = field(default_factory=Scope)


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a threshold parts questions that an adapter knows from those that none knows, on the questions it was fitted to."""

    threshold: float
    missed: float
    """Share of the known questions for which none was chosen, or not the right one first."""
    false: float
    """Share of the others for which one was chosen."""
    margin: float
    """From the threshold to the nearest score of a question."""


class Router:
    """Adapters, and the texts behind them.

    Parameters
    ----------
    embed
        Texts to unit vectors; without it, words: hashed stems, weighted by how few adapters have them.
    threshold
        The least score of an adapter that is chosen; `fit` finds one.
    ratio
        The second adapter must score at least this share of the first.
    most
        Adapters at most.
    """

    def __init__(
        self, embed: Embed | None = None, *, threshold: float | None = None, ratio: float = 0.8, most: int = 2
    ) -> None:
        self.threshold = threshold
        self._embed, self._ratio, self._most = embed, ratio, most
        self._routes: dict[str, Routable] = {}
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._words: dict[str, list[Counter[int]]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the adapters that can be chosen."""
        return tuple(self._routes)

    def add(self, route: Routable) -> None:
        """Let an adapter be chosen, or put another in the place of the one of that name.

        Raises
        ------
        InputError
            It has no text to be found by.
        """
        if not any(text.strip() for text in route.texts) or not route.scopes:
            raise InputError(f"The adapter {route.name!r} has no text or no scope to be found by.", "Give it both.")
        if self._embed is not None:
            self._vectors[route.name] = self._embed(list(route.texts))
        else:
            self._words[route.name] = [Counter(hashes(text)) for text in route.texts]
        self._routes[route.name] = route

    def remove(self, name: str) -> None:
        """Let an adapter be chosen no more; nothing is kept of it. No error if there is none of that name."""
        for held in (self._routes, self._vectors, self._words):
            held.pop(name, None)

    def scores(self, question: str, scope: Scope | None = None) -> list[tuple[str, float]]:
        """Every adapter whose scopes the question may see, with its score, the best first."""
        seen = [name for name, route in self._routes.items() if all(admits(scope or Scope(), s) for s in route.scopes)]
        found = self._by_vector(question, seen) if self._embed is not None else self._by_word(question, seen)
        return sorted(found, key=lambda one: (-one[1], one[0]))

    def choose(self, question: str, scope: Scope | None = None) -> Choice:
        """The adapters for a question, at most `most`, or none.

        Raises
        ------
        InputError
            The router has no threshold yet.
        """
        if self.threshold is None:
            raise InputError(
                "The router does not know from which score on an adapter is meant.", "Call `fit`, or set a threshold."
            )
        scores = self.scores(question, scope)
        least = max(self.threshold, self._ratio * scores[0][1]) if scores else 0.0
        names = tuple(name for name, score in scores[: self._most] if score >= least)
        return Choice(names, tuple(scores), self.threshold)

    def fit(self, asked: Iterable[Asked]) -> Fit:
        """Find the threshold with the smallest sum of the two error rates; among equals the one farthest from every score.

        Raises
        ------
        InputError
            There are not both kinds of questions: some that an adapter knows, and some that none knows.
        """
        known: list[tuple[float, bool]] = []
        others: list[float] = []
        for one in asked:
            scores = self.scores(one.question, one.scope)
            best = scores[0] if scores else ("", 0.0)
            if one.names:
                known.append((best[1], best[0] in one.names))
            else:
                others.append(best[1])
        if not known or not others:
            raise InputError(
                "A threshold needs questions that an adapter knows, and others that none knows.", "Pass both, labelled."
            )
        values = sorted({score for score, _ in known} | set(others))
        edges = [0.0, *values, max(values[-1], 1.0) + 0.1]
        fits = [_fit((low + high) / 2, (high - low) / 2, known, others) for low, high in pairwise(edges)]
        best = min(fits, key=lambda fit: (fit.missed + fit.false, -fit.margin))
        self.threshold = best.threshold
        return best

    def _by_vector(self, question: str, names: Sequence[str]) -> list[tuple[str, float]]:
        assert self._embed is not None
        asked = self._embed([question])[0]
        return [(name, float((self._vectors[name] @ asked).max())) for name in names]

    def _by_word(self, question: str, names: Sequence[str]) -> list[tuple[str, float]]:
        holders: Counter[int] = Counter()
        for texts in self._words.values():
            holders.update(set().union(*texts))
        asked = Counter(hashes(question))
        weights = {
            word: math.log(1 + len(self._words) / (0.5 + holders[word]))
            for word in {*asked, *(word for name in names for text in self._words[name] for word in text)}
        }
        return [(name, max(_cosine(asked, text, weights) for text in self._words[name])) for name in names]


def admits(asker: Scope, scope: Scope) -> bool:
    """Whether a question of `asker` may see what was made from a memory of `scope`: the same space, and nobody else's memory."""
    return asker.space == scope.space and all(
        theirs is None or theirs == own
        for own, theirs in ((asker.user, scope.user), (asker.agent, scope.agent), (asker.session, scope.session))
    )


def _cosine(left: Counter[int], right: Counter[int], weights: dict[int, float]) -> float:
    shared = sum(
        _weight(left[word], weights[word]) * _weight(right[word], weights[word]) for word in left if word in right
    )
    sizes = [math.sqrt(sum(_weight(n, weights[word]) ** 2 for word, n in side.items())) for side in (left, right)]
    return shared / (sizes[0] * sizes[1]) if all(sizes) else 0.0


def _weight(count: int, weight: float) -> float:
    return (1 + math.log(count)) * weight


def _fit(threshold: float, margin: float, known: Sequence[tuple[float, bool]], others: Sequence[float]) -> Fit:
    missed = sum(score < threshold or not right for score, right in known) / len(known)
    return Fit(threshold, missed, sum(score >= threshold for score in others) / len(others), margin)
