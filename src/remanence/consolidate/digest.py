"""A summary without a model: the sentences that say most of a text's content, once, each with the place it comes from.

Sentences are scored by their names, numbers and days, by what the speaker says of themselves, and by their content words; and
chosen one by one against what was chosen before (maximal marginal relevance, Carbonell and Goldstein 1998). Centrality (the
mean similarity to the others, as the degree centrality of Erkan and Radev 2004, "LexRank", arXiv 1109.2128) is there to be
measured and off: in conversations it favours small talk. Nothing is written anew: what stands in the summary stands in a
memory, at the characters that it names.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remanence.cubes import MemCube
from remanence.language.dates import has_time_expression
from remanence.language.entities import opens
from remanence.language.sentences import sentence_spans
from remanence.language.tokens import hashes

_SHORTEST = 3  # content words of a sentence that is worth a line
_MOST = 600  # sentences that are compared with each other; of more, every n-th is
_CHARACTERS = 320  # of one sentence; longer ones are left to people
_DETAIL = re.compile(r"\d|(?<=[\w,] )[A-Z][\w'’-]+")
_OWN = re.compile(r"\b(?:I|[Mm]y|[Ww]e|[Oo]ur)\b")


@dataclass(frozen=True, slots=True)
class Weights:
    """What a sentence's score is made of; `benchmarks/consolidation.py` measures them."""

    centrality: float = 0.0
    detail: float = 1.0
    """Names, numbers and days."""
    own: float = 0.5
    """The speaker says something of themselves."""
    length: float = 0.6
    """Content words, up to a dozen."""
    repeating: float = 1.0
    """What similarity to a chosen sentence takes off."""


DEFAULT = Weights()


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence of a memory."""

    cube: int
    """Place of the memory in the list that was passed."""
    start: int
    end: int


def pieces(cubes: Sequence[MemCube]) -> list[Piece]:
    """The sentences of some memories that are worth a line: no questions, no greetings, not too long."""
    return [
        Piece(place, start, end)
        for place, cube in enumerate(cubes)
        for start, end in sentence_spans(cube.text)
        if _worth(cube.text[start:end])
    ]


def digest(
    cubes: Sequence[MemCube], found: Sequence[Piece], room: int, frame: int = 0, weights: Weights = DEFAULT
) -> list[Piece]:
    """Those of the sentences that say most in `room` characters, `frame` counted for each memory that one is taken of; in order."""
    found = found[:: math.ceil(len(found) / _MOST)] if found else []
    if not found:
        return []
    texts = [cubes[piece.cube].text[piece.start : piece.end] for piece in found]
    alike = _similar([Counter(hashes(text)) for text in texts])
    score = _scores(texts, alike, weights)
    chosen: list[int] = []
    opened: set[int] = set()
    nearest = np.zeros(len(found))
    open_to = np.ones(len(found), bool)
    while True:
        cost = np.array(
            [len(text) + 1 + (0 if piece.cube in opened else frame) for text, piece in zip(texts, found, strict=True)]
        )
        open_to &= cost <= room
        if not open_to.any():
            return [found[at] for at in sorted(chosen)]
        best = int(np.argmax(np.where(open_to, score - weights.repeating * nearest, -np.inf)))
        chosen.append(best)
        opened.add(found[best].cube)
        room -= int(cost[best])
        open_to[best] = False
        nearest = np.maximum(nearest, alike[best])


def _worth(sentence: str) -> bool:
    if "?" in sentence or len(sentence) > _CHARACTERS:
        return False
    return len(set(hashes(sentence))) >= _SHORTEST


def _similar(counts: Sequence[Counter[int]]) -> NDArray[np.float64]:
    """Cosines of all sentences by their words, rare ones counting more; 0 on the diagonal."""
    everywhere = Counter(term for own in counts for term in own)
    column = {term: at for at, term in enumerate(everywhere)}
    matrix = np.zeros((len(counts), max(1, len(column))))
    for row, own in enumerate(counts):
        for term, times in own.items():
            matrix[row, column[term]] = (1 + math.log(times)) * math.log(1 + len(counts) / everywhere[term])
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    alike = matrix @ matrix.T
    np.fill_diagonal(alike, 0.0)
    return alike


def _scores(texts: Sequence[str], alike: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    central = alike.mean(axis=1)
    central /= max(float(central.max()), 1e-12)
    detail = np.array([_detail(text) for text in texts])
    own = np.array([1.0 if _OWN.search(text) else 0.0 for text in texts])
    length = np.array([min(len(set(hashes(text))), 12) / 12 for text in texts])
    return weights.centrality * central + weights.detail * detail + weights.own * own + weights.length * length


def _detail(text: str) -> float:
    found = sum(1 for match in _DETAIL.finditer(text) if not opens(match.group().lower()))
    return min(found + has_time_expression(text), 3) / 3
