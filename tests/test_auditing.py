"""Checkpoints, verification and export of real stores, through the front door."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from remanence import Memory
from remanence.auditing import Audit, due, keep_up, verify_export
from remanence.errors import (
    AccessDeniedError,
    AuditError,
    InputError,
    KeyMissingError,
    StoreClosedError,
    StoreError,
    UnreadableFileError,
)
from remanence.governance.audit import UNPINNED, from_json, holds, to_json
from remanence.governance.signing import SigningKey, public_pem
from remanence.settings import Settings
from remanence.store.journal import GENESIS, Entry

FILES = Path(__file__).parent / "store" / "files"


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(embedder="none", busy_timeout=10, signing_key=tmp_path / "keys" / "signing.pem")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "m.rem"


@pytest.fixture
def memory(path, settings):
    with Memory(path, settings) as memory:
        yield memory


@pytest.fixture
def lived(memory):
    """A memory with checkpoints after entries 3 and 6, and two entries that are not signed."""
    first, second = memory.add(["The kiln came in June.", "The glaze is blue."], user="zoltan", space="workshop-7")
    memory.correct(first, "The kiln came in July.")
    memory.audit.checkpoint()
    memory.add("Fired at 1240 degrees.")
    memory.forget(second)
    memory.add("Another firing.")
    memory.audit.checkpoint()
    memory.add(["One more.", "And one."])
    return memory


def edit(path: Path, *statements) -> None:
    """Change the file as another program would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            sql, values = statement if isinstance(statement, tuple) else (statement, ())
            assert connection.execute(sql, values).rowcount != 0, sql


def rechained(path: Path) -> None:
    """Compute every hash of the journal anew, as a forger would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        previous = GENESIS
        for row in connection.execute("SELECT * FROM journal ORDER BY entry").fetchall():
            previous = Entry._make(row).chained(previous)
            connection.execute("UPDATE journal SET hash = ? WHERE entry = ?", (previous, row[0]))


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_checkpoint_signs_what_is_there(memory, settings):
    memory.add(["one thing", "another thing"])
    made = memory.audit.checkpoint()
    assert made.entry == 2
    assert holds(made)
    assert made.key == SigningKey.open(settings.signing_key, create=False).public
    assert memory.audit.checkpoints() == [made]


def test_nothing_new_is_nothing_signed(memory):
    memory.add("one thing")
    made = memory.audit.checkpoint()
    assert memory.audit.checkpoint() == made
    memory.recall("thing")
    assert memory.audit.checkpoint() == made
    memory.add("another thing")
    assert memory.audit.checkpoint().entry == 2
    assert [one.entry for one in memory.audit.checkpoints()] == [1, 2]


def test_an_empty_memory_has_nothing_to_sign(memory, settings):
    with pytest.raises(InputError, match="nothing to sign"):
        memory.audit.checkpoint()
    assert not settings.signing_key.exists()
    assert memory.audit.checkpoints() == []
    assert memory.audit.verify().ok


def test_the_clock_of_the_memory_is_the_one_of_a_checkpoint(path, settings):
    at = datetime.fromisoformat("2031-05-06T08:00:00+03:00")
    with Memory(path, settings, clock=lambda: at) as memory:
        memory.add("one thing")
        assert memory.audit.checkpoint().at == "2031-05-06T05:00:00.000000+00:00"


def test_a_memory_in_memory(settings):
    with Memory(":memory:", settings) as memory:
        memory.add("one thing")
        memory.audit.checkpoint()
        memory.add("another thing")
        found = memory.audit.verify()
        assert found.ok, found.problems
        assert found.signed == 1


def test_checkpoints_stay_with_the_store_and_its_id(lived, path, settings, tmp_path):
    before = lived.audit.checkpoints()
    lived.backup(tmp_path / "copy.rem")
    lived.close()
    for name in (path, tmp_path / "copy.rem"):
        with Memory(name, settings) as again:
            assert again.audit.checkpoints() == before
            assert again.audit.verify().signed == 6
            assert again.audit.checkpoint().store == before[0].store


def test_another_store_has_another_id(memory, settings, tmp_path):
    memory.add("one thing")
    with Memory(tmp_path / "n.rem", settings) as other:
        other.add("one thing")
        assert other.audit.checkpoint().store != memory.audit.checkpoint().store


def test_what_is_broken_is_not_signed(lived, path):
    edit(path, "UPDATE journal SET at = '2001' WHERE entry = 7")
    with pytest.raises(AuditError, match="entry 7 was changed"):
        lived.audit.checkpoint()
    assert len(lived.audit.checkpoints()) == 2


BREAKS = {
    "the signed hash": "UPDATE journal SET hash = zeroblob(32) WHERE entry = 6",
    "the checkpoint": "UPDATE checkpoints SET at = 'x' WHERE entry = 6",
    "the tail": "DELETE FROM journal WHERE entry = 8",
    "the signed tail": "DELETE FROM journal WHERE entry > 5",
}


@pytest.mark.parametrize("statement", BREAKS.values(), ids=BREAKS.keys())
def test_nor_what_does_not_follow_from_the_last_checkpoint(lived, path, statement):
    edit(path, statement)
    with pytest.raises(AuditError, match="remanence audit verify"):
        lived.audit.checkpoint()


def test_checkpoints_at_once_are_one(path, settings):
    with Memory(path, settings) as first, Memory(path, settings) as second:
        first.add(["one thing", "another thing"])
        found = []
        workers = [
            threading.Thread(target=lambda one=one: found.append(one.audit.checkpoint())) for one in (first, second) * 4
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert len(found) == 8
        assert set(found) == set(first.audit.checkpoints())
        assert len(set(found)) == 1


def test_a_checkpoint_for_elsewhere(lived, tmp_path):
    made = lived.audit.checkpoint(tmp_path / "anchor.json")
    assert from_json(json.loads((tmp_path / "anchor.json").read_text())) == made
    lived.add("Later.")
    with pytest.raises(InputError, match="exists"):
        lived.audit.checkpoint(tmp_path / "anchor.json")
    assert lived.audit.verify().unsigned == 1


# ── automatic ones ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_checkpoint_is_due_after_so_many_entries(memory):
    rooms = memory._rooms
    assert not due(rooms)
    memory.add(["one", "two", "three"])
    assert due(rooms, 3)
    assert not due(rooms, 4)
    assert keep_up(rooms, 4) is None
    assert keep_up(rooms, 3).entry == 3
    assert not due(rooms, 1)
    memory.add("four")
    assert due(rooms, 1)
    assert not due(rooms, 2)


def test_what_stands_in_the_way_of_an_automatic_one_is_logged(memory, path, settings, caplog):
    memory.add("one")
    edit(path, "UPDATE journal SET at = '2001'")
    assert keep_up(memory._rooms, 1) is None
    assert "entry 1 was changed" in caplog.text
    memory.add("two")
    settings.signing_key.parent.mkdir(exist_ok=True)
    settings.signing_key.write_text("hello")
    rechained(path)
    assert keep_up(memory._rooms, 1) is None
    assert "can be read by others" in caplog.text


# ── verification ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_untouched_memory(lived):
    found = lived.audit.verify()
    assert found.ok, found.problems
    assert (found.entries, found.signed, found.unsigned, found.checkpoints) == (8, 6, 2, 2)
    assert found.last == lived.audit.checkpoints()[-1]
    assert found.notes == ("not yet signed: 2 of 8 entries",)
    assert lived.verify().ok


def test_forgetting_breaks_nothing(lived, path):
    """All but one of the memories go, with their salts; the chain and what was signed before hold as they did."""
    before = lived.audit.checkpoints()
    everything = [cube.id for space in lived.spaces() for cube in lived.list(space=space)]
    lived.forget(everything[:-1])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(DISTINCT id) FROM cubes").fetchone() == (1,)
    found = lived.audit.verify()
    assert found.ok, found.problems
    assert found.signed == 6
    assert lived.audit.checkpoints() == before
    lived.audit.checkpoint()
    assert lived.audit.verify().unsigned == 0


def test_care_and_states_are_on_the_chain_too(lived):
    cube_id = lived.add("Keep me as I am.")[0]
    lived.lifecycle.freeze(cube_id, reason="a test")
    lived.reindex()
    lived.audit.checkpoint()
    found = lived.audit.verify()
    assert found.ok, found.problems
    assert found.unsigned == 0
    assert found.entries > 9


EDITS = {
    "entry": "UPDATE journal SET entry = 99 WHERE entry = 8",
    "at": "UPDATE journal SET at = '2001' WHERE entry = 2",
    "at-not-text": "UPDATE journal SET at = CAST(x'fffe' AS TEXT) WHERE entry = 2",
    "at-a-blob": "UPDATE journal SET at = CAST(at AS BLOB) WHERE entry = 2",
    "op": "UPDATE journal SET op = 'forget' WHERE entry = 2",
    "space": "UPDATE journal SET space = space + 1 WHERE entry = 2",
    "space-a-fraction": "UPDATE journal SET space = space + .5 WHERE entry = 2",
    "root": "UPDATE journal SET root = 9 WHERE entry = 2",
    "seq": "UPDATE journal SET seq = 9 WHERE entry = 2",
    "id": "UPDATE journal SET id = 'x' WHERE entry = 2",
    "version": "UPDATE journal SET version = 9 WHERE entry = 2",
    "commitment": "UPDATE journal SET commitment = zeroblob(32) WHERE entry = 2",
    "commitment-as-text": "UPDATE journal SET commitment = hex(commitment) WHERE entry = 2",
    "hash": "UPDATE journal SET hash = zeroblob(32) WHERE entry = 2",
    "last-hash": "UPDATE journal SET hash = zeroblob(32) WHERE entry = 8",
    "removed": "DELETE FROM journal WHERE entry = 4",
    "last-removed": "DELETE FROM journal WHERE entry = 8",
    "all-removed": "DELETE FROM journal",
    "signature": "UPDATE checkpoints SET signature = zeroblob(64) WHERE entry = 3",
    "signature-as-text": "UPDATE checkpoints SET signature = 'x' WHERE entry = 3",
    "signed-entry": "UPDATE checkpoints SET entry = 4 WHERE entry = 3",
    "signed-entry-missing": "UPDATE checkpoints SET entry = 40 WHERE entry = 3",
    "signed-entry-below-all": "UPDATE checkpoints SET entry = -3 WHERE entry = 3",
    "put-in-below-all": "INSERT INTO journal SELECT -1, at, op, space, root, seq, id, version, commitment, hash FROM journal LIMIT 1",
    "put-in-at-0": "INSERT INTO journal SELECT 0, at, op, space, root, seq, id, version, commitment, hash FROM journal LIMIT 1",
    "signed-at": "UPDATE checkpoints SET at = '2001' WHERE entry = 3",
    "signed-at-not-text": "UPDATE checkpoints SET at = CAST(x'fffe' AS TEXT) WHERE entry = 3",
    "signed-hash": "UPDATE checkpoints SET hash = zeroblob(32) WHERE entry = 3",
    "signers-key": "UPDATE checkpoints SET key = zeroblob(32) WHERE entry = 3",
    "store": "UPDATE notes SET value = 'x' WHERE name = 'store'",
    "store-removed": "DELETE FROM notes WHERE name = 'store'",
}


@pytest.mark.parametrize("statement", EDITS.values(), ids=EDITS.keys())
def test_an_edit(lived, path, statement):
    edit(path, statement)
    found = lived.audit.verify()
    assert not found.ok
    assert all(found.problems)


def test_a_damaged_page(lived, path, settings):
    lived.close()
    image = bytearray(path.read_bytes())
    at = image.index(b"retire" if b"retire" in image else b"forget")
    page = at // 4096 * 4096
    image[page : page + 8] = bytes(8)
    path.write_bytes(image)
    with Memory(path, settings) as memory:
        found = memory.audit.verify()
    assert "cannot be read" in found.problems[-1]


def test_a_closed_memory_says_so(lived):
    lived.close()
    with pytest.raises(StoreClosedError):
        lived.audit.verify()


def test_a_whole_chain_computed_anew(lived, path):
    edit(path, "UPDATE journal SET at = '2001' WHERE entry = 2")
    rechained(path)
    assert len(lived.audit.verify().problems) == 2  # one for each checkpoint


def test_a_store_rewritten_and_signed_with_another_key(lived, path, settings, tmp_path):
    lived.audit.checkpoint(tmp_path / "anchor.json")
    public = lived.audit.public_key()
    lived.close()
    edit(path, "UPDATE journal SET at = '2001' WHERE entry = 2", "DELETE FROM checkpoints")
    rechained(path)
    elsewhere = Settings(embedder="none", signing_key=tmp_path / "other" / "signing.pem")
    with Memory(path, elsewhere) as memory:
        memory.audit.checkpoint()
        assert memory.audit.verify().ok  # on the forger's machine all is well
        assert not memory.audit.verify(key=public).ok
    with Memory(path, settings) as memory:
        found = memory.audit.verify()
        assert "not the expected one" in found.problems[0]
        forgers = SigningKey.open(elsewhere.signing_key).public.hex()
        assert memory.audit.verify(key=[public, forgers]).ok
        assert not memory.audit.verify(key=[public, forgers], anchor=tmp_path / "anchor.json").ok
    nobody = Settings(embedder="none", signing_key=tmp_path / "none.pem")
    with Memory(path, nobody) as memory:
        assert memory.audit.verify().ok
        assert UNPINNED in memory.audit.verify().notes
    assert not nobody.signing_key.exists()


def test_an_old_copy_put_back(lived, path, settings, tmp_path):
    old = tmp_path / "old.rem"
    lived.backup(old)
    lived.audit.checkpoint(tmp_path / "at-8.json")
    lived.add("Written after the copy.")
    lived.audit.checkpoint(tmp_path / "at-9.json")
    assert lived.audit.verify(anchor=tmp_path / "at-9.json").ok
    lived.close()
    for name in tmp_path.glob("m.rem*"):
        name.unlink()
    shutil.copy(old, path)
    with Memory(path, settings) as memory:
        assert memory.audit.verify().ok  # nothing in the file says that it is old
        assert memory.audit.verify(anchor=tmp_path / "at-8.json").ok  # it ends at 8
        assert "ends at 8" in memory.audit.verify(anchor=tmp_path / "at-9.json").problems[0]
        memory.add("Another history.")
        memory.audit.checkpoint()
        assert memory.audit.verify().ok
        assert "over another journal" in memory.audit.verify(anchor=tmp_path / "at-9.json").problems[0]


def test_a_tail_cut_off_with_its_checkpoints(lived, path, tmp_path):
    lived.audit.checkpoint(tmp_path / "anchor.json")
    edit(
        path,
        "DELETE FROM journal WHERE entry > 4",
        "DELETE FROM checkpoints WHERE entry > 4",
    )
    assert "8 were written" in lived.audit.verify().problems[0]
    edit(path, "UPDATE sqlite_sequence SET seq = 4 WHERE name = 'journal'")
    found = lived.audit.verify()
    assert found.ok
    assert (found.signed, found.unsigned) == (3, 1)
    assert not lived.audit.verify(anchor=tmp_path / "anchor.json").ok


def test_an_export_is_an_anchor_too(lived, path, tmp_path):
    lived.audit.export(tmp_path / "audit.jsonl")
    lived.add("Later.")
    assert lived.audit.verify(anchor=tmp_path / "audit.jsonl").ok
    edit(path, "UPDATE journal SET at = '2001' WHERE entry = 5", "DELETE FROM checkpoints")
    rechained(path)
    assert lived.audit.verify().ok
    assert not lived.audit.verify(anchor=tmp_path / "audit.jsonl").ok


def test_an_anchor_in_any_spacing(lived, tmp_path):
    made = lived.audit.checkpoint()
    (tmp_path / "anchor.json").write_text(json.dumps({"more": 1, **to_json(made)}))
    assert lived.audit.verify(anchor=tmp_path / "anchor.json").ok


@pytest.mark.parametrize("text", ["", "hello", "{}", "[]", '{"statement": 1}', '{"statement": {}}', "[" * 100_000])
def test_what_is_no_anchor(lived, tmp_path, text):
    (tmp_path / "anchor").write_text(text)
    with pytest.raises(UnreadableFileError, match="remanence audit checkpoint"):
        lived.audit.verify(anchor=tmp_path / "anchor")
    with pytest.raises(UnreadableFileError):
        lived.audit.verify(anchor=tmp_path / "none")


def test_what_is_no_key(lived, tmp_path):
    (tmp_path / "key").write_text("hello")
    for wrong, kind in (
        ("abc", KeyMissingError),
        (tmp_path / "key", InputError),
        ([], InputError),
        (7, InputError),
        ([7], InputError),
    ):
        with pytest.raises(kind):
            lived.audit.verify(key=wrong)


def test_who_names_a_key_wants_something_signed_with_it(lived, path, tmp_path):
    public = lived.audit.public_key()
    edit(path, "DELETE FROM checkpoints")
    lived.audit.export(tmp_path / "audit.jsonl")
    assert lived.audit.verify().ok
    assert lived.audit.verify(key=public).problems == ("nothing is signed with the expected key",)
    assert verify_export(tmp_path / "audit.jsonl").ok
    assert not verify_export(tmp_path / "audit.jsonl", key=public).ok


def test_an_own_key_that_cannot_be_read_is_not_passed_over(lived, settings):
    public = lived.audit.public_key()
    settings.signing_key.chmod(0o644)
    with pytest.raises(KeyMissingError, match="read by others"):
        lived.audit.verify()
    assert lived.audit.verify(key=public).ok


def test_a_key_in_a_file(lived, tmp_path):
    public = lived.audit.public_key(tmp_path / "key.pub")
    assert (tmp_path / "key.pub").read_text() == public_pem(bytes.fromhex(public))
    assert lived.audit.verify(key=tmp_path / "key.pub").ok
    with pytest.raises(InputError, match="exists"):
        lived.audit.public_key(tmp_path / "key.pub")


@pytest.mark.parametrize("file", sorted(FILES.glob("*.rem")), ids=lambda file: file.stem)
def test_stores_of_older_formats_can_be_signed(file, path, settings):
    shutil.copy(file, path)
    with Memory(path, settings) as memory:
        assert memory.audit.verify().ok
        made = memory.audit.checkpoint()
        assert memory.audit.verify().signed == made.entry > 0


# ── export ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_export_needs_no_store(lived, tmp_path):
    done = lived.audit.export(tmp_path / "audit.jsonl")
    assert (done.first, done.last, done.entries, done.checkpoints, done.unsigned) == (1, 8, 8, 2, 2)
    public = lived.audit.public_key()
    lived.close()
    found = verify_export(tmp_path / "audit.jsonl", key=public)
    assert found.ok, found.problems
    assert (found.entries, found.signed, found.unsigned) == (8, 6, 2)
    assert found.last.key.hex() == public
    assert UNPINNED in verify_export(tmp_path / "audit.jsonl").notes


def test_there_is_no_word_of_a_memory_in_it(lived, path, tmp_path):
    lived.add("Ask Ophelia.", user="zoltan", agent="agent-x", session="session-9", source="https://example.org/s")
    lived.audit.checkpoint()
    lived.audit.export(tmp_path / "audit.jsonl")
    data = (tmp_path / "audit.jsonl").read_text()
    for word in (
        "kiln",
        "glaze",
        "firing",
        "Ophelia",
        "zoltan",
        "agent-x",
        "session-9",
        "example",
        "workshop",
        "default",
    ):
        assert word not in data, word
    with closing(sqlite3.connect(path)) as connection:
        salts = [row[0].hex() for row in connection.execute("SELECT salt FROM cubes")]
        [(secret,)] = connection.execute("SELECT value FROM notes WHERE name = 'secret'").fetchall()
    assert salts
    assert not any(salt in data for salt in salts)
    assert secret not in data
    assert "PRIVATE" not in data


@pytest.fixture
def yearly(path, settings):
    """Two entries a year from 2020 to 2024, a checkpoint at the end of every other year."""
    with Memory(path, settings) as memory:
        for year in range(2020, 2025):
            memory.add([f"First of {year}.", f"Second of {year}."])
            if year % 2 == 1:
                memory.audit.checkpoint()
    with closing(sqlite3.connect(path)) as connection, connection:  # the journal's clock is the machine's
        for entry in range(1, 11):
            at = f"{2020 + (entry - 1) // 2}-06-01T00:00:00.000000+00:00"
            connection.execute("UPDATE journal SET at = ? WHERE entry = ?", (at, entry))
        connection.execute("DELETE FROM checkpoints")
    rechained(path)
    with Memory(path, settings) as memory:
        store = memory._store
        with closing(sqlite3.connect(path)) as connection:
            hashes = dict(connection.execute("SELECT entry, hash FROM journal").fetchall())
        from remanence.governance.audit import signed

        for entry in (4, 8):
            key = SigningKey.open(settings.signing_key)
            assert store.ledger.keep(signed(store.ledger.store_id(), entry, hashes[entry], "x", key))
        yield memory


SPANS = [
    (None, None, 1, 10, 2, 2),
    ("2021-01-01", None, 3, 10, 2, 2),
    ("2022-01-01", "2023-01-01", 5, 8, 1, 0),  # goes on to the checkpoint of the year after
    (None, "2021-01-01", 1, 4, 1, 0),
    ("2024-06-01T02:00:00+02:00", None, 9, 10, 0, 2),
    (datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 1), 7, 8, 1, 0),  # noqa: DTZ001 (read as UTC)
]


@pytest.mark.parametrize(("since", "until", "first", "last", "checkpoints", "unsigned"), SPANS)
def test_an_export_of_a_time(yearly, tmp_path, since, until, first, last, checkpoints, unsigned):
    done = yearly.audit.export(tmp_path / "audit.jsonl", since=since, until=until)
    assert (done.first, done.last, done.checkpoints, done.unsigned) == (first, last, checkpoints, unsigned)
    found = verify_export(tmp_path / "audit.jsonl", key=yearly.audit.public_key() if checkpoints else None)
    assert found.ok, found.problems
    assert (found.first, found.entries, found.checkpoints, found.unsigned) == (
        first,
        last - first + 1,
        checkpoints,
        unsigned,
    )


def test_a_time_without_a_zone_is_utc_wherever_the_machine_stands(yearly, tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        with pytest.raises(InputError, match="Nothing was written"):
            yearly.audit.export(tmp_path / "audit.jsonl", since="2024-06-01T05:00:00")
        done = yearly.audit.export(tmp_path / "audit.jsonl", since="2024-06-01T00:00:00")
        assert done.first == 9
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_time_without_entries(yearly, tmp_path):
    for since, until in (("2030-01-01", None), (None, "2010-01-01"), ("2023-01-01", "2022-01-01")):
        with pytest.raises(InputError, match="Nothing was written"):
            yearly.audit.export(tmp_path / "audit.jsonl", since=since, until=until)
    with pytest.raises(InputError, match="since"):
        yearly.audit.export(tmp_path / "audit.jsonl", since="yesterday")
    assert not (tmp_path / "audit.jsonl").exists()


def test_exports_are_new_files_and_whole(lived, path, tmp_path):
    (tmp_path / "there").write_text("x")
    with pytest.raises(InputError, match="exists"):
        lived.audit.export(tmp_path / "there")
    for name in ("at-not-text", "signature-as-text", "commitment-as-text", "signed-at-not-text"):
        edit(path, EDITS[name])
        with pytest.raises((AuditError, StoreError), match=r"remanence .*verify"):
            lived.audit.export(tmp_path / "audit.jsonl")
        edit(path, "UPDATE journal SET at = '' WHERE entry = 2")
    assert not list(tmp_path.glob("*audit.jsonl*"))


def test_an_edited_store_exports_to_what_does_not_hold(lived, path, tmp_path):
    edit(path, EDITS["seq"])
    lived.audit.export(tmp_path / "audit.jsonl")
    assert not verify_export(tmp_path / "audit.jsonl").ok


def test_files_that_are_no_exports(tmp_path):
    with pytest.raises(UnreadableFileError):
        verify_export(tmp_path / "none")
    (tmp_path / "big").write_bytes(b"x" * (1 << 21))
    assert not verify_export(tmp_path / "big").ok


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_auditor_of_the_whole_store_may_and_others_may_not(lived, tmp_path):
    lived.access.grant("eye", "auditor", space="*")
    lived.access.grant("part", "auditor", space="workshop-7")
    lived.access.grant("ann", "owner", space="workshop-7")
    eye = lived.acting_as("eye").audit
    eye.checkpoint()
    assert eye.verify(key=eye.public_key()).ok
    assert eye.export(tmp_path / "audit.jsonl").unsigned == 0
    assert len(eye.checkpoints()) == 3
    calls = (
        Audit.checkpoint,
        Audit.checkpoints,
        Audit.verify,
        Audit.public_key,
        partial(Audit.export, path=tmp_path / "x"),
    )
    for name in ("part", "ann", "nobody"):
        for call in calls:
            with pytest.raises(AccessDeniedError):
                call(lived.acting_as(name).audit)
    assert not (tmp_path / "x").exists()
