"""The hash-chained journal: it commits to every version without holding a word of it.

An entry keeps `HMAC(salt, sealed bytes)`; the salt lives in the version's row. When the row is erased the salt goes too,
and nobody can confirm a guess of the text from the journal, while the chain itself stays unbroken.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from datetime import UTC, datetime
from typing import NamedTuple

from remanence.cubes import Keys, MemCube

GENESIS = bytes(32)


OPS = frozenset({"add", "correct", "retire", "extract", "forget"})
"""What a journal may say was done."""


class Entry(NamedTuple):
    """One journal row, in the order of its columns."""

    entry: int
    at: str
    op: str
    space: int
    root: int
    seq: int
    id: str
    version: int
    commitment: bytes
    hash: bytes = b""

    def chained(self, previous: bytes) -> bytes:
        """SHA-256 over the previous entry's hash and this entry's fields."""
        fields = [*self[:8], self.commitment.hex()]
        return hashlib.sha256(previous + json.dumps(fields, separators=(",", ":")).encode()).digest()


def commit_to(cube: MemCube, mark: bytes | None, salt: bytes) -> bytes:
    """The commitment to a version and its mark."""
    return hmac.digest(salt, cube.sealed_bytes() + b"\0" + (mark or b""), "sha256")


def commit_to_reading(extractor: str, content: str, salt: bytes) -> bytes:
    """The commitment to what was read out of a version, under the salt of that version."""
    return hmac.digest(salt, f"{extractor}\0{content}".encode(), "sha256")


def commit_to_end(cube: MemCube, salt: bytes) -> bytes:
    """The commitment to when a version was retired: no later version says so."""
    ends = [moment and moment.isoformat() for moment in (cube.valid_to, cube.superseded_at)]
    return hmac.digest(salt, json.dumps(ends).encode(), "sha256")


def seal(keys: Keys) -> bytes:
    """A digest of derived keys, so that a damaged vector is noticed without embedding the text again."""
    digest = hashlib.blake2b(digest_size=8)
    late = () if keys.mentions is None else (keys.mentions,)  # format 1 had none, and its seals stay valid
    for part in (keys.terms, keys.dates, bytes((keys.flags,)), keys.vector or b"", *late):
        digest.update(len(part).to_bytes(4, "little") + part)
    return digest.digest()


def append(
    connection: sqlite3.Connection, op: str, place: tuple[int, int, int], cube: MemCube, commitment: bytes
) -> None:
    """Add an entry, inside the caller's transaction. `place` is the version's (space, root, seq)."""
    last = connection.execute("SELECT entry, hash FROM journal ORDER BY entry DESC LIMIT 1").fetchone()
    number, previous = last or (0, GENESIS)
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    entry = Entry(number + 1, at, op, *place, cube.id, cube.version, commitment)
    connection.execute(
        "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*entry[:9], entry.chained(previous))
    )
