"""Readers beside a writer, writers that wait, and copies made meanwhile."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from remanence.errors import StoreBusyError, StoreClosedError
from remanence.settings import Settings
from remanence.store.sqlite import SQLiteStore


@pytest.fixture
def pair(tmp_path, plain):
    """Two stores on one file, as two processes would have them."""
    with (
        closing(SQLiteStore(tmp_path / "m.rem", plain)) as one,
        closing(SQLiteStore(tmp_path / "m.rem", plain)) as other,
    ):
        yield one, other


def test_readers_see_the_old_state_until_the_commit(pair, draft):
    one, other = pair
    one.append([draft("old")])
    with one.connections.write() as connection:
        connection.execute("UPDATE cubes SET text = 'new'")
        assert other.get("id of old in a").text == "old"
        with ThreadPoolExecutor(1) as thread:  # another thread of the same store
            assert thread.submit(lambda: one.get("id of old in a").text).result() == "old"
    assert other.get("id of old in a").text == one.get("id of old in a").text == "new"


def test_a_read_is_one_moment(pair, draft):
    one, other = pair
    one.append([draft("first")])
    with one.snapshot("a") as (head, rows):
        other.append([draft("second")])
        assert len(list(rows)) == 1
        assert head == other.head() - 1


def test_what_raised_is_undone_and_the_next_write_works(pair, draft):
    one, other = pair

    def interrupted() -> None:
        with one.connections.write() as connection:
            connection.execute("INSERT INTO notes VALUES ('n', 'v')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert other.note("n") is None
    other.append([draft("after")])
    assert one.get("id of after in a").text == "after"


def test_the_second_writer_waits_for_the_first(pair, draft):
    one, other = pair
    waiting = threading.Event()

    def late() -> None:
        waiting.set()
        other.append([draft("late")])

    with ThreadPoolExecutor(1) as thread:
        with one.connections.write():
            result = thread.submit(late)
            assert waiting.wait(10)
            assert not result.done()
        result.result(10)
    assert one.get("id of late in a").text == "late"


def test_the_second_writer_gives_up_after_the_timeout(tmp_path, plain, draft):
    path = tmp_path / "m.rem"
    with (
        closing(SQLiteStore(path, plain)) as one,
        closing(SQLiteStore(path, Settings(embedder="none", busy_timeout=0.2))) as other,
    ):
        with one.connections.write():
            start = time.monotonic()
            with pytest.raises(StoreBusyError, match="busy_timeout"):
                other.append([draft("late")])
            assert 0.15 < time.monotonic() - start < 5
        assert other.append([draft("late")]) == ["id of late in a"]


def test_a_store_opens_beside_a_writer_that_takes_its_time(tmp_path, plain, draft):
    """Opening an up-to-date file changes nothing, so it should not have to wait for a writer."""
    path = tmp_path / "m.rem"
    with closing(SQLiteStore(path, plain)) as one:
        one.append([draft("old")])
        with one.connections.write(), closing(SQLiteStore(path, Settings(embedder="none", busy_timeout=0.2))) as other:
            assert other.get("id of old in a").text == "old"


def test_many_threads_read_through_one_store(pair, draft):
    one, _ = pair
    one.append([draft(f"t{n}") for n in range(20)])
    start = threading.Barrier(8)

    def read(_: int) -> int:
        start.wait(10)
        return sum(len(list(one.everything())) for _ in range(20))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(read, range(8))) == [400] * 8


def test_closing_lets_a_reader_finish_and_then_closes_its_connection(tmp_path, plain, draft):
    path = tmp_path / "m.rem"
    store = SQLiteStore(path, plain)
    store.append([draft("one"), draft("two")])
    reading = store.everything()
    assert next(reading)[0].text == "one"
    store.close()
    assert [cube.text for cube, _ in reading] == ["two"]
    with pytest.raises(StoreClosedError):
        store.head()
    assert [one.name for one in tmp_path.iterdir()] == ["m.rem"]  # the last connection took the log away


def test_the_log_is_gone_after_closing(tmp_path, plain, draft):
    with closing(SQLiteStore(tmp_path / "m.rem", plain)) as store:
        store.append([draft("one")])
    assert [one.name for one in tmp_path.iterdir()] == ["m.rem"]


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_every_connection_has_its_settings(tmp_path, durability):
    with closing(
        SQLiteStore(tmp_path / "m.rem", Settings(embedder="none", durability=durability, busy_timeout=3))
    ) as store:
        for access in (store.connections.write, store.connections.read):
            with access() as connection:
                asked = {
                    name: connection.execute(f"PRAGMA {name}").fetchone()[0]
                    for name in ("synchronous", "secure_delete", "temp_store", "journal_mode", "busy_timeout")
                }
            assert asked == {
                "synchronous": {"full": 2, "normal": 1}[durability], "secure_delete": 1, "temp_store": 2,
                "journal_mode": "wal", "busy_timeout": 3000,
            }  # fmt: skip


def test_a_backup_made_while_others_write_is_one_moment(tmp_path, plain, draft):
    """Every copy holds a whole number of batches, in order, and verifies."""
    path, batch, stop = tmp_path / "m.rem", 5, threading.Event()
    with closing(SQLiteStore(path, plain)) as store, closing(SQLiteStore(path, plain)) as writer:
        first_commit = threading.Event()

        def write() -> int:
            number = 0
            while not stop.is_set():
                writer.append([draft(f"{number + n}") for n in range(batch)])
                number += batch
                first_commit.set()
            return number

        with ThreadPoolExecutor(1) as thread:
            written = thread.submit(write)
            assert first_commit.wait(10)
            copies = [tmp_path / f"copy{n}.rem" for n in range(6)]
            for copy in copies:
                store.backup(copy)
            stop.set()
            total = written.result(10)
    sizes = []
    for copy in copies:
        with closing(SQLiteStore(copy, plain)) as other:
            texts = [cube.text for cube, _ in other.everything()]
            assert texts == [str(n) for n in range(len(texts))]
            assert other.verify().ok
        sizes.append(len(texts))
    assert sizes == sorted(sizes)
    assert all(size % batch == 0 and 0 < size <= total for size in sizes)
