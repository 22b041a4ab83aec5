"""The journal as an auditor reads it, and the signed statements about it. Nothing here reads a memory."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from remanence.store.connections import Connections
from remanence.store.journal import Entry

_MOST = 1 << 63  # beyond what SQLite counts to
Row = tuple[Any, ...]
"""A journal row in the order of `journal.Entry`. Its values are as the file has them: another program may have changed them."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement: this store's journal had this hash at this entry."""

    store: str
    """The store's public id: random, made with its first checkpoint."""
    entry: int
    hash: bytes
    """The hash of that entry, 32 bytes: it covers all entries up to it."""
    at: str
    """When it was signed, ISO 8601, by the clock of the machine that signed."""
    key: bytes
    """The raw public key of the signer, 32 bytes."""
    signature: bytes


class Snapshot(NamedTuple):
    """The journal and its checkpoints at one moment. `rows` can be read once, while the snapshot is open."""

    numbered: int | None
    """The highest number that SQLite gave to an entry, None where its own table does not say."""
    checkpoints: tuple[Checkpoint, ...]
    """In the order of their entries."""
    before: bytes | None
    """The hash of the entry before the first of `rows`, None where there is none."""
    rows: Iterator[Row]


class Ledger:
    """What an audit needs of one SQLite file."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def store_id(self) -> str:
        """The store's public id. It is made at the first call, and stays."""
        with self._connections.read() as connection:
            found = _store_id(connection)
        if found is None:
            with self._connections.write() as connection:
                connection.execute("INSERT OR IGNORE INTO notes VALUES ('store', ?)", (secrets.token_hex(16),))
                found = _store_id(connection)
        assert found is not None
        return found

    def unsigned(self) -> int:
        """How many entries came after the last checkpoint; two look-ups."""
        with self._connections.read() as connection:
            [entries] = connection.execute("SELECT coalesce(max(entry), 0) FROM journal").fetchone()
            [signed] = connection.execute("SELECT coalesce(max(entry), 0) FROM checkpoints").fetchone()
        return max(entries - signed, 0)

    def last(self) -> Checkpoint | None:
        """The checkpoint at the highest entry."""
        with self._connections.read() as connection:
            found = _checkpoints(connection, "ORDER BY entry DESC LIMIT 1")
        return found[0] if found else None

    def checkpoints(self) -> list[Checkpoint]:
        """All checkpoints, in the order of their entries."""
        with self._connections.read() as connection:
            return _checkpoints(connection, "ORDER BY entry")

    @contextmanager
    def snapshot(self, first: int | None = None, last: int | None = None) -> Generator[Snapshot]:
        """The entries from `first` to `last`, and the checkpoints at them, as they stand together.

        Without limits it is all that the tables hold, also under numbers that no entry has.
        """
        span = (-_MOST if first is None else first, _MOST - 1 if last is None else last)
        with self._connections.read() as connection:
            numbered = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
            before = connection.execute("SELECT hash FROM journal WHERE entry = ? - 1", (first,)).fetchone()
            rows = connection.execute(
                f"SELECT {', '.join(Entry._fields)} FROM journal WHERE entry BETWEEN ? AND ? ORDER BY entry",
                span,
            )
            among = _checkpoints(connection, "WHERE entry BETWEEN ? AND ? ORDER BY entry", *span)
            yield Snapshot(numbered and numbered[0], tuple(among), before and before[0], rows)

    def between(self, since: str | None, until: str | None) -> tuple[int, int] | None:
        """First and last entry that were written from `since` to before `until` (ISO 8601 in UTC); None if there is none.

        The last is moved on to the next checkpoint, if there is one: only that proves the entries before it.
        """
        with self._connections.read() as connection:
            [first] = connection.execute("SELECT min(entry) FROM journal WHERE at >= ?", (since or "",)).fetchone()
            [last] = connection.execute(
                "SELECT max(entry) FROM journal WHERE ? IS NULL OR at < ?", (until, until)
            ).fetchone()
            if first is None or last is None or last < first:
                return None
            [signed] = connection.execute("SELECT min(entry) FROM checkpoints WHERE entry >= ?", (last,)).fetchone()
        return first, signed or last

    def keep(self, checkpoint: Checkpoint) -> bool:
        """Write a checkpoint, durably. False, and nothing is written, if its entry has one or no longer has this hash."""
        one = checkpoint
        with self._connections.write() as connection:
            done = connection.execute(
                "INSERT OR IGNORE INTO checkpoints (entry, at, hash, key, signature) "
                "SELECT ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM journal WHERE entry = ? AND hash = ?)",
                (one.entry, one.at, one.hash, one.key, one.signature, one.entry, one.hash),
            )
            return done.rowcount == 1


def _checkpoints(connection: sqlite3.Connection, which: str, *values: int) -> list[Checkpoint]:
    store = _store_id(connection) or ""
    found = connection.execute(f"SELECT entry, hash, at, key, signature FROM checkpoints {which}", values)
    return [Checkpoint(store, *row) for row in found]


def _store_id(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT value FROM notes WHERE name = 'store'").fetchone()
    return row and row[0]
