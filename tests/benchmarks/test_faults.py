"""The watched disk counts and fails what it should, the platter loses what was not synced, and small runs are clean."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from remanence import Memory
from remanence.errors import StoreFullError
from remanence.settings import Settings

SETTINGS = Settings(embedder="hashing", busy_timeout=1)


@pytest.fixture
def faults(reliability, watched_disk):
    return reliability("faults")


@pytest.fixture
def power(reliability, watched_disk):
    return reliability("power")


# ── the disk ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def calls(faults, watched_disk, tmp_path):
    """What the disk was asked for: opening a new store, an addition, a copy of each kind, closing."""
    judge = faults.At()
    with watched_disk.watched(judge, tmp_path):
        judge.on = True
        with Memory(tmp_path / "m.rem", SETTINGS) as memory:
            memory.add("The kiln is fired on Fridays.")
            memory.backup(tmp_path / "copy.rem")
            memory.export(tmp_path / "copy.jsonl")
    return judge.calls


def test_every_way_to_the_disk_is_seen(calls, tmp_path):
    kinds = {(call.kind, call.name.removeprefix(str(tmp_path))) for call in calls}
    assert {
        ("open", "/m.rem"), ("write", "/m.rem-wal"), ("sync", "/m.rem-wal"), ("write", "/m.rem"), ("sync", "/m.rem"),
        ("delete", "/m.rem-wal"), ("rename", "/copy.rem"), ("rename", "/copy.jsonl"), ("sync", ""),
    } <= kinds  # fmt: skip
    partial = {name.rpartition(".")[2] for kind, name in kinds if kind == "write" and "copy" in name}
    assert partial >= {"part"}


def test_a_copy_is_synced_before_it_is_renamed_and_its_folder_after(calls, tmp_path):
    order = [call for call in calls if call.kind in ("sync", "rename")]
    for before, rename in pairwise(order):
        if rename.kind == "rename":
            assert before.kind == "sync"
            assert before.name == rename.data.decode()
    for rename, after in pairwise(order):
        if rename.kind == "rename":
            assert (after.kind, after.name) == ("sync", str(tmp_path))


def test_nothing_is_watched_outside_the_block(faults, watched_disk, tmp_path):
    judge = faults.At()
    judge.on = True
    with watched_disk.watched(judge, tmp_path):
        pass
    with Memory(tmp_path / "m.rem", SETTINGS) as memory:
        memory.add("Unseen.")
        memory.export(tmp_path / "copy.jsonl")
    assert judge.calls == []


def test_a_fault_is_raised_as_one_of_our_errors(faults, watched_disk, tmp_path):
    judge = faults.At(1, faults.Fault("full", watched_disk.Verdict.FULL, lasting=True))
    with watched_disk.watched(judge, tmp_path), Memory(tmp_path / "m.rem", SETTINGS) as memory:
        judge.on = True
        with pytest.raises(StoreFullError):
            memory.add("No room.")
        judge.on = False
        memory.add("Room again.")
        assert [cube.text for cube in memory.list()] == ["Room again."]


# ── the power ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_not_synced_may_be_lost_and_what_was_may_not(power, watched_disk):
    call = watched_disk.Call
    platter = power.Platter({"/f/a": b"old old!"})
    platter.play([call("write", "/f/a", 0, b"new"), call("sync", "/f/a"), call("write", "/f/a", 4, b"new")])
    assert platter.fail(None) == {"/f/a": b"new old!"}
    seen = {platter.fail(random.Random(seed))["/f/a"] for seed in range(20)}
    assert seen == {b"new old!", b"new new!"}


def test_a_long_write_may_be_there_in_some_of_its_sectors(power, watched_disk):
    platter = power.Platter({"/f/a": bytes(2048)})
    platter.play([watched_disk.Call("write", "/f/a", 0, b"x" * 2048)])
    parts = set()
    for seed in range(60):
        content = platter.fail(random.Random(seed))["/f/a"]
        sectors = [content[at : at + 512] for at in range(0, 2048, 512)]
        assert all(sector in (bytes(512), b"x" * 512) for sector in sectors)
        parts.add(sum(sector == b"x" * 512 for sector in sectors))
    assert {0, 4} < parts


def test_a_renaming_lasts_when_its_folder_was_synced(power, watched_disk):
    call = watched_disk.Call
    steps = [
        call("open", "/f/p"),
        call("write", "/f/p", 0, b"all"),
        call("sync", "/f/p"),
        call("rename", "/f/a", 0, b"/f/p"),
    ]
    platter = power.Platter({})
    platter.play(steps)
    assert platter.fail(None) == {"/f/p": b"all"}
    platter.play([call("sync", "/f")])
    assert platter.fail(None) == {"/f/a": b"all"}


# ── the trials ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("name", "every"), [("add one", 17), ("forget", 60), ("backup", 30), ("restore", 17)])
def test_some_faults(faults, name, every):
    tally = faults.run([work for work in faults.works() if work.name == name], every)
    assert tally.problems == []
    assert tally.injected.total() > 8
    assert tally.by_call["write"] > 0


def test_an_acknowledgement_before_the_sync_is_caught(faults, monkeypatch):
    """Without syncs the last commits do not survive a power failure, and the trials say so."""
    monkeypatch.setattr(faults, "SETTINGS", Settings(embedder="hashing", busy_timeout=1, durability="normal"))
    tally = faults.run([work for work in faults.works() if work.name == "add one"], every=1000)
    assert any("acknowledged" in problem for problem in tally.problems)


def test_an_error_that_is_not_ours_is_caught(faults, monkeypatch):
    from contextlib import nullcontext

    from remanence.store.connections import Connections

    works = [work for work in faults.works() if work.name == "add one"]
    monkeypatch.setattr(Connections, "translated", lambda self: nullcontext())
    tally = faults.run(works, every=20)
    assert any("OperationalError" in problem for problem in tally.problems)
