"""Old files and damaged ones: the corpus holds, and the trials notice what they should."""

from __future__ import annotations

import os
import shutil

import pytest

from remanence import Memory
from remanence.auditing import Audit
from remanence.forgetting import Receipts
from remanence.store.protocol import Checked


@pytest.fixture
def files(reliability):
    return reliability("files")


def test_every_file_has_its_export(files):
    names = {path.stem for path in files.FOLDER.glob("*.rem")}
    assert names == {path.stem for path in files.FOLDER.glob("*.jsonl")}
    assert {"v1", "v2"} <= names


@pytest.mark.parametrize("name", ["v1", "v2", "v3"])
def test_an_old_file_holds(files, name):
    path = files.FOLDER / f"{name}.rem"
    if not path.exists():
        pytest.skip("this format has not been released")
    assert files.held(path) == []


def test_an_export_that_says_something_else_is_noticed(files, tmp_path):
    path = files.FOLDER / "v1.rem"
    shutil.copy(path, tmp_path / "v1.rem")
    kept = path.with_suffix(".jsonl").read_text(encoding="utf-8")
    (tmp_path / "v1.jsonl").write_text(kept.replace("orchard", "meadow"), encoding="utf-8")
    assert any("line" in problem for problem in files.held(tmp_path / "v1.rem"))


def test_fields_that_came_later_are_no_difference(files):
    assert list(files.other('{"a": 1}\n', '{"a": 1, "b": 2}\n')) == []
    assert list(files.other('{"a": 1, "b": 2}\n', '{"a": 1}\n')) != []
    assert list(files.other('{"a": 1}\n', '{"a": 1}\n{"a": 2}\n')) != []


def test_some_damaged_copies(files):
    damage = files.damaged(max(files.FOLDER.glob("*.rem")), 40, seed=5)
    assert damage.problems == []
    assert damage.flips == 40


@pytest.mark.parametrize("blind", [False, True])
def test_damage_of_a_text_is_noticed_and_is_a_finding_where_it_is_not(files, monkeypatch, blind):
    """Once as it is, and once with a `verify` that is content with everything."""
    image, damage = (files.FOLDER / "v3.rem").read_bytes(), files.Damage()
    places = [(image.index(b"in the orchard") + at, 1) for at in range(8)]
    if blind:
        monkeypatch.setattr(Memory, "verify", lambda self: Checked({}, ()))
        monkeypatch.setattr(Audit, "verify", lambda self: Checked({}, ()))
        monkeypatch.setattr(Receipts, "list", lambda self: [])
    files._batch(image, places, files.content(files.FOLDER / "v3.rem"), damage, files.FOLDER / "v3.rem")
    assert damage.flips == 8
    assert len(damage.problems) == (8 if blind else 0)
    assert damage.outcomes == {"unnoticed" if blind else "found by verify": 8}


def test_a_process_that_dies_is_a_finding(files, monkeypatch):
    parent = os.getpid()  # it looks at the undamaged file first
    monkeypatch.setattr(files, "tried", lambda *_: ("without effect", []) if os.getpid() == parent else os._exit(3))
    damage = files.damaged(files.FOLDER / "v1.rem", 2, seed=5)
    assert len(damage.problems) == damage.flips == 2
    assert "ended with status" in damage.problems[0]
