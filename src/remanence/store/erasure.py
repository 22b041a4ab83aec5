"""Erasing rows, rewriting the file, and looking for what may be left of them in its bytes."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path

from remanence.errors import ForgetIncompleteError, StoreError
from remanence.store import journal, rows
from remanence.store.connections import Connections
from remanence.store.protocol import Erased

_PIECE = 32  # bytes of one trace
_SHORTEST = 8  # a shorter trace would turn up anywhere by chance
_PIECES = 48  # traces per value: first, last, and evenly between
_CONTENT = "id, form, kind, state, text, about, meta, user, agent, session, source, author, role, method, observed_at"


def erase(connections: Connections, cube_ids: Sequence[str], space: str | None) -> Erased:
    """Delete all versions of these memories and everything derived from them; note that a scrub is due.

    Raises
    ------
    UnknownCubeError
        One of the ids is not there. Nothing was erased.
    """
    versions, traces = 0, list[bytes]()
    with connections.write() as connection:
        for cube_id in dict.fromkeys(cube_ids):
            found = connection.execute(
                f"SELECT c.seq, c.root, c.space, c.salt, c.meta, k.vector, {rows.CUBE} FROM {rows.CUBES} "
                "LEFT JOIN keys k ON k.seq = c.seq WHERE c.id = ? AND (? IS NULL OR s.name = ?) ORDER BY c.version",
                (cube_id, space, space),
            ).fetchall()
            if not found:
                raise rows.unknown(cube_id)
            for seq, _, _, salt, meta, vector, *row in found:
                cube = rows.cube_of(tuple(row))
                traces += [salt, *pieces(cube.text.encode()), *pieces(meta.encode()), *pieces(vector or b"")]
                connection.execute("DELETE FROM keys WHERE seq = ?", (seq,))
                connection.execute("DELETE FROM cubes WHERE seq = ?", (seq,))
            versions += len(found)
            last = found[-1]
            journal.append(connection, "forget", (last[2], last[1], last[0]), rows.cube_of(tuple(last[6:])), b"")
        connection.execute("INSERT OR REPLACE INTO notes VALUES ('scrub', 'due')")
    return Erased(tuple(dict.fromkeys(cube_ids)), versions, tuple(dict.fromkeys(traces)))


def pieces(value: bytes) -> list[bytes]:
    """Byte strings to look for: if a run of twice their length is left of the value, one of them is in it, for values up to 1.5 KB."""
    if len(value) < _SHORTEST:
        return []
    last = max(len(value) - _PIECE, 0)
    step = max(_PIECE, -(-last // _PIECES))
    return [value[at : at + _PIECE] for at in [*range(0, last, step), last]]


def scrub(connections: Connections) -> None:
    """Rewrite the file from its living rows and empty the write-ahead log.

    Overwriting deleted cells with zeros is not enough: when SQLite moves cells between pages it leaves stale copies in the
    pages' slack. VACUUM builds every page anew.

    Raises
    ------
    ForgetIncompleteError
        The disk is full, or another process kept reading an old state. The rows are gone; the scrub stays due and is done
        by the next `forget` or at the next opening.
    """
    try:
        with connections.outside_transactions() as connection:
            connection.execute("VACUUM")
            blocked = (
                0 if connections.in_memory else connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            )
            if not blocked:
                connection.execute("DELETE FROM notes WHERE name = 'scrub'")
    except StoreError as error:
        raise ForgetIncompleteError(
            f"The rows are erased, but the file could not be rewritten: {error.what}",
            "Remove the cause and open the store again: the clean-up is finished then.",
        ) from error
    if blocked:
        raise ForgetIncompleteError(
            "The rows are erased, but the write-ahead log is still in use by another process.",
            "Let its reads end and open the store again: the clean-up is finished then.",
        )


def residue(connections: Connections, traces: Sequence[bytes]) -> list[bytes]:
    """Those traces that stand in the bytes of the file or its log and in no living cube."""
    if connections.in_memory:
        with connections.outside_transactions() as connection:
            image = connection.serialize()
        found = [trace for trace in traces if trace in image]
    else:
        found = list(dict.fromkeys(trace for path in files(connections.location) for trace in _within(path, traces)))
    return [trace for trace in found if not _living(connections, trace)]


def files(location: str) -> list[Path]:
    """The store's file and whatever SQLite keeps beside it."""
    candidates = [Path(location + suffix) for suffix in ("", "-wal", "-journal")]
    return [path for path in candidates if path.exists() and path.stat().st_size]


def _within(path: Path, traces: Sequence[bytes]) -> list[bytes]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
        return [trace for trace in traces if image.find(trace) >= 0]


def _living(connections: Connections, trace: bytes) -> bool:
    """Whether another cube holds the same bytes: the same phrase, the same picture of a text, a space's name."""
    record = " || ".join(f"coalesce({name}, '')" for name in _CONTENT.split(", "))
    with connections.read() as connection:
        return bool(
            connection.execute(
                f"SELECT EXISTS (SELECT 1 FROM cubes WHERE instr(CAST({record} AS BLOB), ?)) "
                "OR EXISTS (SELECT 1 FROM keys WHERE instr(vector, ?)) "
                "OR EXISTS (SELECT 1 FROM spaces WHERE instr(CAST(name AS BLOB), ?))",
                (trace, trace, trace),
            ).fetchone()[0]
        )
