"""The journal and its checkpoints, as an auditor reads them from a file."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from remanence.store.ledger import Checkpoint
from remanence.store.sqlite import SQLiteStore


@pytest.fixture
def store(tmp_path, plain, draft):
    with closing(SQLiteStore(tmp_path / "m.rem", plain)) as store:
        store.append([draft(f"text {number}") for number in range(5)])
        yield store


def rows(store, first=1, last=None):
    with store.ledger.snapshot(first, last) as found:
        return list(found.rows)


def checkpoint(store, entry: int) -> Checkpoint:
    return Checkpoint(store.ledger.store_id(), entry, rows(store)[entry - 1][9], "at", b"key", b"signature")


def test_the_store_has_one_public_id(store, tmp_path, plain):
    name = store.ledger.store_id()
    assert store.ledger.store_id() == name == store.note("store")
    assert len(bytes.fromhex(name)) == 16
    assert name not in store.note("secret")
    with closing(SQLiteStore(tmp_path / "m.rem", plain)) as again:
        assert again.ledger.store_id() == name
    with closing(SQLiteStore(tmp_path / "n.rem", plain)) as other:
        assert other.ledger.store_id() != name


def test_a_checkpoint_comes_back_as_it_was(store):
    second, fourth = checkpoint(store, 2), checkpoint(store, 4)
    assert store.ledger.last() is None
    assert store.ledger.unsigned() == 5
    assert store.ledger.keep(fourth)
    assert store.ledger.keep(second)
    assert store.ledger.checkpoints() == [second, fourth]
    assert store.ledger.last() == fourth
    assert store.ledger.unsigned() == 1


def test_an_entry_has_one_checkpoint_and_it_is_about_its_hash(store):
    one = checkpoint(store, 2)
    assert not store.ledger.keep(replace(one, hash=bytes(32)))
    assert not store.ledger.keep(replace(one, entry=3))
    assert not store.ledger.keep(replace(one, entry=9))
    assert store.ledger.keep(one)
    assert not store.ledger.keep(replace(one, signature=b"another"))
    assert store.ledger.checkpoints() == [one]


def test_a_snapshot_holds_together(store, draft):
    for entry in (1, 3, 5):
        store.ledger.keep(checkpoint(store, entry))
    everything = rows(store)
    assert [row[0] for row in everything] == [1, 2, 3, 4, 5]
    with store.ledger.snapshot(2, 4) as found:
        store.append([draft("meanwhile")])
        assert found.numbered == 5
        assert found.before == everything[0][9]
        assert [one.entry for one in found.checkpoints] == [3]
        assert list(found.rows) == everything[1:4]
    with store.ledger.snapshot() as found:
        assert found.numbered == 6
        assert found.before is None


def test_entries_of_a_time_go_on_to_the_next_checkpoint(store):
    at = [row[1] for row in rows(store)]
    assert store.ledger.between(None, None) == (1, 5)
    assert store.ledger.between(at[1], at[3]) == (2, 3)
    store.ledger.keep(checkpoint(store, 4))
    assert store.ledger.between(at[1], at[3]) == (2, 4)
    assert store.ledger.between(at[1], None) == (2, 5)
    assert store.ledger.between("9", None) is None
    assert store.ledger.between(None, at[0]) is None
    assert store.ledger.between(at[3], at[1]) is None


def test_an_empty_store(tmp_path, plain):
    with closing(SQLiteStore(tmp_path / "n.rem", plain)) as store:
        assert rows(store) == []
        assert store.ledger.between(None, None) is None
        assert store.ledger.unsigned() == 0
        assert store.ledger.last() is None
