"""The gate before an adapter becomes active: is what it should know there, in other words too, and is all else as it was?

Scores are free-running, with teacher forcing as a second column. The rule over earlier probe sets is that of
`evaluation.matrix.ForgettingMatrix.passes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from remanence.errors import GateError, InputError
from remanence.evaluation.intervals import Interval
from remanence.evaluation.matrix import ForgettingMatrix
from remanence.evaluation.probes import Facet, Probe, ProbeSet
from remanence.evaluation.scoring import Scores, evaluate, kept
from remanence.models.local.causal import CausalLM
from remanence.parametric.adapterfile import Adapter, Mount
from remanence.parametric.lora import NEW
from remanence.parametric.system import LocalSystem


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an adapter has to reach. 0 for a lower limit, or 1 for an upper one, lets everything pass.

    Raises
    ------
    InputError
        A limit is not between 0 and 1.
    """

    reliability: float = 0.95
    """The least share of facts that are answered as they were taught."""
    paraphrase: float = 0.8
    """The least share that are answered in words that were held out."""
    portability: float = 0.0
    """The least share of answers one step on. A small model rarely takes that step, so that it is measured and not required."""
    locality_drop: float = 0.02
    """The largest share of guard prompts that may be answered otherwise than before."""
    forgetting: float = 0.05
    """The largest loss of an earlier probe set, in points of its reliability."""

    def __post_init__(self) -> None:
        if not all(0 <= value <= 1 for value in asdict(self).values()):
            raise InputError("A limit of the gate is a share.", "Use numbers from 0 to 1.")


@dataclass(frozen=True, slots=True)
class GateReport:
    """What the gate found. It holds no text of a memory."""

    scores: Mapping[str, Mapping[str, Any]]
    """By facet: see `Scores.to_json`."""
    locality: Interval | None
    """The share of guard prompts that are answered as before; None where there were none."""
    matrix: ForgettingMatrix
    """Reliability of the probe sets, the last row with the new adapter."""
    limits: Limits
    missed: tuple[str, ...] = field(default=())
    """Why it did not pass: one line for each limit that was missed."""

    @property
    def passed(self) -> bool:
        return not self.missed

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed, "missed": list(self.missed), "scores": {name: dict(one) for name, one in self.scores.items()},
            "locality": None if self.locality is None else self.locality.to_json(), "matrix": self.matrix.to_json(),
            "limits": asdict(self.limits),
        }  # fmt: skip

    def require(self) -> None:
        """Raise GateError, with the report, where a limit was missed."""
        if self.missed:
            raise GateError(
                f"The adapter did not pass its gate: {'; '.join(self.missed)}.",
                "It is not used. Train it longer, guard more prompts, or lower the limits knowingly.",
                report=self,
            )


def examine(
    lm: CausalLM, adapter: Adapter, probes: ProbeSet, *, watch: Sequence[str] = (), earlier: Sequence[tuple[Adapter, ProbeSet]] = (),
    limits: Limits | None = None,
) -> GateReport:  # fmt: skip
    """Measure a new adapter beside earlier ones; nothing stays on the model.

    Parameters
    ----------
    probes
        Of what it was taught.
    watch
        Prompts whose answers must not change. They should not be those that the training was guarded with.
    earlier
        Adapters that are active beside it, with their probes, in the order in which they were learnt.

    Raises
    ------
    InputError
        There are no probes of reliability.
    """
    limits = limits or Limits()
    if not probes.of(Facet.RELIABILITY):
        raise InputError("Nothing can be asked of these memories.", "Give facts that the rules can read, or probes.")
    sets = [one for _, one in earlier]
    mount = Mount(lm)
    try:
        names = [f"earlier{number}" for number in range(len(earlier))]
        for name, (one, _) in zip(names, earlier, strict=True):
            mount.put(name, one)
        rows: list[tuple[float, ...]] = []
        for stage in range(len(names)):
            mount.activate(*names[: stage + 1])
            rows.append(tuple(_reliable(lm, one) for one in sets))
        mount.activate(*names)
        guard = watched(lm, watch)
        before = evaluate(_system(lm, guard), guard)
        mount.put(NEW, adapter)
        mount.activate(*names, NEW)
        scores = evaluate(_system(lm, probes.probes), probes.probes)
        same = kept(before, evaluate(_system(lm, guard), guard)) if guard else None
        rows.append((*(_reliable(lm, one) for one in sets), scores.share(Facet.RELIABILITY).value))
    finally:
        mount.close()
    matrix = ForgettingMatrix(tuple(rows))
    return GateReport(scores.to_json(), same, matrix, limits, tuple(_missed(scores, same, matrix, limits)))


def watched(lm: CausalLM, prompts: Sequence[str]) -> tuple[Probe, ...]:
    """Probes of locality: what the model answers now is the right answer."""
    texts = LocalSystem(lm).answer(prompts) if prompts else []
    return tuple(
        Probe(f"guard/{number}", Facet.LOCALITY, prompt, text if text.strip() else " ")
        for number, (prompt, text) in enumerate(zip(prompts, texts, strict=True))
    )


def _system(lm: CausalLM, probes: Sequence[Probe]) -> LocalSystem:
    """Answers as long as they have to be; the full stop ends them unless it belongs to one."""
    longest = max((len(lm.encode(text)) for probe in probes for text in (probe.answer, *probe.accept)), default=1)
    stop = ("\n",) if any("." in probe.answer for probe in probes) else (".", "\n")
    return LocalSystem(lm, max_new=min(64, longest + 4), stop=stop)


def _reliable(lm: CausalLM, probes: ProbeSet) -> float:
    some = probes.of(Facet.RELIABILITY)
    return evaluate(_system(lm, some), some).share().value


def _missed(scores: Scores, same: Interval | None, matrix: ForgettingMatrix, limits: Limits) -> list[str]:
    found: list[str] = []
    for facet in (Facet.RELIABILITY, Facet.PARAPHRASE, Facet.PORTABILITY):
        least, share = getattr(limits, facet.value), scores.share(facet)
        if share.n and share.value < least:
            found.append(f"{facet.value} {share.value:.2f} is below {least:.2f}")
    if same is not None and 1 - same.value > limits.locality_drop:
        found.append(
            f"{1 - same.value:.2f} of the guard prompts are answered otherwise, above {limits.locality_drop:.2f}"
        )
    worst = min((matrix.forgetting(j) for j in range(matrix.stages - 1)), default=0.0)
    if worst < -limits.forgetting:
        found.append(f"an earlier probe set lost {-worst:.2f}, above {limits.forgetting:.2f}")
    return found
