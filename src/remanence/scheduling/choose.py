"""Which form each workload takes: the assignment with the least expected seconds per day whose files fit the quota.

Without a quota that binds, each workload takes its cheapest form. With one, it is a multiple-choice knapsack: what a file
saves over the text, for the bytes that it takes. Branch and bound with the bound of the linear relaxation (Sinha and Zoltners,
"The Multiple-Choice Knapsack Problem", 1979) finds the best assignment; when its steps have looked at files `WORK` times, the best
one found so far is taken, and `Plan.gap` says by how much it may fall short.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from remanence.cubes import Form
from remanence.errors import InputError
from remanence.scheduling.cost import FORMS, BreakEven, Cost, Machine, Terms, Workload, break_even, costs

WORK = 2_000_000
"""Files that the search looks at, before it is content with what it has: a second or so."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of one workload."""

    work: Workload
    form: Form
    """The form that it takes."""
    costs: dict[Form, Cost]
    breaks_even: BreakEven
    held: str = ""
    """Why it was not up for a decision: it was moved lately, or somebody pinned it; empty where it was."""
    crowded: bool = False
    """A cheaper form was left out because the quota has no room for it."""

    @property
    def derive(self) -> Form | None:
        """The form that has to be derived; None where nothing is."""
        return self.form if self.form is not Form.TEXT and self.form not in self.work.artefacts else None

    @property
    def drop(self) -> tuple[str, ...]:
        """Ids of caches and adapters that are not wanted any more."""
        if self.work.pinned:
            return ()
        return tuple(one for form, one in self.work.artefacts.items() if form is not self.form)

    @property
    def size(self) -> int:
        """Bytes that its files take: of a pinned one all that are there."""
        if self.work.pinned:
            return sum(self.work.size(form) for form in self.work.artefacts)
        return self.work.size(self.form)

    @property
    def saved(self) -> float:
        """Seconds per day against reading the text, without the cost of moving there."""
        return _staying(self.costs[Form.TEXT]) - self.costs[self.form].seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of all workloads."""

    choices: tuple[Choice, ...]
    """In the order of the workloads."""
    quota: int
    seconds: float
    """Expected per day, of all of them."""
    gap: float = 0.0
    """Seconds per day that a better assignment could save at most; 0 where there is none."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(one.size for one in self.choices)


class _Option(NamedTuple):
    form: Form
    value: float
    """Seconds per day that it saves against the workload's text, or against what it is held to."""
    size: int


class _Step(NamedTuple):
    """From one option of a workload to the next larger one."""

    group: int
    level: int
    value: float
    size: int


def choose(
    works: Sequence[Workload], machine: Machine, terms: Terms, quota: int, *, tolerance: float = 0.0
) -> Plan:  # fmt: skip
    """The cheapest form for each workload, all files together within `quota` bytes.

    With a `tolerance`, the search ends where nothing can save more than this share of what all files save, beyond what was found.

    A workload that a job moved less than `Terms.dwell` days ago stays, unless its form is refused now or the files of those
    that stay do not fit. Ties go to the form that a workload has, then to the smaller file.

    Raises
    ------
    InputError
        The quota is negative.
    """
    if quota < 0:
        raise InputError(f"The quota is {quota}.", "Use bytes, 0 or more.")
    priced = [costs(work, machine, terms) for work in works]
    held = _held(works, priced, terms, quota)
    options = [_open_to(work, found, why) for work, found, why in zip(works, priced, held, strict=True)]
    useful = [_undominated(some, work.current) for some, work in zip(options, works, strict=True)]
    taken, gap = _packed(useful, quota, tolerance)
    choices = tuple(
        Choice(
            work, option.form, found, break_even(work, machine, terms), why, _best(some, work.current).form is not option.form
        )
        for work, found, why, some, option in zip(works, priced, held, options, taken, strict=True)
    )  # fmt: skip
    return Plan(choices, quota, math.fsum(one.costs[one.form].seconds for one in choices), gap)


def naive(works: Sequence[Workload], machine: Machine, terms: Terms, quota: int) -> float:
    """The least seconds per day by trying every assignment; the twin of `choose` for a few workloads, none of them held."""
    priced = [costs(work, machine, terms) for work in works]
    least = math.inf
    for forms in itertools.product(FORMS, repeat=len(works)):
        chosen = [found[form] for found, form in zip(priced, forms, strict=True)]
        if not any(one.refused for one in chosen) and sum(one.size for one in chosen) <= quota:
            least = min(least, math.fsum(one.seconds for one in chosen))
    return least


def _held(works: Sequence[Workload], priced: Sequence[dict[Form, Cost]], terms: Terms, quota: int) -> list[str]:
    """Why each workload has to stay where it is; empty where it need not."""
    pinned = sum(_kept(work) for work in works if work.pinned)
    lately = sum(_kept(work) for work in works if not work.pinned and _is_resting(work, terms))
    rests = pinned + lately <= quota
    return [_why_held(work, found, terms, rests=rests) for work, found in zip(works, priced, strict=True)]


def _why_held(work: Workload, found: dict[Form, Cost], terms: Terms, *, rests: bool) -> str:
    if work.pinned:
        return "derived by hand, or frozen: left as it is"
    if not rests or not _is_resting(work, terms) or found[work.current].refused:
        return ""
    times = f"failed {work.failures} times, " if work.failures else ""
    return f"{times}moved {work.moved:.2g} days ago: rests for {_rest(work, terms):.3g}"


def _is_resting(work: Workload, terms: Terms) -> bool:
    return work.moved < _rest(work, terms)


def _rest(work: Workload, terms: Terms) -> float:
    return terms.dwell * 2.0 ** min(work.failures, 10)


def _kept(work: Workload) -> int:
    return sum(work.size(form) for form in work.artefacts)


def _open_to(work: Workload, found: dict[Form, Cost], held: str) -> list[_Option]:
    """The options of a workload, by what they save. A pinned one has a single option, which takes all that is there."""
    text = found[Form.TEXT].seconds
    if held:
        size = _kept(work) if work.pinned else work.size(work.current)
        return [_Option(work.current, 0.0, size)]
    return [_Option(one.form, text - one.seconds, one.size) for one in found.values() if not one.refused]


def _best(options: Sequence[_Option], current: Form) -> _Option:
    return max(options, key=lambda one: (one.value, one.form is current, -one.size))


def _undominated(options: Sequence[_Option], current: Form) -> list[_Option]:
    """By size; each larger one saves more. The smallest comes first, whatever it saves."""
    kept: list[_Option] = []
    for one in sorted(options, key=lambda one: (one.size, -one.value, one.form is not current)):
        same = bool(kept) and one.value == kept[-1].value and one.form is current and one.size > kept[-1].size
        if not kept or one.value > kept[-1].value or same:
            kept.append(one)
    return kept


def _packed(options: Sequence[list[_Option]], quota: int, tolerance: float) -> tuple[list[_Option], float]:
    """One option of each list with the greatest value within the quota, and what is missing at most."""
    wanted = [some[-1] for some in options]
    if sum(one.size for one in wanted) <= quota:
        return wanted, 0.0
    levels, gap = _Search(options, quota).best(tolerance)
    return [some[level] for some, level in zip(options, levels, strict=True)], gap


class _Search:
    """Branch and bound over workloads; the ones with the densest step come first."""

    def __init__(self, options: Sequence[list[_Option]], quota: int) -> None:
        self._order = sorted(range(len(options)), key=lambda one: _density(options[one]), reverse=True)
        self._options = [options[one] for one in self._order]
        self._quota = quota
        self._steps = sorted(
            (step for place, some in enumerate(self._options) for step in _hull(place, some)),
            key=lambda step: (-step.value / step.size if step.size else -math.inf, step.group, step.level),
        )
        self._left, self._slack = WORK, 0.0
        self._levels = self._greedy()
        self._value = self._worth(self._levels)

    def best(self, tolerance: float) -> tuple[list[int], float]:
        """The levels of the best assignment, in the order of the options as they came, and its gap."""
        room = self._room()
        base = math.fsum(some[0].value for some in self._options)
        bound = base + self._relaxed(0, room)
        self._slack = tolerance * max(0.0, bound - base)
        self._descend([], base, room)
        found = [0] * len(self._options)
        for place, level in zip(self._order, self._levels, strict=True):
            found[place] = level
        rest = max(0.0, bound - self._value)
        return found, rest if self._left <= 0 else min(rest, self._slack)

    def _descend(self, levels: list[int], value: float, room: int) -> None:
        """Try the options of the next workload, the larger ones first. `value` and `room` count the rest at their smallest.

        Without recursion: there may be thousands of workloads.
        """
        stack = [(levels, value, room)]
        while stack and self._left > 0:
            self._left -= 1 + len(self._steps)
            levels, value, room = stack.pop()
            place = len(levels)
            if place == len(self._options):
                if value > self._value:
                    self._levels, self._value = levels, value
                continue
            if value + self._relaxed(place, room) <= self._value + self._slack:
                continue
            first = self._options[place][0]
            for level, one in enumerate(self._options[place]):
                left = room - (one.size - first.size)
                if left >= 0:
                    stack.append(([*levels, level], value + one.value - first.value, left))

    def _relaxed(self, place: int, room: int) -> float:
        """The most that workloads from `place` on can add in `room` bytes, if a file could be kept in part."""
        value = 0.0
        for step in self._steps:
            if step.group < place:
                continue
            if step.size > room:
                return value + step.value * room / step.size
            room -= step.size
            value += step.value
        return value

    def _greedy(self) -> list[int]:
        """The densest steps as far as they fit: a good start, and what is left of the search where it is cut off."""
        levels = [0] * len(self._options)
        room = self._room()
        for step in self._steps:
            some = self._options[step.group]
            size = some[step.level].size - some[levels[step.group]].size
            if step.level > levels[step.group] and size <= room:
                levels[step.group] = step.level
                room -= size
        return levels

    def _room(self) -> int:
        """Bytes that are left when each workload takes its smallest file; what is pinned may take more than there is."""
        return max(0, self._quota - sum(some[0].size for some in self._options))

    def _worth(self, levels: Sequence[int]) -> float:
        return math.fsum(some[level].value for some, level in zip(self._options, levels, strict=True))


def _hull(place: int, options: Sequence[_Option]) -> list[_Step]:
    """The steps of the upper concave hull over (size, value): their densities fall."""
    hull: list[int] = [0]
    for level in range(1, len(options)):
        while len(hull) > 1 and _slope(options, hull[-2], hull[-1]) <= _slope(options, hull[-1], level):
            hull.pop()
        hull.append(level)
    return [
        _Step(place, after, options[after].value - options[before].value, options[after].size - options[before].size)
        for before, after in itertools.pairwise(hull)
    ]


def _slope(options: Sequence[_Option], before: int, after: int) -> float:
    size = options[after].size - options[before].size
    return (options[after].value - options[before].value) / size if size else math.inf


def _density(options: Sequence[_Option]) -> float:
    return max((_slope(options, 0, level) for level in range(1, len(options))), default=0.0)


def _staying(cost: Cost) -> float:
    return cost.seconds - cost.parts.get("move", 0.0)
