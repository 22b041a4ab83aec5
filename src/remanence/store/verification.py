"""`verify`: re-derive every hash and every key from its source, and say where they differ."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import groupby, pairwise

from remanence.cubes import Keys, MemCube, posix
from remanence.errors import StoreDamagedError
from remanence.language.keys import RULES, derive
from remanence.store import rows
from remanence.store.connections import Connections
from remanence.store.journal import GENESIS, Entry, commit_to, seal
from remanence.store.protocol import Checked

_MOST = 100  # problems listed: more would not help anyone


def verify(connections: Connections) -> Checked:
    """Check the file's pages, the journal's chain, every commitment, every version chain and every derived key."""
    counts: dict[str, int] = {}
    problems: list[str] = []
    with connections.read() as connection:
        for name, check in (
            ("pages", _pages), ("journal entries", _chain), ("commitments", _commitments),
            ("version chains", _versions), ("keys", _keys),
        ):  # fmt: skip
            looked_at = 0
            try:
                for problem in check(connection):
                    looked_at += 1
                    if problem:
                        problems.append(problem)
            except (
                StoreDamagedError,
                sqlite3.Error,
                TypeError,
                ValueError,
                AttributeError,
            ) as error:  # a malformed row
                problems.append(f"{name}: the check broke off: {error}")
            counts[name] = looked_at
    return Checked(counts, tuple(problems[:_MOST]))


def _pages(connection: sqlite3.Connection) -> Iterator[str]:
    for (line,) in connection.execute("PRAGMA integrity_check"):
        yield "" if line == "ok" else f"SQLite: {line}"


def _chain(connection: sqlite3.Connection) -> Iterator[str]:
    previous, expected = GENESIS, 1
    for row in connection.execute("SELECT * FROM journal ORDER BY entry"):
        entry = Entry._make(row)
        if entry.entry != expected:
            yield f"journal: entry {expected} is missing"
        elif entry.chained(previous) != entry.hash:
            yield f"journal: entry {entry.entry} does not follow from the one before"
        else:
            yield ""
        previous, expected = entry.hash, entry.entry + 1
    numbered = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
    if numbered and numbered[0] != expected - 1:
        yield f"journal: entries after {expected - 1} are missing; {numbered[0]} were written"


def _commitments(connection: sqlite3.Connection) -> Iterator[str]:
    """Every version has the journal entry that committed to it, and every entry has its version unless it was forgotten."""
    for row in connection.execute(
        f"SELECT c.salt, j.commitment, c.mark, {rows.CUBE} FROM {rows.CUBES} LEFT JOIN journal j "
        "ON j.seq = c.seq AND j.op IN ('add', 'correct') AND j.id = c.id AND j.version = c.version"
    ):
        cube = rows.cube_of(row[3:])
        if row[1] is None:
            yield f"cube {cube.id} version {cube.version} is not in the journal"
        elif commit_to(cube, row[2], row[0]) != row[1]:
            yield f"cube {cube.id} version {cube.version} was changed outside Remanence"
        else:
            yield ""
    for cube_id, version in connection.execute(
        "SELECT j.id, j.version FROM journal j WHERE j.op <> 'forget' AND NOT EXISTS (SELECT 1 FROM cubes c WHERE c.seq = j.seq) "
        "AND NOT EXISTS (SELECT 1 FROM journal f WHERE f.op = 'forget' AND f.root = j.root AND f.entry > j.entry)"
    ):
        yield f"cube {cube_id} version {version} is in the journal but not in the store"
    for (cube_id,) in connection.execute(
        "SELECT DISTINCT f.id FROM journal f JOIN cubes c ON c.root = f.root WHERE f.op = 'forget'"
    ):
        yield f"cube {cube_id} is in the store although the journal says that it was forgotten"


def _versions(connection: sqlite3.Connection) -> Iterator[str]:
    """Within a memory: one root, versions one after the other, each closed by the next, only the last one open."""
    found = connection.execute(f"SELECT c.root, c.seq, {rows.CUBE} FROM {rows.CUBES} ORDER BY c.id, c.version")
    for cube_id, group in groupby(found, key=lambda row: row[2]):
        chain = list(group)
        cubes = [rows.cube_of(row[2:]) for row in chain]
        good = {row[0] for row in chain} == {min(row[1] for row in chain)} and _closed_in_turn(cubes)
        yield "" if good else f"the versions of cube {cube_id} do not follow each other"


def _closed_in_turn(cubes: list[MemCube]) -> bool:
    begins = [posix(cube.valid_from) for cube in cubes]
    return (
        cubes[-1].superseded_at is None
        and cubes[-1].valid_to is None
        and cubes[-1].state == "active"
        and all(
            later.version == earlier.version + 1
            and earlier.superseded_at == later.recorded_at
            and earlier.valid_to is not None
            and posix(earlier.valid_to) == min(begins[place + 1 :])
            and earlier.state == "archived"
            for place, (earlier, later) in enumerate(pairwise(cubes))
        )
    )


def _keys(connection: sqlite3.Connection) -> Iterator[str]:
    rules = connection.execute("SELECT value FROM notes WHERE name = 'rules'").fetchone()
    same_rules = rules is not None and rules[0] == RULES  # keys of older rules are sound, and wait for a reindex
    for row in connection.execute(
        f"SELECT {rows.KEYS}, k.seal, k.space = c.space, {rows.CUBE} FROM {rows.CUBES} LEFT JOIN keys k ON k.seq = c.seq"
    ):
        cube = rows.cube_of(row[7:])
        name = f"cube {cube.id} version {cube.version}"
        if row[5] is None:
            yield f"{name} has no keys"
            continue
        keys = Keys(*row[:5])
        if seal(keys) != row[5] or not row[6]:
            yield f"the keys of {name} are damaged"
        elif same_rules and derive(cube, keys.vector) != keys:
            yield f"the keys of {name} do not belong to its text"
        else:
            yield ""
    for (seq,) in connection.execute("SELECT seq FROM keys WHERE seq NOT IN (SELECT seq FROM cubes)"):
        yield f"keys without a cube: {seq}"
