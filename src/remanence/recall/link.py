"""Which nodes of the graph a question starts from: the names in it, and the facts that are close to it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remanence.language import entities, tokens
from remanence.language.topics import normalised
from remanence.recall.graph import READ
from remanence.recall.profile import Profile
from remanence.recall.view import Mask, View

_WORD = re.compile(r"[^\W_][\w'’-]*")
_SHORTEST = 3  # letters of a name of one word that the question does not write with a capital
_AS_PLAIN = 2  # a word is a name if at least every so many-th text that has it means the name


@dataclass(frozen=True, slots=True)
class Linked:
    """A name in a question that texts in scope mention."""

    name: str
    number: int
    mentions: int
    """How many texts in scope mention it: its popularity (S count of WiTQA)."""
    about: int
    """How many texts in scope are about it."""


@dataclass(frozen=True, slots=True)
class KeptFact:
    """A fact that is close to a question."""

    subject: int
    value: int
    slot: int
    closeness: float
    """Cosine of the fact and the question."""
    place: int
    """Its number among the facts that were read out of its slot, from 0."""


def names(question: str, view: View, mask: Mask) -> list[Linked]:
    """The names in a question, the longest match at each word first, each once."""
    spans = entities.spans(question)
    hashes = np.array([entities.name_hash(name) for _, _, name in spans], np.uint32)
    numbers = view.graph.names.find(hashes).tolist()
    capitals = _capitals(question)
    found: dict[int, Linked] = {}
    after = -1
    for (at, length, name), number in zip(spans, numbers, strict=True):
        if at < after or not 0 <= number < view.graph.size or not _may_name(name, length, capitals):
            continue
        slots, marks = view.graph.mentioning(number, mask)
        by_rules = (marks & READ) == 0
        slots, marks = slots[by_rules], marks[by_rules]
        plain = length == 1 and name not in capitals and not name.isdigit()
        if not len(slots) or (plain and _is_plain(name, len(slots), view, mask)):
            continue
        after = at + length
        about = int(np.count_nonzero(marks & entities.ABOUT))
        found.setdefault(number, Linked(name, number, len(slots), about))
    return list(found.values())


def close_facts(vector: NDArray[np.float32], view: View, mask: Mask, profile: Profile) -> list[KeptFact]:
    """The facts in scope that are closest to a question, closest first."""
    owners, subjects, values = view.graph.links
    count = min(len(owners), view.graph.facts.size)
    if not count:
        return []
    scores = view.graph.facts.dot(vector)[:count].copy()
    scores[~mask[owners[:count]]] = -1.0
    best = np.argsort(-scores, kind="stable")[: profile.facts]
    return [
        KeptFact(
            int(subjects[one]), int(values[one]), int(owners[one]), float(scores[one]),
            place=int(np.count_nonzero(owners[:one] == owners[one])),
        )
        for one in best.tolist()
        if scores[one] > 0
    ]  # fmt: skip


def kept_by_score(question: str, facts: list[KeptFact], view: View, profile: Profile) -> list[KeptFact]:
    """The recognition filter without a model: a fact stays if the question names one of its sides, or if it is closer than
    `Profile.facts_cut`.
    """
    hashes = np.array([entities.name_hash(name) for _, _, name in entities.spans(question)], np.uint32)
    named = set(view.graph.names.find(hashes).tolist())
    return [one for one in facts if {one.subject, one.value} & named or one.closeness >= profile.facts_cut]


def _capitals(question: str) -> frozenset[str]:
    """Words that the question writes with a capital although they do not begin it."""
    return frozenset(
        normalised(match.group()) for match in _WORD.finditer(question) if match.start() and match.group()[0].isupper()
    )


def _may_name(name: str, length: int, capitals: frozenset[str]) -> bool:
    return length > 1 or name in capitals or (len(name) >= _SHORTEST and not entities.opens(name))


def _is_plain(name: str, mentions: int, view: View, mask: Mask) -> bool:
    """Whether texts use a word as a word rather than as a name: "brother", where few speak of the song "Brother"."""
    stems = tokens.hashes(name)
    if not stems:
        return True
    slots, _ = view.postings.of(stems[0])
    slots = slots[slots < len(mask)]
    return int(np.count_nonzero(mask[slots])) > _AS_PLAIN * mentions
