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

from remanence.cubes import MemCube
from remanence.drafts import Keys

GENESIS = bytes(32)


WRITTEN = ("add", "correct", "restore")
"""Entries that commit to a new version."""
ABOUT_CUBES = frozenset({*WRITTEN, "retire", "extract", "forget", "state", "govern"})
NOTES = frozenset({"grant", "revoke", "share", "unshare", "rollout", "source"})
"""Entries about no memory: `id` says about what, `seq` and `version` are 0."""
OPS = ABOUT_CUBES | NOTES
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


def commit_to_policy(cube: MemCube, salt: bytes) -> bytes:
    """The commitment to how a version is governed."""
    return hmac.digest(salt, _canonical(cube.policy.to_json()), "sha256")


def commit_to_event(at: str, steps: tuple[str, str], reason: str, by: str, salt: bytes) -> bytes:
    """The commitment to a change of state: when, from what to what, why, and who said so."""
    return hmac.digest(salt, _canonical([at, *steps, reason, by]), "sha256")


def _canonical(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def seal(keys: Keys) -> bytes:
    """A digest of derived keys, so that a damaged vector is noticed without embedding the text again."""
    digest = hashlib.blake2b(digest_size=8)
    late = () if keys.mentions is None else (keys.mentions,)  # format 1 had none, and its seals stay valid
    for part in (keys.terms, keys.dates, bytes((keys.flags,)), keys.vector or b"", *late):
        digest.update(len(part).to_bytes(4, "little") + part)
    return digest.digest()


def append(
    connection: sqlite3.Connection, op: str, place: tuple[int, int, int], cube: MemCube, commitment: bytes
) -> int:
    """Add an entry, inside the caller's transaction. `place` is the version's (space, root, seq). Returns its number."""
    return _add(connection, op, place, (cube.id, cube.version), commitment)


def note(connection: sqlite3.Connection, op: str, space: int, subject: str, commitment: bytes) -> int:
    """Add an entry about no memory: `subject` says about what, and must not hold content. Returns its number."""
    return _add(connection, op, (space, 0, 0), (subject, 0), commitment)


def _add(
    connection: sqlite3.Connection, op: str, place: tuple[int, int, int], about: tuple[str, int], commitment: bytes
) -> int:
    last = connection.execute("SELECT entry, hash FROM journal ORDER BY entry DESC LIMIT 1").fetchone()
    number, previous = last or (0, GENESIS)
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    entry = Entry(number + 1, at, op, *place, *about, commitment)
    connection.execute(
        "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*entry[:9], entry.chained(previous))
    )
    return entry.entry
