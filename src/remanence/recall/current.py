"""The current view: which hits state only what something newer has replaced or denied."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from remanence.language.slots import Stated, Superseded, resolve


def outdated(stated: Sequence[Stated], seqs: Collection[int]) -> dict[int, Superseded]:
    """Those of some versions whose every claim was superseded by another version's, and what ended the last of them.

    `stated` is everything in the slots that the versions fill, within the scope of the question. A version that states
    nothing is never outdated, nor is one side of a contradiction.
    """
    ended: dict[int, list[Superseded]] = {}
    holding: set[int] = set()
    slots = resolve(stated)
    for slot in slots.values():
        holding |= {one.seq for one in slot.current}
        for pair in slot.superseded:
            if pair.by.seq != pair.old.seq:
                ended.setdefault(pair.old.seq, []).append(pair)
    # A repeated value counts for its newest statement: older versions that say the same hold as long as it does.
    alive = {(one.fact.subject, one.fact.relation, one.fact.value) for slot in slots.values() for one in slot.current}
    for one in stated:
        if (one.fact.subject, one.fact.relation, one.fact.value) in alive and not one.negated:
            holding.add(one.seq)
    return {
        seq: max(pairs, key=lambda pair: pair.by.holds_from)
        for seq, pairs in ended.items()
        if seq in seqs and seq not in holding
    }
