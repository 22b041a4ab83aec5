"""Which files are stores, and which old ones stay readable."""

from __future__ import annotations

import runpy
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from remanence import Memory
from remanence.cubes import Extraction
from remanence.errors import InputError, NotAStoreError, RemanenceError, StoreTooNewError, StoreUnwritableError
from remanence.language.keys import derive
from remanence.settings import Settings
from remanence.store import schema
from remanence.store.sqlite import SQLiteStore

OLD_FILES = sorted((Path(__file__).parent / "files").glob("*.rem"))


def _copied(old: Path, path: Path) -> None:
    shutil.copy(old, path)
    if (payloads := Path(f"{old}.payloads")).is_dir():
        shutil.copytree(payloads, f"{path}.payloads")


# ── files of earlier releases ────────────────────────────────────────────────────────────────────────────────────────


def test_there_are_old_files():
    assert [path.name for path in OLD_FILES][:1] == ["v1.rem"]


@pytest.mark.parametrize("old", OLD_FILES, ids=[path.stem for path in OLD_FILES])
def test_an_old_file_stays_readable_and_writable(old, opened, tmp_path):
    _copied(old, tmp_path / "old.rem")
    memory = opened("old.rem")
    checked = memory.verify()
    assert checked.ok, checked.problems
    assert checked.checks["vectors embedded again"] == {"v1": 5, "v2": 12, "v3": 27, "v4": 29}[old.stem]
    assert [cube.text for cube in memory.list()] == [
        "Ana keeps bees in the orchard.",
        "The honey was sold in June 2023.",
    ]
    first = memory.list()[0]
    assert [cube.text for cube in memory.history(first)] == [
        "Ana keeps bees on the roof.", "Ana keeps bees in the garden.", "Ana keeps bees in the orchard.",
    ]  # fmt: skip
    assert (first.provenance.author, first.scope.user, first.scope.session) == ("Ana", "ana", "s1")
    assert memory.list()[1].meta == {"price": 9.5}
    [boat] = memory.list(space="other")
    assert (boat.text, boat.about, boat.provenance.role) == ("Żółta łódź, 黄色い船", "Boats", "document")
    assert memory.recall("Where are the bees?")[0].cube == first
    assert memory.correct(boat, "Zielona łódź").version == 2
    assert memory.add("Something new.") == [memory.list()[-1].id]
    memory.forget(first)
    assert memory.verify().ok


def test_the_newest_file_has_rows_in_every_table():
    with closing(sqlite3.connect(OLD_FILES[-1])) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        empty = [name for name in tables if connection.execute(f'SELECT count(*) FROM "{name}"').fetchone() == (0,)]
    assert tables
    assert empty == []


@pytest.fixture
def first_format(opened, tmp_path) -> Memory:
    shutil.copy(OLD_FILES[0], tmp_path / "v1.rem")
    return opened("v1.rem")


def test_a_file_of_format_1_has_no_names_until_it_is_reindexed(first_format):
    memory = first_format
    assert {keys.mentions for _, keys in memory._store.everything()} == {None}
    assert {cube.provenance.derived_from for cube, _ in memory._store.everything()} == {()}
    assert memory._store.derived.claims("default") == []
    assert "reindex" in memory.recall("Where are the bees?").notes[0]
    assert memory.verify().ok
    head = memory.stats().entries
    assert memory.reindex() == 5
    assert all(keys == derive(cube, keys.vector) for cube, keys in memory._store.everything())
    assert [bool(keys.mentions) for _, keys in memory._store.everything()] == [True, True, True, True, True]
    assert [hit.cube.text for hit in memory.recall("Where are the bees?")][:1] == ["Ana keeps bees in the orchard."]
    assert memory.recall("Where are the bees?").notes == ()
    assert memory.stats().entries == head
    checked = memory.verify()
    assert checked.ok, checked.problems


def test_a_file_of_format_1_takes_what_is_made_out_of_its_cubes(first_format, read, draft):
    memory = first_format
    first = memory.list()[0]
    read(memory._store, first.id, Extraction(entities=("Ana",)), embed=memory._encoding.documents)
    memory._store.append(
        [draft("Where are the bees? In the orchard.", "default", vector=None, cube_id="qa", derived_from=[first.id])]
    )
    assert memory.verify().ok
    memory.reindex()
    assert memory.verify().ok
    assert memory.forget(first).ids == (first.id, "qa")
    assert memory.verify().ok


@pytest.fixture(
    params=["now", *(path for path in OLD_FILES if path.stem != "v1")], ids=lambda one: getattr(one, "stem", one)
)
def second_format(request, opened, tmp_path) -> Memory:
    """What this release writes, and the files of earlier ones that could write the same."""
    path = tmp_path / "made.rem"
    if request.param == "now":
        runpy.run_path(str(OLD_FILES[0].parent / "make.py"))["make"](str(path))
    else:
        _copied(request.param, path)
    return opened("made.rem")


def test_what_was_made_out_of_cubes_stays(second_format):
    memory = second_format
    checked = memory.verify()
    assert checked.ok, checked.problems
    empty = [name for name, looked_at in checked.checks.items() if not looked_at]
    assert empty == (
        ["events", "grants", "decisions", "payloads"]
        if memory.spaces() == ["default", "made", "other"]
        else []
        if "forms" in memory.spaces()
        else ["payloads"]
    )
    ana, kiln, living = memory.list(space="made")
    derived = memory._store.derived
    [(version, (extractor, content))] = derived.readings(None).items()
    assert (version, extractor, content.about) == ((ana.id, 1), "reader/1", "Ana")
    assert [fact.value for fact in content.facts] == ["Żary"]
    assert (living.id, living.provenance.derived_from) == ("id-of-the-living", (kiln.id,))
    retired = memory.get("id-of-the-retired")
    assert (retired.provenance.derived_from, retired.valid_to) == ((ana.id,), ana.valid_from)
    assert [derived.reply("made", key) for key in (b"about Ana", b"about nothing")] == [
        "She is in Żary.",
        "Nobody knows.",
    ]
    memory.reindex()
    assert memory.verify().ok
    assert memory.forget(ana).ids == (ana.id, retired.id)
    assert [derived.reply("made", key) for key in (b"about Ana", b"about nothing")] == [None, "Nobody knows."]
    assert memory.verify().ok


@pytest.mark.parametrize("old", OLD_FILES, ids=[path.stem for path in OLD_FILES])
def test_an_old_file_knows_its_repetitions(old, opened, tmp_path):
    shutil.copy(old, tmp_path / "old.rem")
    memory = opened("old.rem")
    again = {
        "content": "The honey was sold in June 2023.",
        "role": "assistant",
        "session": "s1",
        "meta": {"price": 9.5},
    }
    assert memory.add(again, user="ana") == [memory.list()[1].id]


# ── new files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_file_says_whose_it_is(tmp_path, plain):
    SQLiteStore(tmp_path / "new.rem", plain).close()
    with closing(sqlite3.connect(tmp_path / "new.rem")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_empty_file_becomes_a_store(tmp_path, plain):
    (tmp_path / "empty.rem").touch()
    with closing(SQLiteStore(tmp_path / "empty.rem", plain)) as store:
        assert store.verify().ok


def test_opening_again_migrates_nothing(tmp_path, plain):
    for _ in range(2):
        with closing(SQLiteStore(tmp_path / "m.rem", plain)) as store:
            secret = store.secret()
    with closing(SQLiteStore(tmp_path / "m.rem", plain)) as store:
        assert store.secret() == secret


def test_a_migration_that_breaks_off_leaves_the_file_as_it_was(tmp_path, plain, monkeypatch, draft):
    path = tmp_path / "m.rem"
    with closing(SQLiteStore(path, plain)) as store:
        store.append([draft("one")])
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE extra (a);\nCREATE TABLE extra (b);\n"))
        with pytest.raises(RemanenceError):
            SQLiteStore(path, plain)
    with closing(SQLiteStore(path, plain)) as store:
        assert store.get("id of one in a").text == "one"
        assert store.verify().ok


def test_a_migration_runs_once(tmp_path, plain, monkeypatch, draft):
    path = tmp_path / "m.rem"
    with closing(SQLiteStore(path, plain)) as store:
        store.append([draft("one")])
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE extra (a);\n"))
    for _ in range(2):
        with closing(SQLiteStore(path, plain)) as store:
            assert store.verify().ok


# ── what is no store ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_from_a_later_release_is_refused_unread(tmp_path, plain):
    path = tmp_path / "later.rem"
    SQLiteStore(path, plain).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreTooNewError, match="Upgrade"):
        SQLiteStore(path, plain)
    assert path.read_bytes() == before


@pytest.fixture
def foreign(tmp_path) -> Path:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photos (name TEXT)")
        connection.commit()
    return path


def test_another_programs_database_is_refused(foreign, plain):
    with pytest.raises(NotAStoreError, match="another program"):
        SQLiteStore(foreign, plain)


def test_another_programs_database_is_left_as_it_was(foreign, plain):
    before = foreign.read_bytes()
    with pytest.raises(NotAStoreError):
        SQLiteStore(foreign, plain)
    assert foreign.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"hello", b"\0", b"SQLite format 2\0" * 99, b"x" * 10_000], ids=["text", "zero", "near", "long"]
)
def test_any_other_file_is_refused_and_left_as_it_was(tmp_path, plain, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(NotAStoreError):
        SQLiteStore(path, plain)
    assert path.read_bytes() == content
    assert [one.name for one in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_that_only_begins_like_a_database_is_refused(tmp_path, plain):
    path = tmp_path / "cut.rem"
    path.write_bytes(b"SQLite format 3\0" + b"nonsense" * 200)
    with pytest.raises(RemanenceError):
        SQLiteStore(path, plain)


def test_a_folder_is_refused(tmp_path, plain):
    with pytest.raises(NotAStoreError, match="folder"):
        SQLiteStore(tmp_path, plain)


def test_a_missing_folder_is_not_made(tmp_path, plain):
    with pytest.raises(StoreUnwritableError, match="does not exist"):
        SQLiteStore(tmp_path / "missing" / "m.rem", plain)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("location", ["", "  ", 5, b"m.rem"], ids=["empty", "blank", "number", "bytes"])
def test_no_location_is_refused(location):
    with pytest.raises(InputError):
        Memory(location, Settings(embedder="none"))


@pytest.mark.parametrize("name", ["a\0b.rem", "a" * 300], ids=["zero-byte", "too-long"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, plain, name):
    with pytest.raises(RemanenceError):
        SQLiteStore(tmp_path / name, plain)


def test_a_refused_file_is_not_kept_open(tmp_path, foreign, plain):
    """Another program can have its file back at once, without waiting for a garbage collection."""
    open_files = Path("/proc/self/fd")
    if not open_files.is_dir():
        pytest.skip("this system has no /proc")
    with pytest.raises(NotAStoreError) as raised:
        SQLiteStore(foreign, plain)
    names = [str(link.resolve()) for link in open_files.iterdir()]
    assert not [name for name in names if name.startswith(str(foreign))]
    assert raised.value.what  # as long as the error lives, so does what it refers to
