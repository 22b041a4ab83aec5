"""What was made from cubes is checked against them: readings, claims, lineage, retired versions, cached answers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime

import pytest

from remanence.store.journal import Entry, commit_to_end
from remanence.store.sqlite import SQLiteStore


def test_the_untouched_sample_is_fine(tampered_derived):
    checked = tampered_derived()
    assert checked.ok, checked.problems
    assert [name for name, looked_at in checked.checks.items() if not looked_at] == [
        "events",
        "grants",
        "decisions",
        "payloads",
    ]
    assert [checked.checks[name] for name in ("readings", "lineage", "replies")] == [2, 4, 2]


_ANA = "(SELECT seq FROM cubes WHERE text = 'Ana lives in Lisbon.')"
_BEN = "(SELECT seq FROM cubes WHERE id = 'ben')"
_LATER = "'2031-01-01T00:00:00+00:00'"
_CLOSED = f"state = 'archived', valid_to = {_LATER}, superseded_at = {_LATER}"
_OPEN = "state = 'active', valid_to = NULL, superseded_at = NULL"

EDITS = {
    "content": "UPDATE extractions SET content = replace(content, 'Lisbon', 'Madrid')",
    "extractor": "UPDATE extractions SET extractor = 'nobody'",
    "mentions": f"UPDATE extractions SET mentions = x'' WHERE seq = {_ANA}",
    "links": f"UPDATE extractions SET links = zeroblob(8) WHERE seq = {_ANA}",
    "terms": f"UPDATE extractions SET terms = x'' WHERE seq = {_ANA}",
    "vectors-cut": f"UPDATE extractions SET vectors = substr(vectors, 1, 16) WHERE seq = {_ANA}",
    "vectors-odd": f"UPDATE extractions SET vectors = x'00' WHERE seq = {_ANA}",
    "vectors-of-another-width": f"UPDATE extractions SET vectors = zeroblob(64) WHERE seq = {_ANA}",
    "space-of-a-reading": f"UPDATE extractions SET space = 9 WHERE seq = {_ANA}",
    "reading-removed": f"DELETE FROM extractions WHERE seq = {_ANA}",
    "reading-of-nobody": "INSERT INTO extractions SELECT 99, space, extractor, at, content, mentions, links, terms, vectors "
    f"FROM extractions WHERE seq = {_ANA}",
    "reading-of-another": f"UPDATE extractions SET seq = 3 WHERE seq = {_ANA}",
    "reading-nobody-made": "INSERT INTO extractions SELECT 3, space, extractor, at, content, mentions, links, terms, vectors "
    f"FROM extractions WHERE seq = {_ANA}",
    "claim": f"UPDATE claims SET value = 'Madrid' WHERE seq = {_ANA}",
    "claim-by-another": f"UPDATE claims SET origin = 'x' WHERE seq = {_ANA} AND origin = 'rules'",
    "slot-of-a-claim": f"UPDATE claims SET slot = slot + 1 WHERE seq = {_ANA}",
    "claims-removed": f"DELETE FROM claims WHERE seq = {_ANA}",
    "claim-repeated": f"INSERT INTO claims SELECT * FROM claims WHERE seq = {_ANA} LIMIT 1",
    "claim-of-nobody": f"UPDATE claims SET seq = 99 WHERE seq = {_BEN}",
    "lineage-removed": "DELETE FROM lineage WHERE child = 'second' AND parent = 'ben'",
    "lineage-added": "INSERT INTO lineage VALUES ('ben', 'third')",
    "lineage-of-nobody": "INSERT INTO lineage VALUES ('ben', 'nobody')",
    "derived-from": """UPDATE cubes SET derived_from = '["ben"]' WHERE id = 'third'""",
    "derived-from-emptied": "UPDATE cubes SET derived_from = '[]' WHERE id = 'third'",
    "retired-reopened": f"UPDATE cubes SET {_OPEN} WHERE id = 'first'",
    "retired-later": f"UPDATE cubes SET valid_to = {_LATER} WHERE id = 'first'",
    "retired-learned-later": f"UPDATE cubes SET superseded_at = {_LATER} WHERE id = 'first'",
    "retired-but-active": "UPDATE cubes SET state = 'active' WHERE id = 'first'",
    "retired-without-an-end": "UPDATE cubes SET valid_to = NULL WHERE id = 'first'",
    "closed-and-made-from-another": f"UPDATE cubes SET {_CLOSED} WHERE id = 'third'",
    "closed-and-made-from-nothing": f"UPDATE cubes SET {_CLOSED} WHERE id = 'ben'",
    "answer-removed": "DELETE FROM replies WHERE key = CAST('one' AS BLOB)",
    "answer-that-rests-on-nobody": "INSERT INTO reply_sources VALUES ('nobody', 'a', CAST('two' AS BLOB))",
    "source-renamed": "UPDATE reply_sources SET id = 'nobody'",
}  # fmt: skip


@pytest.mark.parametrize("statement", EDITS.values(), ids=EDITS.keys())
def test_an_edit(tampered_derived, statement):
    checked = tampered_derived(statement)
    assert checked.problems
    assert not [problem for problem in checked.problems if "broke off" in problem]


DAMAGE = {
    "content-not-json": "UPDATE extractions SET content = '{'",
    "content-without-fields": "UPDATE extractions SET content = '{}'",
    "content-a-list": "UPDATE extractions SET content = '[]'",
    "content-a-blob": "UPDATE extractions SET content = x'fffe'",
    "extractor-a-blob": "UPDATE extractions SET extractor = x'fffe'",
    "facts-of-two": """UPDATE extractions SET content = '{"entities":[],"facts":[["a","b"]],"statements":[],"about":null}'""",
    "vectors-a-text": "UPDATE extractions SET vectors = 'x'",
    "links-a-text": "UPDATE extractions SET links = 'x'",
    "derived-from-not-json": "UPDATE cubes SET derived_from = '[' WHERE id = 'third'",
    "derived-from-a-number": "UPDATE cubes SET derived_from = '5' WHERE id = 'third'",
    "key-of-an-answer-a-text": "UPDATE replies SET key = 'x' WHERE key = CAST('one' AS BLOB)",
    "claim-a-blob": "UPDATE claims SET subject = x'fffe'",
}


@pytest.mark.parametrize("statement", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_row_is_reported_and_the_other_checks_go_on(tampered_derived, statement):
    checked = tampered_derived(statement)
    assert checked.problems
    assert checked.checks["pages"] == 1
    assert set(checked.checks) >= {"readings", "lineage", "replies"}


@pytest.fixture
def forged(derived_sample, tmp_path):
    """An entry about a memory's current version, with a hash that follows from the last one."""
    path = tmp_path / "read.rem"
    path.write_bytes(derived_sample)

    def forge(cube_id: str, **fields):
        with closing(sqlite3.connect(path)) as connection:
            last = Entry._make(connection.execute("SELECT * FROM journal ORDER BY entry DESC LIMIT 1").fetchone())
            place = connection.execute(
                "SELECT space, root, seq, id, version FROM cubes WHERE id = ? ORDER BY version DESC", (cube_id,)
            ).fetchone()
        new = Entry(last.entry + 1, last.at, "add", *place, b"")._replace(**fields)
        new = new._replace(hash=new.chained(last.hash))
        return f"INSERT INTO journal VALUES ({', '.join('?' * len(new))})", new

    return forge


FORGED = {
    "unknown": ("ben", {"op": "praise"}, "'praise'"),
    "a-reading-that-never-was": ("third", {"op": "extract"}, "not in the store"),
    "another-reading": ("ben", {"op": "extract"}, "not what the journal says"),
    "a-retirement-that-never-was": ("third", {"op": "retire"}, "do not follow"),
    "another-retirement": ("first", {"op": "retire"}, "do not follow"),
    "a-retirement-of-what-was-made-from-nothing": ("ben", {"op": "retire"}, "do not follow"),
    "another-name": ("first", {"op": "retire", "id": "ben"}, "names its version wrongly"),
    "another-version": ("first", {"op": "retire", "version": 2}, "names its version wrongly"),
}


@pytest.mark.parametrize(("cube_id", "fields", "words"), FORGED.values(), ids=FORGED.keys())
def test_an_entry_that_follows_well_and_says_what_was_not(tampered_derived, forged, cube_id, fields, words):
    assert [problem for problem in tampered_derived(forged(cube_id, **fields)).problems if words in problem]


@pytest.mark.parametrize(
    ("cube_id", "fine"), [("third", True), ("ben", False)], ids=["made-from-another", "made-from-nothing"]
)
def test_only_what_was_made_from_others_can_be_retired(
    tampered_derived, forged, derived_sample, tmp_path, plain, cube_id, fine
):
    """Row and entry agree in every byte; what differs is whether the memory was made from others."""
    path = tmp_path / "salt.rem"
    path.write_bytes(derived_sample)
    with closing(sqlite3.connect(path)) as connection:
        [(salt,)] = connection.execute("SELECT salt FROM cubes WHERE id = ?", (cube_id,))
    with closing(SQLiteStore(path, plain)) as store:
        late = datetime.fromisoformat(_LATER.strip("'"))
        closed = replace(store.get(cube_id), valid_to=late, superseded_at=late)
    entry = forged(cube_id, op="retire", commitment=commit_to_end(closed, salt))
    checked = tampered_derived(f"UPDATE cubes SET {_CLOSED} WHERE id = '{cube_id}'", entry)
    assert checked.ok is fine


def test_readings_of_older_rules_wait_for_a_reindex(tampered_derived):
    older = "UPDATE notes SET value = 'of old' WHERE name = 'rules'"
    assert tampered_derived(older, EDITS["mentions"], EDITS["claim"]).ok
    assert not tampered_derived(older, EDITS["content"]).ok


# ── the tables themselves ────────────────────────────────────────────────────────────────────────────────────────────

DECLARATIONS = {
    "a-column": b"number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE",
    "a-comment": b"append-only; holds no content",
}


@pytest.mark.parametrize("declaration", DECLARATIONS.values(), ids=DECLARATIONS)
def test_a_declaration_that_was_damaged_below_sqlite(derived_sample, tmp_path, plain, declaration):
    """With another column in the place of its key a table joins with nothing, and no other check has anything to look at."""
    assert derived_sample.count(declaration) == 1
    path = tmp_path / "damaged.rem"
    place = derived_sample.index(declaration) + len("number INTEGER PRI")
    path.write_bytes(derived_sample[:place] + b"x" + derived_sample[place + 1 :])
    with closing(SQLiteStore(path, plain)) as store:
        assert any("declared" in problem for problem in store.verify().problems)


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM spaces", "DROP INDEX cubes_by_mark", "CREATE TABLE more (a)", "ALTER TABLE replays ADD COLUMN a"],
)
def test_tables_that_are_not_of_this_format(tampered_derived, statement):
    if "FROM" in statement:
        assert not tampered_derived(statement).ok
    else:
        assert any("declared" in problem for problem in tampered_derived(statement).problems)
