"""The benchmark that tampers: it tries what it says, and what it resumes is judged as a whole file is."""

from __future__ import annotations

import io
import json
import random
import sqlite3
from contextlib import closing

import pytest

from remanence.governance.auditfile import Reader, verify_lines
from remanence.settings import Settings


@pytest.fixture
def module(reliability):
    return reliability("tamper")


@pytest.fixture
def sample(module, tmp_path):
    return module.sample(tmp_path, 12)


@pytest.mark.parametrize("value", [5, -1, "größe", b"\0\xff", "", b""])
def test_every_byte_becomes_every_other(module, value):
    found = list(module.others(value))
    size = len(module.stored(value))
    assert len(found) == 255 * size
    assert {at for at, _ in found} == set(range(size))
    assert value not in {after for _, after in found}
    assert len({(type(after), after) for _, after in found}) == 255 * size


def test_the_sample_is_signed_but_for_its_end(module, sample):
    _, exported, public = sample
    found = verify_lines(io.BytesIO(exported.read_bytes()), {bytes.fromhex(public)})
    assert found.ok
    assert found.entries >= 12
    assert found.checkpoints >= 1
    assert found.unsigned >= module.TAIL


def test_what_is_resumed_is_judged_as_the_whole(module, sample):
    """Fast and naive twin, on edits, removals, and on files that hold."""
    data = sample[1].read_bytes()
    chance = random.Random(3)
    reader, offset, judged = Reader(), 0, []
    for line in data.splitlines(keepends=True):
        rest = data[offset:]
        for at in chance.sample(range(len(line)), 6):
            edited = rest[:at] + bytes([chance.randrange(256)]) + rest[at + chance.randrange(2) :]
            whole = not verify_lines(io.BytesIO(data[:offset] + edited)).ok
            assert module.resumed(reader, edited) == whole
            judged.append(whole)
        assert not module.resumed(reader, rest)
        reader.feed(line)
        offset += len(line)
    assert len(judged) > 50
    assert reader.result().ok


def test_a_miss_is_counted(module, capsys):
    score = module.Score()
    score.run("some", [("here", True), ("there", False)])
    assert score.tried["some"] == 2
    assert score.missed["some"] == ["there"]
    assert "1 missed" in capsys.readouterr().out


def test_forgeries_hold_as_chains_and_are_found(module, sample, tmp_path):
    path, _, public = sample
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT * FROM journal ORDER BY entry").fetchall()
    for _, entries in module.forgeries(rows, 8, cut=True):
        assert not any(module.verify_chain(entries))
        assert entries[:8] != rows[:8]
    settings = Settings(embedder="none", signing_key=tmp_path / "signing.pem")
    with module.Memory(path, settings) as memory:
        checkpoints = list(memory.audit.checkpoints())
    keys = {bytes.fromhex(public)}
    assert all(noticed for _, noticed in module.forged(rows, checkpoints, None, keys, None))
    key = module.SigningKey.open(settings.signing_key)
    assert not any(noticed for _, noticed in module.forged(rows, checkpoints, key, keys, None))  # the limit: no anchor


def test_edits_of_the_store_are_found_and_put_back(module, sample, tmp_path):
    settings = Settings(embedder="none", signing_key=tmp_path / "signing.pem")
    before = sample[0].read_bytes()
    assert before
    found = list(module.in_the_store(sample[0], settings, "checkpoints", ["at", "hash"], random.Random(1)))
    assert len(found) == 64
    assert all(noticed for _, noticed in found)


def test_the_figures_are_written(module, tmp_path, monkeypatch, capsys):
    noticed = [True, False]

    def measure(score, *_):
        score.run("some", [("here", True), ("there", noticed.pop(0))])

    monkeypatch.setattr(module, "measure", measure)
    monkeypatch.setattr(module.sys, "argv", ["tamper.py", "--entries", "4", "--out", str(tmp_path / "tamper.json")])
    for missed in ([], ["there"]):
        assert module.main() == len(missed)
        result = json.loads((tmp_path / "tamper.json").read_text())
        assert (result["some"]["tried"], result["some"]["missed"]) == (2, missed)
    assert "2 edits, 1 not noticed" in capsys.readouterr().out
