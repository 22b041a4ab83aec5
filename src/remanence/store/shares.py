"""Shares: one memory, or all of a view, shown in another space as copies. Rows, and which copies belong to them."""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from remanence.cubes import MemCube
from remanence.drafts import Keys
from remanence.store import journal, rows
from remanence.store.connections import Connections

METHOD = "shared"
"""`Provenance.method` of a copy."""
COLUMNS = "id, source, target, cube, filters, at, by"
_MANY = 500  # SQLite takes a bounded number of parameters per statement


@dataclass(frozen=True, slots=True)
class Shared:
    """What of a space is shown in another."""

    id: str
    source: str
    target: str
    cube: str | None
    """The one memory; None for a view."""
    view: dict[str, Any] | None
    """Filters of a view: user, agent, session, source, kinds; only those that are set."""
    at: str
    by: str

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}


class Original(NamedTuple):
    """A memory of a source space as a share sees it."""

    cube: MemCube
    keys: Keys


class Shares:
    """Shares on the connections of one SQLite file."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def any(self) -> bool:
        """Whether anything is shared at all: the cheap question after every write."""
        with self._connections.read() as connection:
            return connection.execute("SELECT 1 FROM shares LIMIT 1").fetchone() is not None

    def add(self, shared: Shared) -> None:
        """Write a share with its entry in the journal."""
        view = None if shared.view is None else json.dumps(shared.view, ensure_ascii=False, sort_keys=True)
        row = (shared.id, shared.source, shared.target, shared.cube, view, shared.at, shared.by)
        with self._connections.write() as connection:
            connection.execute(f"INSERT INTO shares ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            [(secret,)] = connection.execute("SELECT value FROM notes WHERE name = 'secret'")
            commitment = share_commitment(bytes.fromhex(secret), row)
            journal.note(connection, "share", _number(connection, shared.source), shared.id, commitment)

    def drop(self, share_id: str) -> bool:
        """Delete a share; its copies are the caller's business. False if there is none."""
        with self._connections.write() as connection:
            row = connection.execute("SELECT source FROM shares WHERE id = ?", (share_id,)).fetchone()
            if row is None:
                return False
            _drop(connection, share_id, row[0])
        return True

    def listed(self) -> list[Shared]:
        """All shares, in the order of their ids."""
        with self._connections.read() as connection:
            found = connection.execute(f"SELECT {COLUMNS} FROM shares ORDER BY id").fetchall()
        return [
            Shared(share, source, target, cube, None if filters is None else json.loads(filters), at, by)
            for share, source, target, cube, filters, at, by in found
        ]

    def changed(self, shared: Shared) -> tuple[int, list[str]]:
        """The journal's head, and the ids of what changed in the source since the share was last brought up to date."""
        with self._connections.read() as connection:
            [(head,)] = connection.execute("SELECT coalesce(max(entry), 0) FROM journal")
            row = connection.execute("SELECT value FROM notes WHERE name = ?", (_note(shared.id),)).fetchone()
            found = connection.execute(
                "SELECT DISTINCT j.id FROM journal j JOIN spaces s ON s.number = j.space "
                "WHERE s.name = ? AND j.entry > ? AND j.seq > 0 AND j.op <> 'extract' ORDER BY j.id",
                (shared.source, int(row[0]) if row else 0),
            ).fetchall()
        ids = [one for (one,) in found]
        return head, ids if shared.cube is None else [one for one in ids if one == shared.cube]

    def reached(self, shared: Shared, head: int) -> None:
        """Note how far a share has been brought up to date."""
        with self._connections.write() as connection:
            if connection.execute("SELECT 1 FROM shares WHERE id = ?", (shared.id,)).fetchone():
                connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (_note(shared.id), str(head)))

    def originals(self, space: str, ids: Sequence[str]) -> list[Original]:
        """Those of some memories that are current in a space and no copies themselves, with their keys."""
        found: list[Original] = []
        with self._connections.read() as connection:
            for at in range(0, len(ids), _MANY):
                some = ids[at : at + _MANY]
                current = connection.execute(
                    f"SELECT {rows.KEYS}, {rows.CUBE} FROM {rows.CUBES} JOIN keys k ON k.seq = c.seq WHERE s.name = ? "
                    f"AND c.superseded_at IS NULL AND c.form = 'text' AND c.method <> ? AND c.id IN ({', '.join('?' * len(some))}) ORDER BY c.root",
                    (space, METHOD, *some),
                )
                found += [Original(rows.cube_of(row[5:]), Keys(*row[:5])) for row in current]
        return found

    def copies(self, target: str, originals: Sequence[str]) -> dict[str, list[MemCube]]:
        """The newest versions of all copies of some memories in a space, by the original's id; also those that ended."""
        found: dict[str, list[MemCube]] = {}
        with self._connections.read() as connection:
            for original in originals:
                some = connection.execute(
                    f"SELECT {rows.CUBE} FROM {rows.CUBES} JOIN lineage l ON l.child = c.id WHERE l.parent = ? AND s.name = ? "
                    "AND c.method = ? AND c.version = (SELECT max(n.version) FROM cubes n WHERE n.id = c.id) ORDER BY c.root",
                    (original, target, METHOD),
                ).fetchall()
                if some:
                    found[original] = [rows.cube_of(row) for row in some]
        return found

    def all_copies(self, source: str, target: str) -> list[str]:
        """Ids of the memories of one space that have copies in another."""
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT DISTINCT l.parent FROM lineage l JOIN cubes c ON c.id = l.child JOIN spaces t ON t.number = c.space "
                "JOIN cubes p ON p.id = l.parent JOIN spaces s ON s.number = p.space "
                "WHERE t.name = ? AND s.name = ? AND c.method = ? ORDER BY l.parent",
                (target, source, METHOD),
            ).fetchall()
        return [one for (one,) in found]


def share_commitment(secret: bytes, row: tuple[object, ...]) -> bytes:
    """The journal's commitment to a row of the table, in the order of `COLUMNS`."""
    return hmac.digest(secret, f"share\0{json.dumps(row)}".encode(), "sha256")


def drop_shares_of(connection: sqlite3.Connection, cube_id: str) -> None:
    """Delete the shares of a memory that is forgotten, within the caller's transaction."""
    for share_id, source in connection.execute("SELECT id, source FROM shares WHERE cube = ?", (cube_id,)).fetchall():
        _drop(connection, share_id, source)


def _drop(connection: sqlite3.Connection, share_id: str, source: str) -> None:
    connection.execute("DELETE FROM shares WHERE id = ?", (share_id,))
    connection.execute("DELETE FROM notes WHERE name = ?", (_note(share_id),))
    journal.note(connection, "unshare", _number(connection, source), share_id, b"")


def _note(share_id: str) -> str:
    return f"shared/{share_id}"


def _number(connection: sqlite3.Connection, space: str) -> int:
    """The number of a space for the journal; 0 for one that holds nothing yet."""
    row = connection.execute("SELECT number FROM spaces WHERE name = ?", (space,)).fetchone()
    return row[0] if row else 0
