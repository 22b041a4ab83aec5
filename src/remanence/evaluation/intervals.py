"""How sure a figure is: intervals for shares, means and differences, exact paired tests, equivalence.

A difference that is not significant is no evidence of equality: `equivalent` asks whether it is small with certainty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remanence.errors import InputError

_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the bounds around it."""

    value: float
    low: float
    high: float
    n: int
    """Observations behind it."""

    def to_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def wilson(hits: int, n: int, z: float = 1.96) -> Interval:
    """The interval of a share: `hits` out of `n` (Wilson 1927). Without observations it is all of [0, 1].

    Raises
    ------
    InputError
        More hits than observations.
    """
    if not 0 <= hits <= n:
        raise InputError(f"{hits} of {n} is no share.", "Count hits among all observations.")
    if not n:
        return Interval(0.0, 0.0, 1.0, 0)
    share, square = hits / n, z * z
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), n)


def student(values: Sequence[float], level: float = 0.95) -> Interval:
    """The interval of a mean by Student's t: for a few seeds, whose spread is itself an estimate. One value gives no bounds."""
    numbers = _numbers(values)
    mean, n = float(numbers.mean()), len(numbers)
    if n < 2:
        return Interval(mean, -math.inf, math.inf, n)
    half = t_quantile((1 + level) / 2, n - 1) * float(numbers.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def bootstrap(
    values: Sequence[float], *, clusters: Sequence[object] | None = None, level: float = 0.95, rounds: int = 10_000, seed: int = 0
) -> Interval:  # fmt: skip
    """The percentile interval of a mean over resamples. With `clusters`, whole clusters are drawn: questions of one conversation.

    Raises
    ------
    InputError
        No values, or not one cluster for each.
    """
    numbers = _numbers(values)
    if clusters is not None and len(clusters) != len(numbers):
        raise InputError(f"{len(clusters)} clusters for {len(numbers)} values.", "Name the cluster of every value.")
    groups = _groups(numbers, clusters)
    sums = np.array([group.sum() for group in groups])
    sizes = np.array([len(group) for group in groups], np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(groups), (rounds, len(groups)))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(numbers.mean()), float(low), float(high), len(numbers))


def paired(
    first: Sequence[float], second: Sequence[float], *, clusters: Sequence[object] | None = None, level: float = 0.95, rounds: int = 10_000,
    seed: int = 0,
) -> Interval:  # fmt: skip
    """`bootstrap` of the differences first - second on the same items. InputError where their numbers differ."""
    return bootstrap(_differences(first, second).tolist(), clusters=clusters, level=level, rounds=rounds, seed=seed)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """The exact two-sided p-value of McNemar's test: whether two systems are right on different items equally often."""
    differences = _differences([float(one) for one in first], [float(one) for one in second])
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1))
    return min(1.0, 2 * tail / 2**n)


def equivalent(
    first: Sequence[float], second: Sequence[float], margin: float, *, alpha: float = 0.05, clusters: Sequence[object] | None = None, seed: int = 0
) -> tuple[bool, Interval]:  # fmt: skip
    """Whether two systems differ by less than `margin`, by two one-sided tests at `alpha` (Schuirmann 1987).

    The interval is that of the paired difference at level 1 - 2 alpha; both tests reject where it lies inside of the margin.
    """
    if margin <= 0:
        raise InputError(f"A margin of {margin} leaves no room.", "Say how large a difference would matter.")
    found = paired(first, second, clusters=clusters, level=1 - 2 * alpha, seed=seed)
    return -margin < found.low and found.high < margin, found


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, adjusted so that together they err no more often than one (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def t_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t distribution, for probabilities of at least a half."""
    if not 0.5 <= probability < 1 or freedom < 1:
        raise InputError(
            f"No quantile {probability} with {freedom} degrees of freedom.", "Use 0.5 to below 1, and at least 1."
        )
    low, high = 0.0, 1.0
    while _t_below(high, freedom) < probability:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_below(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def _t_below(t: float, freedom: int) -> float:
    """The distribution function at t >= 0, by the incomplete beta function."""
    return 1 - 0.5 * _beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    fraction, c, d = 1.0, 1.0, 0.0
    for step in range(500):
        half = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = half * (b - half) * x / ((a + step - 1) * (a + step))
        else:
            term = -(a + half) * (a + b + half) * x / ((a + step - 1) * (a + step))
        d = 1 / max(1 + term * d, _TINY)
        c = max(1 + term / c, _TINY)
        fraction *= c * d
        if step and abs(1 - c * d) < 1e-15:
            break
    return front * (fraction - 1) / a


def _numbers(values: Sequence[float]) -> NDArray[np.float64]:
    numbers = np.asarray(values, np.float64)
    if not numbers.size or not np.isfinite(numbers).all():
        raise InputError("There are no values, or some are no numbers.", "Pass at least one, all of them finite.")
    return numbers


def _differences(first: Sequence[float], second: Sequence[float]) -> NDArray[np.float64]:
    if len(first) != len(second):
        raise InputError(f"{len(first)} values against {len(second)}.", "Compare both on the same items.")
    return _numbers(first) - _numbers(second)


def _groups(numbers: NDArray[np.float64], clusters: Sequence[object] | None) -> list[NDArray[np.float64]]:
    if clusters is None:
        return list(numbers[:, None])
    places: dict[object, list[int]] = {}
    for place, cluster in enumerate(clusters):
        places.setdefault(cluster, []).append(place)
    return [numbers[some] for some in places.values()]
