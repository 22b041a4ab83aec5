"""When reading is worth seven calls: the best memories give different values for what is asked.

The rule: the question asks for a time, a number, a person or a place; of the first five hits, take those whose best sentence
holds at least `NEAR` of what the best of them holds of the question; two of these with no value in common are in conflict.
Questions of other kinds have no values that rules could compare, and are read plainly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

from remanence.answer.evidence import Span, spans
from remanence.answer.question import Asked, Expects, capitalised, read_question
from remanence.answer.times import as_date, days_of, zone_of
from remanence.cubes import Hit
from remanence.language.tokens import folded

TOP = 5
"""Hits that are looked at."""
NEAR = 0.8
LEAST = 0.5
"""A sentence that holds less of the question than this is not about it."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def conflicting(question: str, hits: Sequence[Hit]) -> bool:
    """Whether the best hits give conflicting values for what the question asks."""
    top = list(hits)[:TOP]
    asked = read_question(question, top)
    if asked.expects in {Expects.OTHER, Expects.YES_NO}:
        return False
    best: dict[int, Span] = {}
    for span in spans(asked, top, None):
        if span.place not in best or span.feature("coverage") > best[span.place].feature("coverage"):
            best[span.place] = span
    highest = max((span.feature("coverage") for span in best.values()), default=0.0)
    close = [
        span
        for span in best.values()
        if span.mine is not False and span.feature("coverage") >= max(NEAR * highest, LEAST)
    ]
    found = [values(asked, top[span.place], span) for span in close]
    return any(one and other and not one & other for one, other in combinations(found, 2))


def values(asked: Asked, hit: Hit, span: Span) -> frozenset[str]:
    """What a span offers for a typed question: dates, numbers or names that the question does not hold itself."""
    if asked.expects is Expects.TIME:
        zone = zone_of(hit.cube)
        return frozenset(as_date(window, zone) for window in days_of(span.text, hit.cube))
    if asked.expects is Expects.NUMBER:
        return frozenset(_NUMBER.findall(span.text)) - frozenset(_NUMBER.findall(asked.text))
    return capitalised(span.text) - frozenset(re.findall(r"[^\W_]+", folded(asked.text)))
