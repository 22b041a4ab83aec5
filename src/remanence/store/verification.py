"""`verify`: re-derive every hash and every key from its source, and say where they differ."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from functools import lru_cache
from itertools import groupby, pairwise

from remanence.cubes import Extraction, MemCube, State, posix
from remanence.drafts import Keys
from remanence.errors import StoreDamagedError
from remanence.language.keys import RULES, derive, derive_reading, embedded_parts
from remanence.policies import Policy
from remanence.store import claimed, decided, rows, schema
from remanence.store.connections import Connections
from remanence.store.derived import content_of
from remanence.store.grants import grants_problems
from remanence.store.journal import (
    GENESIS,
    OPS,
    WRITTEN,
    Entry,
    commit_to,
    commit_to_end,
    commit_to_event,
    commit_to_policy,
    commit_to_reading,
    seal,
)
from remanence.store.protocol import Checked

_MOST = 100  # problems listed: more would not help anyone


def verify(connections: Connections) -> Checked:
    """Check the file's pages, the journal's chain, every commitment, every version chain, and all that was made from cubes."""
    counts: dict[str, int] = {}
    problems: list[str] = []
    with connections.read() as connection:
        for name, check in (
            ("pages", _pages), ("tables", _tables), ("journal entries", _chain), ("commitments", _commitments),
            ("version chains", _versions), ("keys", _keys), ("claims", _claims), ("readings", _readings),
            ("lineage", _lineage), ("replies", _replies), ("policies", _policies), ("events", _events), ("grants", _grants),
            ("decisions", decided.problems),
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


def _tables(connection: sqlite3.Connection) -> Iterator[str]:
    """The tables are declared as this format declares them, and no row points to nothing.

    SQLite takes a damaged declaration at its word: with another column in the place of a key every join over it is empty, and
    all other checks would find nothing to look at.
    """
    found = frozenset(connection.execute(_DECLARED))
    for kind, name, _, _ in sorted(found ^ _declared(schema.MIGRATIONS), key=str):
        yield f"the {kind} {name} is not declared as in this format"
    for table, number, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"row {number} of {table} points to a row of {parent} that is not there"
    yield from [""] * len(found)


_DECLARED = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\'"


@lru_cache(maxsize=1)
def _declared(migrations: tuple[str, ...]) -> frozenset[tuple[str, str, str, str | None]]:
    """What a new file declares after these migrations."""
    del migrations  # the key of the cache
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        schema.migrate(fresh, ":memory:")
        return frozenset(fresh.execute(_DECLARED))


def _chain(connection: sqlite3.Connection) -> Iterator[str]:
    previous, expected = GENESIS, 1
    for row in connection.execute("SELECT * FROM journal ORDER BY entry"):
        entry = Entry._make(row)
        if entry.entry != expected:
            yield f"journal: entry {expected} is missing"
        elif entry.chained(previous) != entry.hash:
            yield f"journal: entry {entry.entry} does not follow from the one before"
        elif entry.op not in OPS:
            yield f"journal: entry {entry.entry} says {entry.op!r}, which this release does not know"
        else:
            yield ""
        previous, expected = entry.hash, entry.entry + 1
    numbered = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
    if numbered and numbered[0] != expected - 1:
        yield f"journal: entries after {expected - 1} are missing; {numbered[0]} were written"


def _commitments(connection: sqlite3.Connection) -> Iterator[str]:
    """Every version has the entry that committed to it; every entry names its version as it is, unless it was forgotten."""
    for row in connection.execute(
        f"SELECT c.salt, j.commitment, c.mark, {rows.CUBE} FROM {rows.CUBES} LEFT JOIN journal j "
        f"ON j.seq = c.seq AND j.op IN {WRITTEN} AND j.id = c.id AND j.version = c.version"
    ):
        cube = rows.cube_of(row[3:])
        if row[1] is None:
            yield f"cube {cube.id} version {cube.version} is not in the journal"
        elif commit_to(cube, row[2], row[0]) != row[1]:
            yield f"cube {cube.id} version {cube.version} was changed outside Remanence"
        else:
            yield ""
    for cube_id, version in connection.execute(
        "SELECT j.id, j.version FROM journal j WHERE j.op <> 'forget' AND j.seq > 0 AND NOT EXISTS (SELECT 1 FROM cubes c WHERE c.seq = j.seq) "
        "AND NOT EXISTS (SELECT 1 FROM journal f WHERE f.op = 'forget' AND f.root = j.root AND f.entry > j.entry)"
    ):
        yield f"cube {cube_id} version {version} is in the journal but not in the store"
    for (number,) in connection.execute(
        "SELECT j.entry FROM journal j JOIN cubes c ON c.seq = j.seq WHERE j.op <> 'forget' "
        "AND (j.id, j.version, j.root, j.space) IS NOT (c.id, c.version, c.root, c.space)"
    ):
        yield f"journal: entry {number} names its version wrongly"
    for (cube_id,) in connection.execute(
        "SELECT DISTINCT f.id FROM journal f JOIN cubes c ON c.root = f.root WHERE f.op = 'forget'"
    ):
        yield f"cube {cube_id} is in the store although the journal says that it was forgotten"


def _versions(connection: sqlite3.Connection) -> Iterator[str]:
    """Within a memory: one root, versions one after the other, each closed by the next or by an event; the last one open unless
    it was retired, put away or held.
    """
    ends = _last_events(connection)
    found = connection.execute(
        f"SELECT c.root, c.seq, c.salt, j.commitment, {rows.CUBE} FROM {rows.CUBES} LEFT JOIN {_last('retire')} "
        "ORDER BY c.id, c.version"
    )
    for cube_id, group in groupby(found, key=lambda row: row[4]):
        chain = list(group)
        cubes = [rows.cube_of(row[4:]) for row in chain]
        _, seq, salt, retired, *_ = chain[-1]
        good = (
            {row[0] for row in chain} == {min(row[1] for row in chain)}
            and _closed_in_turn(cubes)
            and all(_is_away(cube, ends.get(row[1])) for row, cube in zip(chain, cubes, strict=True) if cube.hidden)
            and (cubes[-1].hidden or _ends_well(cubes[-1], ends.get(seq), salt, retired))
        )
        yield "" if good else f"the versions of cube {cube_id} do not follow each other"


def _last_events(connection: sqlite3.Connection) -> dict[int, tuple[str, str]]:
    """The newest event of each version: what it became, and when."""
    return {
        seq: (became, at) for seq, became, at in connection.execute("SELECT seq, became, at FROM events ORDER BY entry")
    }


def _is_away(cube: MemCube, event: tuple[str, str] | None) -> bool:
    """What is hidden became so by an event, at that time, or was held when it was written. Its interval is as it was given."""
    if event is None or cube.superseded_at is None or cube.state.value != event[0] or cube.valid_to != cube.given_to:
        return False
    return cube.superseded_at == datetime.fromisoformat(event[1]) or cube.superseded_at == cube.recorded_at


def _ends_well(cube: MemCube, event: tuple[str, str] | None, salt: bytes, retired: bytes | None) -> bool:
    if retired is not None:
        return _is_retired(cube, salt, retired)
    state = State.ACTIVE if event is None else State(event[0])
    return cube.superseded_at is None and cube.valid_to == cube.given_to and cube.state is state


def _last(op: str) -> str:
    """For a join with `cubes c`: of each version the newest entry of this kind. SQLite takes the other columns from that row."""
    return f"(SELECT seq, max(entry), commitment FROM journal WHERE op = '{op}' GROUP BY seq) j ON j.seq = c.seq"


def _is_retired(cube: MemCube, salt: bytes, commitment: bytes) -> bool:
    """Only what was made from other memories is ever closed without a later version."""
    return (
        bool(cube.provenance.derived_from)
        and cube.superseded_at is not None
        and cube.valid_to is not None
        and cube.state == "archived"
        and commit_to_end(cube, salt) == commitment
    )


def _closed_in_turn(cubes: list[MemCube]) -> bool:
    """Each version that is not hidden ends where the next begins, or any later one, or where it was given to end."""
    begins = [posix(cube.valid_from) for cube in cubes]
    return all(
        later.version == earlier.version + 1
        and (
            earlier.hidden
            or (
                earlier.superseded_at == later.recorded_at
                and earlier.valid_to is not None
                and posix(earlier.valid_to) == min(*begins[place + 1 :], _given(earlier), math.inf)
                and earlier.state == "archived"
            )
        )
        for place, (earlier, later) in enumerate(pairwise(cubes))
    )


def _given(cube: MemCube) -> float:
    return math.inf if cube.given_to is None else posix(cube.given_to)


def _keys(connection: sqlite3.Connection) -> Iterator[str]:
    same_rules = _same_rules(connection)
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


def _same_rules(connection: sqlite3.Connection) -> bool:
    """Keys of older rules are sound, and wait for a reindex."""
    rules = connection.execute("SELECT value FROM notes WHERE name = 'rules'").fetchone()
    return rules is not None and rules[0] == RULES


def _claims(connection: sqlite3.Connection) -> Iterator[str]:
    """What each version states follows from its text and from what was read out of it."""
    if _same_rules(connection):
        for row in connection.execute(
            f"SELECT c.seq, c.space, x.extractor, x.content, {rows.CUBE} FROM {rows.CUBES} LEFT JOIN extractions x ON x.seq = c.seq"
        ):
            seq, space, extractor, content, *own = row
            cube = rows.cube_of(tuple(own))
            wanted = claimed.rows_of(seq, space, claimed.by_rules(cube))
            if extractor is not None:
                read = content_of(content)
                wanted += claimed.rows_of(seq, space, claimed.by_model(cube, read), extractor)
            found = connection.execute("SELECT * FROM claims WHERE seq = ?", (seq,)).fetchall()
            same = Counter(found) == Counter(wanted)
            yield "" if same else f"the claims of cube {cube.id} version {cube.version} do not follow from it"
    for (seq,) in connection.execute("SELECT DISTINCT seq FROM claims WHERE seq NOT IN (SELECT seq FROM cubes)"):
        yield f"claims without a cube: {seq}"


def _readings(connection: sqlite3.Connection) -> Iterator[str]:
    """What was read out of a version is what the journal committed to last; its keys follow from it."""
    same_rules = _same_rules(connection)
    for row in connection.execute(
        "SELECT x.space = c.space, x.extractor, x.content, x.mentions, x.links, x.terms, x.vectors, k.vector, c.salt, "
        f"j.commitment, {rows.CUBE} FROM {rows.CUBES} JOIN extractions x ON x.seq = c.seq "
        f"LEFT JOIN keys k ON k.seq = c.seq LEFT JOIN {_last('extract')}"
    ):
        cube = rows.cube_of(row[10:])
        name = f"what was read out of cube {cube.id} version {cube.version}"
        same_space, extractor, text, *keys, vectors, vector, salt, commitment = row[:10]
        if commit_to_reading(extractor, text, salt) != commitment:
            yield f"{name} is not what the journal says"
            continue
        content = content_of(text)
        if not (same_space and _fits(content, vectors, vector)):
            yield f"{name} is damaged"
        elif same_rules and tuple(keys) != derive_reading(cube, content):
            yield f"the keys of {name} do not follow from it"
        else:
            yield ""
    for (seq,) in connection.execute("SELECT seq FROM extractions WHERE seq NOT IN (SELECT seq FROM cubes)"):
        yield f"something was read out of version {seq}, which is not there"
    for cube_id, version in connection.execute(
        "SELECT DISTINCT j.id, j.version FROM journal j JOIN cubes c ON c.seq = j.seq WHERE j.op = 'extract' "
        "AND j.seq NOT IN (SELECT seq FROM extractions)"
    ):
        yield f"what was read out of cube {cube_id} version {version} is in the journal but not in the store"


def _fits(content: Extraction, vectors: bytes | None, vector: bytes | None) -> bool:
    """One vector of float16 for each fact and each statement, as wide as the one of the version itself."""
    parts = len(embedded_parts(content))
    if vectors is None:
        return True
    return parts > 0 and len(vectors) % (2 * parts) == 0 and (vector is None or len(vectors) == parts * len(vector))


def _policies(connection: sqlite3.Connection) -> Iterator[str]:
    """How each version is governed is what the journal committed to last; the default needs no entry."""
    for row in connection.execute(
        f"SELECT c.salt, j.commitment, {rows.CUBE} FROM {rows.CUBES} LEFT JOIN {_last('govern')}"
    ):
        cube = rows.cube_of(row[2:])
        good = cube.policy == Policy() if row[1] is None else commit_to_policy(cube, row[0]) == row[1]
        yield "" if good else f"the policy of cube {cube.id} version {cube.version} is not what the journal says"


def _events(connection: sqlite3.Connection) -> Iterator[str]:
    """Every change of state of a living version has its event, and the journal committed to it."""
    for row in connection.execute(
        "SELECT j.entry, j.id, j.commitment, c.salt, e.id, e.seq = j.seq, e.at, e.was, e.became, e.reason, e.by FROM journal j "
        "JOIN cubes c ON c.seq = j.seq LEFT JOIN events e ON e.entry = j.entry WHERE j.op = 'state'"
    ):
        entry, cube_id, commitment, salt, named, same, at, was, became, reason, by = row
        good = named == cube_id and bool(same) and commit_to_event(at, (was, became), reason, by, salt) == commitment
        yield "" if good else f"journal: the event of entry {entry} about cube {cube_id} is not what the journal says"
    for (entry,) in connection.execute(
        "SELECT entry FROM events WHERE entry NOT IN (SELECT entry FROM journal WHERE op = 'state') OR seq NOT IN (SELECT seq FROM cubes)"
    ):
        yield f"the event {entry} is not in the journal, or about no memory that is here"


def _grants(connection: sqlite3.Connection) -> Iterator[str]:
    """Grants and shares stand as the journal says."""
    [(secret,)] = connection.execute("SELECT value FROM notes WHERE name = 'secret'")
    yield from grants_problems(connection, bytes.fromhex(secret))


def _lineage(connection: sqlite3.Connection) -> Iterator[str]:
    """Parents are found from their children, and children from their parents."""
    named = connection.execute("SELECT DISTINCT e.value, c.id FROM cubes c, json_each(c.derived_from) e").fetchall()
    listed = connection.execute("SELECT parent, child FROM lineage").fetchall()
    both = set(named) & set(listed)
    for pair in dict.fromkeys([*named, *listed]):
        yield (
            ""
            if pair in both
            else f"the lineage does not say as cube {pair[1]} does whether it was made from {pair[0]}"
        )


def _replies(connection: sqlite3.Connection) -> Iterator[str]:
    """No cached answer outlives a memory that its prompt showed."""
    for space, key in connection.execute(
        "SELECT r.space, r.key FROM replies r WHERE EXISTS (SELECT 1 FROM reply_sources q WHERE q.space = r.space "
        "AND q.key = r.key AND q.id NOT IN (SELECT id FROM cubes))"
    ):
        yield f"the cached answer {key.hex()} in the space {space!r} rests on a memory that is not there"
    for (_,) in connection.execute("SELECT 1 FROM replies"):
        yield ""
    for cube_id, key in connection.execute(
        "SELECT q.id, q.key FROM reply_sources q WHERE NOT EXISTS (SELECT 1 FROM replies r WHERE r.space = q.space AND r.key = q.key)"
    ):
        yield f"cube {cube_id} is listed under the cached answer {key.hex()}, which is not there"
