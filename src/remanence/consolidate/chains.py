"""What one slot held over time, as a line: "Ana, lives in: Rome (2019 to 2021), Oslo (2021 to 2024), Lisbon (since 2024)".

Made of the statements that `language.slots` puts in order. A slot whose statements contradict each other has no line: which
of them is true is for people to say, and `conflicts` shows them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from remanence.cubes import MemCube, posix
from remanence.language.relations import Arity
from remanence.language.slots import Slot, Stated, order, relation_key, resolve, same_values, subject_key, value_key

_LONGEST_VALUE = 120  # characters
_MOST = 32  # values of one line, the newest


@dataclass(frozen=True, slots=True)
class Stay:
    """A value, and from when until when it held."""

    value: str
    begins: float
    """POSIX seconds."""
    ends: float | None
    """None: it still holds."""
    sources: tuple[Stated, ...]
    """The statements of it, and the denial that ended it, if one did."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The values of one slot, oldest first."""

    subject: str
    relation: str
    stays: tuple[Stay, ...]

    @property
    def text(self) -> str:
        """One line for people."""
        stamp = _stamp([moment for stay in self.stays for moment in (stay.begins, stay.ends) if moment is not None])
        return f"{self.subject}, {self.relation}: {', '.join(_shown(stay, stamp) for stay in self.stays)}"


def chains(stated: Iterable[Stated], ends: Mapping[str, MemCube]) -> list[Chain]:
    """The slots of one scope in which something was replaced or denied, in the order of their keys.

    `ends` are the memories that state it, by id: one that is known to have ended ends its value.
    """
    everything = sorted({one for one in stated if one.cube_id in ends}, key=order)
    by_slot: dict[tuple[str, str], list[Stated]] = defaultdict(list)
    for one in everything:
        by_slot[subject_key(one.fact.subject), relation_key(one.fact.relation)].append(one)
    found: list[Chain] = []
    for key, slot in resolve(everything).items():
        chain = _chain(key[1], by_slot[key], slot, ends)
        if chain is not None:
            found.append(chain)
    return found


def disputed(slot: Slot) -> bool:
    """Whether its statements contradict each other, or somebody's word about themselves would be replaced by another's."""
    if slot.contradictions:
        return True
    return any(pair.old.own and not pair.by.own for pair in slot.superseded)


def _chain(relation: str, stated: Sequence[Stated], slot: Slot, cubes: Mapping[str, MemCube]) -> Chain | None:
    if slot.arity not in {Arity.ONE, Arity.OPEN} or disputed(slot) or not slot.superseded:
        return None
    same = same_values(value_key(relation, one.fact.value) for one in stated)
    runs: list[list[Stated]] = []
    for one in stated:
        value = same[value_key(relation, one.fact.value)]
        if one.negated:
            if runs and same[value_key(relation, runs[-1][0].fact.value)] == value:
                runs[-1].append(one)
        elif runs and not runs[-1][-1].negated and same[value_key(relation, runs[-1][0].fact.value)] == value:
            runs[-1].append(one)
        else:
            runs.append([one])
    if slot.arity is Arity.OPEN and not _follow(runs):
        return None
    stays = [_stay(run, after, cubes) for run, after in zip(runs, [*runs[1:], None], strict=True)]
    if len(stays) < 2 and all(stay.ends is None for stay in stays):
        return None
    return Chain(stated[-1].fact.subject, relation, tuple(stays[-_MOST:]))


def _follow(runs: Sequence[Sequence[Stated]]) -> bool:
    """Whether each value says that it takes the place of the one before, or comes after its denial."""
    return all(before[-1].negated or after[0].replaces for before, after in pairwise(runs))


def _stay(run: Sequence[Stated], after: Sequence[Stated] | None, cubes: Mapping[str, MemCube]) -> Stay:
    """A run of statements of one value; the next run ends it, or its denial, or the end that its last memory was given."""
    said = [one for one in run if not one.negated]
    ends = [one.holds_from for one in run if one.negated] + ([after[0].holds_from] if after else [])
    ended = cubes[said[-1].cube_id].valid_to
    if ended is not None:
        ends.append(posix(ended))
    fullest = max(said, key=lambda one: len(one.fact.value))
    return Stay(fullest.fact.value, min(one.holds_from for one in said), min(ends, default=None), tuple(run))


def _stamp(moments: Sequence[float]) -> str | None:
    """The shortest form that tells the moments apart: years, months or days; None if not even days do."""
    distinct = len(set(moments))
    for form in ("%Y", "%Y-%m", "%Y-%m-%d"):
        if len({_moment(one).strftime(form) for one in moments}) == distinct:
            return form
    return None


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _shown(stay: Stay, stamp: str | None) -> str:
    value = " ".join(stay.value.split())[:_LONGEST_VALUE]
    if stamp is None:
        return value if stay.ends is not None else f"{value} (now)"
    begins = _moment(stay.begins).strftime(stamp)
    return (
        f"{value} (since {begins})"
        if stay.ends is None
        else f"{value} ({begins} to {_moment(stay.ends).strftime(stamp)})"
    )
