"""Which memories share one cache: those that stood in one prompt, in the order of a prompt.

A prompt holds memories in the order of their writing, and a cache is exact for a beginning of it. So of memories that were read
together a leading run is taken: as long as it still saves more, because a later memory that is read less often makes the
whole run as rare as itself.
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
    """The moment of the last read; memories that stood in one prompt share it."""


def together(
    cubes: Iterable[MemCube], reads: Mapping[str, Read], tokens: Mapping[str, int], most: int = 0, head: int = 0, *,
    anywhere: bool = False,
) -> list[tuple[MemCube, ...]]:  # fmt: skip
    """Groups of the memories that were read, each in order, none longer than `most` tokens unless it is one memory.

    Parameters
    ----------
    cubes
        Current texts of one space, in the order of writing.
    reads
        What was read, by id; the rest of the memories is left out.
    tokens
        Of each memory that was read.
    most
        Tokens of a group; 0 for any number.
    head
        Tokens that stand before the memories of every prompt.
    anywhere
        Caches serve anywhere in a prompt, not only at its beginning: all memories that were read together are one group, or
        several where they are too long for one.
    """
    groups: dict[object, list[MemCube]] = {}
    for cube in cubes:
        if cube.id in reads:
            groups.setdefault(_key(cube, reads[cube.id]), []).append(cube)
    if anywhere:
        return [part for group in groups.values() for part in _parts(group, tokens, most)]
    return [_leading(group, reads, tokens, most, head) for group in groups.values()]


def _key(cube: MemCube, read: Read) -> object:
    """What has to be equal in one artefact, and the prompt that they stood in last."""
    policy = cube.policy
    return cube.scope.user, policy.sensitivity, tuple(sorted(policy.access)), read.last


def _leading(
    group: Sequence[MemCube], reads: Mapping[str, Read], tokens: Mapping[str, int], most: int, head: int
) -> tuple[MemCube, ...]:
    """The leading run with the most tokens times the reads of its least-read memory; of equal ones the longest."""
    best, length, size, fewest = -1, 1, head, reads[group[0].id].times
    for number, cube in enumerate(group, 1):
        size += tokens[cube.id]
        fewest = min(fewest, reads[cube.id].times)
        if most and size - head > most and number > 1:
            break
        if size * fewest >= best:
            best, length = size * fewest, number
    return tuple(group[:length])


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
