"""What learning one thing after another does to what was learnt before: the matrix of scores after every stage.

It measures weights, and just as well a store: after each batch that was written, is what was written before still found?
Names as in continual learning (Lopez-Paz and Ranzato 2017, section 3) and in SEFE (Chen et al. 2025, arXiv 2505.02486).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from remanence.errors import InputError


@dataclass(frozen=True, slots=True)
class ForgettingMatrix:
    """`scores[i][j]` is the score of probe set j after stage i, from 0 to 1: stage i is the one that learns set i.

    A row has to have as many sets as stages have gone by, itself included, and may have later ones, for forward transfer.

    Raises
    ------
    InputError
        A row is too short, or a score is not between 0 and 1.
    """

    scores: tuple[tuple[float, ...], ...]
    baseline: tuple[float, ...] = ()
    """Scores of the sets before the first stage."""

    def __post_init__(self) -> None:
        every = [score for row in (*self.scores, self.baseline) for score in row]
        if not self.scores or not all(math.isfinite(score) and 0 <= score <= 1 for score in every):
            raise InputError("A forgetting matrix needs scores from 0 to 1.", "Give a row for every stage.")
        for number, row in enumerate(self.scores):
            if not number < len(row) <= max(len(self.scores), len(row)):
                raise InputError(f"Stage {number} has {len(row)} scores.", f"It needs those of sets 0 to {number}.")

    @property
    def stages(self) -> int:
        return len(self.scores)

    def then(self, row: Sequence[float]) -> ForgettingMatrix:
        """The matrix with one stage more."""
        return ForgettingMatrix((*self.scores, tuple(row)), self.baseline)

    def forgetting(self, j: int) -> float:
        """F_j: the score of set j at the end, less that right after it was learnt. Negative where it was forgotten."""
        return self.scores[-1][j] - self.scores[j][j]

    @property
    def average(self) -> float:
        """AP, and SEFE's MFN: the mean over all learnt sets at the end."""
        return fmean(self.scores[-1][: self.stages])

    @property
    def backward(self) -> float:
        """BWT: the mean forgetting of all sets but the last, which cannot be forgotten yet; 0 with one stage."""
        return fmean(self.forgetting(j) for j in range(self.stages - 1)) if self.stages > 1 else 0.0

    @property
    def backward_over_all(self) -> float:
        """BWT as SEFE takes it: the mean over all sets, the last one's zero included."""
        return fmean(self.forgetting(j) for j in range(self.stages))

    @property
    def forward(self) -> float | None:
        """FWT: what sets score before they are learnt, less the baseline; None where rows or baseline do not say."""
        later = range(1, self.stages)
        if self.stages < 2 or len(self.baseline) < self.stages or any(len(self.scores[j - 1]) <= j for j in later):
            return None
        return fmean(self.scores[j - 1][j] - self.baseline[j] for j in later)

    @property
    def fresh(self) -> float:
        """SEFE's MFT: the mean score of sets right after they were learnt."""
        return fmean(self.scores[j][j] for j in range(self.stages))

    @property
    def final(self) -> float:
        """SEFE's MFN: the same as `average`."""
        return self.average

    @property
    def anytime(self) -> float:
        """SEFE's MAA: the mean over stages of the mean over the sets learnt by then."""
        return fmean(fmean(row[: number + 1]) for number, row in enumerate(self.scores))

    def passes(self, delta: float, *, locality: float = 1.0, least_locality: float = 0.98) -> bool:
        """The gate of the last stage: no set forgotten by more than `delta`, the average not below that before, and locality kept.

        `delta` is in points of the score. The average is held against the one before over the same, older sets and `delta`.
        """
        worst = min((self.forgetting(j) for j in range(self.stages - 1)), default=0.0)
        risen = self.stages < 2 or self.average >= fmean(self.scores[-2][: self.stages - 1]) - delta
        return worst >= -delta and risen and locality >= least_locality

    def to_json(self) -> dict[str, Any]:
        """The scores and what follows from them."""
        return {
            "scores": [list(row) for row in self.scores], "baseline": list(self.baseline), "AP": self.average, "BWT": self.backward,
            "FWT": self.forward, "MFT": self.fresh, "MFN": self.final, "MAA": self.anytime,
            "F": [self.forgetting(j) for j in range(self.stages)],
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ForgettingMatrix:
        """The inverse of `to_json`, from the scores alone."""
        return cls(tuple(tuple(map(float, row)) for row in data["scores"]), tuple(map(float, data.get("baseline", ()))))


@dataclass(frozen=True, slots=True)
class Split:
    """Forgetting of one set, taken apart (SEFE, section 3): `superficial` is the style alone, `essential` the content."""

    superficial: float
    essential: float


def split(strict: ForgettingMatrix, content: ForgettingMatrix) -> list[Split]:
    """Take the forgetting of every set but the last apart.

    `strict` counts answers that are right in the style asked for, `content` those that hold the right content in any style:
    what the second lost is essential, and what only the first lost is superficial. Both are 0 or less where something was lost.
    """
    if strict.stages != content.stages:
        raise InputError("The two matrices have different stages.", "Score the same run twice.")
    found = [(strict.forgetting(j), content.forgetting(j)) for j in range(strict.stages - 1)]
    return [Split(whole - essential, essential) for whole, essential in found]
