"""Claims: who is said to be what. Rows of their own, so that rivals for one slot are found by an index; derived from the text."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from remanence.cubes import Extraction, Fact, Kind, MemCube, posix
from remanence.language.relations import is_known
from remanence.language.slots import Stated, relation_key, subject_key
from remanence.policies import Clearance, Trust, trust_of
from remanence.store.cleared import IN_TIME, cleared

if TYPE_CHECKING:
    from remanence.language.statements import Claim

RULES = "rules"
_MOST = 64  # claims of one cube: a message of ten thousand sentences must not fill every slot
_RIVALS = 2000  # statements beside a few versions, the newest: a crowded slot must not slow a recall down
_RANKS = {Trust.USER: 2, Trust.TOOL: 2, Trust.WEB: 1, Trust.MODEL: 1, Trust.UNKNOWN: 0}
"""How far a statement is trusted: none ends one of a higher rank, see `language.slots`."""
_SAID_ALREADY = {Kind.SUMMARY, Kind.PROFILE, Kind.CACHE, Kind.ADAPTER}  # by their sources
_MANY = 500  # SQLite takes a bounded number of parameters per statement
_COLUMNS = "l.subject, l.relation, l.value, c.id, c.version, c.seq, c.valid_from, c.source, l.negated, l.replacing, coalesce(c.author, c.user, c.role), c.trust, c.role"
_CURRENT = "claims l JOIN cubes c ON c.seq = l.seq JOIN spaces s ON s.number = l.space WHERE s.name = ? AND c.superseded_at IS NULL"


def by_rules(cube: MemCube) -> list[Claim]:
    """What the rules find that a cube states. "I" is its author, else its user, else its role."""
    from remanence.language.statements import (
        claims,  # its patterns take a while to load, and reading does not need them
    )

    if cube.kind in _SAID_ALREADY:
        return []
    origin = cube.provenance
    speaker = None if origin.role == "document" else origin.author or cube.scope.user or origin.role
    return list(claims(cube.text, speaker, cube.about))[:_MOST]


def by_model(cube: MemCube, extraction: Extraction) -> list[Claim]:
    """Facts of a reading whose relation is known: of others nobody can say whether one value excludes another."""
    from remanence.language.statements import Claim

    return [
        Claim(fact, negated=False, start=0, end=len(cube.text)) for fact in extraction.facts if is_known(fact.relation)
    ]


def insert(connection: sqlite3.Connection, seq: int, space: int, found: Iterable[Claim], origin: str = RULES) -> None:
    """Write what a version states, in place of what was written before by the rules, or by a model."""
    same = "=" if origin == RULES else "<>"
    connection.execute(f"DELETE FROM claims WHERE seq = ? AND origin {same} ?", (seq, RULES))
    connection.executemany("INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows_of(seq, space, found, origin))


def rows_of(seq: int, space: int, found: Iterable[Claim], origin: str = RULES) -> list[tuple[object, ...]]:
    """What stands in the table for these claims."""
    return [
        (seq, space, slot(claim.fact.subject, claim.fact.relation), claim.fact.subject, claim.fact.relation,
         claim.fact.value, claim.negated, claim.replaces, origin)
        for claim in found
    ]  # fmt: skip


def slot(subject: str, relation: str) -> int:
    """63 bits that stand for a subject and a relation, in any wording."""
    key = f"{subject_key(subject)}\0{relation_key(relation)}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) >> 1


def current(
    connection: sqlite3.Connection,
    space: str,
    now: datetime,
    seqs: Sequence[int] | None,
    clearance: Clearance | None = None,
) -> list[Stated]:
    """What current versions state whose time is not up; with `seqs`, everything in the slots that those versions, or what they were made from, fill."""
    seen, values = cleared(clearance)
    seen, values = seen + IN_TIME, (*values, now.isoformat())
    if seqs is None:
        query = f"SELECT {_COLUMNS} FROM {_CURRENT}{seen} ORDER BY l.seq"
        return [_stated(row) for row in connection.execute(query, (space, *values))]
    found: dict[tuple[object, ...], Stated] = {}
    for at in range(0, len(seqs), _MANY):
        some = seqs[at : at + _MANY]
        holes = ", ".join("?" * len(some))
        for row in connection.execute(
            f"SELECT {_COLUMNS} FROM {_CURRENT}{seen} AND l.slot IN (SELECT slot FROM claims WHERE seq IN ({holes}) "
            f"UNION SELECT p.slot FROM claims p JOIN cubes o ON o.seq = p.seq JOIN lineage y ON y.parent = o.id "
            f"JOIN cubes d ON d.id = y.child WHERE d.seq IN ({holes})) ORDER BY l.seq DESC LIMIT {_RIVALS}",
            (space, *values, *some, *some),
        ):
            found[row] = _stated(row)
    return sorted(found.values(), key=lambda one: one.seq)


def _stated(row: tuple[object, ...]) -> Stated:
    subject, relation, value, cube_id, version, seq, valid_from, source, negated, replacing, speaker, trust, role = row
    tier = Trust(str(trust)) if trust else trust_of(str(role), str(source))
    return Stated(
        Fact(str(subject), str(relation), str(value)), str(cube_id), int(str(version)), int(str(seq)),
        posix(datetime.fromisoformat(str(valid_from))), str(source), bool(negated), bool(replacing),
        own=subject_key(str(subject)) == subject_key(str(speaker)), rank=_RANKS[tier],
    )  # fmt: skip
