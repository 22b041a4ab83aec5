"""Whatever another program changes in the file, `verify` notices."""

from __future__ import annotations

import random

import pytest

from remanence.store.journal import Entry

ENTRIES = 8
BLOBS = ("commitment", "hash")
DERIVED = {
    "readings",
    "lineage",
    "replies",
    "events",
    "grants",
    "decisions",
    "payloads",
}  # test_verification.py has a sample with some


def test_the_untouched_sample_is_fine(tampered):
    checked = tampered()
    assert checked.ok, checked.problems
    assert checked.checks["journal entries"] == ENTRIES
    assert all(looked_at for name, looked_at in checked.checks.items() if name not in DERIVED)


# ── the journal itself ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("column", Entry._fields)
@pytest.mark.parametrize("number", range(1, ENTRIES + 1))
def test_one_byte_of_one_entry(tampered, rows, column, number):
    """Integers move by one, texts and blobs get one other byte at a place that the seed chooses."""
    [(value,)] = rows(f"SELECT {column} FROM journal WHERE entry = {number}")
    if isinstance(value, int):
        changed: object = value + (ENTRIES if column == "entry" else 1)
    else:
        chance = random.Random(f"{column}{number}")
        data = bytearray(value if column in BLOBS else value.encode()) or bytearray(1)
        at = chance.randrange(len(data))
        data[at] ^= chance.randrange(1, 256 if column in BLOBS else 32)
        changed = bytes(data) if column in BLOBS else data.decode()
    assert changed != value
    assert not tampered((f"UPDATE journal SET {column} = ? WHERE entry = {number}", (changed,))).ok


@pytest.mark.parametrize("number", range(1, ENTRIES + 1))
def test_a_removed_entry(tampered, number):
    assert not tampered(f"DELETE FROM journal WHERE entry = {number}").ok


@pytest.mark.parametrize("number", range(1, ENTRIES))
def test_a_removed_entry_with_the_others_moved_up(tampered, number):
    assert not tampered(
        f"DELETE FROM journal WHERE entry = {number}",
        f"UPDATE journal SET entry = -entry + 1 WHERE entry > {number}",
        "UPDATE journal SET entry = -entry WHERE entry < 0",
    ).ok


@pytest.mark.parametrize("number", range(1, ENTRIES))
def test_two_entries_in_each_others_place(tampered, number):
    assert not tampered(
        f"UPDATE journal SET entry = 0 WHERE entry = {number}",
        f"UPDATE journal SET entry = {number} WHERE entry = {number + 1}",
        f"UPDATE journal SET entry = {number + 1} WHERE entry = 0",
    ).ok


@pytest.mark.parametrize("number", range(1, ENTRIES + 1))
def test_a_repeated_entry_at_the_end(tampered, number):
    columns = ", ".join(Entry._fields[1:])
    assert not tampered(f"INSERT INTO journal ({columns}) SELECT {columns} FROM journal WHERE entry = {number}").ok


def test_an_entry_that_follows_well_but_has_no_cube(tampered, rows):
    assert not tampered(_forged(rows, op="add", seq=99)).ok


def test_a_forget_that_never_happened(tampered, rows):
    assert not tampered(_forged(rows, op="forget")).ok


def test_the_newest_memory_removed_with_its_entry(tampered):
    """The AUTOINCREMENT counter still knows how many entries there were."""
    assert not tampered(
        "DELETE FROM keys WHERE seq = (SELECT seq FROM journal WHERE entry = 8)",
        "DELETE FROM cubes WHERE seq = (SELECT seq FROM journal WHERE entry = 8)",
        "UPDATE cubes SET state = 'active', valid_to = NULL, superseded_at = NULL WHERE text = 'two again'",
        "DELETE FROM journal WHERE entry = 8",
    ).ok


def _forged(rows, *, op: str, **fields):
    """An entry about the last cube, with a hash that follows from the last one."""
    last = Entry._make(rows("SELECT * FROM journal ORDER BY entry DESC LIMIT 1")[0])
    new = last._replace(entry=last.entry + 1, op=op, **fields)
    new = new._replace(hash=new.chained(last.hash))
    return f"INSERT INTO journal VALUES ({', '.join('?' * len(new))})", new


# ── what the journal commits to ──────────────────────────────────────────────────────────────────────────────────────

_TWO = "WHERE text = 'two at last'"
_OLD = "WHERE text = 'two'"
_LATER = "'2031-01-01T00:00:00+00:00'"

EDITS = {
    "text": f"UPDATE cubes SET text = 'two at lasT' {_TWO}",
    "text-of-an-old-version": f"UPDATE cubes SET text = 'twO' {_OLD}",
    "meta": """UPDATE cubes SET meta = '{"n": 1}' WHERE text = 'four'""",
    "about": "UPDATE cubes SET about = NULL WHERE text = 'four'",
    "user": f"UPDATE cubes SET user = 'v' {_TWO}",
    "agent": f"UPDATE cubes SET agent = 'v' {_TWO}",
    "session": f"UPDATE cubes SET session = 'v' {_TWO}",
    "source": f"UPDATE cubes SET source = 'v' {_TWO}",
    "author": f"UPDATE cubes SET author = 'v' {_TWO}",
    "role": f"UPDATE cubes SET role = 'tool' {_TWO}",
    "method": f"UPDATE cubes SET method = 'raw' {_TWO}",
    "kind": f"UPDATE cubes SET kind = 'fact' {_TWO}",
    "form": f"UPDATE cubes SET form = 'activation' {_TWO}",
    "state": f"UPDATE cubes SET state = 'archived' {_TWO}",
    "state-of-an-old-version": f"UPDATE cubes SET state = 'active' {_OLD}",
    "id": f"UPDATE cubes SET id = 'x' {_TWO}",
    "version": f"UPDATE cubes SET version = 4 {_TWO}",
    "space": f"UPDATE cubes SET space = 2 {_TWO}",
    "name-of-a-space": "UPDATE spaces SET name = 'c' WHERE name = 'b'",
    "observed_at": f"UPDATE cubes SET observed_at = {_LATER} {_TWO}",
    "recorded_at": f"UPDATE cubes SET recorded_at = {_LATER} {_TWO}",
    "valid_from": f"UPDATE cubes SET valid_from = {_LATER} {_TWO}",
    "valid_to-of-an-old-version": f"UPDATE cubes SET valid_to = {_LATER} {_OLD}",
    "valid_to-reopened": f"UPDATE cubes SET valid_to = NULL {_OLD}",
    "superseded_at": f"UPDATE cubes SET superseded_at = NULL {_OLD}",
    "superseded_at-of-a-current-version": f"UPDATE cubes SET superseded_at = {_LATER} {_TWO}",
    "salt": f"UPDATE cubes SET salt = zeroblob(16) {_TWO}",
    "root-of-a-corrected-memory": f"UPDATE cubes SET root = 1 {_TWO}",
    "number": f"UPDATE cubes SET seq = 77 {_TWO}",
    "a-row-removed": f"DELETE FROM cubes {_TWO}",
    "an-old-row-removed": f"DELETE FROM cubes {_OLD}",
    "terms": "UPDATE keys SET terms = x'0000000001' WHERE seq = 3",
    "mentions": "UPDATE keys SET mentions = x'0000000001' WHERE seq = 3",
    "no-mentions": "UPDATE keys SET mentions = NULL WHERE seq = 3",
    "dates": "UPDATE keys SET dates = x'' WHERE dates <> x''",
    "flags": "UPDATE keys SET flags = 1 WHERE seq = 3",
    "vector": "UPDATE keys SET vector = zeroblob(16) WHERE seq = 3",
    "no-vector": "UPDATE keys SET vector = NULL WHERE seq = 3",
    "seal": "UPDATE keys SET seal = zeroblob(8) WHERE seq = 3",
    "space-of-keys": "UPDATE keys SET space = 1 WHERE seq = 3",
    "keys-removed": "DELETE FROM keys WHERE seq = 3",
    "keys-of-nobody": "INSERT INTO keys SELECT 99, space, terms, dates, flags, vector, seal, mentions FROM keys WHERE seq = 3",
    "keys-of-another": "UPDATE keys SET (terms, dates, flags, vector, seal) = (SELECT terms, dates, flags, vector, seal FROM keys "
    "WHERE seq = 4) WHERE seq = 3",
}  # fmt: skip
UNSEEN = {
    "valid_to-of-a-current-version": f"UPDATE cubes SET valid_to = '2001-01-01T00:00:00+00:00' {_TWO}",
    "root": "UPDATE cubes SET root = 1 WHERE text = 'four'",
}


@pytest.mark.parametrize(
    "statement",
    [*EDITS.values(), *UNSEEN.values()],
    ids=[*EDITS.keys(), *UNSEEN.keys()],
)
def test_an_edited_cube(tampered, statement):
    assert not tampered(statement).ok


DAMAGE = {
    "text-not-unicode": "UPDATE cubes SET text = CAST(x'fffe' AS TEXT) WHERE seq = 3",
    "text-a-blob": "UPDATE cubes SET text = x'fffe' WHERE seq = 3",
    "meta-not-json": "UPDATE cubes SET meta = '{' WHERE seq = 3",
    "meta-a-list": "UPDATE cubes SET meta = '[1]' WHERE seq = 3",
    "kind-unknown": "UPDATE cubes SET kind = 'x' WHERE seq = 3",
    "time-malformed": "UPDATE cubes SET valid_from = 'x' WHERE seq = 3",
    "seal-a-text": "UPDATE keys SET seal = 'x' WHERE seq = 3",
    "dates-too-short": "UPDATE keys SET dates = x'00' WHERE seq = 3",
}
CRASHES = {
    "user-a-blob": "UPDATE cubes SET user = x'00' WHERE seq = 3",
    "salt-a-text": "UPDATE cubes SET salt = 'x' WHERE seq = 3",
    "flags-too-large": "UPDATE keys SET flags = 300 WHERE seq = 3",
    "flags-a-text": "UPDATE keys SET flags = 'x' WHERE seq = 3",
    "terms-a-text": "UPDATE keys SET terms = 'x' WHERE seq = 3",
    "vector-a-text": "UPDATE keys SET vector = 'x' WHERE seq = 3",
    "commitment-a-text": "UPDATE journal SET commitment = 'x' WHERE entry = 3",
    "hash-a-text": "UPDATE journal SET hash = 'x' WHERE entry = 3",
    "time-of-an-entry-a-blob": "UPDATE journal SET at = x'00' WHERE entry = 3",
}


@pytest.mark.parametrize(
    "statement",
    [*DAMAGE.values(), *CRASHES.values()],
    ids=[*DAMAGE.keys(), *CRASHES.keys()],
)
def test_a_damaged_row_is_reported_and_the_other_checks_go_on(tampered, statement):
    checked = tampered(statement)
    assert checked.problems
    assert checked.checks["pages"] == 1
    assert set(checked.checks) == {
        "pages",
        "tables",
        "journal entries",
        "commitments",
        "version chains",
        "keys",
        "claims",
        "policies",
        *DERIVED,
    }


def test_a_damaged_page(sample, tmp_path, plain):
    """Bytes changed below SQLite: a page's header overwritten."""
    from contextlib import closing

    from remanence.errors import RemanenceError
    from remanence.store.sqlite import SQLiteStore

    path = tmp_path / "page.rem"
    image = bytearray(sample)
    page_size = int.from_bytes(image[16:18], "big")
    wrong = 0
    for number in range(2, len(image) // page_size):
        path.write_bytes(image[: number * page_size] + bytes(64) + image[number * page_size + 64 :])
        try:
            with closing(SQLiteStore(path, plain)) as store:
                wrong += not store.verify().ok
        except RemanenceError:  # refused at the door: noticed as well
            wrong += 1
    assert wrong == len(image) // page_size - 2
