from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import replace

import pytest

from remanence.cubes import Form, Kind, Provenance
from remanence.drafts import Artefact
from remanence.errors import PayloadDamagedError, QuotaError, StaleError, StoreUnwritableError
from remanence.settings import Settings
from remanence.store.sqlite import SQLiteStore

PRINT = {"weights": "w"}


@pytest.fixture
def store(tmp_path, plain, draft):
    with closing(SQLiteStore(tmp_path / "p.rem", replace(plain, payload_quota=1000))) as store:
        store.append([draft("one"), draft("two")])
        yield store


def derived(draft, of="id of one in a", version=1, form=Form.ACTIVATION, name="cache"):
    made = draft(name, mark=None)
    kind = Kind.CACHE if form is Form.ACTIVATION else Kind.ADAPTER
    origin = Provenance(source="derived", role="system", method="remanence.kv/1", derived_from=(of,))
    cube = replace(made.cube, form=form, kind=kind, provenance=origin)
    return replace(made, cube=cube, made_of=((of, version),))


def kept(store, made, content=b"x" * 100):
    with store.payloads.partial() as path:
        path.write_bytes(content)
        artefact = Artefact(made.cube.form, "remanence.kv/1", path, PRINT, {"tokens": 3}, "a cache")
        return store.payloads.keep(made, artefact)


def files(store):
    return sorted(path.name for path in store.payloads.folder.iterdir()) if store.payloads.folder.exists() else []


def test_a_payload_is_kept_beside_the_store_and_read_again(store, draft):
    cube = kept(store, derived(draft))
    assert store.get(cube.id) == cube
    assert store.payloads.path(cube).read_bytes() == b"x" * 100
    assert files(store) == [cube.payload.name]
    assert cube.payload.details == {"tokens": 3}
    assert cube.payload.fingerprint == PRINT
    assert [one.id for one in store.payloads.of("a")] == [cube.id]
    assert [one.id for one in store.payloads.of("a", Form.ACTIVATION, ["id of one in a"])] == [cube.id]
    assert store.payloads.of("a", Form.PARAMETRIC) == store.payloads.of("a", made_of=["id of two in a"]) == []
    assert store.payloads.of("b") == []
    assert store.verify().ok


def test_the_journal_commits_to_the_hash_of_the_file(store, draft):
    cube = kept(store, derived(draft))
    with store.connections.write() as connection:
        said = cube.payload.to_json() | {"sha256": "0" * 64}
        connection.execute("UPDATE cubes SET payload = ? WHERE id = ?", (json.dumps(said, sort_keys=True), cube.id))
    assert any("was changed outside" in one for one in store.verify().problems)


@pytest.mark.parametrize("content", [b"y" * 100, b"x" * 99, None])
def test_a_damaged_or_missing_file_is_noticed(store, draft, content):
    cube = kept(store, derived(draft))
    path = store.payloads.path(cube)
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(PayloadDamagedError, match=cube.id):
        store.payloads.path(cube)
    assert any(cube.id in one for one in store.verify().problems)


def test_nothing_is_kept_of_what_changed_meanwhile(store, draft):
    made = derived(draft)
    store.supersede(draft("one again", cube_id="id of one in a", version=2, mark=None))
    with pytest.raises(StaleError, match="meanwhile"):
        kept(store, made)
    assert files(store) == []
    store.erase(["id of two in a"])
    with pytest.raises(StaleError):
        kept(store, derived(draft, "id of two in a"))
    assert files(store) == []


def test_a_correction_retires_it_and_the_sweep_destroys_its_file(store, draft):
    cube = kept(store, derived(draft))
    store.supersede(draft("one again", cube_id="id of one in a", version=2, mark=None))
    late = store.get(cube.id)
    with pytest.raises(StaleError, match="archived"):
        store.payloads.path(late)
    assert store.payloads.of("a") == []
    assert not store.payloads.is_tidy()
    assert store.payloads.sweep() == 1
    assert files(store) == []
    assert store.payloads.is_tidy()
    assert store.verify().ok


def test_erasing_the_source_erases_row_and_file(store, draft):
    cube = kept(store, derived(draft))
    store.payloads.used({cube.id: 0.5})
    store.payloads.read(["id of one in a"])
    store.erase(["id of one in a"])
    store.scrub()
    assert files(store) == []
    assert store.payloads.left([cube.payload]) == 0
    assert store.payloads.uses(cube.id).count == 0
    assert store.payloads.reads("a") == {}


def test_a_copy_of_an_erased_file_under_another_name_is_found(store, draft):
    cube = kept(store, derived(draft))
    (store.payloads.folder / ".1.x.part").write_bytes(b"x" * 100)
    assert store.payloads.left([cube.payload]) == 2


def test_what_others_write_is_not_swept_and_what_the_dead_left_is(store, draft):
    with store.payloads.partial() as path:
        path.write_bytes(b"mine")
        dead, alive, orphan = (
            store.payloads.folder / name
            for name in (f".{2**22 + 7}.x.part", f".{os.getppid()}.x.part", "a.safetensors")
        )
        for other in (dead, alive, orphan):
            other.write_bytes(b"other")
        assert store.payloads.sweep() == 2
        assert path.exists()
        assert alive.exists()
        assert not dead.exists()
        assert not orphan.exists()
    assert not path.exists()


def test_caches_make_room_the_least_useful_first_and_adapters_stay(store, draft):
    adapter = kept(store, derived(draft, form=Form.PARAMETRIC, name="adapter"), b"a" * 400)
    first = kept(store, derived(draft, name="first"), b"1" * 300)
    second = kept(store, derived(draft, name="second"), b"2" * 300)
    store.payloads.used({first.id: 2.0, second.id: 1.0})
    third = kept(store, derived(draft, name="third"), b"3" * 200)
    assert {one.id for one in store.payloads.of("a")} == {adapter.id, first.id, third.id}
    assert files(store) == sorted(one.payload.name for one in (adapter, first, third))
    assert store.lifecycle.events(second.id)[-1].reason == "evicted to make room"
    with pytest.raises(QuotaError, match="601"):
        kept(store, derived(draft, name="fourth"), b"4" * 601)
    assert {one.id for one in store.payloads.of("a")} == {adapter.id, first.id, third.id}
    assert len(files(store)) == 3


def test_uses_and_reads_add_up(store, draft):
    cube = kept(store, derived(draft))
    for _ in range(2):
        store.payloads.used({cube.id: 0.25, "nobody": 1.0})
        store.payloads.read(["id of one in a", "nobody"])
    use = store.payloads.uses(cube.id)
    assert (use.count, use.seconds) == (2, 0.5)
    assert {one: count for one, (count, *_) in store.payloads.reads("a").items()} == {"id of one in a": 2}


def test_a_backup_brings_the_files_along(store, draft, tmp_path, plain):
    cube = kept(store, derived(draft))
    store.backup(tmp_path / "b.rem")
    with closing(SQLiteStore(tmp_path / "b.rem", plain)) as copy:
        assert copy.payloads.path(copy.get(cube.id)).read_bytes() == b"x" * 100
        assert copy.verify().ok


def test_recall_export_and_counts_leave_it_out(store, draft):
    kept(store, derived(draft))
    assert store.counts()["cubes"] == 2
    assert store.counts()["payloads"] == 1
    assert store.counts()["payload_bytes"] == 100
    assert store.counts()["without_vector"] == 0
    assert [cube.text for cube, _ in store.everything()] == ["one", "two"]
    with store.snapshot("a") as (_, rows):
        assert len(list(rows)) == 2
    assert len(store.changes("a", 0)[2]) == 2


def test_a_store_in_memory_has_a_folder_that_goes_with_it(draft):
    with closing(SQLiteStore(":memory:", Settings(embedder="none"))) as store:
        store.append([draft("one")])
        cube = kept(store, derived(draft))
        folder = store.payloads.folder
        assert store.payloads.path(cube).exists()
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_said(store, draft):
    store.payloads.folder.write_text("a file in its place")
    with pytest.raises(StoreUnwritableError, match="payloads"):
        kept(store, derived(draft))
