"""Which versions hold, by the definitions, one memory at a time: the twin of `select`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from remanence.cubes import MemCube, posix
from remanence.recall.query import Query


def holding(cubes: Iterable[MemCube], query: Query) -> set[tuple[str, int]]:
    """Ids and versions of what a question may see, as far as times and states decide."""
    memories: dict[str, list[MemCube]] = defaultdict(list)
    for cube in cubes:
        memories[cube.id].append(cube)
    return {
        (cube.id, cube.version)
        for versions in memories.values()
        for cube in versions
        if _holds(cube, sorted(versions, key=lambda one: one.version), query)
    }


def _holds(cube: MemCube, versions: Sequence[MemCube], query: Query) -> bool:
    if query.known_at is not None:
        return _held(cube, versions, query, posix(query.known_at))
    if _seconds(cube.policy.expires_at) <= posix(query.today):
        return False
    if query.as_of is None:
        is_open = cube.superseded_at is None
        return is_open and (not query.current or _seconds(cube.valid_to) > posix(query.now))
    return not cube.hidden and posix(cube.valid_from) <= posix(query.as_of) < _seconds(cube.valid_to)


def _held(cube: MemCube, versions: Sequence[MemCube], query: Query, known: float) -> bool:
    """Whether it was so in what the store knew then."""
    if posix(cube.recorded_at) > known:
        return False
    was_open = _seconds(cube.superseded_at) > known
    if query.as_of is None:
        return was_open
    later = [one for one in versions if one.version > cube.version and posix(one.recorded_at) <= known]
    if was_open:
        until = _seconds(cube.given_to)
    elif cube.hidden:
        return False
    elif later:
        until = min(_seconds(cube.given_to), *(posix(one.valid_from) for one in later))
    else:
        until = _seconds(cube.valid_to)
    return posix(cube.valid_from) <= posix(query.as_of) < until


def _seconds(moment: datetime | None) -> float:
    return math.inf if moment is None else posix(moment)
