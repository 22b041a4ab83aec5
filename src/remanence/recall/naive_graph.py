"""The graph and the walk once more, as dicts of dicts and plain loops: the measure that the fast ones are held to.

A node is the hash of a name, or the place of a text in the list that is passed. `naive.py` makes the texts.
"""

from __future__ import annotations

import math
import operator
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from remanence.language import entities, tokens
from remanence.language.topics import normalised
from remanence.recall.profile import Profile
from remanence.store.parts import Reading

_COUNT, _READ = 0x3F, 0x40  # of a mark: how often, and whether a model found it
_WORD = re.compile(r"[^\W_][\w'’-]*")
_DIGITS = 5  # closeness to the question beyond these is rounding

Node = tuple[str, int]
"""("name", hash) or ("text", place)."""
Graph = Mapping[Node, Mapping[Node, float]]


class Known(NamedTuple):
    """A fact that was read out of a text."""

    subject: int
    value: int
    closeness: float
    """Dot product with the question's vector; 0 where either has none."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text in scope, as far as the graph is concerned."""

    mentions: Mapping[int, int]
    """Mark by hashed name, from the rules."""
    terms: Mapping[int, int]
    about: str | None
    read: Mapping[int, int] = field(default_factory=dict[int, int])
    """Mark by hashed name: what a model found beside them."""
    facts: Sequence[Known] = ()
    beside: Sequence[int] = ()
    """Places of the turns before and after it."""

    def holds(self, name: int) -> bool:
        """Whether it mentions a name, by rules or by a model's reading."""
        return name in self.mentions or name in self.read


def names_read(mentions: Mapping[int, int], reading: Reading) -> dict[int, int]:
    """Of a reading: the names that the rules did not find, and what the text is about even if they did."""
    found = tokens.unpack_terms(reading.mentions)
    return {name: mark | _READ for name, mark in found.items() if name not in mentions or mark & entities.ABOUT}


def facts_read(reading: Reading, vectors: Sequence[Sequence[float]], vector: Sequence[float] | None) -> list[Known]:
    """The facts of a reading, and how close each is to a question."""
    sides = [int.from_bytes(reading.links[at : at + 4], "little") for at in range(0, len(reading.links), 4)]
    close = [sum(map(operator.mul, one, vector)) if vector else 0.0 for one in vectors]
    pairs = list(zip(sides[::2], sides[1::2], strict=True))
    return [Known(*pair, close[place] if place < len(close) else 0.0) for place, pair in enumerate(pairs)]


def graph(texts: Sequence[Text], profile: Profile) -> Graph:
    """Every edge with its weight, both ways; edges between the same two nodes add up."""
    edges: dict[Node, dict[Node, float]] = defaultdict(lambda: defaultdict(float))
    for place, text in enumerate(texts):
        for name, mark in (*text.mentions.items(), *text.read.items()):
            weight = math.log(1 + (mark & _COUNT))
            weight *= profile.about_edge if mark & entities.ABOUT else 1
            weight *= profile.read_edge if mark & _READ else 1
            edges["text", place]["name", name] += weight
            edges["name", name]["text", place] += weight
        for fact in text.facts:
            if fact.subject != fact.value:
                edges["name", fact.subject]["name", fact.value] += profile.relation
                edges["name", fact.value]["name", fact.subject] += profile.relation
        for other in text.beside:
            edges["text", place]["text", other] += profile.sequence
    return {node: {other: weight for other, weight in some.items() if weight} for node, some in edges.items()}


def linked(question: str, texts: Sequence[Text]) -> dict[int, tuple[int, bool]]:
    """The names in a question, longest match first: how many texts mention each, and whether one is about it."""
    capitals = {normalised(one.group()) for one in _WORD.finditer(question) if one.start() and one.group()[0].isupper()}
    words, at = normalised(question).split(), 0
    found: dict[int, tuple[int, bool]] = {}
    while at < len(words):
        for length in range(min(12, len(words) - at), 0, -1):
            name = " ".join(words[at : at + length])
            marks = [text.mentions[key] for text in texts if (key := entities.name_hash(name)) in text.mentions]
            if marks and (length > 1 or name in capitals or _is_name(name, len(marks), texts)):
                found[entities.name_hash(name)] = len(marks), any(mark & entities.ABOUT for mark in marks)
                at += length
                break
        else:
            at += 1
    return found


def _is_name(word: str, mentions: int, texts: Sequence[Text]) -> bool:
    """Whether texts mean a name by a word that the question does not write as one."""
    if entities.opens(word) or len(word) < 3:
        return False
    stems = tokens.hashes(word)
    return word.isdigit() or (bool(stems) and sum(stems[0] in text.terms for text in texts) <= 2 * mentions)


def kept(question: str, texts: Sequence[Text], profile: Profile) -> list[Known]:
    """Of the facts closest to a question those of which it names a side, and those that are very close."""
    named = {entities.name_hash(name) for _, _, name in entities.spans(question)}
    facts = [fact for text in texts for fact in text.facts]
    best = sorted(facts, key=lambda fact: -fact.closeness)[: profile.facts]
    return [
        fact
        for fact in best
        if fact.closeness > 0 and (named & {fact.subject, fact.value} or fact.closeness >= profile.facts_cut)
    ]


def starts(
    names: Mapping[int, tuple[int, bool]],
    facts: Sequence[Known],
    texts: Sequence[Text],
    base: Sequence[float],
    profile: Profile,
) -> dict[Node, float]:
    """Where the walk starts and starts again, as probabilities."""
    found: dict[Node, float] = defaultdict(float)
    from_facts = (profile.facts_share if names else 1.0) if facts else 0.0
    share = profile.share if names and all(about for _, about in names.values()) else profile.share_unsure
    rarity = _shares({name: 1 / count for name, (count, _) in names.items()})
    for name, part in rarity.items():
        found["name", name] += (1 - share) * (1 - from_facts) * part
    close: dict[int, list[float]] = defaultdict(list)
    for fact in facts:
        close[fact.subject].append(fact.closeness)
        close[fact.value].append(fact.closeness)
    mean = {
        side: sum(some) / len(some) / max(sum(text.holds(side) for text in texts), 1) for side, some in close.items()
    }
    for side, part in _shares(mean).items():
        found["name", side] += (1 - share) * from_facts * part
    best = sorted(range(len(texts)), key=lambda place: -base[place])[: profile.seeds]
    lowest = min(base[place] for place in best)
    above = {place: base[place] - lowest for place in best}
    if max(above.values()) <= 1e-6 * max(1.0, *map(abs, base)):  # they differ by rounding only
        above = dict.fromkeys(best, 1.0)
    for place, part in _shares(above).items():
        found["text", place] += share * part
    return found


def _shares(weights: Mapping[int, float]) -> dict[int, float]:
    total = sum(weights.values())
    return {one: weight / total for one, weight in weights.items()}


def walk(edges: Graph, start: Mapping[Node, float], damping: float, precision: float = 1e-15) -> dict[Node, float]:
    """Personalised PageRank: the chance to find at each node a walk that stops at every step with 1 - `damping`.

    The walk is followed step by step until less than `precision` of it is still on its way. It ends where there are no edges.
    """
    moving, found = dict(start), defaultdict[Node, float](float)
    while sum(moving.values()) > precision:
        ahead: dict[Node, float] = defaultdict(float)
        for node, chance in moving.items():
            some = edges.get(node, {})
            found[node] += (1 - damping) * chance if some else chance
            total = sum(some.values())
            for other, weight in some.items():
                ahead[other] += damping * chance * weight / total
        moving = ahead
    return found


def worths(mass: Sequence[float], base: Sequence[float], abouts: Sequence[str | None], profile: Profile) -> list[float]:
    """What documents are ordered by: the walk's mass; of several texts about one entity the closest keeps its own whole."""
    seen: Counter[str] = Counter()
    result = list(mass)
    for place in sorted(range(len(mass)), key=lambda one: -round(base[one], _DIGITS)):
        if (about := abouts[place]) is not None:
            result[place] *= profile.repeated ** seen[about]
            seen[about] += 1
    return result


def dealt(worth: Sequence[float], scores: Sequence[float]) -> list[float]:
    """The same scores, the best to whatever is worth most; among equals to what had more, then to what was written first."""
    order = sorted(range(len(scores)), key=lambda place: (-round(worth[place], 12), -round(scores[place], _DIGITS)))
    result = list(scores)
    for place, score in zip(order, sorted(scores, reverse=True), strict=True):
        result[place] = score
    return result
