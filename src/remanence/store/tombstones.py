"""What stays of an erasure: keyed digests of what was forgotten, receipts, and which copies were made before. No content."""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from remanence.language.sameness import normalised, telling_sentences
from remanence.store.connections import Connections

WHOLE, SENTENCE = 0, 1
"""What a digest is of."""
Match = Literal["whole", "sentence"]
_MANY = 500  # SQLite takes a bounded number of parameters per statement
_USE = b"remanence/tombstone/1\0"  # one key serves several ends: each has its own prefix


class Copy(NamedTuple):
    """A backup or an export that was made. A later erasure cannot reach it."""

    at: str
    kind: str
    """backup or export."""
    path: str
    space: str | None
    """What an export was restricted to; None for everything."""
    entry: int
    """How far the journal was."""


class Stored(NamedTuple):
    """A receipt as the store has it."""

    number: int
    id: str
    at: str
    space: str
    body: str


class Tombstones:
    """Digests, receipts and copies on the connections of one SQLite file."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    # ── tombstones ───────────────────────────────────────────────────────────────────────────────────────────────────

    def hits(self, space: str, texts: Sequence[str]) -> list[Match | None]:
        """For each text whether it was forgotten in this space: as a `whole`, or a telling `sentence` of it."""
        with self._connections.read() as connection:
            row = connection.execute(
                "SELECT number FROM spaces WHERE name = ? AND EXISTS (SELECT 1 FROM tombstones WHERE space = number)",
                (space,),
            ).fetchone()
            if row is None:  # the common case must not slow a write down
                return [None] * len(texts)
            secret = _secret(connection)
            parts = [(digest(text, secret), [digest(one, secret) for one in telling_sentences(text)]) for text in texts]
            known = _known(connection, row[0], [one for whole, some in parts for one in (whole, *some)])
        return [
            "whole" if known.get(whole) == WHOLE else "sentence" if any(one in known for one in some) else None
            for whole, some in parts
        ]

    def any(self) -> bool:
        """Whether anything was forgotten with a tombstone."""
        with self._connections.read() as connection:
            return connection.execute("SELECT 1 FROM tombstones LIMIT 1").fetchone() is not None

    def bury(
        self, connection: sqlite3.Connection, space: int, texts: Sequence[str], receipt: str, at: datetime
    ) -> list[bytes]:
        """Keep the digests of texts, inside the caller's transaction. Returns them, of whole texts first."""
        secret = _secret(connection)
        wholes = [digest(text, secret) for text in texts]
        parts = [digest(sentence, secret) for text in texts for sentence in telling_sentences(text)]
        found = dict.fromkeys((one, WHOLE) for one in wholes) | dict.fromkeys(
            (one, SENTENCE) for one in parts if one not in set(wholes)
        )
        connection.executemany(
            "INSERT INTO tombstones VALUES (?, ?, ?, ?, ?) ON CONFLICT (space, digest) DO UPDATE SET part = min(part, excluded.part)",
            [(space, one, part, at.isoformat(), receipt) for one, part in found],
        )
        return [one for one, _ in found]

    def relearn(self, space: str, texts: Sequence[str]) -> int:
        """Drop what keeps these texts out of a space: their digests and those of their sentences. Returns how many."""
        with self._connections.write() as connection:
            secret = _secret(connection)
            gone = {digest(one, secret) for text in texts for one in (text, *telling_sentences(text))}
            return sum(
                connection.execute(
                    "DELETE FROM tombstones WHERE digest = ? AND space = (SELECT number FROM spaces WHERE name = ?)",
                    (one, space),
                ).rowcount
                for one in gone
            )

    def held(self, digests: Sequence[bytes]) -> int:
        """How many of these digests are still kept."""
        with self._connections.read() as connection:
            query = "SELECT count(DISTINCT digest) FROM tombstones WHERE digest = ?"
            return sum(connection.execute(query, (one,)).fetchone()[0] for one in set(digests))

    def living(self, space: str, digests: Sequence[bytes]) -> dict[str, int]:
        """Memories in a space of which a version's whole text has one of these digests, and the journal entry that began each."""
        wanted = set(digests)
        with self._connections.read() as connection:
            secret = _secret(connection)
            found = connection.execute(
                "SELECT c.id, c.text, (SELECT min(entry) FROM journal j WHERE j.seq = c.root) FROM cubes c "
                "JOIN spaces s ON s.number = c.space WHERE s.name = ? ORDER BY c.seq",
                (space,),
            )
            return {one: entry for one, text, entry in found if digest(text, secret) in wanted}

    def digest(self, text: str) -> bytes:
        """The keyed digest of a text, as `bury` keeps it."""
        with self._connections.read() as connection:
            return digest(text, _secret(connection))

    # ── receipts ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def issue(self, make: Callable[[int, str | None], tuple[str, str, str, str]]) -> Stored:
        """Store the next receipt of the chain. `make` gets its number and the body of the one before, and returns id, time, space, body."""
        with self._connections.write() as connection:
            last = connection.execute("SELECT n, body FROM receipts ORDER BY n DESC LIMIT 1").fetchone()
            number = 1 + (last[0] if last else 0)
            made = make(number, last[1] if last else None)
            connection.execute("INSERT INTO receipts VALUES (?, ?, ?, ?, ?)", (number, *made))
        return Stored(number, *made)

    def receipts(self) -> list[Stored]:
        """All receipts, oldest first."""
        with self._connections.read() as connection:
            return [
                Stored(*row) for row in connection.execute("SELECT n, id, at, space, body FROM receipts ORDER BY n")
            ]

    # ── copies ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def made_copy(self, kind: Literal["backup", "export"], path: Path, space: str | None = None) -> None:
        """Remember that a copy was made, so that a receipt can name it."""
        with self._connections.write() as connection:
            connection.execute(
                "INSERT INTO copies (at, kind, path, space, entry) SELECT ?, ?, ?, ?, coalesce(max(entry), 0) FROM journal",
                (datetime.now(UTC).isoformat(timespec="microseconds"), kind, str(path.absolute()), space),
            )

    def copies(self, since: int, spaces: Sequence[str]) -> list[Copy]:
        """Copies of these spaces that were made when the journal had reached this entry, oldest first."""
        with self._connections.read() as connection:
            found = connection.execute(
                "SELECT at, kind, path, space, entry FROM copies WHERE entry >= ? ORDER BY n", (since,)
            ).fetchall()
        return [one for one in map(Copy._make, found) if one.space is None or one.space in spaces]


def digest(text: str, secret: bytes) -> bytes:
    """HMAC-SHA256 of the normalised text under the store's secret. Cut to 16 bytes: the store holds millions at most."""
    return hmac.digest(secret, _USE + normalised(text).encode("utf-8", "surrogatepass"), "sha256")[:16]


def _known(connection: sqlite3.Connection, space: int, digests: Sequence[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for at in range(0, len(digests), _MANY):
        some = digests[at : at + _MANY]
        found |= connection.execute(
            f"SELECT digest, part FROM tombstones WHERE space = ? AND digest IN ({', '.join('?' * len(some))})",
            (space, *some),
        ).fetchall()
    return found


def _secret(connection: sqlite3.Connection) -> bytes:
    return bytes.fromhex(connection.execute("SELECT value FROM notes WHERE name = 'secret'").fetchone()[0])
