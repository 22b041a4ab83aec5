"""Numbered forward migrations. A migration that has shipped is never edited: a new one is added below it."""

from __future__ import annotations

import secrets
import sqlite3

from remanence.errors import StoreTooNewError
from remanence.language.keys import RULES

APPLICATION_ID = 0x52454D21  # "REM!": marks the file as ours in its SQLite header

_FIRST = """
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE spaces (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE cubes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- one row per version
    root INTEGER NOT NULL,                  -- seq of version 1: the memory's place in the order of writing
    space INTEGER NOT NULL REFERENCES spaces,
    id TEXT NOT NULL, version INTEGER NOT NULL,
    form TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
    text TEXT NOT NULL, about TEXT, meta TEXT NOT NULL,
    user TEXT, agent TEXT, session TEXT,
    source TEXT NOT NULL, author TEXT, role TEXT NOT NULL, method TEXT NOT NULL,
    observed_at TEXT, recorded_at TEXT NOT NULL, valid_from TEXT NOT NULL, valid_to TEXT, superseded_at TEXT,
    salt BLOB NOT NULL,                     -- opens the journal's commitment; erased with the row
    mark BLOB                               -- keyed digest that tells a repetition
);
CREATE UNIQUE INDEX cubes_by_id ON cubes (id, version);
CREATE INDEX cubes_by_space ON cubes (space, root) WHERE superseded_at IS NULL;
CREATE INDEX cubes_by_mark ON cubes (mark, space) WHERE mark IS NOT NULL;
CREATE TABLE keys (                         -- derived: what recall looks a version up by
    seq INTEGER PRIMARY KEY,
    space INTEGER NOT NULL,
    terms BLOB NOT NULL, dates BLOB NOT NULL, flags INTEGER NOT NULL,
    vector BLOB,
    seal BLOB NOT NULL                      -- digest of this row's keys
);
CREATE TABLE journal (                      -- append-only; holds no content
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL, op TEXT NOT NULL,
    space INTEGER NOT NULL, root INTEGER NOT NULL, seq INTEGER NOT NULL,
    id TEXT NOT NULL, version INTEGER NOT NULL,
    commitment BLOB NOT NULL,               -- HMAC of the version's sealed bytes under its salt; empty for a forget
    hash BLOB NOT NULL                      -- SHA-256 over the previous hash and this row
);
CREATE INDEX journal_by_space ON journal (space, entry);
CREATE TABLE replays (                      -- idempotency keys, hashed
    space INTEGER NOT NULL, key BLOB NOT NULL, request BLOB NOT NULL, ids TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (space, key)
) WITHOUT ROWID;
"""

_SECOND = """
-- hashed names in the text; NULL in rows of format 1 until a reindex
ALTER TABLE keys ADD COLUMN mentions BLOB;
-- ids, as JSON
ALTER TABLE cubes ADD COLUMN derived_from TEXT NOT NULL DEFAULT '[]';
CREATE TABLE lineage (                      -- the same, to be found from the parent's side
    parent TEXT NOT NULL, child TEXT NOT NULL, PRIMARY KEY (parent, child)
) WITHOUT ROWID;
CREATE TABLE extractions (                  -- what a model read out of a version: extra keys to it
    seq INTEGER PRIMARY KEY, space INTEGER NOT NULL,
    extractor TEXT NOT NULL, at TEXT NOT NULL,
    content TEXT NOT NULL,                  -- entities, facts, statements, about, as JSON
    mentions BLOB NOT NULL, links BLOB NOT NULL, terms BLOB NOT NULL,
    vectors BLOB                            -- float16, facts first, then statements; NULL without an embedder
);
CREATE TABLE claims (                       -- who is said to be what: slots are found by subject and relation
    seq INTEGER NOT NULL, space INTEGER NOT NULL, slot INTEGER NOT NULL,
    subject TEXT NOT NULL, relation TEXT NOT NULL, value TEXT NOT NULL,
    negated INTEGER NOT NULL, replacing INTEGER NOT NULL, origin TEXT NOT NULL
);
CREATE INDEX claims_by_seq ON claims (seq);
CREATE INDEX claims_by_slot ON claims (space, slot);
CREATE TABLE replies (                      -- answers of language models, by prompt
    space TEXT NOT NULL, key BLOB NOT NULL, answer TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (space, key)
) WITHOUT ROWID;
CREATE TABLE reply_sources (                -- whose text a prompt held: a cached answer goes with it
    id TEXT NOT NULL, space TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (id, space, key)
) WITHOUT ROWID;
"""

MIGRATIONS = (_FIRST, _SECOND)
"""Migration n (from 1) takes a file from version n-1 to n."""


def check(version: int, location: str) -> None:
    """Refuse a format that this release does not know.

    Raises
    ------
    StoreTooNewError
        The file comes from a later release.
    """
    if version > len(MIGRATIONS):
        raise StoreTooNewError(
            f"{location} has format {version}; this release reads up to {len(MIGRATIONS)}.",
            "Upgrade: pip install --upgrade remanence",
        )


def migrate(connection: sqlite3.Connection, location: str) -> None:
    """Bring an open file to the newest version, inside one transaction that the caller holds; StoreTooNewError as `check`."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]  # another process may have been first
    check(version, location)
    for number in range(version, len(MIGRATIONS)):
        for statement in MIGRATIONS[number].split(";\n"):
            if statement.strip():
                connection.execute(statement)
    if version == 0:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        notes = {"secret": secrets.token_hex(32), "rules": RULES}
        connection.executemany("INSERT INTO notes VALUES (?, ?)", notes.items())
    if version < len(MIGRATIONS):
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
