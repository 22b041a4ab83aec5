"""The current view: which hits state only what something newer has replaced or denied."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence

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


def outdated(stated: Sequence[Stated], seqs: Collection[int]) -> dict[int, Superseded]:
    """Those of some versions whose every claim was superseded by another version's, and what ended the last of them.

    `stated` is everything in the slots that the versions fill, within the scope of the question. A version that states
    nothing is never outdated, nor is one side of a contradiction. A repeated value counts for its newest statement: older
    versions that say the same hold as long as it does, and end with it.
    """
    groups: dict[tuple[str, str], list[Stated]] = {}
    for one in stated:
        groups.setdefault((subject_key(one.fact.subject), relation_key(one.fact.relation)), []).append(one)
    ended: dict[int, list[Superseded]] = {}
    holding: set[int] = set()
    for key, slot in resolve(stated).items():
        for one, by in _ends(key[1], groups[key], slot):
            if by is None:
                holding.add(one.seq)
            elif by.seq != one.seq:
                ended.setdefault(one.seq, []).append(Superseded(one, by))
    return {
        seq: max(pairs, key=lambda pair: pair.by.holds_from)
        for seq, pairs in ended.items()
        if seq in seqs and seq not in holding
    }


def _ends(relation: str, group: Sequence[Stated], slot: Slot) -> Iterator[tuple[Stated, Stated | None]]:
    """What ended each statement of a value in a slot; None where the value holds.

    The slot names the last of the statements of a value that one statement ended: those before it ended with it.
    """
    keys = {one: value_key(relation, one.fact.value) for one in group}
    same = same_values(keys.values())
    alive = {same[keys[one]] for one in slot.current}
    ends: dict[Value, list[Superseded]] = {}
    for pair in sorted(slot.superseded, key=lambda pair: order(pair.old)):
        ends.setdefault(same[keys[pair.old]], []).append(pair)
    for one in group:
        if one.negated:
            continue
        value = same[keys[one]]
        pairs = ends.get(value, [])
        place = bisect_left(pairs, order(one), key=lambda pair: order(pair.old))
        if value in alive:
            yield one, None
        elif place < len(pairs):
            yield one, pairs[place].by
