"""What was forgotten is not learned again silently: texts to be written, held against the tombstones of their space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from remanence.cubes import MemCube
from remanence.errors import ForgottenError
from remanence.store.protocol import Store

HELD = "it repeats a sentence that was forgotten"
"""Why a memory is quarantined that holds more than what was forgotten."""
_SHOWN = 3


class Sifted(NamedTuple):
    """What may be written."""

    kept: list[tuple[MemCube, bytes]]
    held: Mapping[str, str]
    """Why some of it is to be quarantined, by id."""
    skipped: tuple[str, ...]
    """What was left out, in words."""


def sift(
    store: Store, marked: Sequence[tuple[MemCube, bytes]], space: str, *, relearn: bool, leave_out: bool
) -> Sifted:
    """Sort out cubes of a space whose text was forgotten there; with `relearn` their tombstones go instead.

    Raises
    ------
    ForgottenError
        A whole text was forgotten, and it is not to be left out.
    """
    matches = store.tombstones.hits(space, [cube.text for cube, _ in marked])
    if not any(matches):
        return Sifted(list(marked), {}, ())
    if relearn:
        store.tombstones.relearn(space, [cube.text for (cube, _), match in zip(marked, matches, strict=True) if match])
        return Sifted(list(marked), {}, ())
    gone = [number for number, match in enumerate(matches, 1) if match == "whole"]
    if gone and not leave_out:
        which = ", ".join(map(str, gone[:_SHOWN])) + (" …" if len(gone) > _SHOWN else "")
        raise ForgottenError(
            f"Message {which} of {len(marked)} was forgotten before; nothing was written.",
            "Leave it out, or pass relearn=True (--relearn) to learn it again.",
        )
    return Sifted(
        kept=[one for one, match in zip(marked, matches, strict=True) if match != "whole"],
        held={cube.id: HELD for (cube, _), match in zip(marked, matches, strict=True) if match == "sentence"},
        skipped=tuple(
            f"{marked[number - 1][0].provenance.source}: passage {number} was forgotten before" for number in gone
        ),
    )


def refuse_forgotten(store: Store, space: str, text: str, *, relearn: bool) -> None:
    """For a text that takes another's place: ForgottenError if it was forgotten there; with `relearn` its tombstone goes instead."""
    [match] = store.tombstones.hits(space, [text])
    if match and relearn:
        store.tombstones.relearn(space, [text])
    elif match == "whole":
        raise ForgottenError(
            "This text was forgotten before.", "Leave it out, or pass relearn=True (--relearn) to learn it again."
        )
