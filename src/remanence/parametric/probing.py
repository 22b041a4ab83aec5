"""Is a fact gone from weights? Each measurement is held against models that never saw it, and against the model that knew it.

An absolute threshold fails models that truly never saw a fact, and a model that was destroyed passes every test for leaks. So: a test
counts only where it finds the fact in the model before (else it has no power here), and not in a model that never saw it;
utility comes first; and a value below the never-saw models is reported as well as one above. "No difference was found" is no proof: the
intervals say how large a difference could have been missed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist, fmean
from typing import Any, Literal

from remanence.errors import InputError
from remanence.models.local.causal import CausalLM
from remanence.parametric.measuring import TESTS, Effort, Measured, Secret, measure

Finding = Literal["same", "above", "below"]
Verdict = Literal["forgotten", "remembered", "over-unlearned", "unusable", "undecided"]


@dataclass(frozen=True, slots=True)
class TestResult:
    """One measurement on all models."""

    __test__ = False  # pytest: not a test case

    test: str
    n: int
    """Facts."""
    value: float
    """Mean over the facts, on the model that is judged."""
    low: float
    high: float
    """Wilson's interval of the value."""
    original: float | None
    """On the model before; None where it was not given."""
    controls: tuple[float, ...]
    """On each model that never saw the facts."""
    control_low: float
    control_high: float
    """The interval of their mean."""
    difference_low: float
    difference_high: float
    """Newcombe's interval of value minus mean of the controls."""
    finding: Finding
    valid: bool
    """Whether it finds the fact in the model before, and in no control that is held against the others."""


@dataclass(frozen=True, slots=True)
class Usefulness:
    """The gate that comes first."""

    n: int
    value: float
    original: float | None
    allowed: float
    """How far it may fall: the limit, or one of the probes where that is more."""
    passed: bool


@dataclass(frozen=True, slots=True)
class BatteryReport:
    """What all tests came to."""

    verdict: Verdict
    reasons: tuple[str, ...]
    tests: tuple[TestResult, ...]
    utility: Usefulness | None
    """None where no kept answers were given: then the verdict cannot tell a destroyed model from one that forgot."""
    relearning: dict[str, dict[str, float]]
    """By model: the share of the facts that is back after so many steps."""
    level: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no test that has power finds the fact, and the model is still of use."""
        return self.verdict == "forgotten"

    def to_json(self) -> dict[str, Any]:
        """As JSON types; it holds no text of a fact."""
        return {**asdict(self), "passed": self.passed}


def battery(
    lm: CausalLM | Measured, secrets: Sequence[Secret], *, controls: Sequence[CausalLM | Measured],
    original: CausalLM | Measured | None = None, kept: Sequence[tuple[str, str]] = (), effort: Effort | None = None,
    level: float = 0.95, max_drop: float = 0.02,
) -> BatteryReport:  # fmt: skip
    """Hold a model against those that never saw the facts.

    Where models are looked at through adapters, or are needed for several reports, pass what `measure` gave instead of the models; it
    must have been given the same facts, kept answers and effort.

    Parameters
    ----------
    lm
        The model that should have forgotten.
    secrets
        The facts.
    controls
        Models that never saw them: best three or more, of other seeds. With two or more, each is held against the others.
    original
        The model before. Without it no test is known to have power, and the verdict is at best `undecided`.
    kept
        Prompts and answers that should still be known.
    effort
        How hard to look.
    level
        Of each interval. Nothing is corrected for the number of tests: an alarm too many is the smaller harm here.
    max_drop
        How far the share of known kept answers may fall. One probe may always change.

    Returns
    -------
    `forgotten` if no test with power finds more than in the controls, nor less. `remembered`: a test finds more. `over-unlearned`:
    a test finds less, which gives the fact away too. `unusable`: the kept answers are gone. `undecided`: no test has power.

    Raises
    ------
    InputError
        No facts or no controls, or measurements of other facts.
    """
    if not controls:
        raise InputError("There is no model that never saw the facts.", "Train one without them, best three.")
    if not 0.5 < level < 1:
        raise InputError(f"A level of {level} makes no interval.", "Use 0.95.")

    def seen(one: CausalLM | Measured) -> Measured:
        return one if isinstance(one, Measured) else measure(one, secrets, kept=kept, effort=effort)

    candidate, others = seen(lm), [seen(one) for one in controls]
    before = seen(original) if original is not None else None
    _comparable([candidate, *others, *([before] if before else [])])
    z = NormalDist().inv_cdf(0.5 + level / 2)
    tests = tuple(_tested(test, candidate, others, before, z) for test in TESTS if test in candidate.values)
    useful = _useful(candidate, before, max_drop)
    verdict, reasons = _verdict(tests, useful)
    named = [("candidate", candidate), *((f"control {n}", one) for n, one in enumerate(others, 1))]
    return BatteryReport(
        verdict, reasons, tests, useful,
        {name: one.relearned for name, one in [*named, *([("original", before)] if before else [])]},
        level, sum(one.seconds for _, one in named) + (before.seconds if before else 0),
    )  # fmt: skip


def _comparable(every: Sequence[Measured]) -> None:
    shapes = {
        (*((test, len(values)) for test, values in one.values.items()), len(one.utility), *one.relearned) for one in every
    }  # fmt: skip
    if len(shapes) > 1:
        raise InputError("The models were measured on other facts or otherwise.", "Measure all of them alike.")


def _tested(
    test: str, candidate: Measured, controls: Sequence[Measured], before: Measured | None, z: float
) -> TestResult:
    values = candidate.values[test]
    n, means = len(values), tuple(fmean(one.values[test]) for one in controls)
    pooled, value = fmean(means), fmean(values)
    low, high = wilson(value, n, z)
    control_low, control_high = wilson(pooled, n * len(means), z)
    under, over = newcombe(value, n, pooled, n * len(means), z)
    return TestResult(
        test, n, value, low, high, fmean(before.values[test]) if before else None, means, control_low, control_high,
        under, over, _finding(under, over), _valid(test, controls, before, n, z),
    )  # fmt: skip


def _valid(test: str, controls: Sequence[Measured], before: Measured | None, n: int, z: float) -> bool:
    means = [fmean(one.values[test]) for one in controls]
    if before is None:
        return False
    if _finding(*newcombe(fmean(before.values[test]), n, fmean(means), n * len(means), z)) != "above":
        return False
    for number, mean in enumerate(means):
        rest = means[:number] + means[number + 1 :]
        if rest and _finding(*newcombe(mean, n, fmean(rest), n * len(rest), z)) == "above":
            return False
    return True


def _finding(low: float, high: float) -> Finding:
    return "above" if low > 0 else "below" if high < 0 else "same"


def wilson(mean: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a mean of n values in [0, 1]. For shares it is the usual one; for others it is too wide, never too narrow."""
    middle = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(max(mean * (1 - mean), 0) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return min(max(middle - half, 0.0), mean), max(min(middle + half, 1.0), mean)


def newcombe(mean: float, n: int, other: float, others: int, z: float = 1.959964) -> tuple[float, float]:
    """The interval of the difference of two such means (Newcombe 1998, method 10). It says something from one fact on."""
    (low, high), (other_low, other_high) = wilson(mean, n, z), wilson(other, others, z)
    return (
        mean - other - math.hypot(mean - low, other_high - other),
        mean - other + math.hypot(high - mean, other - other_low),
    )


def _useful(candidate: Measured, before: Measured | None, max_drop: float) -> Usefulness | None:
    if not candidate.utility:
        return None
    n, value = len(candidate.utility), fmean(candidate.utility)
    original = fmean(before.utility) if before else None
    allowed = max(max_drop, 1 / n)
    return Usefulness(n, value, original, allowed, original is None or original - value <= allowed + 1e-9)


def _verdict(tests: Sequence[TestResult], useful: Usefulness | None) -> tuple[Verdict, tuple[str, ...]]:
    if useful is not None and not useful.passed:
        return "unusable", (f"kept answers fell from {useful.original:.2f} to {useful.value:.2f}",)
    above = tuple(_said(one, "more") for one in tests if one.finding == "above")
    if above:
        return "remembered", above
    below = tuple(_said(one, "less") for one in tests if one.finding == "below")
    if below:
        return "over-unlearned", below
    weak = tuple(f"{one.test} has no power here" for one in tests if not one.valid)
    if len(weak) == len(tests):
        return "undecided", weak
    return "forgotten", weak


def _said(one: TestResult, what: str) -> str:
    return f"{one.test} finds {what} than in models that never saw it: {one.value:.2f}, they {fmean(one.controls):.2f}"
