"""Which memories share one cache: those of one session, or of one document, that were read together, in the order of writing.

A prompt begins with them in that order, so that one prefix serves all of them. A memory that is read by itself stays by
itself: a cache of the whole session would be loaded for one line of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from remanence.cubes import MemCube


class Read(NamedTuple):
    """How often a memory was read by a model on this machine."""

    times: int
    first: str
    last: str
    """The moment of the last read; memories that were read together share it."""


def together(
    cubes: Iterable[MemCube], reads: Mapping[str, Read], tokens: Mapping[str, int], most: int
) -> list[tuple[MemCube, ...]]:
    """Groups of the memories that were read, each in order, none longer than `most` tokens.

    Parameters
    ----------
    cubes
        Current texts of one space, in the order of writing.
    reads
        What was read, by id; the rest of the memories is left out.
    tokens
        Of each memory that was read.
    most
        Tokens of a group; a memory that is longer is a group by itself. 0 for any number.
    """
    groups: dict[object, list[MemCube]] = {}
    for cube in cubes:
        if cube.id in reads:
            groups.setdefault(_key(cube, reads[cube.id]), []).append(cube)
    return [part for group in groups.values() for part in _parts(group, tokens, most)]


def _key(cube: MemCube, read: Read) -> object:
    """What has to be equal in one artefact (scope, label, access list), and what says that they are read together."""
    scope, policy = cube.scope, cube.policy
    place = scope.session or (cube.provenance.source if cube.provenance.role == "document" else None)
    if place is None:
        return cube.id
    return (
        scope.user, scope.agent, scope.session, place, policy.sensitivity, tuple(sorted(policy.access)), read.last,
    )  # fmt: skip


def _parts(group: Sequence[MemCube], tokens: Mapping[str, int], most: int) -> list[tuple[MemCube, ...]]:
    parts: list[list[MemCube]] = []
    size = 0
    for cube in group:
        if not parts or (most and size + tokens[cube.id] > most):
            parts.append([])
            size = 0
        parts[-1].append(cube)
        size += tokens[cube.id]
    return [tuple(part) for part in parts]
