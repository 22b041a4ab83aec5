"""What holds of somebody now, in a few lines: current claims, and what was stored as a fact or a preference of theirs.

A line is a slot, or a memory; each says where it comes from. Lines are ordered by the priority of their memories, then by
how lasting the relation is, by how often it was said, and by how new it is; what does not fit is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from remanence.consolidate.chains import disputed
from remanence.consolidate.product import Source
from remanence.cubes import Kind, MemCube, posix
from remanence.language.relations import Arity
from remanence.language.slots import Slot, Stated, relation_key, resolve, subject_key, value_key
from remanence.language.topics import normalised

MOST_CHARACTERS = 1500
"""Of a profile."""
MOST_LINES = 24
"""Of a profile."""
LONGEST_LINE = 200
"""Characters; a memory that says more is no line."""
_VALUES = 8  # of one line, the newest
_LASTING = {Arity.FIXED: 3, Arity.ONE: 3, Arity.MANY: 2, Arity.OPEN: 1}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a profile."""

    text: str
    sources: tuple[Source, ...]
    rank: tuple[float, int, int, float]
    """Priority, how lasting, how often said, how new."""


def about_users(stated: Sequence[Stated], cubes: Mapping[str, MemCube], user: str) -> list[Stated]:
    """What a user claims of themselves, in memories of theirs.

    "I" is the author. A user whose memories have one author is that author; of several only the one with the user's name is.
    """
    own = [one for one in stated if one.own and cubes[one.cube_id].provenance.role == "user"]
    authors = {cubes[one.cube_id].provenance.author for one in own} - {None}
    if len(authors) > 1:
        authors = {author for author in authors if author is not None and normalised(author) == normalised(user)}
    return [one for one in own if cubes[one.cube_id].provenance.author in {None, *authors}]


def lines(stated: Sequence[Stated], cubes: Mapping[str, MemCube], now: datetime) -> list[Line]:
    """A line for each slot of one subject whose statements agree."""
    claims: dict[tuple[str, str], list[Stated]] = defaultdict(list)
    for one in stated:
        claims[subject_key(one.fact.subject), relation_key(one.fact.relation)].append(one)
    found = [
        _line(key[1], slot, claims[key], cubes, now) for key, slot in resolve(stated).items() if not disputed(slot)
    ]
    return [line for line in found if line is not None]


def told(cubes: Iterable[MemCube], claiming: Iterable[str], now: datetime) -> list[Line]:
    """A line for each fact and preference that the rules find no claim in. `claiming` are the ids of the others."""
    out = set(claiming)
    return [
        Line(text, (Source(cube.id, cube.version, 0, len(cube.text)),), (cube.policy.priority, 1, 1, posix(cube.valid_from)))
        for cube in cubes
        if cube.kind in {Kind.FACT, Kind.PREFERENCE} and cube.id not in out and _holds(cube, now)
        if (text := " ".join(cube.text.split())) and len(text) <= LONGEST_LINE
    ]  # fmt: skip


def fitted(found: Sequence[Line], room: int = MOST_CHARACTERS, most: int = MOST_LINES) -> list[Line]:
    """The lines of the highest rank that fit, highest first; of equal texts one."""
    kept: dict[str, Line] = {}
    for line in sorted(found, key=lambda line: (*(-part for part in line.rank), line.text)):
        if len(kept) < most and line.text not in kept and len(line.text) + 3 <= room:
            kept[line.text] = line
            room -= len(line.text) + 3
    return list(kept.values())


def _line(
    relation: str, slot: Slot, stated: Sequence[Stated], cubes: Mapping[str, MemCube], now: datetime
) -> Line | None:
    holding = [one for one in slot.current if _holds(cubes[one.cube_id], now)][-_VALUES:]
    if not holding:
        return None
    shown = [" ".join(one.fact.value.split()) for one in holding]
    text = f"{relation}: {', '.join(shown)}"
    if slot.arity in {Arity.ONE, Arity.OPEN} and len(holding) == 1 and slot.superseded:
        text += f" (since {datetime.fromtimestamp(holding[0].holds_from, UTC).date().isoformat()})"
    if len(text) > LONGEST_LINE:
        return None
    values = {value_key(relation, one.fact.value) for one in holding}
    support = sum(1 for one in stated if not one.negated and value_key(relation, one.fact.value) in values)
    parents = [cubes[one.cube_id] for one in holding]
    sources = tuple(Source(one.id, one.version, 0, len(one.text)) for one in parents)
    newest = max(one.holds_from for one in holding)
    return Line(text, sources, (max(one.policy.priority for one in parents), _LASTING[slot.arity], support, newest))


def _holds(cube: MemCube, now: datetime) -> bool:
    return cube.valid_to is None or posix(cube.valid_to) > posix(now)
