"""Erasing rows, rewriting the file, and looking for what may be left of them in its bytes."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from remanence.cubes import State
from remanence.errors import ForgetIncompleteError, StoreClosedError, StoreError
from remanence.store import journal, rows
from remanence.store.connections import Connections
from remanence.store.derived import drop_derived, drop_links, with_descendants
from remanence.store.lifecycle import frozen
from remanence.store.protocol import Erased

_PIECE = 32  # bytes of one trace
_SHORTEST = 8  # a shorter trace would turn up anywhere by chance
_PIECES = 48  # traces per value: first, last, and evenly between


def erase(connections: Connections, cube_ids: Sequence[str], space: str | None) -> Erased:
    """Delete all versions of these memories, what was read out of them and the memories made from them; note that a scrub is due.

    Raises
    ------
    UnknownCubeError
        One of the ids is not there. Nothing was erased.
    """
    versions, traces = 0, list[bytes]()
    with connections.write() as connection:
        everyone = with_descendants(connection, cube_ids)
        for cube_id in everyone:
            found = connection.execute(
                f"SELECT c.seq, c.root, c.space, c.salt, c.meta, k.vector, {rows.CUBE} FROM {rows.CUBES} "
                "LEFT JOIN keys k ON k.seq = c.seq WHERE c.id = ? AND (? IS NULL OR s.name = ?) ORDER BY c.version",
                (cube_id, *((space, space) if cube_id in cube_ids else (None, None))),
            ).fetchall()
            if not found:
                raise rows.unknown(cube_id)
            for seq, _, _, salt, meta, vector, *row in found:
                cube = rows.cube_of(tuple(row))
                if cube.state is State.FROZEN:
                    raise frozen(cube_id)
                names = (
                    cube.about,
                    cube.provenance.author,
                    cube.scope.user,
                    cube.scope.agent,
                    cube.scope.session,
                    cube.provenance.source,
                )
                content = [cube.text, meta, *(name for name in names if name)]
                traces += [salt, *pieces(vector or b""), *(piece for one in content for piece in pieces(one.encode()))]
                traces += [piece for one in drop_derived(connection, seq) for piece in pieces(one)]
                connection.execute("DELETE FROM keys WHERE seq = ?", (seq,))
                connection.execute("DELETE FROM cubes WHERE seq = ?", (seq,))
            versions += len(found)
            traces += [piece for one in drop_links(connection, cube_id) for piece in pieces(one)]
            _forget_replays(connection, cube_id)
            connection.execute("DELETE FROM events WHERE id = ?", (cube_id,))
            connection.execute("DELETE FROM usage WHERE id = ?", (cube_id,))
            last = found[-1]
            journal.append(connection, "forget", (last[2], last[1], last[0]), rows.cube_of(tuple(last[6:])), b"")
        connection.execute("INSERT OR REPLACE INTO notes SELECT 'scrub', max(entry) FROM journal")
    return Erased(tuple(everyone), versions, tuple(dict.fromkeys(traces)))


def _forget_replays(connection: sqlite3.Connection, cube_id: str) -> None:
    """Keep the idempotency key, so that a repeated call brings nothing back, but not the digest of what was asked."""
    for space, key, ids in connection.execute(
        "SELECT space, key, ids FROM replays WHERE instr(ids, ?)", (cube_id,)
    ).fetchall():
        left = json.dumps([one for one in json.loads(ids) if one != cube_id])
        connection.execute("UPDATE replays SET request = x'', ids = ? WHERE space = ? AND key = ?", (left, space, key))


def pieces(value: bytes) -> list[bytes]:
    """Byte strings to look for: if a run of twice their length is left of the value, one of them is in it, for values up to 1.5 KB."""
    if len(value) < _SHORTEST:
        return []
    last = max(len(value) - _PIECE, 0)
    step = max(_PIECE, -(-last // _PIECES))
    found = [value[at : at + _PIECE] for at in [*range(0, last, step), last]]
    return [piece for piece in found if len(piece) - piece.count(0) >= _SHORTEST]  # a run of zeros is in every file


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
            due = connection.execute("SELECT value FROM notes WHERE name = 'scrub'").fetchone()
            connection.execute("VACUUM")
            emptied = connections.in_memory or _empty_log(connection, connections.busy_timeout)
            if emptied and due:  # an erasure that came meanwhile wrote another number, and stays due
                connection.execute("DELETE FROM notes WHERE name = 'scrub' AND value = ?", due)
    except StoreClosedError:
        raise
    except StoreError as error:
        raise ForgetIncompleteError(
            f"The rows are erased, but the file could not be rewritten: {error.what}",
            "Remove the cause and open the store again: the clean-up is finished then.",
        ) from error
    if not emptied:
        raise ForgetIncompleteError(
            "The rows are erased, but the write-ahead log is still in use by another process.",
            "Let its reads end and open the store again: the clean-up is finished then.",
        )


def _empty_log(connection: sqlite3.Connection, patience: float) -> bool:
    """Copy the log into the file and truncate it. SQLite gives up at once where another checkpoint runs: this waits."""
    deadline = time.monotonic() + patience
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def residue(connections: Connections, traces: Sequence[bytes]) -> list[bytes]:
    """Those traces that stand in the bytes of the file or its log and in nothing that lives.

    The file's pages are read through SQLite, slack and free pages included: opening and closing it here would drop SQLite's
    locks. What lies beyond its last page would be missed, so its length is compared.
    """
    with connections.outside_transactions() as connection:
        images = [connection.serialize()]
        size = len(images[0])
    if not connections.in_memory:
        log = Path(f"{connections.location}-wal")
        images.append(log.read_bytes() if log.exists() else b"")
        if not images[1] and Path(connections.location).stat().st_size > size:
            raise ForgetIncompleteError(f"{connections.location} is longer than its pages.", "Run: remanence verify")
    found = [trace for trace in traces if any(trace in image for image in images)]
    return [trace for trace in found if not _living(connections, trace)]


def _living(connections: Connections, trace: bytes) -> bool:
    """Whether something in the store rightly holds these bytes: another cube's phrase, an id in the journal, a table's name."""
    if trace in b"SQLite format 3":
        return True
    with connections.read() as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return any(_holds(connection, table, trace) for table in [*tables, "sqlite_master"])


def _holds(connection: sqlite3.Connection, table: str, trace: bytes) -> bool:
    """Whether a row of a table has the bytes in one column, or across columns, as they stand side by side in the file."""
    columns = [f'"{row[1]}"' for row in connection.execute(f"PRAGMA table_info({table})")]
    each = " OR ".join(f"instr(CAST({column} AS BLOB), :trace)" for column in columns)
    joined = " || ".join(f"coalesce({column}, '')" for column in columns)
    sql = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {each} OR instr(CAST({joined} AS BLOB), :trace))"
    return bool(connection.execute(sql, {"trace": trace}).fetchone()[0])
