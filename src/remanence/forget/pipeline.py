"""Forget: erase the rows, rewrite the file, search its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remanence.errors import ForgetIncompleteError, InputError
from remanence.store.protocol import Store

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Erasure:
    """What a `forget` did and checked. It names no content."""

    ids: tuple[str, ...]
    versions: int
    """Rows erased: every version of every id."""
    traces: int
    """Byte strings of text, meta, vectors and salts that were searched for in the file and its log, and not found."""
    not_reached: tuple[str, ...] = (
        "backups and exports made earlier",
        "copies that the file system or the disk keeps of old blocks",
        "the memory of running processes",
        "what other programs were shown",
    )


def forget(store: Store, cube_ids: Sequence[str], space: str | None) -> Erasure:
    """Erase, scrub, probe.

    Raises
    ------
    UnknownCubeError
        One of the ids is not there. Nothing was erased.
    ForgetIncompleteError
        The rows are gone, but the file could not be rewritten, or a trace was found afterwards.
    """
    if not cube_ids:
        raise InputError("No id was given.", "Pass the id of a memory, or several.")
    erased = store.erase(cube_ids, space)
    left = list(erased.traces)
    for _ in range(_TRIES):  # what another forget erases meanwhile may hold the same bytes until its own rewrite
        store.scrub()
        left = store.residue(left)
        if not left:
            break
    if left:
        raise ForgetIncompleteError(
            f"{len(left)} of {len(erased.traces)} traces can still be read from {store.location}.",
            "Close other programs that use the file, then run: remanence verify",
        )
    return Erasure(erased.ids, erased.versions, len(erased.traces))
