"""Numbered forward migrations. A migration that has shipped is never edited: a new one is added below it."""

from __future__ import annotations

import secrets
import sqlite3

from remanence.errors import StoreTooNewError
from remanence.language.keys import RULES
from remanence.store.decided import note_sources_again

_THIRD_FORMAT = 3
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

_THIRD = """
-- the end of validity as it was told, which a correction does not touch
ALTER TABLE cubes ADD COLUMN given_to TEXT;
-- 1: put away or held: neither recall nor as_of shows it
ALTER TABLE cubes ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
-- the policy; each NULL or empty where it is the default
ALTER TABLE cubes ADD COLUMN trust TEXT;
ALTER TABLE cubes ADD COLUMN sensitivity TEXT;
ALTER TABLE cubes ADD COLUMN access TEXT NOT NULL DEFAULT '[]';
ALTER TABLE cubes ADD COLUMN expires_at TEXT;
ALTER TABLE cubes ADD COLUMN priority REAL NOT NULL DEFAULT 0;
ALTER TABLE cubes ADD COLUMN half_life REAL;
ALTER TABLE cubes ADD COLUMN standing TEXT;
CREATE INDEX cubes_by_expiry ON cubes (expires_at) WHERE expires_at IS NOT NULL AND superseded_at IS NULL;
CREATE INDEX cubes_fading ON cubes (half_life) WHERE half_life IS NOT NULL AND superseded_at IS NULL;
CREATE INDEX cubes_standing ON cubes (space) WHERE standing IS NOT NULL AND superseded_at IS NULL;
CREATE INDEX cubes_hidden ON cubes (space, state, root) WHERE hidden = 1;
CREATE INDEX cubes_by_source ON cubes (space, source);
CREATE INDEX journal_by_seq ON journal (seq);
CREATE TABLE events (                       -- why a memory changed its state; goes with it
    entry INTEGER PRIMARY KEY,              -- of the journal, which commits to it
    at TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL,
    was TEXT NOT NULL, became TEXT NOT NULL, reason TEXT NOT NULL, by TEXT NOT NULL
);
CREATE INDEX events_by_id ON events (id);
CREATE TABLE usage (id TEXT PRIMARY KEY, count INTEGER NOT NULL, last_used TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE principals (name TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE grants (
    space TEXT NOT NULL, principal TEXT NOT NULL, role TEXT NOT NULL, labels TEXT NOT NULL,
    at TEXT NOT NULL, by TEXT NOT NULL, PRIMARY KEY (space, principal)
) WITHOUT ROWID;
CREATE TABLE access_log (                   -- who did what; never what was asked
    n INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, principal TEXT NOT NULL, op TEXT NOT NULL,
    space TEXT NOT NULL, allowed INTEGER NOT NULL, cubes TEXT NOT NULL, withheld INTEGER NOT NULL
);
CREATE INDEX access_log_by_principal ON access_log (principal, n);
CREATE TABLE shares (                       -- one memory, or all that a view shows, kept as copies in another space
    id TEXT PRIMARY KEY, source TEXT NOT NULL, target TEXT NOT NULL,
    cube TEXT, filters TEXT, at TEXT NOT NULL, by TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE checkpoints (                  -- signed statements of how far the journal was and what its last hash was
    entry INTEGER PRIMARY KEY, at TEXT NOT NULL, hash BLOB NOT NULL, key BLOB NOT NULL, signature BLOB NOT NULL
);
CREATE TABLE tombstones (                   -- keyed digests of what was forgotten
    space INTEGER NOT NULL, digest BLOB NOT NULL,
    part INTEGER NOT NULL,                  -- 0: a whole text, 1: a sentence of it
    at TEXT NOT NULL, receipt TEXT NOT NULL, PRIMARY KEY (space, digest)
) WITHOUT ROWID;
CREATE TABLE receipts (                     -- of what was forgotten; they hold nothing of it
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, space TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE copies (                       -- backups and exports that were made: out of reach for a later forget
    n INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL, space TEXT, entry INTEGER NOT NULL
);
CREATE TABLE sources (                      -- that were revoked
    space INTEGER NOT NULL, source TEXT NOT NULL, at TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (space, source)
) WITHOUT ROWID;
CREATE TABLE echoes (                       -- keyed digests of what answers said, so that it is not learned from them
    space INTEGER NOT NULL, digest BLOB NOT NULL, at TEXT NOT NULL, PRIMARY KEY (space, digest)
) WITHOUT ROWID;
CREATE TABLE questions (                    -- recorded where the settings say so, to try changes on
    n INTEGER PRIMARY KEY AUTOINCREMENT, space INTEGER NOT NULL, at TEXT NOT NULL,
    question TEXT NOT NULL, filters TEXT NOT NULL, ids TEXT NOT NULL
);
CREATE TABLE rollouts (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, space INTEGER, at TEXT NOT NULL, body TEXT NOT NULL
);
"""

_FOURTH = """
-- the file of a cache or an adapter, as JSON; NULL for text
ALTER TABLE cubes ADD COLUMN payload TEXT;
CREATE INDEX cubes_payloads ON cubes (space) WHERE payload IS NOT NULL;
CREATE TABLE reads (                        -- how often a language model on this machine was given a memory
    id TEXT PRIMARY KEY, count INTEGER NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE payload_uses (                 -- how often a cache or an adapter was used, and what that saved
    id TEXT PRIMARY KEY, count INTEGER NOT NULL, seconds REAL NOT NULL, last TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE jobs (                         -- moves of memories from one form to another; they name ids only
    n INTEGER PRIMARY KEY AUTOINCREMENT, space TEXT NOT NULL, what TEXT NOT NULL, ids TEXT NOT NULL,
    state TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL
)
"""

MIGRATIONS = (_FIRST, _SECOND, _THIRD, _FOURTH)
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
    if version == _THIRD_FORMAT:
        note_sources_again(connection)
    if version == 0:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        notes = {"secret": secrets.token_hex(32), "rules": RULES}
        connection.executemany("INSERT INTO notes VALUES (?, ?)", notes.items())
    if version < len(MIGRATIONS):
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
