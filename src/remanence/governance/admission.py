"""Whether a change may go live: figures of before and after, thresholds, and a verdict. Pure; `admission.py` runs the trials.

After DMM-Gov (arXiv 2509.18868): thresholds are set before the trial, the change runs in shadow on recorded questions and on a
labelled probe set, what it does is compared pair by pair with a bootstrap interval, and it goes live by the verdict or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np

from remanence.errors import InputError

ChangeKind = Literal["profile", "gate", "embedder", "extractor", "summary", "policy"]
Status = Literal["rejected", "passed", "promoted", "rolled back"]

DEPTH = 10
"""Memories that are compared for each question."""
_ROUNDS = 2000  # bootstrap samples
_SEED = 20250918


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is to be tried before it goes live."""

    kind: ChangeKind
    what: Mapping[str, Any]
    """`profile`: fields of `recall.profile.Profile` and their values. `gate`: `graph` and `nothing`, as `calibrate` writes them.
    `embedder`: `embedder`, and `precision` if it matters. `extractor`: `path` of cached extractions, or nothing for the model of the
    settings. `summary`: the arguments of `Memory.consolidate`. `policy`: settings of trust, `corroborate` or `quarantine`."""

    def __post_init__(self) -> None:
        """Refuse an unknown kind at once."""
        if self.kind not in get_args(ChangeKind):
            raise InputError(
                f"A change of kind {self.kind!r} is unknown.", f"Use one of: {', '.join(get_args(ChangeKind))}."
            )

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {"kind": self.kind, "what": dict(self.what)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What a change has to hold. None: not asked for. Set them for your own data, before the trial."""

    recall_at_5: float | None = None
    """Least share of the gold memories among the first five hits, afterwards. DMM-Gov suggests 0.85."""
    recall_at_10: float | None = None
    max_drop: float = 0.01
    """How far mean recall@5 or @10 may fall."""
    certain: bool = False
    """Also the lower end of the interval must not fall further than `max_drop`: needs many probes."""
    min_overlap: float | None = None
    """Least mean share of hits that stay, over recorded questions and probes."""
    max_latency_ratio: float | None = 2.0
    """Most time per question, in units of the time before."""
    citation_coverage: float | None = 0.85
    """Least share of an answer's sentences that cite a memory."""
    unsupported: float | None = 0.05
    """Most share of citations that do not support their sentence."""
    max_abstained: float | None = 0.05
    """How far the share of unanswered probes may rise."""

    def __post_init__(self) -> None:
        """Check that they are numbers."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "certain" or value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise InputError(f"The threshold {each.name} is {value!r}.", "Use a number, 0 or more, or None.")


@dataclass(frozen=True, slots=True)
class Look:
    """What one question came to, on one side of a trial."""

    ids: tuple[str, ...]
    """The hits, best first, at most `DEPTH`."""
    seconds: float
    sentences: int = 0
    """Of the answer; 0 if it was not asked for, or there was none."""
    cited: int = 0
    """How many of them cite a memory."""
    citations: int = 0
    removed: int = 0
    """Citations that did not support their sentence."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One question on both sides."""

    gold: frozenset[str] | None
    """The memories that answer it; None for a recorded question, of which nobody knows."""
    before: Look
    after: Look


@dataclass(frozen=True, slots=True)
class Figures:
    """What the sides of a trial came to. `*_low` and `*_high` bound the difference of recall, 95 %, by paired bootstrap."""

    questions: int
    probes: int
    overlap: float
    """Mean share of the hits that both sides have."""
    rank_correlation: float
    """Mean Spearman correlation of the places, over the hits of either side."""
    recall_at_5: tuple[float, float]
    """Before and after."""
    recall_at_10: tuple[float, float]
    recall_at_5_low: float
    recall_at_5_high: float
    recall_at_10_low: float
    recall_at_10_high: float
    latency_ratio: float
    """Median time per question, after by before."""
    citation_coverage: tuple[float, float]
    unsupported: tuple[float, float]
    abstained: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """As JSON types; pairs as lists of before and after."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Trial:
    """A change that was tried, what came of it, and every step since."""

    id: str
    at: datetime
    space: str
    change: Change
    thresholds: Thresholds
    figures: Figures
    reasons: tuple[str, ...]
    """Thresholds that were broken; empty when it passed."""
    status: Status
    restore: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What a rollback needs: how it was before."""
    steps: tuple[Mapping[str, Any], ...] = ()
    """Who did what when: `at`, `by`, `step`, and figures where there are any."""

    @property
    def passed(self) -> bool:
        """Whether it may go live."""
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        """The record as it is kept."""
        return {
            "id": self.id, "at": self.at.isoformat(), "space": self.space, "change": self.change.to_json(),
            "thresholds": asdict(self.thresholds), "figures": self.figures.to_json(), "reasons": list(self.reasons),
            "status": self.status, "restore": dict(self.restore), "steps": [dict(step) for step in self.steps],
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        """The inverse of `to_json`; KeyError or TypeError where it is malformed."""
        figures: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data["figures"].items()
        }
        return cls(
            id=data["id"], at=datetime.fromisoformat(data["at"]), space=data["space"], change=Change(**data["change"]),
            thresholds=Thresholds(**data["thresholds"]), figures=Figures(**figures), reasons=tuple(data["reasons"]),
            status=data["status"], restore=data["restore"], steps=tuple(data["steps"]),
        )  # fmt: skip


def compare(pairs: Sequence[Pair]) -> Figures:
    """The figures of a trial. Shares over nothing are 1 where more is better, 0 where less is."""
    probes = [pair for pair in pairs if pair.gold]
    at_5, at_10 = _recalls(probes, 5), _recalls(probes, 10)
    low_5, high_5 = interval(at_5[1] - at_5[0])
    low_10, high_10 = interval(at_10[1] - at_10[0])
    asked = [pair for pair in pairs if pair.gold is not None]
    sides = ([pair.before for pair in asked], [pair.after for pair in asked])
    return Figures(
        questions=len(pairs) - len(asked), probes=len(asked), overlap=_mean([_overlap(pair) for pair in pairs], 1.0),
        rank_correlation=_mean([spearman(pair.before.ids, pair.after.ids) for pair in pairs], 1.0),
        recall_at_5=(_mean(at_5[0], 1.0), _mean(at_5[1], 1.0)), recall_at_10=(_mean(at_10[0], 1.0), _mean(at_10[1], 1.0)),
        recall_at_5_low=low_5, recall_at_5_high=high_5, recall_at_10_low=low_10, recall_at_10_high=high_10,
        latency_ratio=_ratio(pairs), citation_coverage=(_coverage(sides[0]), _coverage(sides[1])),
        unsupported=(_unsupported(sides[0]), _unsupported(sides[1])), abstained=(_abstained(sides[0]), _abstained(sides[1])),
    )  # fmt: skip


def judge(figures: Figures, thresholds: Thresholds) -> tuple[str, ...]:
    """The thresholds that are broken, in words; none if the change may go live. Without any question it may not."""
    if not figures.questions and not figures.probes:
        return ("there was no question to try it on: record some, or pass probes",)
    found: list[str] = []

    def least(name: str, value: float, limit: float | None) -> None:
        if limit is not None and value < limit:
            found.append(f"{name} is {value:.3f}, below {limit:.3f}")

    def most(name: str, value: float, limit: float | None) -> None:
        if limit is not None and value > limit:
            found.append(f"{name} is {value:.3f}, above {limit:.3f}")

    if figures.probes:
        for name in ("recall_at_5", "recall_at_10"):
            before, after = getattr(figures, name)
            least(name, after, getattr(thresholds, name))
            most(f"the fall of {name}", before - after, thresholds.max_drop)
            if thresholds.certain:
                most(
                    f"the fall of {name} that cannot be ruled out",
                    -getattr(figures, f"{name}_low"),
                    thresholds.max_drop,
                )
        least("citation coverage", figures.citation_coverage[1], thresholds.citation_coverage)
        most("the share of unsupported citations", figures.unsupported[1], thresholds.unsupported)
        most("the rise of abstentions", figures.abstained[1] - figures.abstained[0], thresholds.max_abstained)
    least("the overlap of hits", figures.overlap, thresholds.min_overlap)
    most("the ratio of latencies", figures.latency_ratio, thresholds.max_latency_ratio)
    return tuple(found)


def spearman(one: Sequence[str], other: Sequence[str]) -> float:
    """Spearman's rank correlation of two lists of hits, -1 to 1; what a list lacks stands behind its end, all at one place."""
    union = sorted({*one, *other})
    if len(union) < 2:
        return 1.0
    ranks = np.array([_places(one, union), _places(other, union)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    spread = math.sqrt(float((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float(ranks[0] @ ranks[1]) / spread if spread else float(list(one) == list(other))


def interval(differences: Sequence[float] | np.ndarray[Any, Any]) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean of paired differences; (0, 0) of none. The seed is fixed."""
    values = np.asarray(differences, np.float64)
    if not len(values):
        return 0.0, 0.0
    drawn = np.random.default_rng(_SEED).integers(0, len(values), (_ROUNDS, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def _places(ids: Sequence[str], union: Sequence[str]) -> list[float]:
    """Ranks from 1; those missing share the mean of the ranks behind the end."""
    at = {one: float(place) for place, one in enumerate(ids, 1)}
    behind = (len(ids) + 1 + len(union)) / 2
    return [at.get(one, behind) for one in union]


def _overlap(pair: Pair) -> float:
    before, after = set(pair.before.ids), set(pair.after.ids)
    return len(before & after) / max(len(before), len(after)) if before or after else 1.0


def _recalls(probes: Sequence[Pair], depth: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    def found(look: Look, gold: frozenset[str]) -> float:
        return len(gold.intersection(look.ids[:depth])) / len(gold)

    sides = [
        [found(side, pair.gold or frozenset()) for pair in probes for side in (getattr(pair, name),)]
        for name in ("before", "after")
    ]
    return np.array(sides[0], np.float64), np.array(sides[1], np.float64)


def _mean(values: Sequence[float] | np.ndarray[Any, Any], empty: float) -> float:
    return float(np.mean(values)) if len(values) else empty


def _ratio(pairs: Sequence[Pair]) -> float:
    if not pairs:
        return 1.0
    before, after = (float(np.median([getattr(pair, side).seconds for pair in pairs])) for side in ("before", "after"))
    return after / before if before > 0 else 1.0


def _coverage(looks: Sequence[Look]) -> float:
    total = sum(look.sentences for look in looks)
    return sum(look.cited for look in looks) / total if total else 1.0


def _unsupported(looks: Sequence[Look]) -> float:
    total = sum(look.citations + look.removed for look in looks)
    return sum(look.removed for look in looks) / total if total else 0.0


def _abstained(looks: Sequence[Look]) -> float:
    return sum(not look.sentences for look in looks) / len(looks) if looks else 0.0
