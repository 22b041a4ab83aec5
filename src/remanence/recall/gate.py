"""The gate: whether a question needs a search at all, and whether the graph should order what is found.

After WiTQA (arXiv 2402.13492): how popular the entities of a question are, and entity and relation together, says when
retrieval helps. There it is popularity in a model's training text; here it is popularity in this memory, from the counts
that its index keeps. What a memory holds nobody else knows, so small talk and sums are all that is not looked up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import cast

import numpy as np
from numpy.typing import NDArray

from remanence.cubes import Route, Routed
from remanence.language.tokens import hashes
from remanence.recall.link import KeptFact, Linked
from remanence.recall.view import Mask, View

_SMALL_TALK = frozenset(
    [
        "hi",
        "hello",
        "hey",
        "hiya",
        "yo",
        "good",
        "morning",
        "afternoon",
        "evening",
        "night",
        "bye",
        "goodbye",
        "see",
        "you",
        "later",
        "thanks",
        "thank",
        "thx",
        "ty",
        "cheers",
        "ok",
        "okay",
        "k",
        "yes",
        "yep",
        "yeah",
        "no",
        "nope",
        "sure",
        "please",
        "great",
        "nice",
        "cool",
        "awesome",
        "lol",
        "haha",
        "wow",
        "how",
        "are",
        "doing",
        "going",
        "there",
        "so",
        "much",
        "very",
        "a",
        "lot",
        "and",
        "all",
        "right",
        "welcome",
        "youre",
        "re",
        "u",
    ]
)
_WORD = re.compile(r"[^\W_]+")
_FILLING = frozenset(
    """a all and are doing going how k lot much no re right see so sure there u very you youre""".split()  # noqa: SIM905
)
"""Words of small talk that alone are none."""
_ASKED = re.compile(r"\s*(?:what(?:['’]s|\s+is)\s|calculate\s|compute\s)?", re.IGNORECASE)
_SIGNS = re.compile(r"[\d\s.,+*/()^%=?-]+")
_SUM = re.compile(r"\d[\s)]{0,3}(?:[+*^%]|\s[-/]\s)[\s(]{0,3}\d|\d\s?[-/]\s?\d[\d\s]{0,20}=")
"""Hyphens and slashes without blanks also stand in dates and phone numbers, and those are looked up."""
_HOPS = re.compile(r"\b(?:whose|who|that|which|where|when)\b|\bof the\b|['’]s\b", re.IGNORECASE)
_BEST = 10  # hits of each search that are compared


@dataclass(frozen=True, slots=True)
class Features:
    """What the gate goes by; every number lies between 0 and about 1."""

    named: float
    """Names in the question that texts mention: 0, 1/2 for one, towards 1 for many."""
    rarity: float
    """1 over the mentions of the rarest name (S count)."""
    together: float
    """1 over the texts that mention that name and hold another word of the question (S-R count); 0 where there is none."""
    about: float
    """Share of the names that some text is about."""
    facts: float
    """1 where a fact that a model read is close."""
    hops: float
    """How nested the question is: relative clauses and genitives."""
    agreement: float
    """Overlap of the best ten by words and by meaning."""
    closeness: float
    """Dot product of the closest memory with the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Two logistic decisions over `Features`: the graph or not, and anything at all or not. `gate.fit` finds other weights."""

    graph: Mapping[str, float]
    nothing: Mapping[str, float]


DEFAULT = Gate(graph={"bias": 2.0}, nothing={"bias": -20.0})
"""Unfitted: the graph wherever there is something to start from, and always a search."""


def unneeded(question: str) -> Routed | None:
    """A question that no memory can answer better than none: small talk, or a sum."""
    words = _WORD.findall(question.lower().replace("'", "").replace("’", ""))
    if all(word in _SMALL_TALK for word in words) and (set(words) - _FILLING or words[:3] == ["how", "are", "you"]):
        return Routed(Route.NONE, "small talk")
    begun = _ASKED.match(question)
    if begun and _SIGNS.fullmatch(question, begun.end()) and _SUM.search(question, begun.end()):
        return Routed(Route.NONE, "a sum")
    return None


def features(
    question: str, terms: tuple[int, ...], names: list[Linked], facts: list[KeptFact],
    by_words: NDArray[np.float32] | None, by_meaning: NDArray[np.float32] | None, view: View, mask: Mask,
) -> Features:  # fmt: skip
    """The features of a question; the searches' scores, shape (slots,), are None where a search was silent."""
    rarest = min(names, key=lambda one: one.mentions, default=None)
    best = [
        set(np.argpartition(-one, min(_BEST, len(one) - 1))[:_BEST].tolist())
        for one in (by_words, by_meaning)
        if one is not None and len(one)
    ]
    return Features(
        named=len(names) / (1 + len(names)),
        rarity=1 / rarest.mentions if rarest else 0.0,
        together=_together(rarest, terms, view, mask) if rarest else 0.0,
        about=sum(one.about > 0 for one in names) / len(names) if names else 0.0,
        facts=float(bool(facts)),
        hops=min(len(_HOPS.findall(question)), 5) / 5,
        agreement=len(best[0] & best[1]) / _BEST if len(best) == 2 else 0.0,
        closeness=float(by_meaning.max()) if by_meaning is not None and len(by_meaning) else 0.0,
    )


def decide(found: Features, names: list[Linked], documents: bool, gate: Gate) -> Routed:
    """Graph, cheap, or nothing, and why."""
    measures = {name: round(value, 3) for name, value in asdict(found).items()}
    if chance(found, gate.nothing) > 0.5:
        return Routed(Route.NONE, "nothing here is close to it", measures)
    if not documents:
        return Routed(Route.CHEAP, "conversation only: the graph orders documents", measures)
    if not (names or found.facts):
        return Routed(Route.CHEAP, "no name or fact to start a walk from", measures)
    who = ", ".join(f"{one.name} ({one.mentions})" for one in names) or "facts close to it"
    if chance(found, gate.graph) > 0.5:
        return Routed(Route.GRAPH, f"it names {who}" if names else who, measures)
    return Routed(Route.CHEAP, f"the gate sees nothing to gain from walking from {who}", measures)


def chance(found: Features, weights: Mapping[str, float]) -> float:
    """The logistic of a weighted sum of features; `bias` stands for 1."""
    values = {**asdict(found), "bias": 1.0}
    total = sum(weight * values.get(name, 0.0) for name, weight in weights.items())
    return float(1 / (1 + np.exp(-np.clip(total, -50, 50))))


def read(note: str) -> Gate:
    """The gate out of its JSON, which is `Gate` field by field; ValueError or TypeError where it is something else."""
    data: object = json.loads(note)
    if not isinstance(data, dict) or set(cast("dict[str, object]", data)) != {"graph", "nothing"}:
        raise ValueError("it has other parts than graph and nothing")
    weights = cast("dict[str, object]", data)
    return Gate(graph=_weights(weights["graph"]), nothing=_weights(weights["nothing"]))


def _weights(data: object) -> dict[str, float]:
    if not isinstance(data, dict):
        raise TypeError("weights are no object")
    found = {str(name): float(str(value)) for name, value in cast("dict[str, object]", data).items()}
    if not all(map(isfinite, found.values())):
        raise ValueError("a weight is not finite")
    return found


def fit(rows: list[tuple[Features, float]], ridge: float = 1.0) -> dict[str, float]:
    """Weights that tell rows with a gain above 0 from those below, each counted by the size of its gain; Newton's method, ridge penalty.

    Rows without a gain say nothing. Without any row there is only a bias of 0.
    """
    telling = [(one, gain) for one, gain in rows if gain]
    if not telling:
        return {"bias": 0.0}
    names = [*asdict(telling[0][0]), "bias"]
    inputs = np.array([[*asdict(one).values(), 1.0] for one, _ in telling])
    wanted = np.array([gain > 0 for _, gain in telling], np.float64)
    counts = np.array([abs(gain) for _, gain in telling])
    weights = np.zeros(len(names))
    penalty = np.diag([ridge] * (len(names) - 1) + [ridge * 0.01])
    for _ in range(50):
        chances = 1 / (1 + np.exp(-np.clip(inputs @ weights, -50, 50)))
        gradient = inputs.T @ (counts * (wanted - chances)) - penalty @ weights
        curvature = (inputs * (counts * chances * (1 - chances))[:, None]).T @ inputs + penalty
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if float(np.abs(step).max()) < 1e-8:
            break
    return {name: float(value) for name, value in zip(names, weights, strict=True)}


def _together(rarest: Linked, terms: tuple[int, ...], view: View, mask: Mask) -> float:
    slots, _ = view.graph.mentioning(rarest.number, mask)
    if not len(slots):
        return 0.0
    holding = np.zeros(len(slots), np.bool_)
    for term in set(terms) - set(hashes(rarest.name)):
        holding |= np.isin(slots, view.postings.of(term)[0])
    count = int(np.count_nonzero(holding))
    return 1 / count if count else 0.0
