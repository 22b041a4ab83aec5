"""What it costs per day to keep memories as text, as a KV cache, or in weights: expected seconds of one machine.

The machine is measured once per model (`models.local.measure`), the workload is read off the store, and the rest stands in
`Terms`. All costs are linear in the reads per day, so that a break-even is a division and a decision can be checked by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from remanence.cubes import Form
from remanence.errors import InputError

FORMS = (Form.TEXT, Form.ACTIVATION, Form.PARAMETRIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What one machine takes with one model: medians of measurements.

    Raises
    ------
    InputError
        A measure is negative or not finite.
    """

    name: str = ""
    """Tells the machine from others; it does not name it."""
    model: str = ""
    """Digest of the model's fingerprint."""
    prefill: float
    """Seconds per token of a prompt."""
    quadratic: float = 0.0
    """Seconds per square of the tokens of a prompt: the part of attention that grows."""
    decode: float = 0.0
    """Seconds per token that is written."""
    load: float = 0.0
    """Seconds per byte from a file to a checked cache on the model's device, the file not in the page cache where that can be arranged."""
    opening: float = 0.0
    """Seconds that a load takes whatever its size."""
    write: float = 0.0
    """Seconds per byte to a file that is durable."""
    hash: float = 0.0
    """Seconds per byte of the check that a file is the one that was written, by each process once."""
    embed: float = 0.0
    """Seconds per token of the embedder."""
    train: float = 0.0
    """Seconds per token of one training step of an adapter: forward and backward."""
    bytes_per_token: int = 0
    """Of a KV cache."""
    adapter_bytes: int = 0
    """Of an adapter."""
    context: int = 0
    """Tokens that the model has positions for; 0 for any number."""

    def __post_init__(self) -> None:
        _check(self, at_least_0=tuple(one.name for one in fields(self) if one.name not in {"name", "model"}))

    def to_json(self) -> dict[str, Any]:
        """Field by field."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Machine:
        """What `to_json` gave; InputError where it is malformed."""
        names = {one.name for one in fields(cls)}
        if set(data) != names:
            raise InputError("These are not the measures of a machine.", "Measure again: remanence schedule measure")
        return cls(**data)

    def prefilled(self, tokens: float) -> float:
        """Seconds to compute a prompt of so many tokens."""
        return self.prefill * tokens + self.quadratic * tokens * tokens

    def loaded(self, size: float) -> float:
        """Seconds to load a file of so many bytes."""
        return self.opening + self.load * size


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A memory, or memories that are read together, in the order in which a prompt holds them; and what happens to them.

    Raises
    ------
    InputError
        It holds no memory or no token, or a number is negative or not finite.
    """

    ids: tuple[str, ...]
    tokens: int
    """Of all of them."""
    bytes_per_token: int
    """Of their cache, at the precision that it is kept in."""
    adapter_bytes: int
    """Of an adapter that holds them."""
    reads: float
    """Per day, from now on: see `reads_per_day`."""
    corrections: float = 0.0
    """Per day, of any of them: see `corrections_per_day`. Each makes a cache or an adapter stale."""
    age: float = 0.0
    """Days since the latest of them was written or corrected."""
    left: float = math.inf
    """Days until the first of them expires."""
    seen: float = math.inf
    """Days since they were read first: they are expected to be read for as long again, and for a day at least."""
    clear: bool = True
    """Whether they state facts that can be asked for."""
    disputed: bool = False
    """Whether one of them contradicts another memory, and time does not order the two."""
    artefacts: Mapping[Form, str] = field(default_factory=dict[Form, str])
    """Ids of the caches and adapters that are there, by form."""
    report: Mapping[str, float] = field(default_factory=dict[str, float])
    """What the gate found out about the adapter that is there: reliability, locality, drawdown."""
    moved: float = math.inf
    """Days since a job of the scheduler moved them last."""
    failures: int = 0
    """Jobs that failed on them in a row."""
    pinned: bool = False
    """Somebody derived the artefact by hand, or froze it: it stays."""

    def __post_init__(self) -> None:
        if not self.ids or self.tokens < 1:
            raise InputError(
                f"A workload of {len(self.ids)} memories has {self.tokens} tokens.", "Leave out what is empty."
            )
        _check(self, at_least_0=("bytes_per_token", "adapter_bytes", "reads", "corrections", "age", "failures"))
        if math.isnan(self.left) or math.isnan(self.moved) or math.isnan(self.seen):
            raise InputError("left, seen or moved is not a number.", "Pass days, or infinity.")

    @property
    def current(self) -> Form:
        """The form that answers are given from now: weights before a cache before text."""
        return next((form for form in reversed(FORMS) if form in self.artefacts), Form.TEXT)

    def size(self, form: Form) -> int:
        """Bytes of the file in a form."""
        if form is Form.TEXT:
            return 0
        return self.tokens * self.bytes_per_token if form is Form.ACTIVATION else self.adapter_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is weighed, and how: the assumptions that no measurement gives.

    The limits follow the routing rule and the admission thresholds of "Memory in Large Language Models: Mechanisms,
    Evaluation and Evolution" (2509.18868): what is volatile or disputed stays outside the weights, what is clear, settled and
    often asked may go in, and an adapter below the certificate's ranges is taken back.

    Raises
    ------
    InputError
        A number is out of its range.
    """

    horizon: float = 30.0
    """Days, at most, in which building a cache or an adapter has to pay off; what is new to being read has less, see `horizon`."""
    margin: float = 0.25
    """Share of what a move has built, or tears down, that it has to gain besides: keeps a rate near the break-even from flapping."""
    dwell: float = 1.0
    """Days for which a memory stays where a job has moved it. Doubled for each failure in a row."""
    half_life: float = 7.0
    """Days without a read in which the expected reads fall by half."""
    rent: float = 0.0
    """Seconds per day that a byte of a file is worth, where room is short elsewhere; the quota counts besides."""
    restarts: float = 1.0
    """Times a day that a process opens a file for the first time, and hashes it."""
    lag: float = 1 / 24
    """Days from a correction until what it made stale is built again; meanwhile the text is read."""
    lesson: float = 400_000.0
    """Training tokens of an adapter, however little it holds: some hundred steps, in batches with what must not change."""
    exposure: float = 400.0
    """Training tokens per token of memory besides; the scheduler scales both to what training has taken."""
    passing: float = 0.8
    """Probability that an adapter passes its gate; the scheduler replaces it by what it has seen."""
    answer: float = 32.0
    """Tokens of an answer: the same in every form."""
    most_corrections: float = 1 / 30
    """Per day: what is corrected more often stays out of the weights (step 1 of the rule)."""
    settled: float = 2.0
    """Days since the last correction before something may go into weights."""
    reliability: float = 0.90
    """Edit success that an adapter needs."""
    locality: float = 0.95
    """Share of unrelated answers that it has to leave alone."""
    drawdown: float = 0.02
    """Loss of general ability that it may cause."""

    def __post_init__(self) -> None:
        names = tuple(one.name for one in fields(self))
        _check(self, at_least_0=names)
        for name in ("horizon", "half_life", "passing"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} is {getattr(self, name)!r}.", "Use a number above 0.")
        for name in ("passing", "reliability", "locality", "drawdown"):
            if getattr(self, name) > 1:
                raise InputError(f"{name} is {getattr(self, name)!r}.", "Use a share from 0 to 1.")

    def to_json(self) -> dict[str, float]:
        """Field by field."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Cost:
    """One form of one workload: expected seconds per day by what they are for, and whether the form may be taken."""

    form: Form
    size: int
    """Bytes of its file."""
    parts: Mapping[str, float]
    """read, answer, embed, rebuild, upkeep, build, move: seconds per day."""
    refused: str = ""
    """Why the form may not be taken; empty if it may."""

    @property
    def seconds(self) -> float:
        """Per day, all parts together."""
        return math.fsum(self.parts.values())


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From where on a cache pays."""

    per_day: float
    """Reads per day above which a cache costs less than the text, corrections and upkeep included; infinite where it never does."""
    reuses: float
    """Reads that pay back the building of one cache; infinite where loading takes longer than computing."""


def costs(work: Workload, machine: Machine, terms: Terms) -> dict[Form, Cost]:
    """What each form of a workload costs per day: being read, being kept up, being built, and being moved to.

    Text is read by a prefill of all its tokens. A cache is read by loading its file, an adapter likewise; in the share of time
    in which they are stale, the text is read instead. What is there already is not paid for again. An adapter is trained
    whether it passes its gate or not, and spares reads only if it does.
    """
    days = horizon(work, terms)
    prefill = machine.prefilled(work.tokens)
    late = work.corrections * terms.lag
    stale = late / (1 + late)
    common = {
        "answer": work.reads * machine.decode * terms.answer,
        "embed": work.corrections * machine.embed * work.tokens,
    }
    found: dict[Form, Cost] = {}
    for form in FORMS:
        size = work.size(form)
        parts = {"read": work.reads * prefill, **common}
        if form is not Form.TEXT:
            passing = _passing(work, terms) if form is Form.PARAMETRIC else 1.0
            fresh = passing * (1 - stale)
            parts["read"] = work.reads * (fresh * machine.loaded(size) + (1 - fresh) * prefill)
            making = _making(work, form, machine, terms)
            written = passing * size * (machine.write + machine.hash)
            parts["rebuild"] = work.corrections * (making + written)
            parts["upkeep"] = passing * size * (terms.restarts * machine.hash + terms.rent)
            if form not in work.artefacts:
                parts["build"] = (making + written) / days
        if form is not work.current:
            moved = _making(work, form, machine, terms) + _making(work, work.current, machine, terms)
            parts["move"] = terms.margin * moved / days
        found[form] = Cost(form, size, parts, refusal(work, form, machine, terms))
    return found


def refusal(work: Workload, form: Form, machine: Machine, terms: Terms) -> str:
    """Why a workload may not take a form; empty if it may. Text is never refused."""
    if form is Form.TEXT:
        return ""
    if work.left <= 0:
        return "its time is up"
    if form is Form.ACTIVATION:
        too_long = machine.context and work.tokens > machine.context
        return f"{work.tokens:,} tokens do not fit the model's {machine.context:,}" if too_long else ""
    return _outside_weights(work, terms)


def _outside_weights(work: Workload, terms: Terms) -> str:
    fresh = work.age < terms.settled and Form.PARAMETRIC not in work.artefacts
    rules = (
        (
            work.corrections > terms.most_corrections,
            f"corrected {work.corrections:.3g} times a day, more than {terms.most_corrections:.3g}: volatile stays text",
        ),
        (work.disputed, "another memory contradicts it: disputed stays text"),
        (math.isfinite(work.left), f"it expires in {work.left:.3g} days: what has an end stays text"),
        (not work.clear, "it states no fact that could be asked for"),
        (fresh, f"said {work.age:.2g} days ago, and settled after {terms.settled:.2g}"),
    )
    return next((why for holds, why in rules if holds), _below(work.report, terms))


def _below(report: Mapping[str, float], terms: Terms) -> str:
    for name in ("reliability", "locality"):
        if report.get(name, 1.0) < getattr(terms, name):
            return f"its {name} is {report[name]:.3g}, below {getattr(terms, name):.3g}: taken back"
    if report.get("drawdown", 0.0) > terms.drawdown:
        return f"its drawdown is {report['drawdown']:.3g}, above {terms.drawdown:.3g}: taken back"
    return ""


def break_even(work: Workload, machine: Machine, terms: Terms) -> BreakEven:
    """From how many reads a day a cache of this workload pays, and after how many its building is paid back."""
    size = work.size(Form.ACTIVATION)
    prefill = machine.prefilled(work.tokens)
    spared = prefill - machine.loaded(size)
    building = prefill + size * (machine.write + machine.hash)
    late = work.corrections * terms.lag
    days = horizon(work, terms)
    fixed = building * (work.corrections + 1 / days) + size * (terms.restarts * machine.hash + terms.rent)
    fixed += terms.margin * prefill / days
    if spared <= 0:
        return BreakEven(math.inf, math.inf)
    return BreakEven(fixed * (1 + late) / spared, building / spared)


def trained(tokens: int, machine: Machine, terms: Terms) -> float:
    """Seconds to train an adapter on memories of so many tokens."""
    return machine.train * (terms.lesson + terms.exposure * tokens)


def horizon(work: Workload, terms: Terms) -> float:
    """Days in which an investment into a workload has to pay off.

    What was read for so many days is expected to be read for as many more, and what was read today for the first time for a day: a
    burst of reads earns a cache, which costs a read or two, and no training.
    """
    return max(min(terms.horizon, work.left, max(work.seen, 1.0)), 1e-9)


def reads_per_day(count: int, days: float, idle: float, terms: Terms, base: float = 0.0) -> float:
    """Expected reads per day from now on, of what was read `count` times in `days`, the last time `idle` days ago.

    The rate of the time since the first read, with one day more that went as in its surroundings, at the `base` rate: where memories
    are read again as a rule, one read is a promise, elsewhere it is none. Halved in each half-life without a read.
    """
    return (count + base) / (max(days, 0.0) + 1.0) * 0.5 ** (max(idle, 0.0) / terms.half_life)


def corrections_per_day(versions: Iterable[tuple[int, float]], base: float = 0.0, weight: float = 7.0) -> float:
    """Expected corrections per day of memories, of which each is (corrections so far, age in days).

    Each is drawn to the `base` rate of its surroundings with the weight of so many days, so that a new memory counts as one of
    its kind. Any correction makes what was built of all of them stale, so the rates add up.
    """
    return math.fsum((number + weight * base) / (max(age, 0.0) + weight) for number, age in versions)


def _passing(work: Workload, terms: Terms) -> float:
    return 1.0 if Form.PARAMETRIC in work.artefacts else terms.passing


def _making(work: Workload, form: Form, machine: Machine, terms: Terms) -> float:
    """Seconds of computing that a form takes. Bytes are left out: a larger file must not hold a memory where it is."""
    if form is Form.TEXT:
        return 0.0
    if form is Form.ACTIVATION:
        return machine.prefilled(work.tokens)
    return trained(work.tokens, machine, terms)


def _check(one: Machine | Workload | Terms, at_least_0: Iterable[str]) -> None:
    for name in at_least_0:
        value = getattr(one, name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
            raise InputError(f"{name} is {value!r}.", "Use a number, 0 or more.")
