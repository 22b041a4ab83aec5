"""How an answer is scored, and how a system is asked: free-running by default, teacher-forced as a second column.

Teacher forcing feeds the right answer's first tokens and asks for the next: it flatters answers of several tokens, so that it
is never the headline.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from remanence.errors import InputError
from remanence.evaluation.intervals import Interval, wilson
from remanence.evaluation.probes import Facet, Probe
from remanence.language.tokens import stems

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MARKS = re.compile(r"[^\w\s]|_")


class Likelihood(Protocol):
    """How probable a target is behind its prompt."""

    @property
    def total(self) -> float:
        """The log-probability of the whole target."""
        ...

    @property
    def greedy(self) -> bool:
        """Whether each of its tokens is the most probable one, given those before it."""
        ...


class System(Protocol):
    """What is evaluated: a model with or without adapters, or a memory that answers."""

    def answer(self, prompts: Sequence[str]) -> list[str]:
        """The answers, written freely."""
        ...

    def score(self, prompts: Sequence[str], targets: Sequence[str]) -> Sequence[Likelihood]:
        """How probable each target is behind its prompt; an empty sequence where the system cannot say."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """One probe, answered."""

    probe: Probe
    text: str
    em: bool
    """The answer is a right one, and nothing else."""
    subem: bool
    """It holds a right one."""
    f1: float
    forced: bool | None = None
    """Under teacher forcing every token of the answer is the most probable one; None where the system cannot say."""
    preferred: bool | None = None
    """The answer is more probable than every one it must win against; None where there are none."""

    @property
    def right(self) -> bool:
        """The headline: for a counterfactual probe whether the true answer is preferred, else whether the answer holds it."""
        return self.subem if self.probe.facet is not Facet.COUNTERFACTUAL or self.preferred is None else self.preferred


@dataclass(frozen=True, slots=True)
class Scores:
    """A system's outcomes."""

    outcomes: tuple[Outcome, ...]

    def of(self, facet: Facet) -> tuple[Outcome, ...]:
        return tuple(one for one in self.outcomes if one.probe.facet is facet)

    def share(self, facet: Facet | None = None) -> Interval:
        """The share of right answers with its Wilson interval, of one facet or of all."""
        some = self.outcomes if facet is None else self.of(facet)
        return wilson(sum(one.right for one in some), len(some))

    def forced(self, facet: Facet) -> Interval | None:
        """The share under teacher forcing; None where it is not known."""
        known = [one.forced for one in self.of(facet) if one.forced is not None]
        return wilson(sum(known), len(known)) if known else None

    def to_json(self) -> dict[str, Any]:
        """Per facet: shares, the exact ones, F1, and the column of teacher forcing. No text of a probe."""
        found: dict[str, Any] = {}
        for facet in Facet:
            some = self.of(facet)
            if some:
                forced = self.forced(facet)
                found[facet.value] = {
                    **self.share(facet).to_json(), "em": sum(one.em for one in some) / len(some),
                    "f1": sum(one.f1 for one in some) / len(some), "teacher_forced": None if forced is None else forced.value,
                }  # fmt: skip
        return found


def evaluate(system: System, probes: Iterable[Probe]) -> Scores:
    """Ask a system all probes.

    Raises
    ------
    InputError
        The system gave another number of answers than it was asked.
    """
    asked = tuple(probes)
    prompts = [probe.prompt for probe in asked]
    texts = system.answer(prompts) if asked else []
    if len(texts) != len(asked):
        raise InputError(f"The system gave {len(texts)} answers to {len(asked)} probes.", "It has to answer each once.")
    likely = _likelihoods(system, asked)
    found: list[Outcome] = []
    for number, (probe, text) in enumerate(zip(asked, texts, strict=True)):
        golds = (probe.answer, *probe.accept)
        own = likely.get((number, 0))
        others = [likely[number, place + 1] for place in range(len(probe.against)) if (number, place + 1) in likely]
        preferred = own.total > max(one.total for one in others) if own is not None and others else None
        forced = own.greedy if own is not None else None
        found.append(Outcome(probe, text, em(text, golds), subem(text, golds), f1(text, golds), forced, preferred))
    return Scores(tuple(found))


def kept(before: Scores, after: Scores, facet: Facet = Facet.LOCALITY) -> Interval:
    """The share of probes whose answer is, but for case and marks, the one that was given before.

    Raises
    ------
    InputError
        They did not answer the same probes.
    """
    old, new = before.of(facet), after.of(facet)
    if [one.probe.id for one in old] != [one.probe.id for one in new]:
        raise InputError("The two runs answered different probes.", "Compare runs over the same probe set.")
    same = sum(normalised(a.text) == normalised(b.text) for a, b in zip(old, new, strict=True))
    return wilson(same, len(new))


def normalised(text: str) -> str:
    """Lower case, without marks and articles, blanks collapsed: the usual form of SQuAD's script."""
    return " ".join(_ARTICLES.sub(" ", _MARKS.sub(" ", text.lower())).split())


def em(text: str, golds: Iterable[str]) -> bool:
    """Whether the answer is one of the right ones."""
    return any(normalised(text) == normalised(gold) for gold in golds)


def subem(text: str, golds: Iterable[str]) -> bool:
    """Whether the answer holds a right one as whole words."""
    said = f" {normalised(text)} "
    return any(f" {wanted} " in said for wanted in map(normalised, golds) if wanted)


def f1(text: str, golds: Iterable[str]) -> float:
    """The best overlap of stemmed words with a right answer, as the harmonic mean of precision and recall."""
    return max(
        (_overlap(Counter(stems(normalised(text))), Counter(stems(normalised(gold)))) for gold in golds), default=0.0
    )


def _overlap(said: Mapping[str, int], wanted: Mapping[str, int]) -> float:
    common = sum((Counter(said) & Counter(wanted)).values())
    whole = sum(said.values()) + sum(wanted.values())
    return 2 * common / whole if whole else 0.0


def _likelihoods(system: System, probes: Sequence[Probe]) -> dict[tuple[int, int], Likelihood]:
    """By probe and place: 0 is the answer, from 1 on those that it must win against."""
    wanted = [
        (number, place, probe.prompt, target)
        for number, probe in enumerate(probes)
        for place, target in enumerate((probe.answer, *probe.against))
    ]
    scored = system.score([one[2] for one in wanted], [one[3] for one in wanted]) if wanted else []
    if not scored:
        return {}
    return {(number, place): likely for (number, place, _, _), likely in zip(wanted, scored, strict=True)}
