"""The current view: which hits state only what something newer has replaced or denied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from remanence.cubes import MemCube
from remanence.language.qa import parse_qa
from remanence.language.slots import (
    Slot,
    Stated,
    Superseded,
    Value,
    order,
    relation_key,
    resolve,
    same_values,
    subject_key,
    value_key,
)


class Standing(NamedTuple):
    """What became of the statements of some versions."""

    ended: dict[int, list[Superseded]]
    """By version: its statements that another version replaced or denied, and by what."""
    holding: set[int]
    """Versions with a statement that holds."""


def standing(stated: Sequence[Stated]) -> Standing:
    """Which statements hold, and what ended the others.

    A repeated value counts for its newest statement: older versions that say the same hold as long as it does. A denial
    holds, but adds nothing to a version of which it says only, in the same slot, what has been replaced.
    """
    found = Standing({}, set())
    by_slot: dict[tuple[str, str], list[Stated]] = {}
    for one in sorted(stated, key=order):
        by_slot.setdefault((subject_key(one.fact.subject), relation_key(one.fact.relation)), []).append(one)
    slots = resolve(stated)
    for key, some in by_slot.items():
        _slot(key[1], some, slots[key], found)
    return found


def outdated(stated: Sequence[Stated], seqs: Collection[int]) -> dict[int, Superseded]:
    """Those of some versions whose every claim was superseded by another version's, and what ended the last of them.

    `stated` is everything in the slots that the versions fill, within the scope of the question. A version that states
    nothing is never outdated, nor is one side of a contradiction.
    """
    ended, holding = standing(stated)
    return {
        seq: max(pairs, key=lambda pair: pair.by.holds_from)
        for seq, pairs in ended.items()
        if seq in seqs and seq not in holding
    }


def stale(pair: MemCube, ended: Iterable[Superseded], *, whole: bool) -> Superseded | None:
    """What ended the answer of a question–answer pair: a statement of its parent that no longer holds.

    `ended` are the statements of the parent that were superseded; `whole` says that nothing else of the parent holds.
    """
    parsed = parse_qa(pair.text)
    for one in ended:
        relation = one.old.fact.relation
        if whole or (parsed and value_key(relation, parsed[1]) == value_key(relation, one.old.fact.value)):
            return one
    return None


def _slot(relation: str, stated: list[Stated], slot: Slot, found: Standing) -> None:
    """Sort the statements of one slot, given in their order, into those that hold and those that were ended."""
    same = same_values(value_key(relation, one.fact.value) for one in stated)

    def value(one: Stated) -> Value:
        return same[value_key(relation, one.fact.value)]

    alive = {value(one) for one in slot.current}
    enders: dict[Value, list[Superseded]] = {}
    for pair in slot.superseded:
        enders.setdefault(value(pair.old), []).append(pair)
    asserting = {one.seq for one in stated if not one.negated}
    for one in stated:
        if value(one) in alive if not one.negated else one.seq not in asserting:
            found.holding.add(one.seq)
        elif not one.negated:
            # Of several statements that one statement ended only the last is named.
            by = next(
                pair.by for pair in enders[value(one)] if order(one) <= order(pair.old) and one.rank <= pair.by.rank
            )
            if (
                one.own and not by.own
            ):  # nobody's word replaces what somebody says of themselves, but their own later one
                later = (other for other in stated if other.own and not other.negated and order(other) > order(one))
                by = next((other for other in later if value(other) != value(one)), one)
            if by is one:
                found.holding.add(one.seq)
            elif by.seq != one.seq:
                found.ended.setdefault(one.seq, []).append(Superseded(one, by))
