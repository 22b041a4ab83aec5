"""What was forgotten is not learned again silently: texts to be written, held against the tombstones of their space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from remanence.cubes import MemCube
from remanence.errors import ForgottenError
from remanence.language.sameness import normalised, telling_sentences
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


def refuse_forgotten(store: Store, space: str, text: str, current: str, *, relearn: bool) -> None:
    """For a text that takes the place of the current one, which may hold a forgotten sentence already.

    With `relearn` the tombstones of the text go instead.

    Raises
    ------
    ForgottenError
        The text, or a telling sentence of it that the current text lacks, was forgotten there.
    """
    [match] = store.tombstones.hits(space, [text])
    if match and relearn:
        store.tombstones.relearn(space, [text])
    elif match == "whole" or (match and any(store.tombstones.hits(space, _added(text, current)))):
        what = "This text" if match == "whole" else "A sentence of this text"
        raise ForgottenError(
            f"{what} was forgotten before.", "Leave it out, or pass relearn=True (--relearn) to learn it again."
        )


def _added(text: str, current: str) -> list[str]:
    """Telling sentences of a text that the current one lacks."""
    known = {normalised(one) for one in telling_sentences(current)}
    return [one for one in telling_sentences(text) if normalised(one) not in known]
