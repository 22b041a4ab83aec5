"""What was made out of cubes: readings, lineage, cached answers. None of it outlives what it was made from."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from remanence.cubes import Extraction, MemCube, State
from remanence.drafts import Draft, Keys
from remanence.errors import StoreDamagedError
from remanence.language.slots import Stated
from remanence.policies import Clearance, Clock
from remanence.store import claimed, journal, rows
from remanence.store.connections import Connections
from remanence.store.parts import Reading

MOST_REPLIES = 10_000
"""Cached answers of one space that are kept, the newest."""
_UNREAD = (
    "c.superseded_at IS NULL AND c.form = 'text' AND c.kind NOT IN ('qa', 'summary', 'profile') AND NOT EXISTS "
    "(SELECT 1 FROM extractions x WHERE x.seq = c.seq AND x.extractor = :extractor) AND (:space IS NULL OR s.name = :space)"
)
_READING = "x.extractor, x.content, x.mentions, x.links, x.terms, x.vectors"
_MANY = 500  # SQLite takes a bounded number of parameters per statement


class Derived:
    """`protocol.DerivedStore` on the connections of one SQLite file."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections, self._clock = connections, clock

    def keep(self, readings: Sequence[Reading]) -> int:
        kept = 0
        with self._connections.write() as connection:
            for reading in readings:
                row = connection.execute(
                    f"SELECT c.space, c.root, c.salt, {rows.CUBE} FROM {rows.CUBES} WHERE c.seq = ?", (reading.seq,)
                ).fetchone()
                if row is None:  # forgotten while the model was reading it
                    continue
                content = _text(reading.content)
                connection.execute(
                    "INSERT OR REPLACE INTO extractions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (reading.seq, row[0], reading.extractor, _now(), content, *reading[3:]),
                )
                commitment = journal.commit_to_reading(reading.extractor, content, row[2])
                journal.append(connection, "extract", (row[0], row[1], reading.seq), rows.cube_of(row[3:]), commitment)
                cube = rows.cube_of(row[3:])
                claimed.insert(
                    connection, reading.seq, row[0], claimed.by_model(cube, reading.content), reading.extractor
                )
                kept += 1
        return kept

    def unread(self, extractor: str, space: str | None, after: int, limit: int) -> list[tuple[int, MemCube]]:
        values = {"extractor": extractor, "space": space, "after": after, "limit": limit}
        with self._connections.read() as connection:
            found = connection.execute(
                f"SELECT c.seq, {rows.CUBE} FROM {rows.CUBES} WHERE {_UNREAD} AND c.seq > :after ORDER BY c.seq LIMIT :limit",
                values,
            ).fetchall()
        return [(row[0], rows.cube_of(row[1:])) for row in found]

    def waiting(self, extractor: str, space: str | None) -> int:
        values = {"extractor": extractor, "space": space}
        with self._connections.read() as connection:
            return connection.execute(f"SELECT count(*) FROM {rows.CUBES} WHERE {_UNREAD}", values).fetchone()[0]

    def reading(self, cube_id: str) -> tuple[str, Extraction] | None:
        with self._connections.read() as connection:
            row = connection.execute(
                "SELECT x.extractor, x.content FROM extractions x JOIN cubes c ON c.seq = x.seq "
                "WHERE c.id = ? AND c.superseded_at IS NULL",
                (cube_id,),
            ).fetchone()
        return None if row is None else (row[0], content_of(row[1]))

    def readings(self, space: str | None) -> dict[tuple[str, int], tuple[str, Extraction]]:
        with self._connections.read() as connection:
            found = connection.execute(
                f"SELECT c.id, c.version, x.extractor, x.content FROM {rows.CUBES} JOIN extractions x ON x.seq = c.seq "
                "WHERE ? IS NULL OR s.name = ?",
                (space, space),
            ).fetchall()
        return {(row[0], row[1]): (row[2], content_of(row[3])) for row in found}

    def everything(self, space: str | None) -> Iterator[tuple[MemCube, Keys, Reading | None]]:
        with self._connections.read() as connection:
            found = connection.execute(
                f"SELECT c.seq, {_READING}, {rows.KEYS}, {rows.CUBE} FROM {rows.CUBES} JOIN keys k ON k.seq = c.seq "
                "LEFT JOIN extractions x ON x.seq = c.seq WHERE ? IS NULL OR s.name = ? ORDER BY c.seq",
                (space, space),
            )
            if self._connections.in_memory:  # its only connection would show what is written meanwhile
                found = found.fetchall()
            for row in found:
                yield rows.cube_of(row[12:]), Keys(*row[7:12]), None if row[1] is None else _reading(row[:7])

    def stored(self, seqs: Sequence[int]) -> dict[int, Reading]:
        found: dict[int, Reading] = {}
        with self._connections.read() as connection:
            for at in range(0, len(seqs), _MANY):
                some = seqs[at : at + _MANY]
                for row in connection.execute(
                    f"SELECT x.seq, {_READING} FROM extractions x WHERE x.seq IN ({', '.join('?' * len(some))})", some
                ):
                    found[row[0]] = _reading(row)
        return found

    def bare(self, versions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}
        with self._connections.read() as connection:
            for version in versions:
                row = connection.execute(
                    "SELECT c.seq FROM cubes c LEFT JOIN extractions x ON x.seq = c.seq "
                    "WHERE c.id = ? AND c.version = ? AND x.seq IS NULL",
                    version,
                ).fetchone()
                if row is not None:
                    found[version] = row[0]
        return found

    def rekey(self, readings: Sequence[Reading]) -> None:
        with self._connections.write() as connection:
            connection.executemany(
                "UPDATE extractions SET mentions = ?, links = ?, terms = ?, vectors = ? "
                "WHERE seq = ? AND extractor = ? AND content = ?",  # it may have been read anew, or forgotten
                [(*one[3:7], one.seq, one.extractor, _text(one.content)) for one in readings],
            )

    def children(self, cube_ids: Sequence[str]) -> list[str]:
        with self._connections.read() as connection:
            return [child for cube_id in cube_ids for child in _children(connection, cube_id)]

    def has_pairs(self, space: str) -> bool:
        with self._connections.read() as connection:
            row = connection.execute(
                "SELECT 1 FROM cubes c JOIN spaces s ON s.number = c.space WHERE s.name = ? AND c.kind = 'qa' "
                "AND c.superseded_at IS NULL LIMIT 1",
                (space,),
            ).fetchone()
        return row is not None

    def claims(self, space: str, seqs: Sequence[int] | None = None, clearance: Clearance | None = None) -> list[Stated]:
        with self._connections.read() as connection:
            return claimed.current(connection, space, self._clock(), seqs, clearance)

    def claims_beside(self, space: str, cube_ids: Sequence[str], clearance: Clearance | None = None) -> list[Stated]:
        with self._connections.read() as connection:
            rows_ = [
                connection.execute("SELECT seq FROM cubes WHERE id = ? AND superseded_at IS NULL", (one,)).fetchone()
                for one in cube_ids
            ]
            seqs = [row[0] for row in rows_ if row]
            return claimed.current(connection, space, self._clock(), seqs, clearance)

    def reply(self, space: str, key: bytes) -> str | None:
        with self._connections.read() as connection:
            row = connection.execute("SELECT answer FROM replies WHERE space = ? AND key = ?", (space, key)).fetchone()
        return None if row is None else row[0]

    def keep_reply(self, space: str, key: bytes, answer: str, sources: Sequence[str]) -> None:
        with self._connections.write() as connection:
            if not all(connection.execute("SELECT 1 FROM cubes WHERE id = ?", (one,)).fetchone() for one in sources):
                return
            connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)", (space, key, answer, _now()))
            connection.executemany(
                "INSERT OR IGNORE INTO reply_sources VALUES (?, ?, ?)", [(one, space, key) for one in set(sources)]
            )
            _make_room(connection, space)


def _make_room(connection: sqlite3.Connection, space: str) -> None:
    """Drop the oldest cached answers of a space where there are more than `MOST_REPLIES`: prompts hold the day, and never come back."""
    count = connection.execute("SELECT count(*) FROM replies WHERE space = ?", (space,)).fetchone()[0]
    if count <= MOST_REPLIES:
        return
    old = connection.execute(
        "SELECT key FROM replies WHERE space = ? ORDER BY at LIMIT ?", (space, count - MOST_REPLIES)
    ).fetchall()
    for (key,) in old:
        connection.execute("DELETE FROM replies WHERE space = ? AND key = ?", (space, key))
        connection.execute("DELETE FROM reply_sources WHERE space = ? AND key = ?", (space, key))


def standing(connection: sqlite3.Connection, items: Sequence[Draft | str]) -> list[Draft | str]:
    """Those items of which nothing that they were made of was corrected or forgotten since it was read."""
    return [item for item in items if isinstance(item, str) or _stands(connection, item.made_of)]


def _stands(connection: sqlite3.Connection, made_of: Sequence[tuple[str, int]]) -> bool:
    query = "SELECT 1 FROM cubes WHERE id = ? AND version = ? AND superseded_at IS NULL"
    return all(connection.execute(query, version).fetchone() for version in made_of)


def retire_children(connection: sqlite3.Connection, parent: MemCube) -> None:
    """Close every memory that was made from one that is corrected: it may not hold any more."""
    for cube_id in with_descendants(connection, [parent.id])[1:]:
        row = connection.execute(
            f"SELECT c.space, c.root, c.seq, {rows.CUBE} FROM {rows.CUBES} WHERE c.id = ? AND c.superseded_at IS NULL",
            (cube_id,),
        ).fetchone()
        if row is not None and (cube := rows.cube_of(row[3:])).state is not State.FROZEN:
            ended = replace(cube, state=State.ARCHIVED, valid_to=parent.valid_from, superseded_at=parent.recorded_at)
            retire(connection, row[:3], ended)


def retire(connection: sqlite3.Connection, place: tuple[int, int, int], cube: MemCube) -> None:
    """Close the last version of a memory without another that takes over. `place` is its (space, root, seq)."""
    assert cube.superseded_at is not None
    rows.close(connection, place[2], cube.valid_to, cube.superseded_at)
    [(salt,)] = connection.execute("SELECT salt FROM cubes WHERE seq = ?", (place[2],))
    journal.append(connection, "retire", place, cube, journal.commit_to_end(cube, salt))


def with_descendants(connection: sqlite3.Connection, cube_ids: Sequence[str]) -> list[str]:
    """These memories, and after them those made from them, directly or not; each once, also where lineage runs in a circle."""
    found = dict.fromkeys(cube_ids)
    waiting = list(found)
    while waiting:
        new = [child for child in _children(connection, waiting.pop()) if child not in found]
        found.update(dict.fromkeys(new))
        waiting += new
    return list(found)


def _children(connection: sqlite3.Connection, cube_id: str) -> list[str]:
    """Those that are there; an import may name children that never came."""
    found = connection.execute(
        "SELECT DISTINCT l.child FROM lineage l JOIN cubes c ON c.id = l.child WHERE l.parent = ? ORDER BY l.child",
        (cube_id,),
    )
    return [child for (child,) in found]


def _reading(row: tuple[object, ...]) -> Reading:
    seq, extractor, content, *keys = row
    return Reading(int(str(seq)), str(extractor), content_of(str(content)), *keys)  # pyright: ignore[reportArgumentType]


def _text(content: Extraction) -> str:
    return json.dumps(content.to_json(), ensure_ascii=False, separators=(",", ":"))


def content_of(text: str) -> Extraction:
    """A reading's content as it is stored; StoreDamagedError where it is malformed."""
    try:
        return Extraction.from_json(json.loads(text))
    except (KeyError, ValueError, TypeError) as error:
        raise StoreDamagedError(
            f"A reading is malformed: {error!r}.", "Import the last sound export, or restore a backup."
        ) from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
